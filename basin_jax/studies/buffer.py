"""How wide is the buffer around the deceptive basin, and how wide is the basin itself?"""

from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl
from numpy import ndarray

from basin_jax.spec import Sweep
from basin_jax.starts.interpolated import Interpolated
from basin_jax.starts.perturbed import Perturbed
from basin_jax.starts.trained import Trained
from basin_jax.studies.draw import INK, canvas, cumulate, curve, legend
from basin_jax.studies.finding import Finding, Row, row
from basin_jax.studies.study import FINE, WELL, WELL_RULE, Lab, Study, farthest, median
from basin_jax.verdict import Verdict


Direction = Literal["random", "loss", "margin", "-margin"]
PHRASES: dict[str, str] = {
    "random": "a random direction",
    "loss": "the slope of the loss",
    "-margin": "the slope of the margin, downhill",
}
LOST = Verdict.DECEPTIVE
SAVED = tuple(verdict for verdict in Verdict if verdict != LOST)
SHARE = 12  # of the seeds that are trained, those of each kind that are pushed
# From the bottom of the left well of tilt .2 to the separatrix: roots of x³ - x - .2.
BARRIER = 0.87888507 - 0.20914885


class Buffer(Study):
    """Push networks off where they are, train them on, and see where they end.

    Fresh networks that would not end deceptive, and intended ends, are pushed by a length along a
    random direction, along that in which the training loss rises, and along that in which the
    margin does, towards deception; then they are trained as before, and those that end deceptive
    are counted. Deceptive ends are pushed likewise, along the margin downhill, and for each seed
    and direction the size of push is bisected from which on it is deceptive no more. Last, each
    deceptive end is corrected under full oversight, and on the straight line from it to where that
    leads the edge between the basins is bisected. Lengths are those of vectors of all parameters.
    """

    pushes: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
    reach: float = 30.0  # the largest push of a deceptive end
    quick: int = 384

    limits = (
        "Three directions are not all: the smallest push in any direction is smaller.",
        "Along a direction the verdict may change more than once; of deceptive ends one of the "
        "changes is found.",
        "Lengths compare within one network only: a symmetry of its weights changes them.",
    )

    def validate(self) -> None:
        self.require(self.reach > 0, "reach", "above 0")
        self.require(self.pushes[:1] == (0.0,), "pushes", "rising from 0")
        for name in ("quick", "full"):
            self.require(getattr(self, name) >= SHARE, name, f"at least {SHARE}")

    def measure(self, lab: Lab) -> Finding:
        rule, base, most = self.subject.rule, self.subject.sweep, self.seeds(lab) // SHARE
        begun = lab.run("fresh", [base], self.seeds(lab), rule=rule)
        intended, deceptive = (begun.seeds(base, v) for v in (Verdict.INTENDED, LOST))
        others = begun.at(base).filter(pl.col("verdict") != LOST.name)["seed"].to_numpy()
        figure, panels = canvas(4, height=2.5)
        sources = {
            "fresh networks": (base.replace(num_steps=0), others[: 2 * most]),
            "intended ends": (base, intended[: 2 * most]),
        }
        pushed: dict[str, list[Row]] = {}
        for axes, (name, (parent, seeds)) in zip(panels[:2], sources.items(), strict=True):
            pushed[name] = []
            for number, way in enumerate(("random", "loss", "margin")):
                rows = self._pushed(lab, name, parent, seeds, way)
                curve(axes, self.pushes, rows, color=INK[number], label=way)
                pushed[name] += rows
            axes.set(xlabel=f"push of {name}", ylabel="fraction deceptive", ylim=(-0.03, 1.03))
            axes.set_xscale("symlog", linthresh=self.pushes[1])
            axes.set_xlim(-0.3 * self.pushes[1], 1.3 * self.pushes[-1])
            axes.set_xticks(self.pushes, [f"{push:g}" for push in self.pushes])
            axes.minorticks_off()
        legend(panels[1])
        sizes = self._sizes(lab, deceptive[:most])
        panels[2].set(xlim=(0, self.reach), xlabel="push of deceptive ends")
        medians = {
            way: median(each, f"push of deceptive ends, {way}, until they are so no more")
            for way, each in sizes.items()
        }
        for number, (way, each) in enumerate(sizes.items()):
            label = way.strip("-")
            cumulate(panels[2], each["high"].to_numpy(), color=INK[number], label=label)
        edges = self._edges(lab, deceptive[:most])
        panels[3].set(xlim=(0, 1), xlabel="way to the corrected end")
        cumulate(panels[3], edges["high"].to_numpy(), color=INK[0], label="deceptive ends")
        for axes in panels[2:]:
            axes.set(ylabel="share no longer deceptive", ylim=(-0.03, 1.03))
        edge = median(edges, "share of the way from deceptive ends to their corrected ones")
        null = pushed["fresh networks"][0]
        return Finding(
            name="buffer",
            question=self.question,
            says=self._says(most, pushed, medians, edge),
            limits=self.limits,
            rows=[
                *(one for rows in pushed.values() for one in rows),
                *(*medians.values(), edge),
                *begun.thresholds(base, "fresh: deceptive"),
                replace(null, kind="control", expected=0.0),
                _well(lab, self.seeds(lab)),
            ],
            figure=figure,
        )

    def _pushed(
        self, lab: Lab, name: str, parent: Sweep, seeds: ndarray, way: Direction
    ) -> list[Row]:
        """Return the fraction that ends deceptive after a push, by its length."""
        base = self.subject.sweep
        cells = [
            base.replace(start=Perturbed(of=parent, radius=push, direction=way))
            for push in self.pushes
        ]
        folder = f"{name.partition(' ')[0]}_{way}"
        trained = lab.run(folder, cells, seeds, rule=self.subject.rule)
        return [
            row(f"{name}, push of {push:g}, {way}: deceptive", trained.fraction(cell))
            for push, cell in zip(self.pushes, cells, strict=True)
        ]

    def _sizes(self, lab: Lab, seeds: ndarray) -> dict[str, pl.DataFrame]:
        """Return the push from which on each deceptive end is so no more, by direction."""
        base, rule = self.subject.sweep, self.subject.rule
        ways: tuple[Direction, ...] = ("random", "loss", "-margin")
        return {
            way: lab.critical(
                base.replace(start=Perturbed(of=base, radius=0.0, direction=way)),
                "start.radius",
                seeds,
                between=(0.0, self.reach),
                rule=rule,
                of=SAVED,
            )
            for way in ways
        }

    def _edges(self, lab: Lab, seeds: ndarray) -> pl.DataFrame:
        """Return for each deceptive end the share of the way to its corrected one at the edge."""
        base = self.subject.sweep
        method = self.subject.overseen_by(end=base.num_steps)
        corrected = base.replace(start=Trained(of=base), method=method)
        line = base.replace(start=Interpolated(of=corrected, dose=0.0))
        rule = self.subject.rule
        return lab.critical(line, "start.dose", seeds, between=(0.0, 1.0), rule=rule, of=SAVED)

    def _says(
        self, count: int, pushed: dict[str, list[Row]], medians: dict[str, Row], edge: Row
    ) -> list[str]:
        said = []
        for name, rows in pushed.items():
            top = max(rows, key=lambda one: one.value)
            push = top.what.removeprefix(f"{name}, ").partition(":")[0]
            said.append(
                f"Of {top.seeds:,} {name}, no push of the grid makes more deceptive than {top} "
                f"({push}); unpushed {rows[0]} are."
            )
        for way, size in medians.items():
            if np.isinf(size.value):
                told = f"fewer than half of {count:,} are deceptive no more within {self.reach:g}"
            else:
                told = f"half of {count:,} are deceptive no more by a push of at most {size}"
            said.append(f"Of deceptive ends, along {PHRASES[way]}, {told}.")
        return [
            *said,
            f"On the line from a deceptive end to its corrected one, half of {edge.seeds:,} seeds "
            f"are deceptive no more from {edge} of the way, or sooner.",
        ]


def _well(lab: Lab, seeds: int) -> Row:
    """Return the push that a particle in the left well needs, which is known."""
    left = lab.run("well", [WELL], seeds, rule=WELL_RULE).seeds(WELL, Verdict.INTENDED)
    pushed = WELL.replace(start=Perturbed(of=WELL, radius=0.0, direction="margin"))
    found = lab.critical(
        pushed, "start.radius", left, between=(0.0, 2.0), rule=WELL_RULE, halvings=FINE
    )
    what = "double well, push from the left bottom to the separatrix"
    return farthest(found["high"].to_numpy(), BARRIER, what, within=1e-5)
