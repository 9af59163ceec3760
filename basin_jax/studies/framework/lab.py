"""Train the groups, bisections and edges of a study in one folder."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np
import polars as pl
from numpy import ndarray

from basin_jax.core.identity import digest_of
from basin_jax.core.plugin import closest
from basin_jax.core.seeds import as_seeds
from basin_jax.core.sources import short_hash
from basin_jax.core.sweep import Child, Sweep
from basin_jax.core.verdict import UNJUDGED, Rule, Verdict, judge
from basin_jax.engine.backends import CPU
from basin_jax.engine.bisect import critical
from basin_jax.engine.edge import measured_edge
from basin_jax.files import write_file
from basin_jax.rare.estimate import RareEstimate
from basin_jax.rare.problem import Search
from basin_jax.rare.run import fraction
from basin_jax.rare.scores import Score
from basin_jax.results.chunk import KEYS, check_seal, write_chunk
from basin_jax.results.rule import rule_identity
from basin_jax.rules.behavior import Behavior
from basin_jax.rules.preference import Preference
from basin_jax.runs.progress import Progress
from basin_jax.runs.provenance import machine_identity, package_identity
from basin_jax.runs.run import run
from basin_jax.statistics.estimates import Estimate, basin_fraction
from basin_jax.studies.framework.rows import Row, null, row


# Thresholds of the gap from which on a seed counts as deceptive.
GAPS = (0.25, 0.5, 0.75)
# Halvings of a bisection: to a thousandth, and as far as floats go.
COARSE, FINE = 10, 30
# Seeds that are bisected, and stored, at once.
CHUNK = 4096


def look_up[T](what: str, name: str, among: Mapping[str, T]) -> T:
    """Return what has a name.

    Raises:
        ValueError: if there is none of that name.
    """
    if name not in among:
        raise ValueError(f"{what} = {name!r}; allowed: {closest(name, among)}")
    return among[name]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The evidence of a group's seeds.

    A cell is found by its name, that of a group of one sweep by "".
    """

    cells: Mapping[str, Sweep]
    history: pl.DataFrame  # keys, and evidence
    rule: Rule
    root: int = 0  # of the study

    def stops(self, cell: str = "") -> tuple[int, ...]:
        return self.cells[cell].stops

    def at(self, cell: str = "", step: int | None = None) -> pl.DataFrame:
        """Return a cell's seeds in their order, after a step; after the last one if None."""
        sweep = look_up("cell", cell, self.cells)
        step = sweep.num_steps if step is None else step
        digest = digest_of(rooted(sweep, self.root))
        return self.history.filter(cell=digest, step=step).sort("seed")

    def verdicts(self, cell: str = "", step: int | None = None) -> ndarray:
        """Return the names of a cell's verdicts."""
        return self.at(cell, step)["verdict"].to_numpy()

    def deceptive(self, cell: str = "", step: int | None = None) -> ndarray:
        """Return True for each of a cell's seeds that is deceptive."""
        return self.verdicts(cell, step) == Verdict.DECEPTIVE.name

    def evidence(self, cell: str = "", step: int | None = None) -> dict[str, ndarray]:
        """Return the evidence of a cell's seeds by name, in the form that rules take."""
        frame = self.at(cell, step).select(pl.exclude(*KEYS))
        return {column.name: column.to_numpy() for column in frame}

    def seeds(self, of: Verdict, cell: str = "") -> ndarray:
        """Return the seeds that end with a verdict."""
        return self.at(cell).filter(verdict=of.name)["seed"].to_numpy().astype(np.uint64)

    def fraction(
        self,
        cell: str = "",
        of: Verdict = Verdict.DECEPTIVE,
        *,
        step: int | None = None,
        num_intervals: int = 1,
    ) -> Estimate:
        """Estimate the fraction of a verdict, as one of `num_intervals` that hold at once."""
        return basin_fraction(self.verdicts(cell, step), of, num_intervals=num_intervals)

    def untrained(self, cell: str = "", *, num_intervals: int = 1) -> Estimate:
        """Estimate the fraction that is deceptive before training, whatever the fit."""
        verdicts = judge(whatever_fit(self.rule), self.evidence(cell, 0))
        return basin_fraction(verdicts, num_intervals=num_intervals)

    def shares(
        self, cell: str, key: str, label: str, *, step: int | None = None, num_intervals: int = 1
    ) -> tuple[Row, Row]:
        """Estimate the fractions that are deceptive and partial."""
        deceptive, partial = (
            row(
                f"{key}/{of.name.lower()}",
                f"{label}: {of.name.lower()}",
                self.fraction(cell, of, step=step, num_intervals=num_intervals),
            )
            for of in (Verdict.DECEPTIVE, Verdict.PARTIAL)
        )
        return deceptive, partial

    def null(self, key: str, label: str, cell: str = "") -> Row:
        """Return the row of a null control: the deceptive fraction where none is expected."""
        return null(f"{key}/deceptive", f"{label}: deceptive", self.deceptive(cell))

    def by_gap(self, cell: str = "", step: int | None = None) -> dict[float, ndarray]:
        """Judge a cell's seeds by each threshold of the gap, if the rule has one."""
        least = getattr(self.rule, "intended_gap", 1.0)
        gaps = [gap for gap in GAPS if gap >= least] if hasattr(self.rule, "deceptive_gap") else []
        evidence = self.evidence(cell, step)
        return self.rule.sensitivity(evidence, "deceptive_gap", gaps) if gaps else {}

    def thresholds(
        self, cell: str, key: str, label: str, *, step: int | None = None, num_intervals: int = 1
    ) -> list[Row]:
        """Estimate a cell's deceptive fraction by each threshold of the gap."""
        return [
            row(
                f"{key}/deceptive/gap={gap:g}",
                f"{label}: deceptive, by a gap of at least {gap:g}",
                basin_fraction(verdicts, num_intervals=num_intervals),
                kind="sensitivity",
            )
            for gap, verdicts in self.by_gap(cell, step).items()
        ]


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Train a study's groups, bisections and edges that are missing, in one folder.

    All that it trains has its root, parents included, whatever the root of the sweep it is given.
    So the rows of a study share seeds, and studies of different roots share none. It counts the
    `seed_steps` of each group, bisection, edge and search, stored ones included.
    """

    folder: Path
    root: int = 0
    quick: bool  # a figure in minutes on two cores, rather than a night's
    times: int = 1  # as many seeds as in such a figure
    progress: Progress = Progress()  # noqa: RUF009 (has no state)
    outcomes: dict[str, Outcome] = field(default_factory=dict, repr=False)
    bisections: dict[str, pl.DataFrame] = field(default_factory=dict, repr=False)
    edges: dict[str, pl.DataFrame] = field(default_factory=dict, repr=False)
    found: dict[str, RareEstimate] = field(default_factory=dict, repr=False)
    seed_steps: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def lanes(self) -> int | None:
        """The lanes of a sweep; None measures them."""
        cpu = jax.local_devices()[0].platform == "cpu"
        return CPU.first_lanes if self.quick and cpu else None

    def __getitem__(self, name: str) -> Outcome:
        """Return the outcome of a group.

        Raises:
            ValueError: if no group of that name is trained.
        """
        return look_up("group", name, self.outcomes)

    def train(self, name: str, group: "Group") -> Outcome:
        """Train a group of cells, and return its outcome.

        Raises:
            ValueError: if there are no seeds, such as those of a verdict that no seed has.
        """
        if not group.cells:
            raise ValueError(f"group {name!r} has no cells; allowed: at least one")
        asked = self._asked(name, group.seeds)
        records = run(
            [rooted(cell, self.root) for cell in group.cells.values()],
            group.seeds if isinstance(group.seeds, int) else asked,
            self.folder / name,
            rule=group.rule,
            lanes=group.lanes or self.lanes,
            progress=self.progress,
        )
        wanted = pl.DataFrame({"seed": asked}, schema_overrides={"seed": pl.UInt64})
        # The fields that vary are of the cells, and no evidence.
        history = records.history.select(*KEYS, *records.evidence_names)
        history = history.cast({"seed": pl.UInt64})
        history = history.join(wanted, on="seed", how="semi")
        outcome = Outcome(cells=group.cells, history=history, rule=group.rule, root=self.root)
        self.outcomes[name] = outcome
        self.seed_steps[name] = sum(seed_steps(cell, asked) for cell in group.cells.values())
        return outcome

    def bisect(self, name: str, asked: "Bisection") -> pl.DataFrame:
        """Bisect each seed's critical value, or read the stored values; raise as `train` does."""
        seeds = self._asked(name, asked.seeds)
        sweep = rooted(asked.sweep, self.root)
        halvings = asked.halvings or (COARSE if self.quick else FINE)
        rule = rule_identity(asked.rule)
        given = [asked.path, asked.between, rule, sorted(asked.of), halvings, self.lanes]
        made = [package_identity("engine/bisect"), machine_identity(), digest_of(sweep), *given]

        def found(part: ndarray) -> pl.DataFrame:
            self.progress.tell(f"bisecting {asked.path} of {len(part):,} seeds")
            return critical(
                sweep,
                asked.path,
                part,
                between=asked.between,
                rule=asked.rule,
                of=asked.of,
                halvings=halvings,
                lanes=self.lanes,
            )

        self.bisections[name] = self._stored(made, seeds, found)
        own = len(seeds) * sweep.num_steps
        self.seed_steps[name] = seed_steps(sweep, seeds) + (halvings - 1) * own
        return self.bisections[name]

    def track(self, name: str, asked: "Tracking") -> pl.DataFrame:
        """Track each seed's edge and measure it, or read what is stored; raise as `train` does."""
        seeds, sweep = self._asked(name, asked.seeds), rooted(asked.sweep, self.root)
        given = [rule_identity(asked.rule), sorted(asked.of), *asked.along.items(), self.lanes]
        made = [package_identity("engine/edge"), machine_identity(), digest_of(sweep), *given]

        def found(part: ndarray) -> pl.DataFrame:
            self.progress.tell(f"tracking the edges of {len(part):,} seeds")
            return measured_edge(
                sweep, part, rule=asked.rule, of=asked.of, lanes=self.lanes, **asked.along
            )

        self.edges[name] = self._stored(made, seeds, found)
        parents = seed_steps(sweep, seeds) - len(seeds) * sweep.num_steps
        self.seed_steps[f"{name}/edge"] = parents + int(self.edges[name]["trained"].sum())
        return self.edges[name]

    def _asked(self, name: str, seeds: "Seeds") -> ndarray:
        """Return seeds that are given by their number, or chosen."""
        chosen = seeds if isinstance(seeds, int) else seeds(self)
        if not isinstance(chosen, int) and not len(chosen):
            raise ValueError(
                f"{name} has no seeds, since none has the verdict it needs; allowed: more seeds, "
                "or a testbed of which some have it"
            )
        return np.asarray(as_seeds(chosen), np.uint64)

    def _stored(
        self, made: list[Any], seeds: ndarray, find: Callable[[ndarray], pl.DataFrame]
    ) -> pl.DataFrame:
        """Find what is to be known of some seeds at a time, or read what is stored."""
        parts = []
        for first in range(0, len(seeds), CHUNK):
            part = seeds[first : first + CHUNK]
            identity = short_hash(json.dumps([*made, part.tolist()], sort_keys=True))
            file = self.folder / "critical" / f"{identity}.parquet"
            if not _is_sound(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                write_file(file, write_chunk(find(part)))
            parts.append(pl.read_parquet(file))
        return pl.concat(parts)

    def search(self, name: str, asked: "Quest") -> RareEstimate:
        """Search for a rare basin, or read the replications that are stored."""
        self.progress.tell(f"searching for {name}")
        self.found[name] = fraction(
            rooted(asked.sweep, self.root),
            rule=asked.rule,
            of=asked.of,
            method=asked.method,
            score=asked.score,
            root=self.root,
            level=asked.level,
            lanes=asked.lanes or self.lanes,
            folder=self.folder / "searched",
            tell=self.progress.tell,
        )
        self.seed_steps[name] = self.found[name].trainings * asked.sweep.all_steps
        return self.found[name]


# How many fresh seeds, or which, as earlier groups of the lab tell.
Seeds: TypeAlias = int | Callable[[Lab], ndarray]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Declare cells that are trained from the same seeds, and judged by one rule.

    An outcome that depends on how many seeds are trained side by side may ask for its `lanes`.
    """

    cells: Mapping[str, Sweep]
    seeds: Seeds
    rule: Rule
    lanes: int | None = None


def only(sweep: Sweep, seeds: Seeds, *, rule: Rule, lanes: int | None = None) -> Group:
    """Make the group of a single sweep, whose name in it is ""."""
    return Group(cells={"": sweep}, seeds=seeds, rule=rule, lanes=lanes)


@dataclass(frozen=True, kw_only=True)
class Bisection:
    """Declare the bisection of a field: each seed's least value with one of some verdicts."""

    sweep: Sweep
    path: str
    seeds: Seeds
    between: tuple[float, float]
    rule: Rule
    of: Collection[Verdict] = (Verdict.DECEPTIVE,)
    halvings: int | None = None


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Declare the tracking of each seed's edge, along the line of the sweep's start.

    `along` are the distances and numbers of `track_edge`.
    """

    sweep: Sweep
    seeds: Seeds
    rule: Rule
    of: Collection[Verdict]
    along: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Quest:
    """Declare the search for a rare verdict of a sweep's seeds."""

    sweep: Sweep
    rule: Rule
    of: Verdict = Verdict.DECEPTIVE
    method: Search
    score: Score | None = None
    level: float = 0.95
    lanes: int | None = None


def _is_sound(file: Path) -> bool:
    """Return True if a stored bisection is undamaged."""
    try:
        check_seal(file.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def rooted(sweep: Sweep, root: int) -> Sweep:
    """Replace the root of a sweep and of its parents."""
    start = sweep.start
    if isinstance(start, Child):
        start = start.replace(of=rooted(start.of, root))
    return sweep.replace(start=start, root=root)


def seed_steps(sweep: Sweep, seeds: ndarray) -> int:
    """Count the steps of training seeds and their parents, each of which is trained once.

    What stops early, by its method, takes fewer.
    """
    own, start = len(seeds) * sweep.num_steps, sweep.start
    if not isinstance(start, Child):
        return own
    return own + seed_steps(start.of, np.unique(start.parents(seeds)))


def whatever_fit(rule: Rule) -> Rule:
    """Drop a rule's condition on fit, to judge networks before training."""
    return rule.replace(min_fit=None) if isinstance(rule, Behavior | Preference) else rule


def is_fit(verdicts: ndarray) -> ndarray:
    """Return True for each verdict of a network that has learned its objective."""
    return ~np.isin(verdicts, [verdict.name for verdict in (Verdict.UNFIT, *UNJUDGED)])
