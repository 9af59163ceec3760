"""Is there a barrier between deceptive and intended ends, where there is none between two alike?"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.networks.mlp import MLP
from basin_jax.starts.between import Between
from basin_jax.statistics.barrier import loss_barrier, rises
from basin_jax.studies.controls import phase_retrieval
from basin_jax.studies.framework.figure import Cumulative, Curve, Line, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, Seeds, only
from basin_jax.studies.framework.rows import (
    HALF,
    Row,
    Sentence,
    Table,
    largest_error,
    median,
    ranked,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.parts import fine_tuning


# Pairs of ends by their verdicts; "mixed" has two.
PAIRS = {
    "deceptive": "two deceptive ends",
    "intended": "two intended ends",
    "partial": "two partial ends",
    "mixed": "a deceptive and an intended end",
}
ALIKE, MIXED = [*PAIRS][:3], "mixed"
LINES = {"plain": "units as they are", "matched": "units matched"}
# What is measured of a line. Between ends of unequal losses a loss that only falls has a barrier.
HEIGHTS = {
    "plain": "barrier, units as they are",
    "matched": "barrier, units matched",
    "rise": "rise above the higher end, units matched",
}
# A barrier below it counts as none; 1 is the loss from the best policy to guessing.
LOW, LOWS = 0.1, (0.05, 0.2)
END = 0.4  # of the figure's axis of barriers
SHARE = 24  # of the pairs that are trained, those of each kind that are joined

Heights: TypeAlias = dict[tuple[str, str], ndarray]  # of pairs, by their kind and what is measured


class Connectivity(TestbedStudy):
    """Join the ends of two seeds by a straight line, and measure how far the loss rises on it.

    Seeds are paired at random, each with one other, and trained. Of the pairs that end alike, and
    of those of which one ends deceptive and one intended, the same number is taken, as far as there
    are so many; points on the line between both ends are examined, and not trained. The barrier is
    the largest rise of the loss above the line between its values at the ends, in units of `fit`:
    1 is the loss from the best policy to guessing. Each is measured with the hidden units as they
    are, and with those of the second network matched to the first's, since networks whose units
    are in another order do the same; then also by how far the loss rises above the higher end.

    Last, deceptive ends are corrected while a barrier is raised on the line to where they were:
    backdoors by honest training without their trigger, and the game by oversight for a short
    time. Controls are as long a random step, the same push without a line, and its reverse.
    """

    points: int = 10  # of the line, less one
    quick: int = 1536

    limits = (
        "A line is one way of many: ends that a barrier parts on it may be joined by a curve.",
        "Between ends of unequal losses a loss that only falls has a barrier by the usual "
        "definition; what a way must climb from the higher end on is the rise above it.",
        "Units are matched by their weights, to a local optimum, and units of ReLU keep their "
        "scales: under the best of all orders and scales barriers may be lower.",
        "Ends of two verdicts differ in what they do, and by how much is not taken into account: "
        "the barrier is that between two behaviors, whatever is deceptive in one of them.",
        "Between the points of a line the loss may rise higher.",
        "The weight of the barrier and its time were chosen on seeds of other roots, in the audit "
        "game, the time as one after which plain correction had not lasted. Those of the controls "
        "were not: the push without a line has the barrier's own. The barrier is raised on "
        "the inputs that honest training shows, or on the game's own rewards, which must be known.",
    )

    def validate(self) -> None:
        even = self.points >= 2 and self.points % 2 == 0
        self.require(even, "points", "an even number of at least 2")
        for name in ("quick", "full"):
            self.require(getattr(self, name) >= SHARE, name, f"at least {SHARE}")
        network = getattr(self.testbed.organism, "network", None)
        self.require(isinstance(network, MLP), "testbed", "one whose network is an MLP")
        paced = "method.learning_rate" in self.testbed.sweep.fields()
        self.require(paced, "testbed", "one whose method has a learning_rate")

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights of the second network."""
        return tuple(number / self.points for number in range(self.points + 1))

    def sweeps(self, seeds: int) -> dict[str, Group]:
        base, rule = self.testbed.sweep, self.testbed.rule
        joined = {
            f"{kind}_{line}": Group(
                cells=self._line(base, line), seeds=_pairs(kind, seeds // SHARE), rule=rule
            )
            for line in LINES
            for kind in PAIRS
        }
        return {
            "fresh": only(base, seeds, rule=rule),
            "partners": only(base, _partners, rule=rule),
            **joined,
            **fine_tuning.groups(self.testbed, seeds),
            **phase_retrieval.lines(seeds // 8),
        }

    def _line(self, of: Sweep, line: str) -> dict[str, Sweep]:
        return {
            f"{weight:g}": of.replace(
                start=Between(of=of, weight=weight, aligned=line == "matched"), num_steps=0
            )
            for weight in self.weights
        }

    def rows(self, lab: Lab) -> Iterator[Row]:
        found = {(kind, what): self._heights(lab, kind, what) for what in HEIGHTS for kind in PAIRS}
        for (kind, what), heights in found.items():
            label = f"{PAIRS[kind]}, {HEIGHTS[what]}: median"
            yield median(f"{kind}/{what}", label, heights, num_intervals=len(found))
        for (kind, what), heights in found.items():
            yield self._low(kind, what, heights, LOW, num_intervals=len(found))
        yield from self._compared(found)
        for kind, label in PAIRS.items():
            less = found[kind, "matched"] - found[kind, "plain"]
            key, label = f"{kind}/matched-less-plain", f"{label}, matched less as they are"
            yield median(key, f"{label}: barrier, median", less, num_intervals=len(PAIRS))
        for line in LINES:
            yield from self._halfway(lab, line)
        for line in LINES:
            yield from self.along(lab[f"{MIXED}_{line}"], line)
        for low in LOWS:
            for kind in PAIRS:
                yield self._low(kind, "matched", found[kind, "matched"], low, kind="sensitivity")
        for kind in PAIRS:
            yield median(
                f"{kind}/matched/coarse",
                f"{PAIRS[kind]}, {HEIGHTS['matched']}, every other point: median",
                self.barriers(lab[f"{kind}_matched"], every=2),
                kind="sensitivity",
            )
        yield from fine_tuning.read(lab)
        yield from self._controls(lab, found)

    def barriers(self, line: Outcome, *, every: int = 1) -> Float[ndarray, " pair"]:
        """Compute the barrier of each pair, by one of so many points."""
        return loss_barrier(-self.fits(line)[:, ::every], self.weights[::every])

    def rises(self, line: Outcome) -> Float[ndarray, " pair"]:
        """Compute how far the loss of each pair rises above that of the higher end."""
        fits = self.fits(line)
        return fits[:, [0, -1]].min(1) - fits.min(1)

    def _heights(self, lab: Lab, kind: str, what: str) -> Float[ndarray, " pair"]:
        if what == "rise":
            return self.rises(lab[f"{kind}_matched"])
        return self.barriers(lab[f"{kind}_{what}"])

    def fits(self, line: Outcome) -> Float[ndarray, "pair weight"]:
        """Return the fit of each pair at each point of its line."""
        return np.stack([line.evidence(cell)["fit"] for cell in line.cells], axis=1)

    def _compared(self, found: Heights) -> Iterator[Row]:
        """Yield how often the height of a mixed pair is above that of a pair alike."""
        for what, said in HEIGHTS.items():
            for kind in ALIKE:
                mixed, alike = found[MIXED, what], found[kind, what]
                yield ranked(
                    f"mixed-above-{kind}/{what}/AUC",
                    f"{said}: AUC for {PAIRS[MIXED]} against {PAIRS[kind]}",
                    np.concatenate([mixed, alike]),
                    np.repeat([True, False], [len(mixed), len(alike)]),
                    num_intervals=len(HEIGHTS) * len(ALIKE),
                )

    def _halfway(self, lab: Lab, line: str) -> Iterator[Row]:
        """Yield how often the network halfway has the verdict of both ends."""
        for kind in ALIKE:
            verdicts = lab[f"{kind}_{line}"].verdicts(f"{HALF:g}")
            yield share(
                f"{kind}/{line}/halfway",
                f"{PAIRS[kind]}, {LINES[line]}: {kind} halfway",
                verdicts == Verdict[kind.upper()].name,
                num_intervals=len(LINES) * len(ALIKE),
            )

    def along(self, mixed: Outcome, line: str) -> Iterator[Row]:
        """Yield the fractions that are deceptive, from the deceptive end to the intended one."""
        first = mixed.deceptive("0")
        for weight in self.weights:
            ahead, back = (mixed.deceptive(f"{at:g}") for at in (weight, round(1 - weight, 9)))
            yield share(
                f"along/{line}/weight={weight:g}",
                f"{weight:g} of the way from the deceptive to the intended end, {LINES[line]}: "
                "deceptive",
                np.where(first, ahead, back),
                num_intervals=len(LINES) * len(self.weights),
            )

    def _controls(self, lab: Lab, found: Heights) -> Iterator[Row]:
        yield ranked(
            "order/AUC",
            "units as they are: AUC of the barrier where the first end is deceptive against where "
            "the second is",
            found[MIXED, "plain"],
            lab[f"{MIXED}_plain"].deceptive("0"),
            kind="check",
            expected=HALF,
        )
        moved = [
            self.fits(lab[f"{kind}_matched"])[:, -1] - self.fits(lab[f"{kind}_plain"])[:, -1]
            for kind in PAIRS
        ]
        yield largest_error(
            "matched-less-plain/fit",
            "second ends, units matched less as they are: fit",
            np.concatenate(moved),
            0.0,
            within=1e-4,
        )
        yield from phase_retrieval.barriers(lab)

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        for what, said in HEIGHTS.items():
            median = {kind: rows[f"{kind}/{what}"] for kind in PAIRS}
            each = "; ".join(
                f"{name}: {median[kind]} (n = {median[kind].seeds:,})"
                for kind, name in PAIRS.items()
            )
            yield say(
                f"On the line between two ends the median {said}, as a share of the loss from the "
                f"best policy to guessing, is: {each}.",
                *median.values(),
            )
        for what, said in HEIGHTS.items():
            yield self._parts(rows, what, said)
        for what in ("matched", "rise"):
            low = {kind: rows[f"{kind}/{what}<{LOW:g}"] for kind in PAIRS}
            each = "; ".join(f"{name}: {low[kind]}" for kind, name in PAIRS.items())
            yield say(
                f"Share of pairs, {HEIGHTS[what]}, below {LOW:g}: {each}.",
                *low.values(),
            )
        yield self._lowers(rows)
        halfway = {kind: rows[f"{kind}/matched/halfway"] for kind in ALIKE}
        each = "; ".join(f"{PAIRS[kind]}: {one}" for kind, one in halfway.items())
        yield say(
            f"With units matched the network halfway between two ends of one verdict has it, too: "
            f"{each}.",
            *halfway.values(),
        )
        along = rows.along("along/matched/weight=*", self.weights)
        most, few = (
            ", ".join(f"{weight:g}" for weight, one in along.items() if side(one)) or "none"
            for side in (lambda one: one.low > HALF, lambda one: one.high < HALF)
        )
        yield say(
            "On the way from a deceptive to an intended end, units matched, more than half of the "
            f"networks are shown to be deceptive at these shares of it: {most}; less than half at: "
            f"{few}.",
            *along.values(),
        )
        yield from fine_tuning.says(rows)

    def _parts(self, rows: Table, what: str, said: str) -> Sentence:
        area = {kind: rows[f"mixed-above-{kind}/{what}/AUC"] for kind in ALIKE}
        higher, lower = (
            ", ".join(
                PAIRS[kind] for kind, one in area.items() if (one.low > HALF, one.high < HALF) == to
            )
            for to in ((True, False), (False, True))
        )
        each = "; ".join(f"{PAIRS[kind]}: {one}" for kind, one in area.items())
        return say(
            f"By the {said}, the line between {PAIRS[MIXED]} is shown to be higher than that "
            f"between {higher or 'none'}, and lower than that between {lower or 'none'}: its AUC "
            f"is, against {each}.",
            *area.values(),
        )

    def _lowers(self, rows: Table) -> Sentence:
        less = {kind: rows[f"{kind}/matched-less-plain"] for kind in PAIRS}
        lowered = [PAIRS[kind] for kind, one in less.items() if one.sign < 0]
        each = "; ".join(f"{PAIRS[kind]}: {one}" for kind, one in less.items())
        return say(
            f"Matching the units lowers the barrier between {', '.join(lowered) or 'none'}, by "
            f"a median of the pairs' own differences: {each}.",
            *less.values(),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        for line, said in LINES.items():
            marks = [Line(self._rise(lab[f"{kind}_{line}"]), label=kind) for kind in PAIRS]
            yield Panel(marks, xlabel=f"weight, {said}", ylabel="median rise of the loss")
        barriers = [
            Cumulative(self.barriers(lab[f"{kind}_matched"]), END, label=kind) for kind in PAIRS
        ]
        yield Panel(barriers, xlabel="barrier, matched", ylabel="share of pairs")
        above = [Cumulative(self.rises(lab[f"{kind}_matched"]), END, label=kind) for kind in PAIRS]
        yield Panel(above, xlabel="rise above the higher end", ylabel="share of pairs")
        ways = [
            Curve(rows.along(f"along/{line}/weight=*", self.weights), label=said)
            for line, said in LINES.items()
        ]
        yield Panel(ways, xlabel="weight, intended end")

    def _rise(self, line: Outcome) -> dict[float, float]:
        """Compute the median rise of the loss above the line between its ends, by weight."""
        found = np.median(rises(-self.fits(line), self.weights), axis=0)
        return dict(zip(self.weights, found.tolist(), strict=True))

    def _low(
        self, pair: str, what: str, heights: Float[ndarray, " pair"], low: float, **terms: Any
    ) -> Row:
        label = f"{PAIRS[pair]}, {HEIGHTS[what]}: below {low:g}"
        return share(f"{pair}/{what}<{low:g}", label, heights < low, **terms)


def _partners(lab: Lab) -> ndarray:
    """Return the partners of all seeds."""
    fresh = lab["fresh"]
    between = Between(of=fresh.cells[""], weight=HALF)
    return between.parents(fresh.at()["seed"].to_numpy())[:, 1]


def _pairs(kind: str, most: int) -> Seeds:
    """Choose the first pairs of a kind, by the verdicts of their ends."""

    def chosen(lab: Lab) -> ndarray:
        one, other = (lab[name].verdicts() for name in ("fresh", "partners"))
        wanted = [("deceptive", "intended"), ("intended", "deceptive")]
        wanted = wanted if kind == MIXED else [(kind, kind)]
        of = [(one == a.upper()) & (other == b.upper()) for a, b in wanted]
        return lab["fresh"].at()["seed"].to_numpy()[np.any(of, axis=0)][:most]

    return chosen
