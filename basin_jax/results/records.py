"""Estimate fractions of verdicts, and their differences, from a sweep's folder."""

import math
import os
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import polars as pl

from basin_jax.core.arguments import checked
from basin_jax.core.plugin import closest
from basin_jax.core.sweep import siblings_of
from basin_jax.core.verdict import NEAR, Rule, Verdict, near_thresholds
from basin_jax.results.failed import failed_seeds
from basin_jax.results.given import Given
from basin_jax.results.reading import Stored
from basin_jax.statistics.estimates import as_verdict
from basin_jax.statistics.rows import difference_row, fraction_row, narrowed


class Records(Stored):
    """The results of a sweep: the content of its folder, and estimates from it.

    Args:
        folder: the folder of a run or its URL, or several, whose cells and seeds are united.
        rule: a rule to judge the stored evidence by, in place of the sweep's own.
    """

    @checked
    def fractions(
        self,
        by: str | Sequence[str] | None = None,
        *,
        among: Collection[Verdict | str | int] | None = None,
        given: Given | None = None,
        level: float = 0.95,
    ) -> pl.DataFrame:
        """Estimate the fraction of every verdict in every cell.

        Args:
            by: fields that tell the cells apart (dotted paths, or their last parts);
                those that are varied if None.
            among: the verdicts that make up the denominator; all of them if None.
            given: a condition on seeds at an earlier stop, or on their parents; other seeds are
                not counted.
            level: the level of the intervals `low` to `high`, each by itself, and of the
                simultaneous intervals `low_all` to `high_all` of all rows.

        Returns:
            A row for each cell and verdict, also where no seed has it; the `hits` of a cell sum
            to its `trials`. See `Records.sample` and `Records.interval` for these columns. If the
            denominator depends on results, `interval` is "conditional" in place of "fixed".

        Raises:
            ValueError: if a field is unknown, or does not tell two cells apart. Cells run the
                same seeds, so pooling them would count a seed twice.

        >>> import tempfile
        >>> from basin_jax import Sweep, methods, organisms, run
        >>> method = methods.Gradient(learning_rate=0.3)
        >>> sweep = Sweep(organism=organisms.DoubleWell(), method=method, num_steps=10)
        >>> records = run(sweep, 8, tempfile.mkdtemp(), lanes=8)
        >>> records.fractions()["hits"].sum()
        8
        """
        paths = self._paths(by)
        wanted = set(Verdict) if among is None else {as_verdict(verdict) for verdict in among}
        counted = [verdict for verdict in Verdict if verdict in wanted]
        if not counted:
            raise ValueError("among is empty; allowed: at least one verdict")
        frame = self.counted.filter(pl.col("verdict").is_in([v.name for v in counted]))
        conditional = len(counted) < len(Verdict) or given is not None
        rows = []
        for cell, own in self.by_cell(frame).items():
            if given is not None:
                own = own.filter(pl.col("seed").is_in(given.seeds(self, cell).implode()))
            for verdict in counted:
                hits, num_intervals = own["verdict"] == verdict.name, len(self.cells) * len(counted)
                one = self._estimate(cell, own, hits, level, num_intervals, conditional=conditional)
                rows.append({"cell": cell, "verdict": verdict.name, **one})
        return self._with_fields(rows, paths)

    @checked
    def sensitivity(
        self, field: str, values: Sequence[Any], *, level: float = 0.95
    ) -> pl.DataFrame:
        """Estimate the fraction of every verdict for other values of a threshold of the rule.

        Args:
            field: the rule's field, such as "deceptive_gap".
            values: its values.
            level: as in `fractions`.

        Returns:
            A row for each cell, value and verdict, like those of `fractions`.

        Raises:
            ValueError: if the records were loaded without a rule, or the rule has no such field,
                or it does not allow such a value.
        """
        if self.rule is None:
            raise ValueError(
                "rule = None; allowed: the rule whose field is varied, "
                "as in load(folder, rule=Behavior())"
            )
        rows = []
        for cell, own in self.by_cell(self.counted).items():
            table = self.rule.sensitivity(self.evidence(own), field, values)
            failed = (own["verdict"] == Verdict.ERROR.name).to_numpy()
            num_intervals = len(self.cells) * len(table) * len(Verdict)
            for value, verdicts in table.items():
                for verdict in Verdict:
                    hits = pl.Series(np.where(failed, Verdict.ERROR, verdicts) == verdict)
                    one = self._estimate(cell, own, hits, level, num_intervals)
                    rows.append({"cell": cell, field: value, "verdict": verdict.name, **one})
        return self._with_fields(rows, self.varied)

    @checked
    def near_thresholds(self, *, within: float = NEAR) -> pl.DataFrame:
        """Count the seeds whose verdict changes if a threshold of the rule moves a little.

        If these are many, the fractions depend on the value of the threshold.

        Args:
            within: the distance by which a threshold is moved, up and down.

        Returns:
            A row for each cell and threshold: the rule's field, its `value`, the number of seeds
            `near` it of all `trials`, and their `share`. There are no rows if the rule is from a
            user's own file and was not given to `load`.
        """
        rows = []
        if (rule := self.judged_by) is not None:
            for cell, own in self.by_cell(self.counted).items():
                evidence = self.evidence(own)
                for field, near in near_thresholds(rule, evidence, within=within).items():
                    value, count = getattr(rule, field), int(near.sum())
                    share = count / len(near) if len(near) else math.nan
                    rows.append((cell, field, value, count, len(near), share))
        names = ("cell", "threshold", "value", "near", "trials", "share")
        kinds = (pl.String, pl.String, pl.Float64, pl.Int64, pl.Int64, pl.Float64)
        return pl.DataFrame(rows, dict(zip(names, kinds, strict=True)), orient="row")

    @checked
    def agreement(self, *, level: float = 0.95) -> pl.DataFrame:
        """Estimate the fraction of seeds with the same verdict at an earlier stop and at the last.

        Use `Given` for the fraction among the seeds of one verdict.

        Args:
            level: as in `fractions`.

        Returns:
            A row for each cell and earlier stop.

        Raises:
            ValueError: if no cell has an earlier stop: see `Sweep.save_at`.
        """
        last = self.counted.select("cell", "seed", last="verdict")
        stop = pl.col("step")
        pairs = self.history.filter(stop < stop.max().over("cell")).join(last, on=["cell", "seed"])
        if pairs.is_empty():
            raise ValueError("save_at = () in every cell; allowed: a step before the last one")
        stops = pairs.select("cell", "step").unique().sort("step")
        rows = []
        for cell, step in stops.iter_rows():
            then = pairs.filter(cell=cell, step=step)
            one = self._estimate(cell, then, then["verdict"] == then["last"], level, len(stops))
            rows.append({"cell": cell, "step": step, **one})
        return self._with_fields(rows, self.varied)

    @checked
    def differences(
        self,
        of: Verdict | str | int = Verdict.DECEPTIVE,
        *,
        to: str | None = None,
        level: float = 0.95,
    ) -> pl.DataFrame:
        """Estimate the difference of each cell's fraction of a verdict from a baseline's.

        Args:
            of: the verdict.
            to: the digest or the label of the baseline; the first cell if None.
            level: as in `fractions`.

        Returns:
            A row for each other cell, over the seeds that it shares with the baseline. `gained`
            counts those that have the verdict in the cell alone, `lost` those in the baseline
            alone. `p_value` is that of each row by itself: see `basin_jax.paired_difference`.

        Raises:
            ValueError: if there is only one cell, or no cell `to`.
        """
        baseline = next(iter(self.cells)) if to is None else self.digest(to, "to")
        others = [cell for cell in self.cells if cell != baseline]
        if not others:
            raise ValueError("the sweep has one cell; allowed: two or more, to differ")
        hits = self.counted.select("cell", "seed", hit=pl.col("verdict") == as_verdict(of).name)
        pairs = hits.join(hits.filter(cell=baseline), on="seed", suffix="_baseline")
        parts = self.by_cell(pairs)
        rows = [self._difference(cell, baseline, parts[cell], level) for cell in others]
        frame = self._fields(self.varied).insert_column(1, pl.lit(baseline).alias("baseline"))
        return frame.join(pl.DataFrame(rows), on="cell", maintain_order="right")

    def errors(self) -> pl.DataFrame:
        """Return the seeds whose verdict is ERROR, a row for each: its cell, seed and reason."""
        failed = self.frame.filter(verdict=Verdict.ERROR.name).select("cell", "seed")
        told = pl.concat(failed_seeds(store) for store in self.stores) if len(failed) else None
        if told is None:
            return failed.with_columns(reason=pl.lit(None, pl.String))
        return failed.join(
            told.drop("chunk", "machine"), on=["cell", "seed"], maintain_order="left"
        )

    def _paths(self, by: str | Sequence[str] | None) -> Sequence[str]:
        """Return the paths of the fields that tell the cells apart."""
        by = [by] if isinstance(by, str) else by
        paths = self.varied if by is None else [self._path(name) for name in by]
        groups = [tuple(str(cell.get(path)) for path in paths) for cell in self.cells.values()]
        if len(set(groups)) < len(groups):
            raise ValueError(
                f"by = {by!r} puts cells together that run the same seeds; "
                f"allowed: all of {', '.join(self.varied)}"
            )
        return paths

    def _path(self, name: str) -> str:
        paths = {path for cell in self.cells.values() for path in cell}
        meant = {name} & paths or {path for path in paths if path.endswith(f".{name}")}
        meant = meant & set(self.varied) or meant
        if len(meant) > 1:
            raise ValueError(f"by = {name!r}; allowed: one of {', '.join(sorted(meant))}")
        if not meant:
            raise ValueError(
                f"by = {name!r} is no field of the sweep; allowed: {closest(name, paths)}"
            )
        return meant.pop()

    def _estimate(
        self,
        cell: str,
        frame: pl.DataFrame,
        hits: pl.Series,
        level: float,
        num_intervals: int,
        *,
        conditional: bool = False,
    ) -> dict[str, Any]:
        """Estimate the fraction of hits among the seeds of a frame."""
        row = fraction_row(
            hits.to_numpy(),
            frame["seed"].to_numpy().astype(np.uint64),
            siblings=siblings_of(self.cells[cell]),
            level=level,
            num_intervals=num_intervals,
            basis=narrowed(self.interval) if conditional else self.interval,
        )
        return row | {"sample": self.sample}

    def _difference(
        self, cell: str, baseline: str, pairs: pl.DataFrame, level: float
    ) -> dict[str, Any]:
        row = difference_row(
            (pairs["hit"].to_numpy(), pairs["hit_baseline"].to_numpy()),
            pairs["seed"].to_numpy().astype(np.uint64),
            siblings=math.lcm(*(siblings_of(self.cells[one]) for one in (cell, baseline))),
            level=level,
            num_intervals=len(self.cells) - 1,
            basis=self.interval,
        )
        return {"cell": cell, **row, "sample": self.sample}

    def _with_fields(self, rows: list[dict[str, Any]], paths: Sequence[str]) -> pl.DataFrame:
        """Return rows as a frame, with the fields of each cell after its digest."""
        frame = pl.DataFrame(rows, orient="row")
        return self._fields(paths).join(frame, on="cell", maintain_order="left_right")


@checked
def load(
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, rule: Rule | None = None
) -> Records:
    """Load a sweep's results from its folder, without running any of its code.

    Args:
        folder: the folder of a run or its URL, or several: shards from several machines, or cells
            that are compared. They share no seed of a cell.
        rule: a rule to judge the stored evidence by, in place of the sweep's own.

    Raises:
        StoreError: if a folder holds no sweep, or a chunk in it is damaged, or two folders have
            the same seed of a cell, or verdicts of different rules.
        BucketError: if a bucket does not answer.

    >>> import tempfile
    >>> from basin_jax import Sweep, methods, organisms, run
    >>> method, folder = methods.Gradient(learning_rate=0.3), tempfile.mkdtemp()
    >>> sweep = Sweep(organism=organisms.DoubleWell(), method=method, num_steps=10)
    >>> _ = run(sweep, 8, folder, lanes=8)
    >>> load(folder).frame["seed"].max()
    7
    """
    return Records(folder, rule=rule)
