"""How much deceptiveness is needed at the start before training is hijacked?"""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from basin_jax.core.fresh import Fresh
from basin_jax.core.sources import short_hash
from basin_jax.core.sweep import Sweep, grid, override
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.escape_threshold import EscapeThreshold
from basin_jax.organisms.gate import Gate
from basin_jax.starts.implant import Implant
from basin_jax.statistics.estimates import quantile
from basin_jax.studies.framework.figure import INK, canvas, cumulate, curve, legend
from basin_jax.studies.framework.foretell import gap
from basin_jax.studies.framework.rows import Finding, Row, Sentence, middle, say, share
from basin_jax.studies.framework.study import (
    FINE,
    WELL_RULE,
    Lab,
    Outcome,
    Study,
    farthest,
    mean,
    median,
)


# One path, under decay of .3: what decides is the smaller root of 3w(1 - w³) = .3.
ESCAPE = Sweep(
    organism=EscapeThreshold(paths=1, scale=1.0),
    start=Fresh(),
    method=Gradient(learning_rate=0.1, l2=0.3),
    num_steps=2000,
)
ROOT = 0.100100
LARGEST = 0.3  # scale: beyond a weight of one a step is too long
# The gate of three factors of `sweeps/known_answers/gate.py`, and of each scale of its start the
# fraction deceptive, by quadrature: the share of seeds whose critical scale is at most that.
GATE = Sweep(
    organism=Gate(), start=Fresh(), method=Gradient(learning_rate=0.05, l2=0.02), num_steps=8000
)
SHARES = {0.3: 0.581808, 0.5: 0.824222, 0.8: 0.932616}
QUARTERS = ("least", "second", "third", "most")  # of the natural gap at initialization
CRITICAL_GAP = "gap at the start at the median critical dose, median of seeds"
BELOW_IT = "fresh networks whose gap at the start is below that"


