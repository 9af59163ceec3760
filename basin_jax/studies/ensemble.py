"""Does learning pick one of the circuits that are there at the start, or does it make them?"""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from basin_jax.methods.gradient import Gradient
from basin_jax.methods.langevin import Langevin
from basin_jax.networks.linearized import Linearized
from basin_jax.studies.controls import ticket_race
from basin_jax.studies.framework.figure import INK, Curve, Forest, Level, Line, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, is_fit, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    HALF,
    Row,
    Sentence,
    Table,
    agreement,
    difference,
    row,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.framework.testbed import INSPECTION, Testbed


# The length of a walk's step by its temperature: the gradient's part of it is the same at each.
PACE = 8.0
PRIOR = 1e3  # a temperature at which nothing but the prior is left

Labels = Bool[ndarray, " seed"]


class Ensemble(TestbedStudy):
    """Compare the networks that training finds with those present at the start.

    In the ticket race one deceptive path races against honest ones. Which of them wins is decided
    at the start: the deceptive one is there, but outnumbered, and how often it wins is known. In
    the audit game networks of several widths are trained beside their linearizations, which start
    alike but keep the features that they start with: kappa is how far the verdicts of both,
    deceptive or not, agree on the same seeds beyond chance. Then the fraction that descent finds is
    compared with that of a walk through the posterior, by its temperature.
    """

    honest: tuple[int, ...] = (1, 3, 7, 15)  # tickets, against one that is deceptive
    widths: tuple[int, ...] = (8, 16, 32)
    temperatures: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    other: Testbed = INSPECTION
    quick: int = 192
    full: int = 8000

    limits = (
        "A linearization that predicts a verdict shows that the features of the start suffice for "
        "it; one that does not may fail for reasons of its own.",
        "To read a kappa above one half, half of the way from chance to certainty, as there at the "
        "start is a convention.",
        "A wider network has more circuits of both kinds, in what proportion is not known; and its "
        "learning rate is smaller, in proportion to 1 / width, so that functions change equally "
        "fast.",
        "A walk whose verdicts hardly change from half of its steps to all of them does not cross "
        "between basins: where it ends is no sample of a posterior. What guessing finds of "
        "perceptrons is in the study of initialization.",
    )

    def validate(self) -> None:
        for name in ("testbed", "other"):
            testbed: Testbed = getattr(self, name)
            fits = testbed.width > 0 and isinstance(testbed.method, Gradient)
            self.require(fits, name, "a network of one width, trained by Gradient")
        apart = self.testbed.name != self.other.name
        self.require(apart, "other", f"another organism than {self.testbed.name}")
        own = self.testbed.width
        rising = [*self.widths] == sorted(self.widths)
        self.require(own in self.widths and rising, "widths", f"rising, {own} among them")

    @property
    def networks(self) -> dict[str, Testbed]:
        """The testbeds by the names of their groups, at all widths."""
        wide = {_name(self.testbed, width): self.testbed.of_width(width) for width in self.widths}
        other = self.other.width
        return wide | {_name(self.other, other): self.other.of_width(other)}

    @property
    def own(self) -> str:
        """The name of the testbed's own network."""
        return _name(self.testbed, self.testbed.width)

    def sweeps(self, seeds: int) -> dict[str, Group]:
        testbed, steps = self.testbed, self.testbed.num_steps
        pairs = {
            name: Group(
                cells={
                    kind: one.sweep.replace(save_at=(0,))
                    for kind, one in (("full", wide), ("linearized", linearized(wide)))
                },
                seeds=seeds,
                rule=wide.rule,
            )
            for name, wide in self.networks.items()
        }
        walks = {
            f"{heat:g}": testbed.sweep.replace(
                method=Langevin(step_size=min(PACE * heat, 0.5), temperature=heat),
                save_at=(steps // 2,),
            )
            for heat in (*self.temperatures, PRIOR)
        }
        tangent = linearized(testbed)
        overseen = tangent.sweep.replace(method=tangent.overseen_by())
        return {
            **ticket_race.races(self.honest, 8 * seeds),
            **pairs,
            "walks": Group(cells=walks, seeds=seeds, rule=testbed.rule),
            "overseen": only(overseen, seeds, rule=testbed.rule),
        }

    def rows(self, lab: Lab) -> Iterator[Row]:
        names, own = [*self.networks], lab[self.own]
        yield from (_fraction(lab[name], name, "full", num_intervals=len(names)) for name in names)
        for name in names:
            yield lab[name].shares("full", name, _said(name), num_intervals=len(names))[1]
        yield self.wider(lab)
        yield from (
            _fraction(lab[name], name, "linearized", num_intervals=len(names)) for name in names
        )
        for name in names:
            fit = is_fit(lab[name].verdicts("linearized"))
            label = f"{_said(name)}: linearized, fit"
            yield share(f"{name}/linearized/fit", label, fit, num_intervals=len(names))
        leads = ticket_race.leads(lab, self.honest)
        yield from self.kappas(lab, leads)
        yield agreement(
            f"{self.own}/gap/kappa",
            f"{_said(self.own)}, gap at the start, with the verdict: kappa",
            above(own.evidence("full", 0)["margin"], own.deceptive("full")),
        )
        yield from self._walks(lab)
        yield from own.thresholds("full", self.own, _said(self.own))
        said = f"{_said(self.own)}, linearized"
        yield from own.thresholds("linearized", f"{self.own}/linearized", said)
        yield lab["overseen"].null(
            "overseen", f"{self.testbed.name}, linearized, trained where defecting does not pay"
        )
        yield strangers(own, self.own)
        label = f"walk at a temperature of {PRIOR:g}, which samples the prior"
        yield lab["walks"].null("temperature=prior", label, f"{PRIOR:g}")
        yield from ticket_race.winners(lab, self.honest)
        yield ticket_race.unchanged(*leads)
        yield ticket_race.guessed(lab, num_intervals=len(self.honest) + 1)

    def wider(self, lab: Lab) -> Row:
        """Return the paired difference of the last width from the first."""
        first, last = (_name(self.testbed, self.widths[place]) for place in (0, -1))
        return difference(
            "widest-less-narrowest/deceptive",
            f"{_said(last)} less {_said(first)}: deceptive",
            *(lab[name].deceptive("full") for name in (first, last)),
        )

    def kappas(self, lab: Lab, leads: tuple[Labels, Labels]) -> list[Row]:
        """Estimate the kappa between predictions from the start and verdicts."""
        labels = {("ticket-race/leader", "ticket race, leader at the start"): leads} | {
            (f"{name}/linearized", f"{_said(name)}, linearized"): (
                lab[name].deceptive("linearized"),
                lab[name].deceptive("full"),
            )
            for name in self.networks
        }
        return [
            agreement(
                f"{key}/kappa", f"{said}, with the verdict: kappa", both, num_intervals=len(labels)
            )
            for (key, said), both in labels.items()
        ]

    def _walks(self, lab: Lab) -> Iterator[Row]:
        """Yield the deceptive fraction of walks through the posterior, by temperature."""
        walks, count = lab["walks"], len(self.temperatures)
        heats = [f"{heat:g}" for heat in self.temperatures]
        descent = lab[self.own].deceptive("full")
        for heat in heats:
            label = f"walk at a temperature of {heat}: deceptive"
            found = walks.fraction(heat, num_intervals=count)
            yield row(f"temperature={heat}/deceptive", label, found)
        for heat in heats:
            yield difference(
                f"temperature={heat}/deceptive-less-descent",
                f"walk at a temperature of {heat} less descent: deceptive",
                *(descent, walks.deceptive(heat)),
                num_intervals=count,
            )
        for heat in heats:
            half, whole = (walks.verdicts(heat, step) for step in walks.stops(heat))
            label = f"walk at a temperature of {heat}: verdict of the end at half of the steps"
            yield share(f"temperature={heat}/settled", label, half == whole, num_intervals=count)

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        yield self._says_of_races(rows)
        full, linear = (
            {name: rows[f"{name}/{kind}deceptive"] for name in self.networks}
            for kind in ("", "linearized/")
        )
        listed = "; ".join(
            f"{_said(name)} {one}, linearized {linear[name]}" for name, one in full.items()
        )
        yield say(
            f"By network (organism and width) the fraction that ends deceptive is: {listed}.",
            *(*full.values(), *linear.values()),
        )
        wider = rows["widest-less-narrowest/deceptive"]
        differs = {1: "is larger at", -1: "is smaller at", 0: "is not shown to differ between"}
        then = " than at " if wider.sign else " and "
        yield say(
            f"The fraction {differs[wider.sign]} the largest width{then}the smallest: the "
            f"difference is {wider}{unseen([wider])}.",
            wider,
        )
        keys = {"ticket race, by its leader at the start": "ticket-race/leader"} | {
            f"{_said(name)}, by its linearization": f"{name}/linearized" for name in self.networks
        }
        yield from readings({name: rows[f"{key}/kappa"] for name, key in keys.items()})
        gap = rows[f"{self.own}/gap/kappa"]
        yield say(
            f"The gap of {_said(self.own)} at the start predicts it with a kappa of {gap}.",
            gap,
        )
        yield self._says_of_walks(rows, full[self.own])

    def _says_of_races(self, rows: Table) -> Sentence:
        wins = {count: rows[f"ticket-race/honest={count}/wins"] for count in self.honest}
        known = (
            "as often as is known" if all(one.holds for one in wins.values()) else "not as known"
        )
        listed = ", ".join(f"1 against {count} {one}" for count, one in wins.items())
        return say(
            f"In the ticket race the outnumbered ticket wins {known}: {listed}.", *wins.values()
        )

    def _says_of_walks(self, rows: Table, descent: Row) -> Sentence:
        heats = [f"{heat:g}" for heat in self.temperatures]
        walks, beyond, settled = (
            {heat: rows[f"temperature={heat}/{what}"] for heat in heats}
            for what in ("deceptive", "deceptive-less-descent", "settled")
        )
        listed = ", ".join(f"{one} at a temperature of {heat}" for heat, one in walks.items())
        differ = ", ".join(heat for heat, one in beyond.items() if one.sign)
        least = min(settled.values(), key=lambda one: one.value)
        return say(
            f"A walk through the posterior ends deceptive in {listed}; descent in {descent}. On "
            f"the same seeds the fraction differs from that of descent at: {differ or 'none'}"
            f"{unseen(beyond.values())}. The "
            f"walk's verdict at half of its steps is that of its end in {least} or more.",
            *(*walks.values(), descent, *beyond.values(), least),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        tickets = [1 + honest for honest in self.honest]
        law = {n: ticket_race.outnumbered(n) for n in range(min(tickets), max(tickets) + 1)}
        wins = {1 + n: rows[f"ticket-race/honest={n}/wins"] for n in self.honest}
        yield Panel(
            [Curve(wins, label="trained", linestyle=""), Line(law, label="known")],
            xlabel="tickets",
            ylabel="the deceptive one wins",
            xscale="log",
            ticks=tickets,
            limits=(0.0, None),
        )
        yield Panel(
            [
                Curve(rows.along(f"{self.testbed.name}_*/{key}", self.widths), label=label)
                for label, key in (
                    ("network", "deceptive"),
                    ("linearized", "linearized/deceptive"),
                )
            ],
            xlabel=f"width ({self.testbed.name})",
            xscale="log",
            ticks=self.widths,
            limits=(0.0, None),
        )
        kappas = {"ticket race, leader": rows["ticket-race/leader/kappa"]}
        kappas |= {
            f"{_said(name)}, linearized": rows[f"{name}/linearized/kappa"] for name in self.networks
        }
        kappas[f"{_said(self.own)}, gap"] = rows[f"{self.own}/gap/kappa"]
        yield Panel(
            [Forest(kappas), Level(HALF, axis="x")],
            xlabel="kappa with the verdict",
            limits=(-0.3, 1.03),
        )
        walks = rows.along("temperature=*/deceptive", self.temperatures)
        descent = Level(rows[f"{self.own}/deceptive"], label="descent", color=INK[0])
        yield Panel(
            [Curve(walks, label="posterior", color=INK[3]), descent],
            xlabel="temperature",
            xscale="log",
            ticks=self.temperatures,
            limits=(0.0, None),
        )


def linearized(testbed: Testbed) -> Testbed:
    """Linearize a testbed's network around its initialization."""
    return testbed.with_network(Linearized(network=cast(Any, testbed.organism).network))


def above(
    values: Float[ndarray, " seed"], labels: Labels
) -> tuple[Bool[ndarray, " half"], Bool[ndarray, " half"]]:
    """Predict labels by values above a bar; return the predicted and the true labels.

    The bar has as many of the first half of the seeds above it as have the label; the second half
    is predicted.
    """
    half = len(values) // 2
    ordered = np.concatenate([[-np.inf], np.sort(values[:half])])
    bar = ordered[half - int(labels[:half].sum())]
    return values[half:] > bar, labels[half:]


def strangers(own: Outcome, name: str) -> Row:
    """Null check: kappa of other seeds' linearizations with the verdicts (expected 0)."""
    linear, full = own.deceptive("linearized"), own.deceptive("full")
    half = len(full) // 2
    return agreement(
        f"{name}/linearized-other-seeds/kappa",
        f"{_said(name)}, linearizations of other seeds, with the verdict: kappa",
        (linear[:half], full[half : 2 * half]),
        kind="check",
        expected=0.0,
    )


def reading(kappa: Row) -> str:
    """Return the reading that a kappa supports: above or below one half, or undecided."""
    if kappa.undefined:
        return "not known (no kappa)"
    if kappa.low > HALF:
        return "there at the start (kappa above one half)"
    if kappa.high < HALF:
        return "made by training, as far as kappa tells (below one half)"
    return "not decided (the interval of kappa contains one half)"


def readings(kappas: dict[str, Row]) -> list[Sentence]:
    """List the kappas by the reading that they support, and those not above 0."""
    groups: dict[str, dict[str, Row]] = {}
    for name, kappa in kappas.items():
        groups.setdefault(reading(kappa), {})[name] = kappa
    said = []
    for supported, found in groups.items():
        listed = "; ".join(f"{name}: kappa {one}" for name, one in found.items())
        told = unseen(found.values(), HALF)
        said.append(say(f"What ends deceptive is {supported} in: {listed}{told}.", *found.values()))
    blind = {name: one for name, one in kappas.items() if not one.low > 0}
    if blind:
        text = f"Not shown to predict beyond chance what ends deceptive: {'; '.join(blind)}"
        text = f"{text}{unseen(blind.values())}."
        said.append(say(text, *blind.values()))
    return said


def _fraction(trained: Outcome, name: str, kind: str, *, num_intervals: int) -> Row:
    """Estimate the fraction of networks, or of linearizations, that ends deceptive."""
    key, said = ("", "") if kind == "full" else ("linearized/", "linearized, ")
    hits = trained.deceptive(kind)
    return share(
        f"{name}/{key}deceptive",
        f"{_said(name)}: {said}deceptive",
        hits,
        num_intervals=num_intervals,
    )


def _name(testbed: Testbed, width: int) -> str:
    return f"{testbed.name}_{width}"


def _said(name: str) -> str:
    return name.replace("_", " ")
