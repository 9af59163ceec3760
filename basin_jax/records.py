"""What a sweep's folder says: a tidy frame a seed, and a frame of estimates."""

import functools
import math
import os
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.base import closest
from basin_jax.clusters import Brood, broods, difference_of_broods, estimate_of_broods
from basin_jax.manifest import own_rule
from basin_jax.spec import label, siblings_of, varied
from basin_jax.statistics import Interval, as_verdict, estimate, paired_difference
from basin_jax.store import KEYS, Store
from basin_jax.verdict import NEAR, Rule, Verdict, judge, near_thresholds


VERDICTS = pl.Enum([verdict.name for verdict in Verdict])


class Records:
    """The results of a sweep, read from its folder without running any of its code.

    Args:
        folder: what `run` wrote.
        rule: a rule to judge the stored evidence by, in place of the sweep's own. It
            costs no training.
    """

    def __init__(self, folder: str | os.PathLike[str], *, rule: Rule | None = None):
        self.store = Store(folder)
        self.manifest: dict[str, Any] = self.store.manifest()
        self.rule = rule
        self.cells: dict[str, dict[str, Any]] = {
            digest: cell["fields"] for digest, cell in self.manifest["cells"].items()
        }
        self.varied = varied(list(self.cells.values()))

    def evidence(self, frame: pl.DataFrame) -> dict[str, ndarray]:
        """Return the evidence in a frame of these records, a column each: what a rule judges."""
        columns = frame.select(pl.exclude(*KEYS, *self.varied)).to_dict()
        return {name: column.to_numpy() for name, column in columns.items()}

    @functools.cached_property
    def history(self) -> pl.DataFrame:
        """A row for each cell, seed and step at which it was probed."""
        stored = self.store.frame()
        if self.rule is not None:
            evidence = {n: stored[n].to_numpy() for n in stored.columns if n not in KEYS}
            stored = stored.with_columns(verdict=judge(self.rule, evidence))
        names = {int(verdict): verdict.name for verdict in Verdict}
        verdict = pl.col("verdict").replace_strict(names, return_dtype=VERDICTS)
        return (
            stored.with_columns(verdict)
            .join(self._fields(self.varied), on="cell", maintain_order="left")
            .select(*KEYS[:1], *self.varied, *KEYS[1:], pl.exclude(*KEYS, *self.varied))
        )

    @functools.cached_property
    def frame(self) -> pl.DataFrame:
        """A row for each cell and seed: fields varied, verdict and evidence at the end."""
        last = pl.col("step") == pl.col("step").max().over("cell")
        return self.history.filter(last).drop("step")

    @functools.cached_property
    def interval(self) -> Interval:
        """The interval that holds: "fixed" only where the number of seeds was.

        That is, where every run asked for the same seeds and all of them are there.
        Otherwise somebody may have stopped, or gone on, because of what was seen.
        """
        stops = [run["stop"] for run in self.store.runs()]
        counts = self.frame.group_by("cell").len()["len"]
        asked = stops[0].get("count") if stops else None
        same = all(stop == stops[0] for stop in stops)
        complete = len(counts) == len(self.cells) and set(counts) == {asked}
        return "fixed" if same and complete else "anytime"

    @functools.cached_property
    def judged_by(self) -> Rule | None:
        """The rule of the verdicts; None where it is the sweep's own, and not the package's."""
        return self.rule or own_rule(self.manifest["rule"])

    def label(self, cell: str) -> str:
        """Return a cell's short name, by what distinguishes it."""
        return label(self.cells[cell], self.varied)

    def seeds(self, of: Verdict | str | int, *, cell: str | None = None) -> UInt64[ndarray, " n"]:
        """Return the seeds of a verdict, to train them further (see `basin_jax.Trained`).

        Args:
            of: the verdict.
            cell: the cell that they are of, by its digest or its label; the only one if None.

        Raises:
            ValueError: where there is no such verdict or cell, or several cells and none named.
        """
        if cell is None and len(self.cells) > 1:
            known = ", ".join(map(self.label, self.cells))
            raise ValueError(f"cell = None; allowed: one of {known}")
        chosen = self.frame.filter(cell=self._cell(cell, "cell"), verdict=as_verdict(of).name)
        return np.sort(chosen["seed"].to_numpy().astype(np.uint64))

    def fractions(
        self,
        by: str | Sequence[str] | None = None,
        *,
        among: Collection[Verdict] | None = None,
        level: float = 0.95,
    ) -> pl.DataFrame:
        """Estimate the fraction of every verdict in every cell.

        Args:
            by: fields that tell the cells apart (dotted paths, or their last parts);
                those that are varied, if None.
            among: the verdicts that make up the denominator; all of them if None.
            level: of the intervals `low` to `high`, which hold for each row by itself,
                and of `low_all` to `high_all`, which hold for all rows at once.

        Returns:
            One row a cell and verdict (with its upper limit where no seed has it); the
            `hits` of a cell sum to its `trials`. `interval` says which interval it is:
            see `Records.interval`.

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
        frame = self.frame.filter(pl.col("verdict").is_in([v.name for v in counted]))
        rows = []
        for cell in self.cells:
            own = frame.filter(cell=cell)
            for verdict in counted:
                hits = own["verdict"] == verdict.name
                one = self._estimate(cell, own, hits, level, len(self.cells) * len(counted))
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
            own = self.frame.filter(cell=cell)
            table = self.rule.sensitivity(self.evidence(own), field, values)
            together = len(self.cells) * len(table) * len(Verdict)
            for value, verdicts in table.items():
                for verdict in Verdict:
                    hits = pl.Series(verdicts == verdict)
                    one = self._estimate(cell, own, hits, level, together)
                    rows.append({"cell": cell, field: value, "verdict": verdict.name, **one})
        return self._with_fields(rows, self.varied)

    def near_thresholds(self, *, within: float = NEAR) -> pl.DataFrame:
        """Count the seeds whose verdict is another if a threshold of the rule moves a little.

        Where these are many, what is said of the verdicts hangs on where the threshold lies.

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
                evidence = self.evidence(self.frame.filter(cell=cell))
                for field, near in near_thresholds(rule, evidence, within=within).items():
                    value, count = getattr(rule, field), int(near.sum())
                    share = count / len(near) if len(near) else math.nan
                    rows.append((cell, field, value, count, len(near), share))
        names = ("cell", "threshold", "value", "near", "trials", "share")
        kinds = (pl.String, pl.String, pl.Float64, pl.Int64, pl.Int64, pl.Float64)
        return pl.DataFrame(rows, dict(zip(names, kinds, strict=True)), orient="row")

    def agreement(
        self, *, among: Collection[Verdict] | None = None, level: float = 0.95
    ) -> pl.DataFrame:
        """Estimate the fraction of seeds whose verdict at an earlier stop is that at the last.

        Args:
            among: the verdicts at the earlier stop that make up the denominator; all of them
                if None. Among DECEPTIVE it is the fraction that remains so: through more
                training, or through a correction that begins at that stop.
            level: as in `fractions`.

        Returns:
            One row a cell and earlier stop.

        Raises:
            ValueError: where no cell was probed before its end: see `Sweep.save_at`.
        """
        last = self.frame.select("cell", "seed", last="verdict")
        stop = pl.col("step")
        pairs = self.history.filter(stop < stop.max().over("cell")).join(last, on=["cell", "seed"])
        if pairs.is_empty():
            raise ValueError("save_at = () in every cell; allowed: a step before the last one")
        names = [as_verdict(verdict).name for verdict in (Verdict if among is None else among)]
        stops = pairs.select("cell", "step").unique().sort("step")
        rows = []
        for cell, step in stops.iter_rows():
            chosen = pairs.filter(pl.col("verdict").is_in(names), cell=cell, step=step)
            same = chosen["verdict"] == chosen["last"]
            one = self._estimate(cell, chosen, same, level, len(stops))
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
        hits = self.frame.select("cell", "seed", hit=pl.col("verdict") == as_verdict(of).name)
        pairs = hits.join(hits.filter(cell=baseline), on="seed", suffix="_baseline")
        rows = [self._difference(cell, baseline, pairs.filter(cell=cell), level) for cell in others]
        frame = self._fields(self.varied).insert_column(1, pl.lit(baseline).alias("baseline"))
        return frame.join(pl.DataFrame(rows), on="cell", maintain_order="right")

    def _estimate(
        self, cell: str, frame: pl.DataFrame, hits: pl.Series, level: float, together: int
    ) -> dict[str, Any]:
        """Estimate the fraction of a frame's seeds that hit; by parents, where they have some."""
        brood = self._brood(frame, hits, cell)
        given: Any = {"level": level, "interval": self.interval}
        counts = int(hits.sum()), len(hits)
        one, every = (
            estimate(*counts, cells=cells, **given)
            if brood is None
            else estimate_of_broods(brood, cells=cells, **given)
            for cells in (1, together)
        )
        return {
            "hits": one.hits,
            "trials": one.trials,
            "fraction": one.fraction,
            "low": one.low,
            "high": one.high,
            "low_all": every.low,
            "high_all": every.high,
            "level": level,
            "interval": one.interval,
        }

    def _difference(
        self, cell: str, baseline: str, pairs: pl.DataFrame, level: float
    ) -> dict[str, Any]:
        hit, other = pairs["hit"], pairs["hit_baseline"]
        counts = int((hit & ~other).sum()), int((~hit & other).sum()), len(pairs)
        gains = (1 + hit.cast(int) - other.cast(int)) / 2
        brood = self._brood(pairs, gains, cell, baseline)
        given: Any = {"level": level, "interval": self.interval}
        one, every = (
            paired_difference(*counts, cells=cells, **given)
            if brood is None
            else difference_of_broods(*counts, brood, cells=cells, **given)
            for cells in (1, len(self.cells) - 1)
        )
        return {
            "cell": cell,
            "gained": one.gained,
            "lost": one.lost,
            "trials": one.trials,
            "difference": one.difference,
            "low": one.low,
            "high": one.high,
            "low_all": every.low,
            "high_all": every.high,
            "p_value": one.p_value,
            "level": level,
            "interval": one.interval,
        }

    def _brood(self, frame: pl.DataFrame, hits: pl.Series, *cells: str) -> Brood | None:
        """Return the hits of each parent, or None where no seeds have one in common."""
        siblings = math.lcm(*(siblings_of(self.cells[cell]) for cell in cells))
        if siblings == 1:
            return None
        return broods(hits.to_numpy(), frame["seed"].to_numpy(), siblings)

    def _cell(self, name: str | None, argument: str) -> str:
        """Return the digest of a cell given by its digest or its label; the first's if None."""
        labels = {self.label(cell): cell for cell in self.cells}
        names = {cell: cell for cell in self.cells} | labels
        if name is None:
            return next(iter(self.cells))
        if name not in names:
            raise ValueError(f"{argument} = {name!r} is no cell; allowed: {closest(name, labels)}")
        return names[name]

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

    def _with_fields(self, rows: list[dict[str, Any]], paths: Sequence[str]) -> pl.DataFrame:
        """Lay rows out by cell, with the cell's fields after its name."""
        frame = pl.DataFrame(rows, orient="row")
        return self._fields(paths).join(frame, on="cell", maintain_order="left_right")

    def _fields(self, paths: Sequence[str]) -> pl.DataFrame:
        def plain(value: Any) -> Any:
            return str(value) if isinstance(value, list) else value

        columns = {path: [plain(c.get(path)) for c in self.cells.values()] for path in paths}
        return pl.DataFrame({"cell": list(self.cells), **columns}, strict=False)


def load(folder: str | os.PathLike[str], *, rule: Rule | None = None) -> Records:
    """Load a sweep's results from its folder, without running any of its code.

    Raises:
        StoreError: where the folder holds no sweep, or a chunk in it is damaged.
    """
    return Records(folder, rule=rule)
