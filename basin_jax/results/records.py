"""Estimates from a sweep's folder: fractions of verdicts, and their differences."""

import math
import os
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import polars as pl

from basin_jax.core.sweep import siblings_of
from basin_jax.core.verdict import NEAR, Rule, Verdict, near_thresholds
from basin_jax.results.given import Given
from basin_jax.results.reading import Stored
from basin_jax.statistics.estimates import as_verdict
from basin_jax.statistics.rows import difference_row, fraction_row, narrowed


class Records(Stored):
    """The results of a sweep, read from its folder without running any of its code.

    Args:
        folder: what `run` wrote.
        rule: a rule to judge the stored evidence by, in place of the sweep's own. It
            costs no training.
    """

    def fractions(
        self,
        by: str | Sequence[str] | None = None,
        *,
        among: Collection[Verdict] | None = None,
        given: Given | None = None,
        level: float = 0.95,
    ) -> pl.DataFrame:
        """Estimate the fraction of every verdict in every cell.

        Args:
            by: fields that tell the cells apart (dotted paths, or their last parts);
                those that are varied, if None.
            among: the verdicts that make up the denominator; all of them if None.
            given: what seeds satisfied earlier, or their parents; the others are not counted.
            level: of the intervals `low` to `high`, which hold for each row by itself,
                and of `low_all` to `high_all`, which hold for all rows at once.

        Returns:
            One row a cell and verdict (with its upper limit where no seed has it); the
            `hits` of a cell sum to its `trials`. `sample` says which seeds it speaks of, and
            `interval` which interval it is: see `Records.sample` and `Records.interval`.
            Where the denominator hangs on results, it is "conditional" in place of "fixed".

        Raises:
            ValueError: where a field is unknown, or two cells fall together. Cells run
                the same seeds, so pooling them would count a seed twice.
        """
        by = [by] if isinstance(by, str) else by
        paths = self.varied if by is None else [self._path(name) for name in by]
        groups = [tuple(str(cell.get(path)) for path in paths) for cell in self.cells.values()]
        if len(set(groups)) < len(groups):
            raise ValueError(
                f"by = {by!r} puts cells together that run the same seeds; "
                f"allowed: all of {', '.join(self.varied)}"
            )
        wanted = set(Verdict) if among is None else {as_verdict(verdict) for verdict in among}
        counted = [verdict for verdict in Verdict if verdict in wanted]
        if not counted:
            raise ValueError("among is empty; allowed: at least one verdict")
        frame = self.counted.filter(pl.col("verdict").is_in([v.name for v in counted]))
        conditional = len(counted) < len(Verdict) or given is not None
        rows = []
        for cell in self.cells:
            own = frame.filter(cell=cell)
            if given is not None:
                own = own.filter(pl.col("seed").is_in(given.seeds(self, cell).implode()))
            for verdict in counted:
                hits = own["verdict"] == verdict.name
                num_intervals = len(self.cells) * len(counted)
                one = self._estimate(cell, own, hits, level, num_intervals, conditional=conditional)
                rows.append({"cell": cell, "verdict": verdict.name, **one})
        return self._with_fields(rows, paths)

    def sensitivity(
        self, field: str, values: Sequence[Any], *, level: float = 0.95
    ) -> pl.DataFrame:
        """Estimate the fraction of every verdict as a threshold of the rule takes other values.

        Args:
            field: the rule's field, such as "deceptive_gap".
            values: what it is to be; it costs no training.
            level: as in `fractions`.

        Returns:
            One row a cell, value and verdict, like those of `fractions`.

        Raises:
            ValueError: where the records were loaded without a rule, or the rule has no such
                field, or it allows no such value.
        """
        if self.rule is None:
            raise ValueError(
                "rule = None; allowed: the rule whose field is varied, "
                "as in load(folder, rule=Behavior())"
            )
        rows = []
        for cell in self.cells:
            own = self.counted.filter(cell=cell)
            table = self.rule.sensitivity(self.evidence(own), field, values)
            num_intervals = len(self.cells) * len(table) * len(Verdict)
            for value, verdicts in table.items():
                for verdict in Verdict:
                    hits = pl.Series(verdicts == verdict)
                    one = self._estimate(cell, own, hits, level, num_intervals)
                    rows.append({"cell": cell, field: value, "verdict": verdict.name, **one})
        return self._with_fields(rows, self.varied)

    def near_thresholds(self, *, within: float = NEAR) -> pl.DataFrame:
        """Count the seeds whose verdict is another if a threshold of the rule moves a little.

        Where these are many, the fractions depend on where the threshold lies.

        Args:
            within: how far a threshold is moved, either way.

        Returns:
            One row a cell and threshold: the rule's field, its `value`, how many seeds of how
            many are `near` it, and their `share`. No row where the rule is not known: that of a
            user's own file has to be given to `load`.
        """
        rows = []
        if (rule := self.judged_by) is not None:
            for cell in self.cells:
                evidence = self.evidence(self.counted.filter(cell=cell))
                for field, near in near_thresholds(rule, evidence, within=within).items():
                    value, count = getattr(rule, field), int(near.sum())
                    share = count / len(near) if len(near) else math.nan
                    rows.append((cell, field, value, count, len(near), share))
        names = ("cell", "threshold", "value", "near", "trials", "share")
        kinds = (pl.String, pl.String, pl.Float64, pl.Int64, pl.Int64, pl.Float64)
        return pl.DataFrame(rows, dict(zip(names, kinds, strict=True)), orient="row")

    def agreement(self, *, level: float = 0.95) -> pl.DataFrame:
        """Estimate the fraction of seeds whose verdict at an earlier stop is that at the last.

        Among those of one verdict it is a conditional fraction: see `Given`.

        Args:
            level: as in `fractions`.

        Returns:
            One row a cell and earlier stop.

        Raises:
            ValueError: where no cell was probed before its end: see `Sweep.save_at`.
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

    def differences(
        self,
        of: Verdict | str | int = Verdict.DECEPTIVE,
        *,
        to: str | None = None,
        level: float = 0.95,
    ) -> pl.DataFrame:
        """Estimate how much each cell's fraction of a verdict differs from a baseline's.

        Args:
            of: the verdict whose fraction is compared.
            to: the baseline, by its digest or its label; the first cell if None.
            level: of the intervals `low` to `high`, which hold for each row by itself,
                and of `low_all` to `high_all`, which hold for all rows at once.

        Returns:
            One row for every other cell, over the seeds that it and the baseline both
            have. `gained` counts those that have the verdict in the cell alone, `lost`
            those in the baseline alone. `p_value` is that of each row by itself: see
            `basin_jax.paired_difference`.

        Raises:
            ValueError: where there is one cell only, or none that is named `to`.
        """
        baseline = self._cell(to, "to")
        others = [cell for cell in self.cells if cell != baseline]
        if not others:
            raise ValueError("the sweep has one cell; allowed: two or more, to differ")
        hits = self.counted.select("cell", "seed", hit=pl.col("verdict") == as_verdict(of).name)
        pairs = hits.join(hits.filter(cell=baseline), on="seed", suffix="_baseline")
        rows = [self._difference(cell, baseline, pairs.filter(cell=cell), level) for cell in others]
        frame = self._fields(self.varied).insert_column(1, pl.lit(baseline).alias("baseline"))
        return frame.join(pl.DataFrame(rows), on="cell", maintain_order="right")

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
        """Estimate the fraction of a frame's seeds that hit."""
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
        """Lay rows out by cell, with the cell's fields after its name."""
        frame = pl.DataFrame(rows, orient="row")
        return self._fields(paths).join(frame, on="cell", maintain_order="left_right")


def load(folder: str | os.PathLike[str], *, rule: Rule | None = None) -> Records:
    """Load a sweep's results from its folder, without running any of its code.

    Raises:
        StoreError: where the folder holds no sweep, or a chunk in it is damaged.
    """
    return Records(folder, rule=rule)
