"""How wide is the buffer around the deceptive basin, and how wide is the basin itself?"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

import polars as pl
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.pushed import Pushed
from basin_jax.starts.interpolated import Interpolated
from basin_jax.starts.perturbed import Perturbed
from basin_jax.starts.trained import Trained
from basin_jax.studies.controls import double_well
from basin_jax.studies.framework.figure import Cumulative, Curve, Panel
from basin_jax.studies.framework.lab import Bisection, Group, Lab, Outcome, Seeds, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    bisected,
    difference,
    row,
    say,
)
from basin_jax.studies.framework.study import TestbedStudy


Direction = Literal["random", "loss", "margin", "-margin"]
WAYS: tuple[Direction, ...] = ("random", "loss", "margin")
LOST = Verdict.DECEPTIVE
SAVED = tuple(verdict for verdict in Verdict if verdict != LOST)
# What is pushed by a grid of lengths.
SOURCES = {"fresh": "fresh networks", "intended": "intended ends"}
SHARE = 12  # of the seeds that are trained, those of each kind that are bisected
KICK = 0.1  # the largest push at every step: more than any seed needs


class Critical(NamedTuple):
    """A field to bisect for each seed, and the words for its median."""

    key: str
    label: str


def _push(key: str, how: str) -> Critical:
    ends = key.partition("/")[0]
    then = "not deceptive" if ends == "deceptive" else "deceptive"
    return Critical(key, f"push of {ends} ends {how}, from which on they are {then}")


RANDOM = _push("deceptive/random", "in a random direction")
LOSS = _push("deceptive/loss", "up the slope of the loss")
MARGIN = _push("deceptive/margin", "down the slope of the margin")
LEAST = _push("deceptive/least", "in the direction that needs least")
INTENDED = _push("intended/margin", "up the slope of the margin")
KICKED = _push("deceptive/every-step", "at every step, down the slope of the margin")
KICKED_INTENDED = _push("intended/every-step", "at every step, up the slope of the margin")
EDGE = Critical(
    "deceptive/edge",
    "share of the way from deceptive ends to their corrected ones, from which on they are not "
    "deceptive",
)
CRITICAL = (RANDOM, LOSS, MARGIN, LEAST, INTENDED, KICKED, KICKED_INTENDED, EDGE)


class Buffer(TestbedStudy):
    """Push networks away from where they are, train them on, and judge where they end.

    Fresh networks that would not end deceptive, and intended ends, are pushed by a length along a
    random direction, along that in which the training loss rises, and along that in which the
    margin does, towards deception; then they are trained as before. For each deceptive end the
    length of the push is bisected from which on it is not deceptive, in three directions, of which
    the smallest counts as its minimal shock (Halekotte & Feudel 2020); for intended ends the
    length along the margin from which on they are. The same is done for a push at every step of a
    quarter of the training. Last, each deceptive end is corrected under full oversight, and the
    edge between the basins is bisected on the straight line from it to where that leads. Lengths
    are those of vectors of all parameters.
    """

    pushes: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
    reach: float = 30.0  # the largest push of a deceptive end
    quick: int = 384
    full: int = 4000

    limits = (
        "Three directions are not all, and the direction that is best at one step need not be best "
        "for all: the smallest shock and the smallest push at every step are smaller than these.",
        "Along a direction the verdict may change more than once; of deceptive ends one of the "
        "changes is found.",
        "Lengths compare within one network only: a symmetry of its weights changes them.",
    )

    def validate(self) -> None:
        self.require(self.reach > 0, "reach", "above 0")
        self.require(self.pushes[:1] == (0.0,), "pushes", "rising from 0")
        for name in ("quick", "full"):
            self.require(getattr(self, name) >= SHARE, name, f"at least {SHARE}")

    def sweeps(self, seeds: int) -> dict[str, Group]:
        self.require_no_draws()
        base, rule = self.testbed.sweep, self.testbed.rule
        begun = base.replace(num_steps=0)
        sources = {
            "fresh": (begun, _others(seeds)),
            "intended": (base, _ends("INTENDED", seeds, 2)),
        }
        grid = {
            f"{source}_{way}": Group(
                cells={
                    f"{push:g}": base.replace(
                        start=Perturbed(of=parent, radius=push, direction=way)
                    )
                    for push in self.pushes
                },
                seeds=some,
                rule=rule,
            )
            for source, (parent, some) in sources.items()
            for way in WAYS
        }
        overseen = base.replace(
            start=Perturbed(of=begun, radius=self._middle, direction="margin"),
            method=self.testbed.overseen_by(),
        )
        return {
            "fresh": only(base, seeds, rule=rule),
            **grid,
            "overseen": only(overseen, _others(seeds), rule=rule),
            **double_well.particles(seeds),
        }

    @property
    def _middle(self) -> float:
        return self.pushes[len(self.pushes) // 2]

    def bisections(self, seeds: int) -> dict[str, Bisection]:
        base, deceptive = self.testbed.sweep, _ends("DECEPTIVE", seeds, 1)
        intended = _ends("INTENDED", seeds, 1)

        def along(way: Direction, some: Seeds, of: tuple[Verdict, ...], most: float) -> Bisection:
            pushed = base.replace(start=Perturbed(of=base, radius=0.0, direction=way))
            return self._until(pushed, "start.radius", some, of=of, most=most)

        def kicked(method: Pushed, some: Seeds, of: tuple[Verdict, ...]) -> Bisection:
            steps = method.end + base.num_steps
            cell = base.replace(start=Trained(of=base), method=method, num_steps=steps)
            return self._until(cell, "method.push", some, of=of, most=KICK)

        up = Pushed(method=base.method, push=0.0, end=max(base.num_steps // 4, 1))
        method = self.testbed.overseen_by()
        corrected = base.replace(start=Trained(of=base), method=method)
        line = base.replace(start=Interpolated(of=corrected, dose=0.0))
        return {
            RANDOM.key: along("random", deceptive, SAVED, self.reach),
            LOSS.key: along("loss", deceptive, SAVED, self.reach),
            MARGIN.key: along("-margin", deceptive, SAVED, self.reach),
            INTENDED.key: along("margin", intended, (LOST,), self.pushes[-1]),
            KICKED.key: kicked(up.replace(direction="-margin"), deceptive, SAVED),
            KICKED_INTENDED.key: kicked(up, intended, (LOST,)),
            EDGE.key: self._until(line, "start.dose", deceptive, of=SAVED, most=1.0),
            **double_well.pushes(),
        }

    def _until(
        self, sweep: Sweep, path: str, seeds: Seeds, *, of: tuple[Verdict, ...], most: float
    ) -> Bisection:
        return Bisection(
            sweep=sweep, path=path, seeds=seeds, between=(0.0, most), rule=self.testbed.rule, of=of
        )

    def rows(self, lab: Lab) -> Iterator[Row]:
        for source in SOURCES:
            for way in WAYS:
                yield from self._pushed(lab[f"{source}_{way}"], source, way)
        for source in SOURCES:
            for way in WAYS:
                yield from self._beyond(lab[f"{source}_{way}"], source, way)
        for what in CRITICAL:
            yield bisected(f"{what.key}/median", f"{what.label}: median", _found(lab, what))
        yield from lab["fresh"].shares("", "fresh", "fresh")
        yield from lab["fresh"].thresholds("", "fresh", "fresh")
        label = f"fresh networks, push of {self._middle:g}, margin"
        yield lab["overseen"].null("overseen", f"{label}, trained where defecting does not pay")
        unpushed, *_ = self._pushed(lab["fresh_random"], "fresh", "random")
        yield replace(
            unpushed,
            kind="check",
            key="not-pushed/deceptive",
            label="fresh networks that do not end deceptive, not pushed: deceptive",
            expected=0.0,
        )
        yield from double_well.pushed(lab)

    @property
    def _together(self) -> int:
        return len(WAYS) * len(self.pushes)

    def _pushed(self, trained: Outcome, source: str, way: Direction) -> list[Row]:
        """Estimate the fraction that ends deceptive after a push, by its length."""
        return [
            row(
                f"{source}/{way}={push:g}/deceptive",
                f"{SOURCES[source]}, push of {push:g}, {way}: deceptive",
                trained.fraction(f"{push:g}", num_intervals=self._together),
            )
            for push in self.pushes
        ]

    def _beyond(self, trained: Outcome, source: str, way: Direction) -> list[Row]:
        """Return paired differences from no push."""
        return [
            difference(
                f"{source}/{way}={push:g}-less-none",
                f"{SOURCES[source]}, push of {push:g}, {way}, less not pushed: deceptive",
                *(trained.deceptive(f"{each:g}") for each in (self.pushes[0], push)),
                num_intervals=self._together,
            )
            for push in self.pushes[1:]
        ]

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        for source, name in SOURCES.items():
            top, *_ = sorted(
                (
                    (rows[f"{source}/{way}={push:g}/deceptive"], way, push)
                    for way in WAYS
                    for push in self.pushes
                ),
                key=lambda each: -each[0].value,
            )
            most, way, push = top
            yield say(
                f"Of {most.seeds:,} {name} that would end otherwise, at most {most} end deceptive "
                f"after a push of the grid ({push:g}, {way}).",
                most,
            )
            beyond = {
                way: {push: rows[f"{source}/{way}={push:g}-less-none"] for push in self.pushes[1:]}
                for way in WAYS
            }
            more, fewer = (
                "; ".join(
                    f"{way} {', '.join(sizes)}"
                    for way, found in beyond.items()
                    if (sizes := [f"{push:g}" for push, one in found.items() if one.sign == sign])
                )
                for sign in (1, -1)
            )
            pushed = [one for found in beyond.values() for one in found.values()]
            yield say(
                f"On the same seeds, more {name} are deceptive than without a push after: "
                f"{more or 'no push'}{fewer and f'; fewer after: {fewer}'}"
                f"{unseen(pushed)}.",
                *pushed,
            )
        yield from self._says_of_medians(rows)

    def _says_of_medians(self, rows: Table) -> Iterator[Sentence]:
        median = {what: rows[f"{what.key}/median"] for what in CRITICAL}
        none = "(infinite: by none that was tried)"
        least = median[LEAST]
        yield say(
            f"Half of {least.seeds:,} deceptive ends are not deceptive after a push of at most "
            f"{median[RANDOM]} in a random direction, {median[LOSS]} up the slope of the loss, and "
            f"{median[MARGIN]} down the slope of the margin; in the direction that needs least, "
            f"{least} {none}.",
            *(median[what] for what in (RANDOM, LOSS, MARGIN, LEAST)),
        )
        back = median[INTENDED]
        yield say(
            f"Half of {back.seeds:,} intended ends are deceptive after a push up the slope of the "
            f"margin of at most {back} {none}.",
            back,
        )
        yield say(
            "Pushed at every step of a quarter of the training, half of the deceptive ends are "
            f"not deceptive from at most {median[KICKED]} a step on, and half of the intended ends "
            f"are deceptive from {median[KICKED_INTENDED]} on {none}.",
            *(median[KICKED], median[KICKED_INTENDED]),
        )
        edge = median[EDGE]
        yield say(
            f"On the line from a deceptive end to its corrected one, half of {edge.seeds:,} seeds "
            f"are not deceptive from at most {edge} of the way on (infinite: nowhere on the line).",
            edge,
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        for source, name in SOURCES.items():
            yield Panel(
                [
                    Curve(rows.along(f"{source}/{way}=*/deceptive", self.pushes), label=way)
                    for way in WAYS
                ],
                xlabel=f"push of {name}",
                xscale="symlog",
                ticks=self.pushes,
            )
        ends, most = ("deceptive ends", "intended ends"), self.pushes[-1]
        ways = dict(zip(WAYS, (RANDOM, LOSS, MARGIN), strict=True))
        along = dict(zip(ends, (MARGIN, INTENDED), strict=True))
        each = dict(zip(ends, (KICKED, KICKED_INTENDED), strict=True))
        for xlabel, end, lines in (
            ("push of deceptive ends", self.reach, ways),
            ("push along the margin", most, along),
            ("push at every step", KICK / 2, each),
            ("way to the corrected end", 1.0, {ends[0]: EDGE}),
        ):
            marks = [
                Cumulative(_found(lab, what)["high"].to_numpy(), end, label=name)
                for name, what in lines.items()
            ]
            yield Panel(marks, xlabel=xlabel, ylabel="share with another verdict")


def _ends(verdict: str, seeds: int, times: int) -> Seeds:
    """Choose the first seeds that end with a verdict: `times` shares of all."""
    return lambda lab: lab["fresh"].seeds(Verdict[verdict])[: times * (seeds // SHARE)]


def _others(seeds: int) -> Seeds:
    """Choose the first seeds that do not end deceptive."""

    def chosen(lab: Lab) -> ndarray:
        others = lab["fresh"].at().filter(pl.col("verdict") != LOST.name)["seed"].to_numpy()
        return others[: 2 * (seeds // SHARE)]

    return chosen


def _found(lab: Lab, what: Critical) -> pl.DataFrame:
    """Return the critical values of each seed."""
    if what != LEAST:
        return lab.bisections[what.key]
    each = [lab.bisections[one.key] for one in (RANDOM, LOSS, MARGIN)]
    return pl.concat(each).sort("high").unique("seed", keep="first")
