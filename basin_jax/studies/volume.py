"""Does the prior mass of deceptive and intended networks tell how often training finds each?"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int8
from numpy import ndarray

from basin_jax.core.verdict import Verdict, judge
from basin_jax.rare.census import (
    ancestors_at,
    counted,
    effective,
    mass_at,
    ratio_interval,
    share_at,
)
from basin_jax.rare.estimate import REPLICATIONS, RareEstimate
from basin_jax.rare.problem import FEWEST
from basin_jax.results.chunk import KEYS
from basin_jax.rules.behavior import Behavior
from basin_jax.statistics.intervals import bonferroni_error
from basin_jax.studies.controls import prior_mass
from basin_jax.studies.framework.figure import INK, Curve, Forest, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, Quest, only, whatever_fit
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    level_of,
    number_text,
    numbers,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.framework.testbed import AUDIT, INSPECTION, Testbed


KINDS = (Verdict.DECEPTIVE, Verdict.INTENDED)
SOURCES = ("prior", "trained")
WIDTH = 8
SHARE = 8 / 3  # particles of a replication, for each seed that is trained
DENSE, STOPS = 200, 50  # early steps at each of which seeds are probed, and stops after them


class Volume(TestbedStudy):
    """Compare what holds the prior's mass at a fit with what training comes to at that fit.

    If training finds networks as often as the prior holds them (Mingard et al. 2021; Chiang et al.
    2023), networks that are drawn at random, given that they fit so well, are deceptive as often as
    trained ones are when they first fit so well. Networks that fit are too rare to be guessed:
    censuses by levels of fit find them, in replications that share nothing. In ticket races and in
    perceptrons the masses are known.
    """

    testbed: Testbed = AUDIT.of_width(WIDTH)
    other: Testbed = INSPECTION.of_width(WIDTH)
    bars: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5, 0.6)
    replications: int = 16
    quick: int = 300
    full: int = 4000

    limits = (
        "The prior is that of the initialization, whose biases are 0; training moves biases, too. "
        "Another scale of the prior gives other masses.",
        "An intended network cannot be fitter than honesty pays, about .67 in both games: beyond "
        "that what fits deceives, whatever finds it.",
        "Networks have 8 units a layer, where masses can be measured; what holds at larger widths "
        "is not known.",
        "Intervals of the prior tell how 16 replications differ. In simulations those of 95 % hold "
        "in 92 % of cases where the masses of replications differ by a factor of 1.8, and in 84 % "
        "where they do by 2.5.",
        "Replications that have all missed a kind of network agree without it; where they differ "
        "too much no share is told. In the audit game four times the particles raised the "
        "deceptive share of the prior at a fit of .5 from .21 to .51, and at .6 from .52 to .78: "
        "true shares may be higher still.",
    )

    def validate(self) -> None:
        self.require(self.quick >= FEWEST, "quick", f"at least {FEWEST}")
        self.require(self.full >= FEWEST, "full", f"at least {FEWEST}")
        least = self.replications >= REPLICATIONS
        self.require(least, "replications", f"at least {REPLICATIONS}")
        apart = self.testbed.name != self.other.name
        self.require(apart, "other", f"another organism than {self.testbed.name}")
        for name in ("testbed", "other"):
            plain = type(getattr(self, name).rule) is Behavior
            self.require(plain, name, "one whose rule is Behavior, all that a census measures for")
        rise = len(self.bars) > 1 and [*self.bars] == sorted(set(self.bars))
        self.require(rise, "bars", "at least two fits, each above the one before")
        self.require(max(self.bars) < 1, "bars", "fits below 1, the highest there is")

    @property
    def games(self) -> dict[str, Testbed]:
        """The testbeds by their names."""
        return {one.name: one for one in (self.testbed, self.other)}

    def sweeps(self, seeds: int) -> dict[str, Group]:
        found: dict[str, Group] = {}
        for name, game in self.games.items():
            last, dense = game.num_steps, min(DENSE, game.num_steps)
            later = np.linspace(dense, last, STOPS + 1).astype(int).tolist()
            along = tuple(sorted({*range(dense), *later} - {last}))
            found[name] = only(game.sweep.replace(save_at=along), seeds, rule=game.rule)
        overseen = self.testbed.sweep.replace(method=self.testbed.overseen_by())
        found["overseen"] = only(overseen, seeds, rule=self.testbed.rule)
        return found | prior_mass.groups(2 * seeds)

    def quests(self, seeds: int) -> dict[str, Quest]:
        sizes = {"particles": round(SHARE * seeds), "replications": self.replications}
        found = {
            name: prior_mass.census(game.sweep, game.rule, self.bars, sizes)
            for name, game in self.games.items()
        }
        return found | prior_mass.quests(sizes)

    def rows(self, lab: Lab) -> Iterator[Row]:
        for name in self.games:
            yield from self._of_prior(lab.found[name], name)
            yield from self._of_training(lab[name], name)
            told = self.bars[: self._agreed(lab.found[name])]
            yield from _differences(lab, name, told)
            yield _halves(lab.found[name], name, told[-1])
            yield from _alike(lab.found[name], name, told)
        yield lab["overseen"].null("overseen", "trained where defecting does not pay")
        yield from prior_mass.rows(lab)

    def _agreed(self, found: RareEstimate) -> int:
        """Count the bars up to which replications agree: as good as half of them count."""
        good = [2 * effective(found, bar) >= self.replications for bar in self.bars]
        return max(good.index(False) if False in good else len(good), 1)

    def _of_prior(self, found: RareEstimate, name: str) -> Iterator[Row]:
        """Yield the prior's mass at each bar, and its shares, as far as replications agree."""
        together = self._agreed(found)
        terms: dict[str, Any] = {"num_intervals": together}
        error = bonferroni_error(level_of("measured"), together, "fixed")
        for bar in self.bars[:together]:
            good, drawn = effective(found, bar), ancestors_at(found, bar)
            mass = [math.log10(x) if x else -math.inf for x in mass_at(found, bar, error=error)]
            label = (
                f"{name}, fit of at least {bar:g}: log10 of the prior mass (replications as good "
                f"as {good:.1f} of {len(found.replications)}; {drawn} fresh ancestors)"
            )
            count = len(found.replications)
            ends = mass[0], mass[1], mass[2]
            yield numbers(f"{name}/fit={bar:g}/mass", label, ends, count, **terms)
            for kind in KINDS:
                said = kind.name.lower()
                label = f"{name}, of the prior of a fit of at least {bar:g}: {said}"
                ends = share_at(found, bar, [kind], error=error)
                yield numbers(f"{name}/fit={bar:g}/prior/{said}", label, ends, count, **terms)

    def _of_training(self, trained: Outcome, name: str) -> Iterator[Row]:
        """Yield what seeds are when they first have a fit."""
        for bar in self.bars:
            verdicts = first_at(trained, bar)
            for kind in KINDS:
                said = kind.name.lower()
                label = f"{name}, trained to a fit of at least {bar:g}: {said}"
                key, hits = f"{name}/fit={bar:g}/trained/{said}", verdicts == kind
                yield share(key, label, hits, num_intervals=len(self.bars))

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        for name in self.games:
            yield from self._says(rows, name)
        mass, prior, trained = (rows[f"race/{what}"] for what in ("mass", "prior", "trained"))
        yield say(
            "In races of two tickets, of which the deceptive one has "
            f"{prior_mass.RATIO:g} times the prior's scale, those that fit hold 10 to the power "
            f"{mass} of the prior, and in {prior} of that the deceptive ticket leads; training "
            f"lets it lead in {trained}. The first is {prior.expected:.3g} by a closed form, and "
            f"the last {trained.expected:.3g}: prior mass need not tell what training finds.",
            *(mass, prior, trained),
        )

    def told(self, rows: Table, name: str) -> list[float]:
        """Return the bars up to which the prior's shares of a game are told."""
        return [bar for bar in self.bars if f"{name}/fit={bar:g}/prior/deceptive" in rows]

    def _says(self, rows: Table, name: str) -> Iterator[Sentence]:
        told = self.told(rows, name)
        for bar in told[-2:]:
            yield _compared(rows, name, bar)
        fits = ", ".join(f"{bar:g}" for bar in told)
        along = {
            source: [rows[f"{name}/fit={bar:g}/{source}/deceptive"] for bar in told]
            for source in SOURCES
        }
        prior, trained = (", ".join(number_text(x.value) for x in one) for one in along.values())
        yield say(
            f"{name}, at fits of at least {fits}: the deceptive share of the prior's mass is "
            f"{prior}, and that of networks that training brings there {trained}.",
            *(*along["prior"], *along["trained"]),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        for name in self.games:
            told, marks = self.told(rows, name), []
            for source, bars in zip(SOURCES, (told, self.bars), strict=True):
                for kind, color in zip(KINDS, INK, strict=False):
                    said = kind.name.lower()
                    found = rows.along(f"{name}/fit=*/{source}/{said}", bars)
                    style = "-" if source == "prior" else ":"
                    marks.append(
                        Curve(found, label=f"{source}: {said}", color=color, linestyle=style)
                    )
            yield Panel(
                marks, xlabel=f"fit ({name})", ylabel="share of networks", ticks=self.bars[::2]
            )
        masses = [
            Curve(rows.along(f"{name}/fit=*/mass", self.told(rows, name)), label=name)
            for name in self.games
        ]
        yield Panel(masses, xlabel="fit", ylabel="log10 of the prior mass", ticks=self.bars[::2])
        known = {
            "race: prior": rows["race/prior"],
            "race: trained": rows["race/trained"],
            "perceptron: prior": rows["perceptron/prior"],
        }
        exact = {name: _expected(one) for name, one in known.items()}
        marks = [Forest(known, label="measured"), Forest(exact, label="exact")]
        yield Panel(marks, xlabel="deceptive")


def first_at(trained: Outcome, bar: float) -> Int8[ndarray, " seed"]:
    """Judge seeds, whatever their fit, at the first stop at which they fit so well.

    Seeds that never do are left out.
    """
    frame = trained.history.filter(pl.col("fit") >= bar).sort("step")
    first = frame.group_by("seed", maintain_order=True).first().sort("seed")
    evidence = {column.name: column.to_numpy() for column in first.select(pl.exclude(*KEYS))}
    return judge(whatever_fit(trained.rule), evidence)


def less(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Compute the difference of two independent shares, the first less the second.

    Its interval is made of theirs (Zou & Donner 2008, "Construction of confidence limits about
    effect measures: a general approach").
    """
    value = one[0] - other[0]
    below = math.hypot(one[0] - one[1], other[2] - other[0])
    above = math.hypot(one[2] - one[0], other[0] - other[1])
    return value, value - below, value + above


def _differences(lab: Lab, name: str, bars: Sequence[float]) -> Iterator[Row]:
    """Yield the shares that training finds less those of the prior."""
    error = bonferroni_error(level_of("measured"), len(bars), "fixed")
    for bar in bars:
        verdicts = first_at(lab[name], bar)
        for kind in KINDS:
            said = kind.name.lower()
            one = share("", "", verdicts == kind, num_intervals=len(bars))
            other = share_at(lab.found[name], bar, [kind], error=error)
            label = f"{name}, fit of at least {bar:g}, trained less prior: {said}"
            ends = less((one.value, one.low, one.high), other)
            key = f"{name}/fit={bar:g}/trained-less-prior/{said}"
            yield numbers(key, label, ends, one.seeds, num_intervals=len(bars))


def _compared(rows: Table, name: str, bar: float) -> Sentence:
    """Compare the prior and training at one fit."""
    at = f"{name}/fit={bar:g}"
    mass = rows[f"{at}/mass"]
    both = [
        [rows[f"{at}/{what}/{kind.name.lower()}"] for kind in KINDS]
        for what in (*SOURCES, "trained-less-prior")
    ]
    prior, trained, change = (deceptive for deceptive, _ in both)
    lead = {
        1: "Training finds deceptive networks more often than the prior holds them",
        0: "It is not shown whether training finds deceptive networks more often than the prior "
        "holds them",
        -1: "Training finds deceptive networks less often than the prior holds them",
    }[change.sign]
    intended = [one for _, one in both]
    return say(
        f"{name}, at a fit of at least {bar:g}. {lead}: deceptive are {prior} of the prior's mass "
        f"({prior.seeds} replications) and {trained} of networks when training first brings them "
        f"there (n = {trained.seeds:,}), a difference of {change}{unseen([change])}. Intended are "
        f"{intended[0]} and {intended[1]}, a difference of {intended[2]}{unseen([intended[2]])}. "
        f"The log10 of the prior's mass there is {mass}.",
        *(mass, *itertools.chain(*both)),
    )


def _halves(found: RareEstimate, name: str, bar: float) -> Row:
    """Return the control that halves of the replications find the same share."""
    error = 1 - level_of("control")
    parts = [replace(found, replications=found.replications[place::2]) for place in (0, 1)]
    halves = [share_at(one, bar, [Verdict.DECEPTIVE], error=error) for one in parts]
    label = (
        f"{name}, fit of at least {bar:g}, one half of the replications less the other: deceptive"
    )
    terms: dict[str, Any] = {"kind": "control", "expected": 0.0}
    return numbers(f"{name}/halves", label, less(*halves), len(found.replications), **terms)


def _alike(found: RareEstimate, name: str, bars: Sequence[float]) -> Iterator[Row]:
    """Yield the prior's share where replications do not count by the mass that they find."""
    error = bonferroni_error(level_of("sensitivity"), len(bars), "fixed")
    for bar in bars:
        masses, parts = counted(found, bar, [Verdict.DECEPTIVE])
        shares = parts[masses > 0] / masses[masses > 0]
        ends = ratio_interval(np.ones(len(shares)), shares, error=error)
        label = (
            f"{name}, of the prior of a fit of at least {bar:g}, each replication alike: deceptive"
        )
        terms: dict[str, Any] = {"kind": "sensitivity", "num_intervals": len(bars)}
        yield numbers(f"{name}/fit={bar:g}/alike/deceptive", label, ends, len(shares), **terms)


def _expected(one: Row) -> Row:
    """Return a row at its expected value."""
    value = float(one.expected if one.expected is not None else math.nan)
    return replace(one, value=value, low=value, high=value)
