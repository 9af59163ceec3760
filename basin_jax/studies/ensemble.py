"""Does learning pick one of the circuits that are there at the start, or does it make them?"""

from collections.abc import Iterator, Mapping

import numpy as np

from basin_jax.methods.gradient import Gradient
from basin_jax.methods.langevin import Langevin
from basin_jax.studies.controls import ticket_race
from basin_jax.studies.framework.figure import INK, Curve, Forest, Level, Line, Mark, Panel
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
from basin_jax.studies.parts.linearizations import (
    Labels,
    above,
    given,
    linearized,
    name_of,
    readings,
    strangers,
    written,
)


# The length of a walk's step by its temperature: the gradient's part of it is the same at each.
PACE = 8.0
LEAST = 16  # seeds of a group, however wide its network
PRIOR = 1e3  # a temperature at which nothing but the prior is left


class Ensemble(TestbedStudy):
    """Compare the networks that training finds with those present at the start.

    In the ticket race one deceptive path races against honest ones. Which of them wins is decided
    at the start: the deceptive one is there, but outnumbered, and how often it wins is known. In
    the audit game networks of several widths are trained beside their linearizations, which start
    alike but keep the features that they start with. How far the verdicts of both, deceptive or
    not, agree on the same seeds is told by how often a network ends deceptive where its
    linearization does and where it does not, and beyond chance by kappa. Wide networks are dear:
    above the testbed's own width the number of seeds falls with the square of the width. Then the
    fraction that descent finds is compared with that of a walk through the posterior, by its
    temperature.
    """

    honest: tuple[int, ...] = (1, 3, 7, 15)  # tickets, against one that is deceptive
    widths: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    temperatures: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    other: Testbed = INSPECTION
    quick: int = 2048
    full: int = 10_240

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
        wide = {name_of(self.testbed, width): self.testbed.of_width(width) for width in self.widths}
        other = self.other.width
        return wide | {name_of(self.other, other): self.other.of_width(other)}

    @property
    def own(self) -> str:
        """The name of the testbed's own network."""
        return name_of(self.testbed, self.testbed.width)

    def _seeds(self, network: Testbed, seeds: int) -> int:
        """Return the seeds of a network: fewer where it is wider than the testbed's own."""
        if network.name != self.testbed.name:
            return seeds
        return max(int(seeds * min(self.testbed.width / network.width, 1) ** 2), LEAST)

    def sweeps(self, seeds: int) -> dict[str, Group]:
        testbed, steps = self.testbed, self.testbed.num_steps
        few = max(seeds // 16, LEAST)
        pairs = {
            name: Group(
                cells={
                    kind: one.sweep.replace(save_at=(0,))
                    for kind, one in (("full", wide), ("linearized", linearized(wide)))
                },
                seeds=self._seeds(wide, seeds),
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
            **ticket_race.races(self.honest, seeds),
            **pairs,
            "walks": Group(cells=walks, seeds=few, rule=testbed.rule),
            "overseen": only(overseen, few, rule=testbed.rule),
        }

    def rows(self, lab: Lab) -> Iterator[Row]:
        names, own = [*self.networks], lab[self.own]
        yield from (_fraction(lab[name], name, "full", num_intervals=len(names)) for name in names)
        for name in names:
            yield lab[name].shares("full", name, written(name), num_intervals=len(names))[1]
        yield from self.wider(lab)
        yield from (
            _fraction(lab[name], name, "linearized", num_intervals=len(names)) for name in names
        )
        fit = [is_fit(lab[name].verdicts("linearized")) for name in names]
        yield share("linearized/fit", "all linearizations: fit", np.concatenate(fit))
        for name in names:
            yield from given(lab[name], name, num_intervals=2 * len(names))
        leads = ticket_race.leads(lab, self.honest)
        yield from self.kappas(lab, leads)
        yield agreement(
            f"{self.own}/gap/kappa",
            f"{written(self.own)}, gap at the start, with the verdict: kappa",
            above(own.evidence("full", 0)["margin"], own.deceptive("full")),
        )
        yield from self._walks(lab)
        yield from own.thresholds("full", self.own, written(self.own))
        said = f"{written(self.own)}, linearized"
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

    def wider(self, lab: Lab) -> Iterator[Row]:
        """Yield the paired differences of other widths from the testbed's own."""
        others = [width for width in self.widths if width != self.testbed.width]
        for width in others:
            name = name_of(self.testbed, width)
            there = lab[name].deceptive("full")
            yield difference(
                f"{name}/less-own/deceptive",
                f"{written(name)} less {written(self.own)}: deceptive",
                lab[self.own].deceptive("full")[: len(there)],
                there,
                num_intervals=len(others),
            )

    def kappas(self, lab: Lab, leads: tuple[Labels, Labels]) -> list[Row]:
        """Estimate the kappa between predictions from the start and verdicts."""
        labels = {("ticket-race/leader", "ticket race, leader at the start"): leads} | {
            (f"{name}/linearized", f"{written(name)}, linearized"): (
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
        descent = lab[self.own].deceptive("full")[: len(walks.at(heats[0]))]
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
            f"{written(name)} {one}, linearized {linear[name]}" for name, one in full.items()
        )
        yield say(
            f"By network (organism and width) the fraction that ends deceptive is: {listed}.",
            *(*full.values(), *linear.values()),
        )
        yield self._says_of_widths(rows)
        yield self._says_of_given(rows)
        keys = {"ticket race, by its leader at the start": "ticket-race/leader"} | {
            f"{written(name)}, by its linearization": f"{name}/linearized" for name in self.networks
        }
        yield from readings({name: rows[f"{key}/kappa"] for name, key in keys.items()})
        gap = rows[f"{self.own}/gap/kappa"]
        yield say(
            f"The gap of {written(self.own)} at the start predicts it with a kappa of {gap}.",
            gap,
        )
        yield self._says_of_walks(rows, full[self.own])

    def _says_of_widths(self, rows: Table) -> Sentence:
        others = [width for width in self.widths if width != self.testbed.width]
        moved = rows.along(f"{self.testbed.name}_*/less-own/deceptive", others)
        said = {1: "more", -1: "less", 0: "not shown to be more or less"}
        listed = "; ".join(f"at {width} {said[one.sign]}, {one}" for width, one in moved.items())
        return say(
            f"Beside {written(self.own)}, on the same seeds, the deceptive fraction is by width: "
            f"{listed}{unseen(moved.values())}.",
            *moved.values(),
        )

    def _says_of_given(self, rows: Table) -> Sentence:
        there, other = (
            {name: rows[f"{name}/given-{of}/deceptive"] for name in self.networks}
            for of in ("deceptive", "other")
        )
        listed = "; ".join(
            f"{written(name)} {one} and {other[name]}" for name, one in there.items()
        )
        return say(
            "How often a network ends deceptive, where its linearization does and where it does "
            f"not: {listed}.",
            *there.values(),
            *other.values(),
        )

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
        yield from self._width_panels(rows)
        kappas = {"ticket race, leader": rows["ticket-race/leader/kappa"]}
        other = name_of(self.other, self.other.width)
        for name in (self.own, other):
            kappas[f"{written(name)}, linearized"] = rows[f"{name}/linearized/kappa"]
        kappas[f"{written(self.own)}, gap"] = rows[f"{self.own}/gap/kappa"]
        yield Panel(
            [Forest(kappas), Level(HALF, axis="x")],
            xlabel="kappa with the verdict",
            limits=(-0.03, 1.03),
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

    def _width_panels(self, rows: Table) -> Iterator[Panel]:
        """Declare the fractions, the kappa and what a linearization tells, by width."""
        axis = {"xlabel": f"width ({self.testbed.name})", "xscale": "log", "ticks": self.widths}

        def curves(keys: Mapping[str, str]) -> list[Mark]:
            found = {
                label: rows.along(f"{self.testbed.name}_*/{key}", self.widths)
                for label, key in keys.items()
            }
            # Where no linearization is deceptive nothing is known of those that are.
            return [
                Curve({w: one for w, one in each.items() if not one.undefined}, label=label)
                for label, each in found.items()
            ]

        ends = {"network": "deceptive", "linearized": "linearized/deceptive"}
        yield Panel(curves(ends), limits=(0.0, None), **axis)
        kappa = curves({"": "linearized/kappa"})
        yield Panel([*kappa, Level(HALF)], ylabel="kappa with the linearized", **axis)
        given = {
            "linearization deceptive": "given-deceptive/deceptive",
            "not deceptive": "given-other/deceptive",
        }
        yield Panel(curves(given), ylabel="network deceptive", **axis)


def _fraction(trained: Outcome, name: str, kind: str, *, num_intervals: int) -> Row:
    """Estimate the fraction of networks, or of linearizations, that ends deceptive."""
    key, said = ("", "") if kind == "full" else ("linearized/", "linearized, ")
    hits = trained.deceptive(kind)
    return share(
        f"{name}/{key}deceptive",
        f"{written(name)}: {said}deceptive",
        hits,
        num_intervals=num_intervals,
    )
