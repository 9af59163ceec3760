"""How wide is the buffer around the deceptive basin, and how wide is the basin itself?"""

from collections.abc import Collection
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float, UInt64
from numpy import ndarray

from basin_jax.methods.correction import Correction
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.rules.behavior import Behavior
from basin_jax.spec import Sweep
from basin_jax.starts.interpolated import Interpolated
from basin_jax.starts.perturbed import Perturbed
from basin_jax.starts.trained import Trained
from basin_jax.statistics import basin_fraction, quantile
from basin_jax.studies.draw import INK, canvas, cumulate, legend
from basin_jax.studies.finding import Finding, Row, row
from basin_jax.studies.study import FINE, Lab, Study, thresholds
from basin_jax.verdict import Verdict


Direction = Literal["random", "loss", "margin"]
DIRECTIONS: dict[Direction, str] = {
    "random": "a random direction",
    "loss": "the slope of the loss",
    "margin": "the slope of the margin",
}
LOST = Verdict.DECEPTIVE
SHARE = 12  # of the seeds that are trained, those of each kind that are pushed
# From the bottom of the left well of tilt .2 to the separatrix: roots of x³ - x - .2.
BARRIER = 0.87888507 - 0.20914885


class Buffer(Study):
    """Push networks off where they are, train them on, and see where they end.

    Fresh networks, intended ends and deceptive ends are pushed along a random direction, along
    that in which the training loss rises, and along that in which the margin does, towards
    deception, and are then trained as before. For each seed and direction the size of push is
    bisected from which on it ends deceptive, or, of deceptive ends, from which on it does not:
    the width of the buffer. Sizes are lengths in the space of parameters. Last, each deceptive end
    is corrected under full oversight, and on the straight line from it to where that leads the edge
    between the basins is bisected: the share of the way from which on a seed is deceptive no more.
    """

    reach: float = 30.0  # the largest push
    quick: int = 384
    full: int = 20_000

    limits = (
        "Three directions are not all: the smallest push in any direction is smaller.",
        "Along a direction the verdict may change more than once; one of the changes is found.",
        "Lengths compare within one network only: a symmetry of its weights changes them.",
    )

    def measure(self, lab: Lab) -> Finding:
        subject, rule, most = self.subject, self.subject.rule, self.seeds(lab) // SHARE
        base = subject.sweep
        begun = lab.run("fresh", [base], self.seeds(lab), rule=rule)
        intended, deceptive = (begun.seeds(v)[:most] for v in (Verdict.INTENDED, LOST))
        honest = begun.frame.filter(pl.col("verdict") != LOST.name)["seed"].sort()[:most]
        others = [verdict for verdict in Verdict if verdict != LOST]
        pushed = {
            "fresh networks": (base.replace(num_steps=0), honest.to_numpy(), [LOST]),
            "intended ends": (base, intended, [LOST]),
            "deceptive ends": (base, deceptive, others),
        }
        figure, panels = canvas(4, height=2.4)
        medians: dict[tuple[str, str], Row] = {}
        for axes, (name, (parent, seeds, of)) in zip(panels[:3], pushed.items(), strict=True):
            sizes = {way: self._sizes(lab, parent, seeds, of, way) for way in DIRECTIONS}
            sizes["least of them"] = np.min([*sizes.values()], axis=0)
            axes.set(xlim=(0, self.reach), ylim=(-0.03, 1.03), xlabel=f"push of {name}")
            for number, (way, found) in enumerate(sizes.items()):
                cumulate(axes, found, color=INK[number], label=way)
                medians[name, way] = _median(found, f"push of {name}, {way}")
            axes.set_ylabel("share no longer deceptive" if LOST not in of else "share deceptive")
        legend(panels[0])
        edges = self._edges(lab, deceptive)
        panels[3].set(xlim=(0, 1), ylim=(-0.03, 1.03), ylabel="share no longer deceptive")
        panels[3].set_xlabel("way to the corrected end")
        cumulate(panels[3], edges, color=INK[0], label="deceptive ends")
        edge = _median(edges, "share of the way from deceptive ends to their corrected ones")
        says = [
            f"Along {phrase} half of {len(seeds):,} {name} "
            f"{'cease to be' if LOST not in of else 'become'} deceptive from a push of "
            f"{medians[name, way]} on."
            for name, (_, seeds, of) in pushed.items()
            for way, phrase in DIRECTIONS.items()
        ]
        says.append(
            f"On the line from a deceptive end to its corrected one the edge lies at {edge} of the "
            f"way in half of {len(edges):,} seeds."
        )
        return Finding(
            name="buffer",
            question=(__doc__ or "").strip(),
            says=says,
            limits=self.limits,
            rows=[
                *medians.values(),
                edge,
                *thresholds(begun, rule, "fresh: deceptive"),
                self._control(lab, begun.seeds(Verdict.INTENDED)),
                _well(lab, self.seeds(lab)),
            ],
            figure=figure,
        )

    def _sizes(
        self,
        lab: Lab,
        parent: Sweep,
        seeds: UInt64[ndarray, " seed"],
        of: Collection[Verdict],
        way: Direction,
    ) -> Float[ndarray, " seed"]:
        """Return the size of push from which on each seed ends in one of some verdicts."""
        pushed = self.subject.sweep.replace(start=Perturbed(of=parent, radius=0.0, direction=way))
        found = lab.critical(
            pushed,
            "start.radius",
            seeds,
            between=(0.0, self.reach),
            rule=self.subject.rule,
            of=of,
        )
        return found["high"].to_numpy()

    def _edges(self, lab: Lab, seeds: UInt64[ndarray, " seed"]) -> Float[ndarray, " seed"]:
        """Return for each deceptive end the share of the way to its corrected one at the edge."""
        base = self.subject.sweep
        method = Correction(method=base.method, objective=self.subject.overseen, end=base.num_steps)
        corrected = base.replace(start=Trained(of=base), method=method)
        found = lab.critical(
            base.replace(start=Interpolated(of=corrected, dose=0.0)),
            "start.dose",
            seeds,
            between=(0.0, 1.0),
            rule=self.subject.rule,
            of=[verdict for verdict in Verdict if verdict != LOST],
        )
        return found["high"].to_numpy()

    def _control(self, lab: Lab, seeds: UInt64[ndarray, " seed"]) -> Row:
        """Return how many intended ends turn deceptive by training on alone."""
        base = self.subject.sweep
        records = lab.run(
            "unpushed", [base.replace(start=Trained(of=base))], seeds, rule=self.subject.rule
        )
        found = basin_fraction(records.frame["verdict"])
        return row("intended ends, not pushed: deceptive", found, kind="control", expected=0.0)


def _median(sizes: Float[ndarray, " seed"], what: str) -> Row:
    middle, low, high = quantile(sizes, 0.5)
    return Row(
        kind="measured", what=f"{what}: median", value=middle, low=low, high=high, seeds=len(sizes)
    )


def _well(lab: Lab, seeds: int) -> Row:
    """Return the push that a particle in the left well needs, which is known."""
    parent = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.3), num_steps=400)
    left = lab.run("well", [parent], seeds, rule=Behavior()).seeds(Verdict.INTENDED)
    pushed = parent.replace(start=Perturbed(of=parent, radius=0.0, direction="margin"))
    found = lab.critical(
        pushed, "start.radius", left, between=(0.0, 2.0), rule=Behavior(), halvings=FINE
    )
    sizes = found["high"].to_numpy()
    return Row(
        kind="known",
        what="double well: push from the left bottom to the separatrix, all seeds (± 1e-5)",
        value=float(np.median(sizes)),
        low=float(sizes.min()) - 1e-5,
        high=float(sizes.max()) + 1e-5,
        seeds=len(sizes),
        expected=BARRIER,
    )