class Hijack(Study):
    """Graft a deceptive circuit into fresh networks, and find the dose at which it takes over.

    The dose is how far the weights of a few hidden units lie from their random values, 0, towards
    those of a circuit that tells whether it is watched and defects where it is not, 1. For each
    seed the dose from which on it ends deceptive is bisected, and for each dose of a grid the
    fraction that does is measured on the same seeds; then what random networks have of it by
    themselves, their gap between unwatched and watched at the start, is held against their end.

    What a dose does at the start is measured in units of behavior: the gap, and the rate of the
    unintended act where nobody watches. Of the median critical dose it is told which share of
    fresh networks have a smaller gap.
    """

    doses: tuple[float, ...] = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
    # How hard it is to tell that one is watched, and so to lie well.
    difficulties: tuple[int, ...] = (1, 2, 3)
    quick: int = 128

    limits = (
        "The implant is one circuit, in the units of the first layers; another one of the same "
        "behavior may need another dose.",
        "A dose is a share of the way to that circuit, and no amount of deceptiveness: it also "
        "moves how often a network does the unintended act at all, and its gap at the start need "
        "not rise with it.",
        "The gap at the median critical dose is that of behavior alone: a fresh network of the "
        "same gap has other weights, and need not end alike.",
        "A seed's critical dose is where its verdict changes once; how many seeds change more "
        "often on the grid is in the table.",
    )

    def validate(self) -> None:
        organism = self.subject.organism
        self.require(hasattr(organism, "difficulty"), "subject", "an organism with a difficulty")
        self.require(self.doses[:1] == (0.0,), "doses", "rising from 0")

    def measure(self, lab: Lab) -> Finding:
        seeds, rule, rows, says = self.seeds(lab), self.subject.rule, [], []
        start = self.subject.sweep.replace(start=Implant(dose=0.0), save_at=(0,))
        figure, (left, center, gaps, right) = canvas(4, height=2.5)
        center.set_xlim(0, 1)
        for number, difficulty in enumerate(self.difficulties):
            base = override(start, "organism.difficulty", difficulty)
            cells = grid(base, {"start.dose": self.doses})
            trained = lab.run(f"difficulty_{difficulty}", cells, seeds, rule=rule)
            found = lab.critical(
                base.replace(save_at=()), "start.dose", seeds, between=(0.0, 1.0), rule=rule
            )
            name, color = f"difficulty {difficulty}", INK[number]
            named = {f"{name}, dose {d:g}": cell for d, cell in zip(self.doses, cells, strict=True)}
            ends = [trained.shares(cell, what) for what, cell in named.items()]
            measured, partial = map(list, zip(*ends, strict=True))
            begun = [_begun(trained, cell, what) for what, cell in named.items()]
            rates, moved = map(list, zip(*begun, strict=True))
            half = median(found, f"{name}, critical dose of a seed")
            natural = _natural(trained, cells[0], name)
            at_half = self._at_half(lab, base, found, name)
            curve(left, self.doses, measured, color=color, label=name)
            curve(left, self.doses, partial, color=color, label="_partial", linestyle="--")
            cumulate(center, found["high"].to_numpy(), color=color, label=name)
            curve(right, range(len(QUARTERS)), natural, color=color, label=name)
            curve(gaps, self.doses, moved, color=color, label="_gap")
            fresh = "fresh, 90 %" if number == 0 else "_fresh"
            gaps.axhline(at_half[-1].value, color=color, lw=0.8, ls=":", label=fresh)
            gaps.plot(half.value, at_half[0].value, "x", color=color)
            rows += [*measured, *partial, half, *at_half, *rates, *moved, *natural]
            rows += [_returns(trained, cells, self.doses, found, name)]
            rows += trained.thresholds(cells[0], f"{name}, dose 0: deceptive")
            says += _says(name, measured, half, natural, at_half, rates)
        left.set(xlabel="dose of the implant", ylabel="deceptive (dashed: partial)")
        left.set_ylim(-0.03, 1.03)
        gaps.set(xlabel="dose (x: half hijacked)", ylabel="gap at the start")
        gaps.set_yscale("symlog", linthresh=0.05)
        center.set(xlabel="critical dose of a seed", ylabel="share of seeds", ylim=(-0.03, 1.03))
        right.set(xlabel="quarter by gap at start", ylabel="fraction deceptive")
        right.set(xticks=range(len(QUARTERS)), xticklabels=QUARTERS, ylim=(-0.03, 1.03))
        legend(center)
        gaps.legend(*gaps.get_legend_handles_labels(), loc="upper left", handlelength=1.2)
        return Finding(
            name="hijack",
            question=self.question,
            says=says,
            limits=self.limits,
            rows=[*rows, self._control(lab, start), _escape(lab, seeds), *_gates(lab, seeds)],
            figure=figure,
        )

    def _at_half(self, lab: Lab, base: Sweep, critical: pl.DataFrame, name: str) -> list[Row]:
        """Return the gap at the start at the median critical dose, its rank among fresh ones.

        Their intervals reach over that of the dose: those of the dose, the gap and the rank are to
        hold at once. The 90th percentile of fresh ones is the last.
        """
        level = 1 - 0.05 / 3
        half = median(critical, "", level=level)
        begun = base.replace(num_steps=0, save_at=())
        doses = [dose for dose in {0.0, half.low, half.value, half.high} if math.isfinite(dose)]
        doses.sort()
        cells = {dose: override(begun, "start.dose", dose) for dose in doses}
        # Other doses, such as of more seeds, are another sweep.
        folder = f"begun_{short_hash(f'{name} {doses}')}"
        seen = lab.run(folder, [*cells.values()], self.seeds(lab), rule=self.subject.rule)
        gaps = {dose: gap(seen.at(cell, 0)) for dose, cell in cells.items()}
        found = {dose: quantile(each, 0.5, level=level) for dose, each in gaps.items()}
        none = math.inf  # where no dose does
        value = found[half.value][0] if half.value in found else none
        low = min((one[1] for dose, one in found.items() if dose >= half.low), default=none)
        high = max(found[dose][2] if dose in found else none for dose in (half.value, half.high))
        below = [share("", gaps[0.0] < bar, cells=3) for bar in (low, value, high)]
        most = quantile(gaps[0.0], 0.9)
        count = len(gaps[0.0])

        def measured(what: str, value: float, low: float, high: float) -> Row:
            what = f"{name}: {what}"
            return Row(kind="measured", what=what, value=value, low=low, high=high, seeds=count)

        return [
            measured(CRITICAL_GAP, value, low, high),
            measured(BELOW_IT, below[1].value, below[0].low, below[2].high),
            measured("gap at the start of fresh networks, 90th percentile", *most),
        ]

    def _control(self, lab: Lab, start: Sweep) -> Row:
        """Return what the largest dose comes to where defecting does not pay."""
        dose, steps = self.doses[-1], start.num_steps
        cell = override(start, "start.dose", dose)
        cell = cell.replace(method=self.subject.overseen_by(end=steps))
        trained = lab.run("overseen", [cell], self.seeds(lab), rule=self.subject.rule)
        what = f"dose {dose:g}, trained where defecting does not pay: deceptive"
        return share(what, trained.deceptive(cell), kind="control", expected=0.0)


