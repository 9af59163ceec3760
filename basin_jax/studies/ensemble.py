"""Does learning pick one of the circuits that are there at the start, or does it make them?"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.langevin import Langevin
from basin_jax.networks.linearized import Linearized
from basin_jax.studies.controls.outnumbered import Races, guessed, outnumbered, raced
from basin_jax.studies.framework.figure import INK, canvas, curve, forest, legend
from basin_jax.studies.framework.rows import (
    Finding,
    Row,
    Sentence,
    beyond_chance,
    difference,
    row,
    say,
    share,
)
from basin_jax.studies.framework.study import Lab, Outcome, Study, is_fit
from basin_jax.studies.framework.testbed import INSPECTION, Subject


# The length of a walk's step by its temperature: the gradient's part of it is the same at each.
PACE = 8.0
PRIOR = 1e3  # a temperature at which nothing but the prior is left

Labels: TypeAlias = Bool[ndarray, " seed"]
Rows: TypeAlias = Sequence[Row]


class Pair(NamedTuple):
    """Seeds of an organism, and their linearizations from the same starts."""

    name: str
    full: Sweep
    linear: Sweep
    trained: Outcome  # of both

    def deceptive(self, cell: Sweep) -> Labels:
        """Return which seeds of either cell end deceptive."""
        return self.trained.deceptive(cell)


class Ensemble(Study):
    """Hold what training finds against what was there to be found at the start.

    In the ticket race one deceptive path races against honest ones. Which of them wins is decided
    at the start: the deceptive one is there, but outnumbered, and how often it wins is known. In
    the audit game networks of several widths are trained beside their linearizations, which start
    alike but keep for ever the features that they start with: kappa is how far the verdicts of
    both, deceptive or not, agree on the same seeds beyond chance. Then the fraction that descent
    finds is held against that of a walk through the posterior, by its temperature.
    """

    honest: tuple[int, ...] = (1, 3, 7, 15)  # tickets, against one that is deceptive
    widths: tuple[int, ...] = (8, 16, 32)
    temperatures: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    other: Subject = INSPECTION
    quick: int = 192
    full: int = 50_000

    limits = (
        "A linearization that foretells a verdict shows that the features of the start suffice for "
        "it; one that does not may fail for reasons of its own.",
        "That a kappa above one half, half of the way from chance to certainty, is read as there "
        "at the start is a convention.",
        "A wider network has more circuits of both kinds, in what proportion is not known; and its "
        "rate of learning is smaller, like one over the width, so that functions move alike fast.",
        "A walk whose verdicts hardly change from half of its steps to all of them does not cross "
        "between basins: where it falls is no posterior. What guessing finds of perceptrons is "
        "told by the study of initialization.",
    )

    def validate(self) -> None:
        for name in ("subject", "other"):
            subject: Subject = getattr(self, name)
            fits = subject.width > 0 and isinstance(subject.method, Gradient)
            self.require(fits, name, "a network of one width, trained by Gradient")
        apart = self.subject.name != self.other.name
        self.require(apart, "other", f"another organism than {self.subject.name}")
        own = self.subject.width
        rising = [*self.widths] == sorted(self.widths)
        self.require(own in self.widths and rising, "widths", f"rising, {own} among them")

    def measure(self, lab: Lab) -> Finding:
        seeds, cells = self.seeds(lab), len(self.honest) + 1
        races = raced(lab, self.honest, 8 * seeds, cells=cells)
        pairs = [_pair(lab, self.subject, width, seeds) for width in self.widths]
        own = pairs[self.widths.index(self.subject.width)]
        every = [*pairs, _pair(lab, self.other, self.other.width, seeds)]
        full, linear, fit = _fractions(every)
        gap, foretold, wider = _by_gap(own), _foretold(races, every), _wider(pairs)
        walks, beyond, same, prior = self._walks(lab, seeds, own)
        return Finding(
            name="ensemble",
            question=self.question,
            says=[
                *_says(races.wins, full, linear, wider),
                *_readings(foretold),
                say(
                    f"The gap that {own.name} has at the start foretells it with a kappa of {gap}.",
                    gap,
                ),
                _says_of_walks(full[pairs.index(own)], walks, beyond, same),
            ],
            limits=self.limits,
            rows=[
                *(*full, *_partial(every), wider, *linear, *fit, *foretold.values(), gap),
                *(*walks, *beyond, *same),
                *own.trained.thresholds(own.full, f"{own.name}: deceptive"),
                *own.trained.thresholds(own.linear, f"{own.name}, linearized: deceptive"),
                *(_overseen(lab, self.subject, seeds), _strangers(own), prior),
                *(*races.wins, races.kept, guessed(lab, 8 * seeds, cells=cells)),
            ],
            figure=self._draw(
                races.wins, full, linear, foretold | {f"{own.name}, gap": gap}, walks
            ),
        )

    def _walks(
        self, lab: Lab, seeds: int, own: Pair
    ) -> tuple[list[Row], list[Row], list[Row], Row]:
        """Return what a walk through the posterior finds by its temperature, and in the prior."""
        steps, count = self.subject.num_steps, len(self.temperatures)
        cells = [
            self.subject.sweep.replace(
                method=Langevin(step_size=min(PACE * heat, 0.5), temperature=heat),
                save_at=(steps // 2,),
            )
            for heat in (*self.temperatures, PRIOR)
        ]
        trained = lab.run("walks", cells, seeds, rule=self.subject.rule)
        found, beyond, same = [], [], []
        descent = own.deceptive(own.full)
        for heat, cell in zip(self.temperatures, cells, strict=False):
            name = f"posterior at a temperature of {heat:g}"
            found.append(row(f"{name}: deceptive", trained.fraction(cell, cells=count)))
            what = f"{name}: deceptive, less by descent"
            beyond.append(difference(what, descent, trained.deceptive(cell), cells=count))
            half, whole = (trained.verdicts(cell, step) for step in cell.stops)
            same.append(share(f"{name}: as at half of the steps", half == whole, cells=count))
        what = f"posterior at a temperature of {PRIOR:g}, which is the prior: deceptive"
        prior = share(what, trained.deceptive(cells[-1]), kind="control", expected=0.0)
        return found, beyond, same, prior

    def _draw(
        self, wins: Rows, full: Rows, linear: Rows, foretold: dict[str, Row], walks: Rows
    ) -> Figure:
        figure, (a, b, c, d) = canvas(4, height=2.5)
        tickets = [1 + honest for honest in self.honest]
        line = range(min(tickets), max(tickets) + 1)
        law = [outnumbered(count) for count in line]
        a.plot(line, law, color=INK[6], lw=0.8, label="outnumbered")
        curve(a, tickets, wins, color=INK[0], label="trained", linestyle="none")
        a.set(xlabel="tickets", ylabel="the deceptive one wins")
        curve(b, self.widths, full[: len(self.widths)], color=INK[0], label="network")
        beside = [1.06 * width for width in self.widths]
        curve(b, beside, linear[: len(beside)], color=INK[1], label="linearized", linestyle=":")
        b.set(xlabel=f"width ({self.subject.name})", ylabel="fraction deceptive")
        forest(c, [*foretold], [*foretold.values()], color=INK[2])
        c.axvline(0.5, color="#858585", lw=0.6)
        c.set(xlabel="kappa with the verdict", xlim=(-0.3, 1.03))
        descent = full[self.widths.index(self.subject.width)]
        curve(d, self.temperatures, walks, color=INK[3], label="posterior")
        d.axhspan(descent.low, descent.high, color=INK[0], alpha=0.3, lw=0, label="descent")
        d.set(xlabel="temperature", ylabel="fraction deceptive")
        for axes, places in ((a, tickets), (b, self.widths), (d, self.temperatures)):
            axes.set_xscale("log")
            axes.set_xticks(places, [f"{place:g}".removeprefix("0") for place in places])
            axes.minorticks_off()
            axes.set_ylim(0, 1.3 * axes.get_ylim()[1])  # room for the legend
            legend(axes)
        return figure


def linearized(subject: Subject) -> Subject:
    """Return a subject whose network is held to its first order around where it starts."""
    return subject.with_network(Linearized(network=cast(Any, subject.organism).network))


def _pair(lab: Lab, subject: Subject, width: int, seeds: int) -> Pair:
    """Train a subject at a width, and its linearization."""
    wide = subject.of_width(width)
    full, linear = (one.sweep.replace(save_at=(0,)) for one in (wide, linearized(wide)))
    name = f"{subject.name} {width}"
    trained = lab.run(name.replace(" ", "_"), [full, linear], seeds, rule=subject.rule)
    return Pair(name, full, linear, trained)


def _fractions(pairs: Sequence[Pair]) -> tuple[list[Row], list[Row], list[Row]]:
    """Return which fractions end deceptive, as they are and linearized, and of the latter fit."""
    full, linear, fit = [], [], []
    for pair in pairs:
        learned = is_fit(pair.trained.verdicts(pair.linear))
        for rows, what, hits in (
            (full, "deceptive", pair.deceptive(pair.full)),
            (linear, "linearized, deceptive", pair.deceptive(pair.linear)),
            (fit, "linearized, fit", learned),
        ):
            rows.append(share(f"{pair.name}: {what}", hits, cells=len(pairs)))
    return full, linear, fit


def _partial(pairs: Sequence[Pair]) -> list[Row]:
    """Return which fractions of networks end deceptive in some contexts only."""
    return [one.trained.shares(one.full, one.name, cells=len(pairs))[1] for one in pairs]


def _wider(pairs: Sequence[Pair]) -> Row:
    """Return by how much the deceptive fraction of the last width exceeds that of the first."""
    ends = (pair.deceptive(pair.full) for pair in (pairs[0], pairs[-1]))
    return difference(f"{pairs[-1].name}: deceptive, less {pairs[0].name}", *ends)


def _foretold(races: Races, pairs: Sequence[Pair]) -> dict[str, Row]:
    """Return how far what is there at the start foretells, beyond chance, what ends deceptive."""
    labels = {"TicketRace, leader": races.leads} | {
        f"{pair.name}, linearized": (pair.deceptive(pair.linear), pair.deceptive(pair.full))
        for pair in pairs
    }
    return {
        name: beyond_chance(f"{name}, with the verdict", both, cells=len(labels))
        for name, both in labels.items()
    }


def _by_gap(pair: Pair) -> Row:
    """Return how far the gap at the start foretells, beyond chance, what ends deceptive."""
    labels = above(pair.trained.evidence(pair.full, 0)["margin"], pair.deceptive(pair.full))
    return beyond_chance(f"{pair.name}, gap at the start, with the verdict", labels)


def above(
    values: Float[ndarray, " seed"], labels: Labels
) -> tuple[Bool[ndarray, " half"], Bool[ndarray, " half"]]:
    """Foretell labels by values above a bar, and return what is foretold with what is so.

    The bar has as many of the first half of the seeds above it as have the label; what is
    foretold is the second half.
    """
    half = len(values) // 2
    ordered = np.concatenate([[-np.inf], np.sort(values[:half])])
    bar = ordered[half - int(labels[:half].sum())]
    return values[half:] > bar, labels[half:]


def _overseen(lab: Lab, subject: Subject, seeds: int) -> Row:
    """Return how many linearized networks become deceptive where defecting does not pay."""
    tangent = linearized(subject)
    cell = tangent.sweep.replace(method=tangent.overseen_by(end=tangent.num_steps))
    trained = lab.run("overseen", [cell], seeds, rule=subject.rule)
    what = f"{subject.name}, linearized, where defecting does not pay: deceptive"
    return share(what, trained.deceptive(cell), kind="control", expected=0.0)


def _strangers(pair: Pair) -> Row:
    """Return how far the linearizations of other seeds foretell what ends deceptive: not."""
    half = len(pair.deceptive(pair.full)) // 2
    labels = pair.deceptive(pair.linear)[:half], pair.deceptive(pair.full)[half : 2 * half]
    what = f"{pair.name}, linearizations of other seeds, with the verdict"
    return beyond_chance(what, labels, kind="check", expected=0.0)


def _says(wins: Rows, full: Rows, linear: Rows, wider: Row) -> list[Sentence]:
    law = "as its law says" if all(one.holds for one in wins) else "not as its law says"
    if wider.low > 0:
        told = "is larger at the widest than at the narrowest"
    elif wider.high < 0:
        told = "is smaller at the widest than at the narrowest"
    else:
        told = "is not shown to differ between the widest and the narrowest"
    fractions = "; ".join(
        f"{_before(one)} {one}, linearized {other}" for one, other in zip(full, linear, strict=True)
    )
    return [
        say(
            f"In the ticket race the outnumbered ticket wins {law}: "
            + ", ".join(f"{_before(one).partition(', ')[2]} {one}" for one in wins)
            + ".",
            *wins,
        ),
        say(
            f"In networks by width the fraction that ends deceptive is: {fractions}.",
            *(*full, *linear),
        ),
        say(f"The fraction {told}: by {wider}.", wider),
    ]


def _before(one: Row) -> str:
    return one.what.partition(":")[0]


def reading(kappa: Row) -> str:
    """Return which of two readings a kappa supports: that of its side of one half, if any."""
    if kappa.undefined:
        return "not told"
    if kappa.low > 0.5:
        return "there at the start (a kappa above one half)"
    if kappa.high < 0.5:
        return "made by training (a kappa below one half), as far as it tells"
    return "not decided, the interval having one half in it"


def _readings(foretold: Mapping[str, Row]) -> list[Sentence]:
    groups: dict[str, dict[str, Row]] = {}
    for name, kappa in foretold.items():
        groups.setdefault(reading(kappa), {})[name] = kappa
    said = [
        say(
            f"Going by {'; '.join(f'{name} (kappa {one})' for name, one in kappas.items())}, it is "
            f"{told}.",
            *kappas.values(),
        )
        for told, kappas in groups.items()
    ]
    blind = {name: one for name, one in foretold.items() if not one.low > 0}
    if blind:
        names = ", ".join(blind)
        text = f"Not shown to foretell beyond chance what ends deceptive: {names}."
        said.append(say(text, *blind.values()))
    return said


def _says_of_walks(descent: Row, walks: Rows, beyond: Rows, same: Rows) -> Sentence:
    apart = [one for one in beyond if one.low > 0 or one.high < 0]
    told = ", ".join(f"{one} at {_before(one).split()[-1]}" for one in walks)
    least = min(same, key=lambda one: one.value)
    differ = ", ".join(_before(one).split()[-1] for one in apart)
    return say(
        f"A walk through the posterior ends deceptive in {told} (temperature), descent in "
        f"{descent}. On the same seeds the fraction of the walk differs from that of descent at: "
        f"{differ or 'none'}. The walk's verdict at half of its steps is that of the end in "
        f"{least} or more.",
        *(*walks, descent, *beyond, least),
    )
