"""How wide is the buffer around the deceptive basin, and how wide is the basin itself?"""

from collections.abc import Collection
from typing import Literal

import numpy as np
import polars as pl
from numpy import ndarray

from basin_jax.spec import Sweep
from basin_jax.starts.interpolated import Interpolated
from basin_jax.starts.perturbed import Perturbed
from basin_jax.starts.trained import Trained as Onward
from basin_jax.studies.draw import INK, canvas, cumulate, legend
from basin_jax.studies.finding import Finding, Row, row
from basin_jax.studies.study import FINE, WELL, WELL_RULE, Lab, Study, farthest, median
from basin_jax.verdict import Verdict


Direction = Literal["random", "loss", "margin", "-margin"]
PHRASES: dict[str, str] = {
    "random": "a random direction",
    "loss": "the slope of the loss",
    "margin": "the slope of the margin",
    "-margin": "the slope of the margin, downhill",
}
LOST = (Verdict.DECEPTIVE,)
SAVED = tuple(verdict for verdict in Verdict if verdict not in LOST)
SHARE = 12  # of the seeds that are trained, those of each kind that are pushed
# From the bottom of the left well of tilt .2 to the separatrix: roots of x³ - x - .2.
BARRIER = 0.87888507 - 0.20914885


class Buffer(Study):
    """Push networks off where they are, train them on, and see where they end.

    Fresh networks that would not end deceptive, intended ends, and deceptive ends are pushed along
    a random direction, along that in which the training loss rises, and along that in which the
    margin does, towards deception (of deceptive ends: falls), and are then trained as before. For
    each seed and direction the size of push is bisected from which on it ends deceptive, or, of
    deceptive ends, from which on it does not: the width of the buffer. Sizes are lengths in the
    space of parameters. Last, each deceptive end is corrected under full oversight, and on the
    straight line from it to where that leads the edge between the basins is bisected: the share of
    the way from which on a seed is deceptive no more.
    """

    reach: float = 30.0  # the largest push
    quick: int = 384

    limits = (
        "Three directions are not all: the smallest push in any direction is smaller.",
        "Along a direction the verdict may change more than once; one of the changes is found.",
        "Lengths compare within one network only: a symmetry of its weights changes them.",
    )

    def validate(self) -> None:
        self.require(self.reach > 0, "reach", "above 0")
        for name in ("quick", "full"):
            self.require(getattr(self, name) >= SHARE, name, f"at least {SHARE}")

    def measure(self, lab: Lab) -> Finding:
        rule, base, most = self.subject.rule, self.subject.sweep, self.seeds(lab) // SHARE
        begun = lab.run("fresh", [base], self.seeds(lab), rule=rule)
        intended, deceptive = (begun.seeds(base, v) for v in (Verdict.INTENDED, *LOST))
        others = begun.at(base).filter(pl.col("verdict") != LOST[0].name)["seed"].to_numpy()
        pushed = {
            "fresh networks": (base.replace(num_steps=0), others[:most], LOST),
            "intended ends": (base, intended[:most], LOST),
            "deceptive ends": (base, deceptive[:most], SAVED),
        }
        figure, panels = canvas(4, height=2.5)
        medians, says = [], []
        for axes, (name, (parent, seeds, of)) in zip(panels[:3], pushed.items(), strict=True):
            ways: tuple[Direction, ...] = ("random", "loss", "margin" if of == LOST else "-margin")
            found = {way: self._sizes(lab, parent, seeds, of, way) for way in ways}
            bounds = {
                bound: np.min([each[bound].to_numpy() for each in found.values()], axis=0)
                for bound in ("low", "high")
            }
            found |= {"least of them": pl.DataFrame(bounds)}
            axes.set(xlim=(0, self.reach), ylim=(-0.03, 1.03), xlabel=f"push of {name}")
            for number, (way, sizes) in enumerate(found.items()):
                cumulate(axes, sizes["high"].to_numpy(), color=INK[number], label=way.strip("-"))
                medians.append(median(sizes, f"push of {name}, {way}"))
                if way in PHRASES:
                    says.append(self._says(len(seeds), name, PHRASES[way], medians[-1]))
            axes.set_ylabel("share deceptive" if of == LOST else "share no longer deceptive")
        legend(panels[0])
        edges = self._edges(lab, deceptive[:most])
        panels[3].set(xlim=(0, 1), ylim=(-0.03, 1.03), ylabel="share no longer deceptive")
        panels[3].set_xlabel("way to the corrected end")
        cumulate(panels[3], edges["high"].to_numpy(), color=INK[0], label="deceptive ends")
        edge = median(edges, "share of the way from deceptive ends to their corrected ones")
        says.append(
            f"On the line from a deceptive end to its corrected one, half of {len(edges):,} seeds "
            f"are deceptive no more from {edge} of the way, or sooner."
        )
        return Finding(
            name="buffer",
            question=(__doc__ or "").strip(),
            says=says,
            limits=self.limits,
            rows=[
                *(*medians, edge),
                *begun.thresholds(base, "fresh: deceptive"),
                *(self._control(lab, intended), _well(lab, self.seeds(lab))),
            ],
            figure=figure,
        )

    def _sizes(
        self, lab: Lab, parent: Sweep, seeds: ndarray, of: Collection[Verdict], way: Direction
    ) -> pl.DataFrame:
        """Return the size of push from which on each seed ends in one of some verdicts."""
        pushed = self.subject.sweep.replace(start=Perturbed(of=parent, radius=0.0, direction=way))
        between = (0.0, self.reach)
        rule = self.subject.rule
        return lab.critical(pushed, "start.radius", seeds, between=between, rule=rule, of=of)

    def _edges(self, lab: Lab, seeds: ndarray) -> pl.DataFrame:
        """Return for each deceptive end the share of the way to its corrected one at the edge."""
        base = self.subject.sweep
        method = self.subject.overseen_by(end=base.num_steps)
        corrected = base.replace(start=Onward(of=base), method=method)
        line = base.replace(start=Interpolated(of=corrected, dose=0.0))
        rule = self.subject.rule
        return lab.critical(line, "start.dose", seeds, between=(0.0, 1.0), rule=rule, of=SAVED)

    def _control(self, lab: Lab, seeds: ndarray) -> Row:
        """Return how many intended ends turn deceptive by training on alone."""
        base = self.subject.sweep
        cell = base.replace(start=Onward(of=base))
        found = lab.run("unpushed", [cell], seeds, rule=self.subject.rule).fraction(cell)
        return row("intended ends, not pushed: deceptive", found, kind="control", expected=0.0)

    def _says(self, count: int, name: str, way: str, size: Row) -> str:
        turn = "cease to be deceptive" if name.startswith("deceptive") else "become deceptive"
        if np.isinf(size.value):
            return f"Along {way} fewer than half of {count:,} {name} {turn} within {self.reach:g}."
        return f"Along {way} half of {count:,} {name} {turn} by a push of at most {size}."


def _well(lab: Lab, seeds: int) -> Row:
    """Return the push that a particle in the left well needs, which is known."""
    left = lab.run("well", [WELL], seeds, rule=WELL_RULE).seeds(WELL, Verdict.INTENDED)
    pushed = WELL.replace(start=Perturbed(of=WELL, radius=0.0, direction="margin"))
    found = lab.critical(
        pushed, "start.radius", left, between=(0.0, 2.0), rule=WELL_RULE, halvings=FINE
    )
    what = "double well, push from the left bottom to the separatrix"
    return farthest(found["high"].to_numpy(), BARRIER, what, within=1e-5)
