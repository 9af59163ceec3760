"""How wide is the buffer around the deceptive basin, and how wide is the basin itself?"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.pushed import Pushed
from basin_jax.starts.perturbed import Perturbed
from basin_jax.starts.trained import Trained
from basin_jax.studies.controls import double_well
from basin_jax.studies.framework.figure import Cumulative, Forest, Panel
from basin_jax.studies.framework.lab import Bisection, Group, Lab, Seeds, Tracking, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    bisected,
    difference,
    median,
    row,
    say,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.parts.buffer_edge import (
    LOST,
    SAVED,
    decayed,
    edge_panel,
    edge_rows,
    edges,
    groups,
    says_of_edges,
)


Direction = Literal["random", "loss", "margin", "-margin"]
WAYS: tuple[Direction, ...] = ("random", "loss", "margin")
# The ends whose critical push is bisected, and the verdicts that it leads to.
ENDS = {"deceptive": SAVED, "intended": (LOST,)}
DOWN: dict[str, Literal["margin", "-margin"]] = {"deceptive": "-margin", "intended": "margin"}
SLOPE = {"deceptive": "down the slope of the margin", "intended": "up the slope of the margin"}
# What is pushed once, and where.
SHOCKS: tuple[tuple[str, Direction], ...] = (
    ("deceptive", "random"),
    ("deceptive", "loss"),
    ("deceptive", "margin"),
    ("intended", "margin"),
)
# Shares of the seeds that are trained: those of each kind that are bisected, the fresh and the
# intended ones that are pushed by a given length, and those that are trained with a decay.
BISECTED, FRESH, INTENDED, DECAYED = 24, 6, 3, 4


class Buffer(TestbedStudy):
    """Push networks away from where they are, train them on, and judge where they end.

    Fresh networks that would not end deceptive, and intended ends, are pushed by given lengths
    along a random direction, along that in which the training loss rises, and along that in which
    the margin does, towards deception; then they are trained as before. For deceptive ends the
    length of the push is bisected from which on they are not deceptive, and for intended ends
    that from which on they are (the minimal shock of a direction; Halekotte & Feudel 2020):
    as a plain length, that of a vector of all parameters, and as a relative one, by which each
    array of parameters moves by a share of its own length, whatever the scales of ReLU layers (Li
    et al. 2018). The same push is also spread over steps of the training, so many that its total,
    the sum of their lengths, compares with that of a single shock. Last, the edge of the basin is
    tracked to the state to which training leads on it.
    """

    radii: tuple[float, ...] = (2.0, 8.0)  # pushes of intended ends
    radius: float = 1.0  # the push of fresh networks
    # The largest push that is tried of deceptive and of intended ends, or total of pushes, and the
    # largest relative push. Pushed farther, intended ends come to be neither.
    reach: tuple[float, float] = (30.0, 8.0)
    relative_reach: tuple[float, float] = (4.0, 0.5)
    spells: tuple[int, ...] = (20, 500)  # steps over which a total is spread
    quick: int = 768
    full: int = 5000

    limits = (
        "Three directions are not all, and the direction that is best at one step need not be best "
        "for all: the smallest shock and the smallest total of pushes are smaller than these.",
        "Along a direction the verdict may change more than once; one of the changes is found.",
        "Plain lengths compare within one network only: a symmetry of its weights changes them. "
        "Relative ones are the same under scales of layers, not under those of single units.",
        "An edge is tracked for a few rounds, and its state may go on to a lower one; with the "
        "decay under which edges are held, training and its ends are others than without.",
    )

    def validate(self) -> None:
        self.require(min(self.reach) > 0, "reach", "above 0")
        self.require(min(self.relative_reach) > 0, "relative_reach", "above 0")
        self.require(self.radius > 0, "radius", "above 0")
        self.require(len(self.radii) == 2 and 0 < self.radii[0] < self.radii[1], "radii", "rising")
        self.require(min(self.spells, default=0) >= 1, "spells", "at least 1, one or more")
        for name in ("quick", "full"):
            self.require(getattr(self, name) >= BISECTED, name, f"at least {BISECTED}")
        decayed(self.testbed)

    def sweeps(self, seeds: int) -> dict[str, Group]:
        self.require_no_draws()
        base, rule = self.testbed.sweep, self.testbed.rule
        begun = base.replace(num_steps=0)

        def pushed(of: Sweep, radii: tuple[float, ...]) -> dict[str, Sweep]:
            return {
                f"{way}={radius:g}": base.replace(
                    start=Perturbed(of=of, radius=radius, direction=way)
                )
                for way in WAYS
                for radius in radii
            }

        intended = {"none": base.replace(start=Trained(of=base)), **pushed(base, self.radii)}
        overseen = base.replace(
            start=Perturbed(of=begun, radius=self.radius, direction="margin"),
            method=self.testbed.overseen_by(),
        )
        others = _others(seeds // FRESH)
        fresh = {"none": base.replace(start=Trained(of=begun)), **pushed(begun, (self.radius,))}
        return {
            "all": only(base, seeds, rule=rule),
            "fresh": Group(cells=fresh, seeds=others, rule=rule),
            "intended": Group(
                cells=intended, seeds=_ends("intended", seeds // INTENDED), rule=rule
            ),
            "overseen": only(overseen, others, rule=rule),
            **groups(self.testbed, seeds // DECAYED),
            **double_well.particles(seeds // FRESH),
        }

    def bisections(self, seeds: int) -> dict[str, Bisection]:
        found = {f"{ends}/{way}": self._shock(ends, way, seeds) for ends, way in SHOCKS}
        found |= {
            f"{ends}/{way}/relative": self._shock(ends, way, seeds, relative=True)
            for ends, way in SHOCKS
            if way != "loss"
        }
        spread = {
            f"{ends}/{spell}-steps": self._spread(ends, spell, seeds)
            for ends in ENDS
            for spell in self.spells
        }
        return {**found, **spread, **double_well.pushes()}

    def trackings(self, seeds: int) -> dict[str, Tracking]:
        count = seeds // BISECTED
        return edges(self.testbed, _ends("deceptive", count), count)

    def _shock(self, ends: str, way: Direction, seeds: int, *, relative: bool = False) -> Bisection:
        direction = DOWN[ends] if way == "margin" else way
        start = Perturbed(of=self.testbed.sweep, radius=0.0, direction=direction, relative=relative)
        most = self._most(ends, relative=relative)
        return self._until(
            self.testbed.sweep.replace(start=start), "start.radius", most, ends, seeds
        )

    def _most(self, ends: str, *, relative: bool = False) -> float:
        """Return the largest push that is tried of some ends."""
        return (self.relative_reach if relative else self.reach)[[*ENDS].index(ends)]

    def _spread(self, ends: str, spell: int, seeds: int) -> Bisection:
        base = self.testbed.sweep
        method = Pushed(method=base.method, push=0.0, direction=DOWN[ends], end=spell)
        sweep = base.replace(
            start=Trained(of=base), method=method, num_steps=spell + base.num_steps
        )
        return self._until(sweep, "method.push", self._most(ends) / spell, ends, seeds)

    def _until(self, sweep: Sweep, path: str, most: float, ends: str, seeds: int) -> Bisection:
        return Bisection(
            sweep=sweep,
            path=path,
            seeds=_ends(ends, seeds // BISECTED),
            between=(0.0, most),
            rule=self.testbed.rule,
            of=ENDS[ends],
        )

    def rows(self, lab: Lab) -> Iterator[Row]:
        yield from self._pushed(lab)
        for key, label in self._medians().items():
            found = lab.bisections[key]
            if (spell := self._spell(key)) > 1:
                bounds = (pl.col(bound) * spell for bound in ("low", "high"))
                found = found.with_columns(bounds)
            yield bisected(f"{key}/median", f"{label}: median", found)
        for ends in ENDS:
            yield from self._compared(lab, ends)
        yield from edge_rows(lab)
        yield from lab["all"].shares("", "all", "all")
        yield from lab["all"].thresholds("", "all", "all")
        label = f"fresh networks, push of {self.radius:g}, margin"
        yield lab["overseen"].null("overseen", f"{label}, trained where defecting does not pay")
        yield row(
            "not-pushed/deceptive",
            "fresh networks that do not end deceptive, not pushed: deceptive",
            lab["fresh"].fraction("none"),
            kind="check",
            expected=0.0,
        )
        yield from double_well.pushed(lab)

    def _pushed(self, lab: Lab) -> Iterator[Row]:
        """Yield the fractions of fresh networks, and the differences of intended ends."""
        fresh, intended = lab["fresh"], lab["intended"]
        for way in WAYS:
            at = f"{way}={self.radius:g}"
            yield row(
                f"fresh/{at}/deceptive",
                f"fresh networks, push of {self.radius:g}, {way}: deceptive",
                fresh.fraction(at, num_intervals=len(WAYS)),
            )
        for way in WAYS:
            for radius in self.radii:
                at = f"{way}={radius:g}"
                yield difference(
                    f"intended/{at}-less-none",
                    f"intended ends, push of {radius:g}, {way}, less not pushed: deceptive",
                    intended.deceptive("none"),
                    intended.deceptive(at),
                    num_intervals=len(WAYS) * len(self.radii),
                )

    def _medians(self) -> dict[str, str]:
        """Return the keys of bisections, and what each finds."""

        def told(ends: str, how: str) -> str:
            then = "not deceptive" if ends == "deceptive" else "deceptive"
            return f"{how} from which on {ends} ends are {then}"

        labels = {
            "deceptive/random": told("deceptive", "push in a random direction"),
            "deceptive/loss": told("deceptive", "push up the slope of the loss"),
            **{f"{ends}/margin": told(ends, f"push {SLOPE[ends]}") for ends in ENDS},
            "deceptive/random/relative": told("deceptive", "relative push in a random direction"),
            **{
                f"{ends}/margin/relative": told(ends, f"relative push {SLOPE[ends]}")
                for ends in ENDS
            },
        }
        for ends in ENDS:
            for spell in self.spells:
                how = f"total of pushes at each of {spell} steps, {SLOPE[ends]}, "
                labels[f"{ends}/{spell}-steps"] = told(ends, how.rstrip())
        return labels

    def _spell(self, key: str) -> int:
        """Return the steps over which the pushes of a bisection are spread."""
        spells = {f"{ends}/{spell}-steps": spell for ends in ENDS for spell in self.spells}
        return spells.get(key, 1)

    def total(self, lab: Lab, ends: str, spell: int) -> Float[ndarray, " seed"]:
        """Return each seed's critical total, of one shock or of pushes at so many steps."""
        key = f"{ends}/margin" if spell == 1 else f"{ends}/{spell}-steps"
        return spell * lab.bisections[key]["high"].to_numpy()

    def _compared(self, lab: Lab, ends: str) -> Iterator[Row]:
        """Yield the totals of spread pushes as multiples of that of one shock, seed by seed."""
        once = self.total(lab, ends, 1)
        for spell in self.spells:
            spread = self.total(lab, ends, spell)
            # Where neither is found, or none is needed, they cannot be compared.
            found = (np.isfinite(once) | np.isfinite(spread)) & (once > 0)
            key = f"{ends}/{spell}-steps-over-once"
            label = f"{ends} ends, total over {spell} steps as a multiple of that of one shock"
            yield median(key, f"{label}: median", multiples(spread[found], once[found]))

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        yield from self._says_of_pushed(rows)
        at = {key: rows[f"{key}/median"] for key in self._medians()}
        least = at["deceptive/random"], at["deceptive/loss"], at["deceptive/margin"]
        yield say(
            f"Half of {least[0].seeds:,} deceptive ends are not deceptive after a push of at most "
            f"{least[0]} in a random direction, {least[1]} up the slope of the loss, and "
            f"{least[2]} down the slope of the margin (infinite: by none that was tried).",
            *least,
        )
        relative = at["deceptive/random/relative"], at["deceptive/margin/relative"]
        yield say(
            "In the norm that scales of layers leave as it is, half of the deceptive ends are not "
            "deceptive from where each array of parameters moves by a share of its own length of "
            f"{relative[0]} at random, or by shares whose root mean square is {relative[1]} down "
            "the slope of the margin.",
            *relative,
        )
        back = at["intended/margin"], at["intended/margin/relative"]
        yield say(
            f"Half of {back[0].seeds:,} intended ends are deceptive after a push up the slope of "
            f"the margin of at most {back[0]}, and of a relative length of {back[1]} (infinite: by "
            "none that was tried).",
            *back,
        )
        yield from (self._says_of_totals(rows, ends) for ends in ENDS)
        yield from says_of_edges(rows)

    def _says_of_pushed(self, rows: Table) -> Iterator[Sentence]:
        fresh = {way: rows[f"fresh/{way}={self.radius:g}/deceptive"] for way in WAYS}
        listed = "; ".join(f"{way}: {one}" for way, one in fresh.items())
        yield say(
            f"Of {fresh['random'].seeds:,} fresh networks that would end otherwise, a push of "
            f"{self.radius:g} makes so many end deceptive, by direction: {listed}.",
            *fresh.values(),
        )
        for radius in self.radii:
            more = {way: rows[f"intended/{way}={radius:g}-less-none"] for way in WAYS}
            listed = "; ".join(f"{way}: {one}" for way, one in more.items())
            yield say(
                f"Of {more['random'].seeds:,} intended ends, a push of {radius:g} makes more "
                f"deceptive than none, on the same seeds, by direction: {listed}"
                f"{unseen(more.values())}.",
                *more.values(),
            )

    def _says_of_totals(self, rows: Table, ends: str) -> Sentence:
        then = "not deceptive" if ends == "deceptive" else "deceptive"
        once = rows[f"{ends}/margin/median"]
        told, used = [], [once]
        for spell in self.spells:
            total, multiple = (
                rows[f"{ends}/{spell}-steps{what}"] for what in ("/median", "-over-once")
            )
            told.append(
                f"over {spell} steps, {total}, and seed by seed {multiple} times that of one shock"
            )
            used += [total, multiple]
        return say(
            f"Half of the {ends} ends are {then} after one shock {SLOPE[ends]} of at most {once}. "
            "Where pushes are spread over steps of the training, the total that it takes is, "
            f"{'; '.join(told)} (medians; infinite: none that was tried does it).",
            *used,
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        more = {
            f"{way} {radius:g}": rows[f"intended/{way}={radius:g}-less-none"]
            for way in WAYS
            for radius in self.radii
        }
        yield Panel([Forest(more)], xlabel="intended ends, pushed: more deceptive")
        share, most = "share with another verdict", self._most("deceptive", relative=True) / 2
        far = self._most("deceptive")
        ways = [
            Cumulative(lab.bisections[f"deceptive/{way}"]["high"].to_numpy(), far, label=way)
            for way in WAYS
        ]
        yield Panel(ways, xlabel="push of deceptive ends", ylabel=share)
        relative = {
            "deceptive, random": "deceptive/random",
            "deceptive, margin": "deceptive/margin",
            "intended, margin": "intended/margin",
        }
        marks = [
            Cumulative(lab.bisections[f"{key}/relative"]["high"].to_numpy(), most, label=name)
            for name, key in relative.items()
        ]
        yield Panel(marks, xlabel="relative push", ylabel=share)
        for ends in ENDS:
            names = {1: "one shock"} | {spell: f"{spell} steps" for spell in self.spells}
            marks = [
                Cumulative(self.total(lab, ends, spell), self._most(ends), label=name)
                for spell, name in names.items()
            ]
            yield Panel(marks, xlabel=f"total of pushes, {ends} ends", ylabel=share)
        yield edge_panel(lab)


def multiples(
    spread: Float[ndarray, " seed"], once: Float[ndarray, " seed"]
) -> Float[ndarray, " seed"]:
    """Divide totals: infinite where only the shock is found, and 0 where only the spread is."""
    both = np.isfinite(spread) & np.isfinite(once)
    apart = np.where(np.isfinite(once), np.inf, 0.0)
    return np.where(both, np.where(both, spread, 1) / np.where(both, once, 1), apart)


def _ends(verdict: str, count: int) -> Seeds:
    """Choose the first seeds that end with a verdict."""
    return lambda lab: lab["all"].seeds(Verdict[verdict.upper()])[:count]


def _others(count: int) -> Seeds:
    """Choose the first seeds that do not end deceptive."""

    def chosen(lab: Lab) -> ndarray:
        others = lab["all"].at().filter(pl.col("verdict") != LOST.name)["seed"].to_numpy()
        return others[:count]

    return chosen
