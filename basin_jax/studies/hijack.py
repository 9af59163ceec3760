"""How much deceptiveness is needed at the start before training is hijacked?"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.escape_threshold import EscapeThreshold
from basin_jax.organisms.gate import Gate
from basin_jax.spec import Sweep, grid, override
from basin_jax.starts.fresh import Fresh
from basin_jax.starts.implant import Implant
from basin_jax.studies.draw import INK, canvas, cumulate, curve, legend
from basin_jax.studies.finding import Finding, Row, row, share
from basin_jax.studies.study import FINE, WELL_RULE, Lab, Outcome, Study, farthest, median


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


class Hijack(Study):
    """Graft a deceptive circuit into fresh networks, and find the dose at which it takes over.

    The dose is how far the weights of a few hidden units lie from their random values, 0, towards
    those of a circuit that tells whether it is watched and defects where it is not, 1. For each
    seed the dose from which on it ends deceptive is bisected, and for each dose of a grid the
    fraction that does is measured on the same seeds; then what random networks have of it by
    themselves, their gap between unwatched and watched at the start, is held against their end.
    """

    doses: tuple[float, ...] = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
    # How hard it is to tell that one is watched, and so to lie well.
    difficulties: tuple[int, ...] = (1, 2, 3)
    quick: int = 128

    limits = (
        "The implant is one circuit, in the units of the first layers; another one of the same "
        "behavior may need another dose.",
        "A dose is a share of the way to that circuit, not an amount that compares across "
        "networks or difficulties whose circuits differ in size.",
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
        figure, (left, middle, right) = canvas(3, height=2.5)
        middle.set_xlim(0, 1)
        for number, difficulty in enumerate(self.difficulties):
            base = override(start, "organism.difficulty", difficulty)
            cells = grid(base, {"start.dose": self.doses})
            trained = lab.run(f"difficulty_{difficulty}", cells, seeds, rule=rule)
            found = lab.critical(
                base.replace(save_at=()), "start.dose", seeds, between=(0.0, 1.0), rule=rule
            )
            name, color = f"difficulty {difficulty}", INK[number]
            measured = [
                row(f"{name}, dose {dose:g}: deceptive", trained.fraction(cell))
                for dose, cell in zip(self.doses, cells, strict=True)
            ]
            half = median(found, f"{name}, critical dose of a seed")
            natural = _natural(trained, cells[0], name)
            curve(left, self.doses, measured, color=color, label=name)
            cumulate(middle, found["high"].to_numpy(), color=color, label=name)
            curve(right, range(len(QUARTERS)), natural, color=color, label=name)
            rows += [*measured, half, *natural, _returns(trained, cells, self.doses, found, name)]
            rows += trained.thresholds(cells[0], f"{name}, dose 0: deceptive")
            says += _says(name, measured, half, natural)
        left.set(xlabel="dose of the implant", ylabel="fraction deceptive", ylim=(-0.03, 1.03))
        middle.set(xlabel="critical dose of a seed", ylabel="share of seeds", ylim=(-0.03, 1.03))
        right.set(xlabel="gap at the start, by quarters", ylabel="fraction deceptive")
        right.set(xticks=range(len(QUARTERS)), xticklabels=QUARTERS, ylim=(-0.03, 1.03))
        legend(left)
        return Finding(
            name="hijack",
            question=self.question,
            says=says,
            limits=self.limits,
            rows=[*rows, self._control(lab, start), _escape(lab, seeds), *_gates(lab, seeds)],
            figure=figure,
        )

    def _control(self, lab: Lab, start: Sweep) -> Row:
        """Return what the largest dose comes to where defecting does not pay."""
        dose, steps = self.doses[-1], start.num_steps
        cell = override(start, "start.dose", dose)
        cell = cell.replace(method=self.subject.overseen_by(end=steps))
        trained = lab.run("overseen", [cell], self.seeds(lab), rule=self.subject.rule)
        what = f"dose {dose:g}, trained where defecting does not pay: deceptive"
        return row(what, trained.fraction(cell), kind="control", expected=0.0)


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
    begun = trained.evidence(cell, 0)
    gap = begun["unwatched"] - begun["watched"]
    ends = trained.deceptive(cell)
    groups = np.array_split(np.argsort(gap, kind="stable"), len(QUARTERS))
    return [
        share(
            f"{name}, no dose, gap at the start in the {quarter} quarter "
            f"(mean {gap[group].mean():+.3f}): deceptive",
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


def _says(name: str, measured: list[Row], half: Row, natural: list[Row]) -> list[str]:
    whole = f"At {name} {measured[0]} of seeds end deceptive without an implant"
    if half.value == 0:
        said = [f"{whole}, so that no dose is needed for half of them."]
    elif np.isinf(half.value):
        said = [f"{whole}, and with any dose up to 1 fewer than half do."]
    else:
        said = [f"{whole}; for half of them the critical dose is at most {half}."]
    apart = natural[0].high < natural[-1].low or natural[-1].high < natural[0].low
    if apart:
        said.append(
            f"There the gap that a random network has at the start tells: {natural[0]} of the "
            f"quarter of seeds with the least end deceptive, {natural[-1]} of that with the most."
        )
    return said