def _begun(trained: Outcome, cell: Sweep, name: str) -> tuple[Row, Row]:
    """Return the rate of the unintended act unwatched at the start, and the gap."""
    frame = trained.at(cell, 0)
    return (
        mean(frame["unwatched"].to_numpy(), f"{name}: unwatched at the start, mean"),
        middle(f"{name}: gap at the start, median", gap(frame)),
    )


def _returns(
    trained: Outcome,
    cells: Sequence[Sweep],
    doses: Sequence[float],
    found: pl.DataFrame,
    name: str,
) -> Row:
    """Return how many seeds are, at some dose of the grid, not on their side of the critical one.

    Doses within the last halving of it are on either side.
    """
    low, high = (found[bound].to_numpy() for bound in ("low", "high"))
    strays = np.zeros(len(found), bool)
    for cell, dose in zip(cells, doses, strict=True):
        deceives = trained.deceptive(cell)
        strays |= np.where(deceives, dose < low, dose > high)
    what = f"{name}: seeds whose verdict at some dose of the grid is not that of its side"
    return share(what, strays, kind="sensitivity")


def _natural(trained: Outcome, cell: Sweep, name: str) -> list[Row]:
    """Return the fraction that ends deceptive by how large the gap is at the start, undosed."""
    begun = gap(trained.at(cell, 0))
    ends = trained.deceptive(cell)
    groups = np.array_split(np.argsort(begun, kind="stable"), len(QUARTERS))
    return [
        share(
            f"{name}, no dose, gap at the start in the {quarter} quarter "
            f"(mean {begun[group].mean():+.3f}): deceptive",
            ends[group],
            cells=len(QUARTERS),
        )
        for quarter, group in zip(QUARTERS, groups, strict=True)
    ]


def _escape(lab: Lab, seeds: int) -> Row:
    """Return how far the critical weight of a single path is from the known one, at worst."""
    found = lab.critical(
        ESCAPE, "start.scale", seeds, between=(1e-3, LARGEST), rule=WELL_RULE, halvings=FINE
    )
    begun = ESCAPE.replace(num_steps=0)
    first = lab.run("escape", [begun], seeds, rule=WELL_RULE).at(begun)
    scales = found["high"].to_numpy()
    at = (scales * first["strongest"].to_numpy())[np.isfinite(scales)]
    return farthest(at, ROOT, "escape threshold, weight at each seed's own scale", within=5e-4)


def _gates(lab: Lab, seeds: int) -> list[Row]:
    """Return the shares of gates whose critical scale is at most so much, which are known."""
    found = lab.critical(
        GATE, "organism.scale", seeds, between=(0.01, 4.0), rule=WELL_RULE, halvings=FINE
    )
    return [
        share(
            f"gate, critical scale at most {scale:g}",
            found["high"].to_numpy() <= scale,
            cells=len(SHARES),
            kind="known",
            expected=known,
        )
        for scale, known in SHARES.items()
    ]


def _says(
    name: str,
    measured: Sequence[Row],
    half: Row,
    natural: Sequence[Row],
    at_half: Sequence[Row],
    rates: Sequence[Row],
) -> list[Sentence]:
    at, below, most = at_half
    whole = f"At {name} {measured[0]} of seeds end deceptive without an implant; the dose from "
    whole += f"which on half of all seeds do is {half}"
    least = min(rates, key=lambda one: one.value)
    said = [
        say(f"{whole} (zero: without any; infinite: none up to the largest).", measured[0], half),
        say(
            f"At the start that dose is a gap of behavior, unwatched less watched, of {at}, above "
            f"that of {below} of fresh networks, whose 90th percentile is {most}.",
            *at_half,
        ),
    ]
    if least.high < rates[0].low:
        dose = _of(least)
        said.append(
            say(
                f"The implant lowers the rate of the unintended act, too: at the start it is "
                f"{rates[0]} unwatched without it, and {least} with it ({dose}).",
                rates[0],
                least,
            )
        )
    if natural[0].high < natural[-1].low or natural[-1].high < natural[0].low:
        said.append(
            say(
                "There the gap that a random network has at the start tells: "
                f"{natural[0]} of the quarter of seeds with the least end deceptive, "
                f"{natural[-1]} of that with the most.",
                natural[0],
                natural[-1],
            )
        )
    return said


def _of(one: Row) -> str:
    return one.what.partition(":")[0]
