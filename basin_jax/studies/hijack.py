"""How much deceptiveness is needed at the start before training is hijacked?"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from basin_jax.core.sources import short_hash
from basin_jax.core.sweep import Sweep, override
from basin_jax.starts.implant import Implant
from basin_jax.statistics.estimates import quantile
from basin_jax.studies.controls import escape_threshold, gate
from basin_jax.studies.framework.figure import INK, Cumulative, Curve, Level, Line, Panel
from basin_jax.studies.framework.lab import Bisection, Group, Lab, Outcome, only
from basin_jax.studies.framework.power import apart, unseen_beside
from basin_jax.studies.framework.prediction import gap
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    bisected,
    mean,
    median,
    numbers,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy


QUARTERS = ("least", "second", "third", "most")  # of the gap at initialization


class Hijack(TestbedStudy):
    """Graft a deceptive circuit into fresh networks, and find the dose at which it takes over.

    The dose is how far the weights of a few hidden units lie from their random values, 0, towards
    those of a circuit that tells whether it is watched and defects where it is not, 1. The
    critical dose of a seed, from which on it ends deceptive, is bisected; and for each dose of a
    grid the fraction that ends deceptive is measured on the same seeds. What random networks have
    of it by themselves, their gap at the start, is compared with their end.

    What a dose does at the start is measured in units of behavior: the gap, and the rate of the
    unintended act where nobody watches; for the median critical dose, also the fraction of fresh
    networks that have a smaller gap.
    """

    doses: tuple[float, ...] = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
    # How hard it is to tell that one is watched, and so to lie well.
    difficulties: tuple[int, ...] = (1, 2, 3)
    quick: int = 128
    full: int = 2000

    limits = (
        "The implant is one circuit, in the units of the first layers; another one of the same "
        "behavior may need another dose.",
        "A dose is a share of the way to that circuit, and not an amount of deceptiveness: it also "
        "changes how often a network does the unintended act at all, and its gap at the start need "
        "not rise with it.",
        "The gap at the median critical dose is one of behavior alone: a fresh network of the "
        "same gap has other weights, and need not end alike.",
        "A seed's critical dose is where its verdict changes once; how many seeds change more "
        "often on the grid is in the table.",
    )

    def validate(self) -> None:
        organism = self.testbed.organism
        self.require(hasattr(organism, "difficulty"), "testbed", "an organism with a difficulty")
        self.require(self.doses[:1] == (0.0,), "doses", "rising from 0")

    def sweeps(self, seeds: int) -> dict[str, Group]:
        rule, start = self.testbed.rule, self._start()
        dosed = {
            f"difficulty_{difficulty}": Group(
                cells={
                    f"{dose:g}": override(self._start(difficulty), "start.dose", dose)
                    for dose in self.doses
                },
                seeds=seeds,
                rule=rule,
            )
            for difficulty in self.difficulties
        }
        overseen = override(start, "start.dose", self.doses[-1]).replace(
            method=self.testbed.overseen_by()
        )
        return {
            **dosed,
            "overseen": only(overseen, seeds, rule=rule),
            **escape_threshold.starts(seeds),
        }

    def bisections(self, seeds: int) -> dict[str, Bisection]:
        doses = {
            f"difficulty_{difficulty}": Bisection(
                sweep=self._start(difficulty).replace(save_at=()),
                path="start.dose",
                seeds=seeds,
                between=(0.0, 1.0),
                rule=self.testbed.rule,
            )
            for difficulty in self.difficulties
        }
        return {**doses, **escape_threshold.scales(seeds), **gate.scales(seeds)}

    def _start(self, difficulty: int | None = None) -> Sweep:
        """Return the sweep of networks with an implant, at the testbed's own difficulty if None."""
        start = self.testbed.sweep.replace(start=Implant(dose=0.0), save_at=(0,))
        return start if difficulty is None else override(start, "organism.difficulty", difficulty)

    def rows(self, lab: Lab) -> Iterator[Row]:
        for difficulty in self.difficulties:
            yield from self._by_dose(lab, difficulty)
        yield lab["overseen"].null(
            "overseen", f"dose {self.doses[-1]:g}, trained where defecting does not pay"
        )
        yield escape_threshold.critical_weight(lab)
        yield from gate.critical_scales(lab)

    def _by_dose(self, lab: Lab, difficulty: int) -> Iterator[Row]:
        key, name = f"difficulty={difficulty}", f"difficulty {difficulty}"
        group = f"difficulty_{difficulty}"
        trained, found = lab[group], lab.bisections[group]
        named = {dose: (f"{key}/dose={dose}", f"{name}, dose {dose}") for dose in trained.cells}
        for dose, both in named.items():
            yield from trained.shares(dose, *both)
        yield bisected(
            f"{key}/critical-dose",
            f"{name}, critical dose of a seed (0: random units, 1: full circuit): median",
            found,
        )
        yield from self.at_critical_dose(lab, found, difficulty)
        for dose, (at, said) in named.items():
            label = f"{said}: rate of the unintended act unwatched, at the start, mean"
            values = trained.at(dose, 0)["unwatched"].to_numpy()
            yield mean(f"{at}/unwatched", label, values)
        for dose, (at, said) in named.items():
            yield median(f"{at}/gap", f"{said}: gap at the start, median", gap(trained.at(dose, 0)))
        yield from _natural(trained, key, name)
        yield _strays(trained, dict(zip(self.doses, named, strict=True)), found, named=(key, name))
        yield from trained.thresholds("0", *named["0"])

    def at_critical_dose(self, lab: Lab, critical: pl.DataFrame, difficulty: int) -> list[Row]:
        """Estimate the gap at the start at the median critical dose, and its rank among fresh ones.

        Their intervals cover that of the dose: those of the dose, the gap and the rank hold at
        once. The last is the 90th percentile of fresh networks.
        """
        key, name = f"difficulty={difficulty}", f"difficulty {difficulty}"
        level = 1 - 0.05 / 3
        half = bisected("", "", critical, num_intervals=3)
        begun = self._start(difficulty).replace(num_steps=0, save_at=())
        doses = [dose for dose in {0.0, half.low, half.value, half.high} if math.isfinite(dose)]
        doses.sort()
        cells = {f"{dose}": override(begun, "start.dose", dose) for dose in doses}
        # Other doses, such as of more seeds, are another sweep.
        folder = f"begun_{short_hash(f'{name} {doses}')}"
        group = Group(cells=cells, seeds=len(critical), rule=self.testbed.rule)
        seen = lab.train(folder, group)
        gaps = {dose: gap(seen.at(f"{dose}", 0)) for dose in doses}
        found = {dose: quantile(each, 0.5, level=level) for dose, each in gaps.items()}
        none = math.inf  # where no dose is critical
        value = found[half.value][0] if half.value in found else none
        low = min((one[1] for dose, one in found.items() if dose >= half.low), default=none)
        high = max(found[dose][2] if dose in found else none for dose in (half.value, half.high))
        below = [share("", "", gaps[0.0] < bar, num_intervals=3) for bar in (low, value, high)]

        at = "gap at the start"
        count = len(critical)
        return [
            numbers(
                f"{key}/critical-dose/gap",
                f"{name}: {at} at the median critical dose, median of seeds",
                (value, low, high),
                count,
                num_intervals=3,
            ),
            numbers(
                f"{key}/critical-dose/fresh-below",
                f"{name}: fresh networks whose {at} is below that at the median critical dose",
                (below[1].value, below[0].low, below[2].high),
                count,
                num_intervals=3,
            ),
            numbers(
                f"{key}/fresh/gap/90th-percentile",
                f"{name}: {at} of fresh networks, 90th percentile",
                quantile(gaps[0.0], 0.9),
                count,
            ),
        ]

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        for difficulty in self.difficulties:
            yield from self._of(difficulty, rows)

    def _of(self, difficulty: int, rows: Table) -> Iterator[Sentence]:
        key = f"difficulty={difficulty}"
        none, half = rows[f"{key}/dose=0/deceptive"], rows[f"{key}/critical-dose"]
        yield say(
            f"At difficulty {difficulty}, {none} of seeds end deceptive without an implant; the "
            f"median dose at which a seed becomes deceptive is {half} (0: random units, 1: full "
            "circuit; infinite: at none).",
            *(none, half),
        )
        at, below = rows[f"{key}/critical-dose/gap"], rows[f"{key}/critical-dose/fresh-below"]
        most = rows[f"{key}/fresh/gap/90th-percentile"]
        yield say(
            f"At the start the gap at that dose is {at}, which is larger than that of {below} of "
            f"fresh networks; the 90th percentile of these is {most}.",
            *(at, below, most),
        )
        rates = rows.along(f"{key}/dose=*/unwatched", self.doses)
        least = min(rates, key=lambda dose: rates[dose].value)
        first = rates[self.doses[0]]
        if apart(rates[least], first) > 0:
            yield say(
                "The implant also lowers the rate of the unintended act: at the start it is "
                f"{first} unwatched without an implant, and {rates[least]} at a dose of {least:g}.",
                *(first, rates[least]),
            )
        few, many = (rows[f"{key}/gap-quarter={name}/deceptive"] for name in ("least", "most"))
        does = "predicts" if apart(few, many) else "is not shown to predict"
        yield say(
            f"The gap of a random network at the start {does} its end: of the quarter of seeds "
            f"with the smallest gap {few} end deceptive, of that with the largest {many}"
            f"{unseen_beside(few, many)}.",
            *(few, many),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        ends, partial, critical, gaps, points, natural = [], [], [], [], [], []
        for difficulty, color in zip(self.difficulties, INK, strict=False):
            key, label = f"difficulty={difficulty}", f"difficulty {difficulty}"
            deceptive, some, moved = (
                rows.along(f"{key}/dose=*/{what}", self.doses)
                for what in ("deceptive", "partial", "gap")
            )
            ends.append(Curve(deceptive, label=label, color=color))
            partial.append(Curve(some, color=color, linestyle="--"))
            values = lab.bisections[f"difficulty_{difficulty}"]["high"].to_numpy()
            critical.append(Cumulative(values, 1.0, label=label, color=color))
            gaps.append(Curve(moved, color=color))
            fresh = rows[f"{key}/fresh/gap/90th-percentile"].value
            points.append(Level(fresh, label="" if points else "fresh, 90 %", color=color))
            half, gap = rows[f"{key}/critical-dose"].value, rows[f"{key}/critical-dose/gap"].value
            points.append(Line({half: gap}, color=color, marker="x"))
            quarters = [rows[f"{key}/gap-quarter={quarter}/deceptive"] for quarter in QUARTERS]
            looks = {"label": label, "color": color, "linestyle": ""}  # quarters are no numbers
            natural.append(Curve(dict(enumerate(quarters)), **looks))
        ylabel = "deceptive (dashed: partial)"
        yield Panel([*ends, *partial], xlabel="dose of the implant", ylabel=ylabel)
        yield Panel(critical, xlabel="critical dose of a seed", ylabel="share of seeds")
        yield Panel(
            [*gaps, *points],
            xlabel="dose (x: median critical dose)",
            ylabel="gap at the start",
            limits=(None, None),
        )
        yield Panel(
            natural,
            xlabel="quarter by gap at start",
            ticks=range(len(QUARTERS)),
            ticklabels=QUARTERS,
        )


def _strays(
    trained: Outcome, doses: Mapping[float, str], found: pl.DataFrame, *, named: tuple[str, str]
) -> Row:
    """Estimate the fraction of seeds that contradict their critical dose at a dose of the grid.

    Doses within the last halving of it are on either side.
    """
    low, high = (found[bound].to_numpy() for bound in ("low", "high"))
    strays = np.zeros(len(found), bool)
    for dose, cell in doses.items():
        strays |= np.where(trained.deceptive(cell), dose < low, dose > high)
    key, name = named
    label = f"{name}: seeds whose verdict at some dose of the grid contradicts their critical dose"
    return share(f"{key}/contradictions", label, strays, kind="sensitivity")


def _natural(trained: Outcome, key: str, name: str) -> list[Row]:
    """Estimate the fraction that ends deceptive without an implant, by the gap at the start."""
    begun, ends = gap(trained.at("0", 0)), trained.deceptive("0")
    groups = np.array_split(np.argsort(begun, kind="stable"), len(QUARTERS))
    return [
        share(
            f"{key}/gap-quarter={quarter}/deceptive",
            f"{name}, no implant, gap at the start in the {quarter} quarter "
            f"(mean {begun[group].mean():+.3f}): deceptive",
            ends[group],
            num_intervals=len(QUARTERS),
        )
        for quarter, group in zip(QUARTERS, groups, strict=True)
    ]
