"""Estimate fractions of verdicts, and their differences, from a sweep's folder."""

import functools
import itertools
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Int, UInt64
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.sweep import siblings_of
from basin_jax.core.verdict import NEAR, Rule, Verdict
from basin_jax.results.failed import failed_seeds
from basin_jax.results.given import Given
from basin_jax.results.quoted import Quoted
from basin_jax.results.seed_set import are_among
from basin_jax.results.shown import Shown
from basin_jax.results.summary import Summary
from basin_jax.results.verdicts import CellVerdicts, shared
from basin_jax.statistics.estimates import as_verdict
from basin_jax.statistics.rows import ESTIMATES, difference_row, fraction_row, narrowed


class Records(Quoted, Shown):
    """The results of a sweep: the content of its folder, and estimates from it.

    Args:
        folder: the folder of a run or its URL, or several, whose cells and seeds are united.
        rule: a rule to judge the stored evidence by, in place of the sweep's own.
        labels: names for cells, by their digests or the labels that they have.
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
        conditional = len(counted) < len(Verdict) or given is not None
        num_intervals = len(self.cells) * len(counted)
        rows = []
        for cell in self.cells:
            chosen = None if given is None else given.seeds(self, cell)
            for verdict in counted:
                hits = self._hits(cell, verdict, counted, chosen)
                one = self._estimate(cell, hits, level, num_intervals, conditional=conditional)
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
        judged = {cell: CellVerdicts() for cell in self.cells}
        rule, distinct = self.rule, list(dict.fromkeys(values))

        def count(cell: str, own: pl.DataFrame) -> None:
            table = rule.sensitivity(self.evidence(own), field, distinct)
            failed = (own["verdict"] == Verdict.ERROR).to_numpy()[:, None]
            verdicts = np.where(failed, np.int8(Verdict.ERROR), np.stack([*table.values()], axis=1))
            judged[cell].add(own["seed"].to_numpy(), verdicts)

        self.read(count)
        rows = []
        num_intervals = len(self.cells) * len(distinct) * len(Verdict)
        for cell in self.cells:
            for column, value in enumerate(distinct):
                for verdict in Verdict:
                    hits = ((own[:, column] == verdict, seeds) for seeds, own in judged[cell])
                    one = self._estimate(cell, hits, level, num_intervals)
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
            `near` it of all `trials`, and their `share`; or the `reason` why the rule fails where
            it is moved. There are no rows if the rule is from a user's own file and was not given
            to `load`.
        """
        rows = []
        for cell, summary in self._summaries(within).items():
            for field, near in summary.near.items():
                value, trials = getattr(self.judged_by, field), summary.trials
                share, why = near / trials if trials else math.nan, summary.failed.get(field)
                known = (near, trials, share) if why is None else (None, trials, None)
                rows.append((cell, field, value, *known, why))
        names = ("cell", "threshold", "value", "near", "trials", "share", "reason")
        kinds = (pl.String, pl.String, pl.Float64, pl.Int64, pl.Int64, pl.Float64, pl.String)
        frame = pl.DataFrame(rows, dict(zip(names, kinds, strict=True)), orient="row")
        return self._fields(()).join(frame, on="cell", maintain_order="right")

    @checked
    def agreement(self, *, level: float = 0.95) -> pl.DataFrame:
        """Estimate the fraction of seeds with the same verdict at an earlier stop and at the last.

        Use `Given` for the fraction among the seeds of one verdict. Seeds that failed are left out.

        Args:
            level: as in `fractions`.

        Returns:
            A row for each cell and earlier stop.

        Raises:
            ValueError: if no cell has an earlier stop: see `Sweep.save_at`.
        """
        if not self.earlier:
            raise ValueError("save_at = () in every cell; allowed: a step before the last one")
        rows = []
        for cell, column in self.earlier:
            ends = [(seeds, own, own[:, -1] != Verdict.ERROR) for seeds, own in self.counted(cell)]
            hits = ((own[kept, column] == own[kept, -1], seeds[kept]) for seeds, own, kept in ends)
            failed = not all(kept.all() for _, _, kept in ends)
            one = self._estimate(cell, hits, level, len(self.earlier), conditional=failed)
            rows.append({"cell": cell, "step": self.stops(cell)[column], **one})
        return self._with_fields(rows, self.varied)

    @functools.cached_property
    def earlier(self) -> list[tuple[str, int]]:
        """The stops before the last, as cells and columns of their verdicts."""
        return [
            (cell, column)
            for cell in self.cells
            if any(True for _ in self.counted(cell))
            for column in range(len(self.stops(cell)) - 1)
        ]

    @checked
    def compare(
        self,
        of: Verdict | str | int = Verdict.DECEPTIVE,
        *,
        to: str | None = None,
        all_pairs: bool = False,
        level: float = 0.95,
    ) -> pl.DataFrame:
        """Estimate the difference of each cell's fraction of a verdict from a baseline's.

        Args:
            of: the verdict.
            to: the digest or the label of the baseline; the first cell if None.
            all_pairs: compare each cell with every one before it, in place of one baseline.
            level: as in `fractions`.

        Returns:
            A row for each other cell, or each pair, over the seeds that it shares with the
            baseline, whose digest is `baseline` and whose label is `to`. `gained` counts those
            that have the verdict in the cell alone, `lost` those in the baseline alone. The
            intervals `low_all` to `high_all` hold for all rows at once; `p_value` is that of each
            row by itself: see `basin_jax.paired_difference`.

        Raises:
            ValueError: if there is only one cell, or no cell `to`, or `to` is given with
                `all_pairs`.
        """
        if all_pairs and to is not None:
            raise ValueError(f"to = {to!r} with all_pairs; allowed: one of the two")
        baseline = next(iter(self.cells)) if to is None else self.digest(to, "to")
        if len(self.cells) < 2:
            raise ValueError("the sweep has one cell; allowed: two or more, to differ")
        pairs = [(cell, baseline) for cell in self.cells if cell != baseline]
        if all_pairs:
            pairs = [(cell, first) for first, cell in itertools.combinations(self.cells, 2)]
        rows = [self._difference(*pair, as_verdict(of), level, len(pairs)) for pair in pairs]
        frame = self._fields(self.varied).join(
            pl.DataFrame(rows), on="cell", maintain_order="right"
        )
        first = ("cell", "label", "baseline", "to")
        return _ending(frame.select(*first, pl.exclude(*first)))

    def errors(self) -> pl.DataFrame:
        """Return the seeds whose verdict is ERROR, a row for each: its cell, seed and reason."""
        return self._fields(()).join(self._errors, on="cell", maintain_order="right")

    @functools.cached_property
    def _errors(self) -> pl.DataFrame:
        rows = pl.DataFrame(
            [
                (cell, seed)
                for cell, own in self.verdicts.items()
                for seeds, judged in own
                for seed in seeds[judged[:, -1] == Verdict.ERROR].tolist()
            ],
            {"cell": pl.String, "seed": pl.UInt64},
            orient="row",
        )
        if rows.is_empty():
            return rows.with_columns(reason=pl.lit(None, pl.String))
        told = pl.concat(failed_seeds(store) for store in self.stores)
        reasons = told.select("cell", "seed", "reason")
        # Another worker may have tried some again since the verdicts were read.
        again = pl.col("reason").fill_null("was tried again since")
        joined = rows.join(reasons, on=["cell", "seed"], how="left", maintain_order="left")
        return joined.with_columns(again)

    def _paths(self, by: str | Sequence[str] | None) -> Sequence[str]:
        """Return the paths of the fields that tell the cells apart."""
        by = [by] if isinstance(by, str) else by
        paths = self.varied if by is None else [self._path(name, "by") for name in by]
        groups = [tuple(str(cell.get(path)) for path in paths) for cell in self.cells.values()]
        if len(set(groups)) < len(groups):
            raise ValueError(
                f"by = {by!r} puts cells together that run the same seeds; "
                f"allowed: all of {', '.join(self.varied)}"
            )
        return paths

    def gaps(self) -> dict[str, dict[Verdict, Int[ndarray, " bin"]]]:
        """Count the seeds of each cell by their gap, `unwatched` less `watched`.

        Returns:
            For each verdict that some seed has, the number of its seeds in each of `GAPS` bins of
            equal width from -1 to 1. Gaps beyond these count as -1 and 1, NaN as 0.
        """
        return {cell: summary.gaps for cell, summary in self._summaries(NEAR).items()}

    def gap_examples(self) -> dict[str, dict[Verdict, dict[int, int]]]:
        """Find a seed for each cell, verdict and bin that `gaps` counts, if there is one."""
        return {cell: summary.examples for cell, summary in self._summaries(NEAR).items()}

    def _summaries(self, within: float) -> dict[str, Summary]:
        """Read what only the evidence tells, once for each distance from thresholds."""
        if within not in self._known:
            found = {cell: Summary(self.judged_by, within) for cell in self.cells}

            def count(cell: str, rows: pl.DataFrame) -> None:
                evidence, seeds = self.evidence(rows), rows["seed"].to_numpy()
                found[cell].add(evidence, rows["verdict"].to_numpy(), seeds)

            self.read(count)
            self._known[within] = found
        return self._known[within]

    @functools.cached_property
    def _known(self) -> dict[float, dict[str, Summary]]:
        return {}

    def _hits(
        self,
        cell: str,
        verdict: Verdict,
        among: Sequence[Verdict],
        chosen: UInt64[ndarray, " _"] | None,
    ) -> Iterator[tuple[Bool[ndarray, " seed"], UInt64[ndarray, " seed"]]]:
        """Yield whether counted seeds have a verdict, and the seeds, block by block."""
        for seeds, verdicts in self.counted(cell):
            last, kept = verdicts[:, -1], np.ones(len(seeds), bool)
            if len(among) < len(Verdict):
                kept = np.isin(last, among)
            if chosen is not None:
                kept &= are_among(seeds, chosen)
            yield last[kept] == verdict, seeds[kept]

    def _estimate(
        self,
        cell: str,
        hits: Iterable[tuple[Bool[ndarray, " seed"], UInt64[ndarray, " seed"]]],
        level: float,
        num_intervals: int,
        *,
        conditional: bool = False,
    ) -> dict[str, Any]:
        """Estimate the fraction of hits among some seeds."""
        row = fraction_row(
            hits,
            siblings=siblings_of(self.cells[cell]),
            level=level,
            num_intervals=num_intervals,
            basis=narrowed(self.interval) if conditional else self.interval,
        )
        return row | {"sample": self.sample}

    def _difference(
        self, cell: str, baseline: str, of: Verdict, level: float, num_intervals: int
    ) -> dict[str, Any]:
        both = shared(self.counted(cell), self.counted(baseline))
        row = difference_row(
            ((own[:, -1] == of, theirs[:, -1] == of, seeds) for seeds, own, theirs in both),
            siblings=math.lcm(*(siblings_of(self.cells[one]) for one in (cell, baseline))),
            level=level,
            num_intervals=num_intervals,
            basis=self.interval,
        )
        named = {"cell": cell, "baseline": baseline, "to": self.label(baseline)}
        return {**named, **row, "sample": self.sample}

    def _with_fields(self, rows: list[dict[str, Any]], paths: Sequence[str]) -> pl.DataFrame:
        """Return rows as a frame, with the fields of each cell after its digest."""
        frame = pl.DataFrame(rows, orient="row")
        return _ending(self._fields(paths).join(frame, on="cell", maintain_order="left_right"))


def _ending(frame: pl.DataFrame) -> pl.DataFrame:
    """Move the estimates of a frame to its end: a prompt shows its first and last columns alone."""
    last = [name for name in ESTIMATES if name in frame.columns]
    return frame.select(pl.exclude(*last), *last)


@checked
def load(
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    rule: Rule | None = None,
    labels: Mapping[str, str] | None = None,
) -> Records:
    """Load a sweep's results from its folder, without running any of its code.

    Args:
        folder: the folder of a run or its URL, or several: shards from several machines, or cells
            that are compared. They share no seed of a cell.
        rule: a rule to judge the stored evidence by, in place of the sweep's own.
        labels: names for cells, by their digests or the labels that they have.

    Raises:
        ValueError: if a name cannot be shown, or is that of no cell.
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
    return Records(folder, rule=rule, labels=labels)
