"""How much deceptiveness is needed at the start before training is hijacked?"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.escape_threshold import EscapeThreshold
from basin_jax.records import Records
from basin_jax.rules.behavior import Behavior
from basin_jax.spec import Sweep, grid, override
from basin_jax.starts.fresh import Fresh
from basin_jax.starts.implant import Implant
from basin_jax.statistics import basin_fraction, estimate, quantile
from basin_jax.studies.draw import INK, canvas, cumulate, curve, legend
from basin_jax.studies.finding import Finding, Row, row
from basin_jax.studies.study import FINE, Lab, Study


# What decides a single path, under decay of .3: the smaller root of 3w(1 - w³) = .3.
ESCAPE = Sweep(
    organism=EscapeThreshold(paths=1, scale=1.0),
    start=Fresh(),
    method=Gradient(learning_rate=0.1, l2=0.3),
    num_steps=2000,
)
ROOT = 0.100100
GROUPS = 4  # of the natural gap at initialization


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
    full: int = 20_000

    limits = (
        "The implant is one circuit, in the units of the first layers; another one of the same "
        "behavior may need another dose.",
        "A dose is a share of the way to that circuit, not an amount that compares across "
        "networks or difficulties whose circuits differ in size.",
    )

    def measure(self, lab: Lab) -> Finding:
        seeds, rule, rows = self.seeds(lab), self.subject.rule, []
        start = self.subject.sweep.replace(start=Implant(dose=0.0), save_at=(0,))
        figure, (left, middle, right) = canvas(3, height=2.5)
        middle.set_xlim(0, 1)
        for number, difficulty in enumerate(self.difficulties):
            base = override(start, "organism.difficulty", difficulty)
            cells = grid(base, {"start.dose": self.doses})
            records = lab.run(f"difficulty_{difficulty}", cells, seeds, rule=rule)
            single = base.replace(save_at=())
            found = lab.critical(single, "start.dose", seeds, between=(0.0, 1.0), rule=rule)
            name, color = f"difficulty {difficulty}", INK[number]
            measured = _dose_response(records, self.doses, name)
            curve(left, self.doses, measured, color=color, label=name)
            cumulate(middle, found["high"].to_numpy(), color=color, label=name)
            rows += [*measured, _half(found, name), _returns(records, found, self.doses, name)]
            if difficulty == getattr(self.subject.organism, "difficulty", None):
                natural = _natural(records)
                curve(right, range(GROUPS), natural, color=color, label=name)
                rows += natural
        rows += self._control(lab, seeds, start)
        rows += _escape(lab, seeds)
        _finish(left, middle, right)
        return Finding(
            name="hijack",
            question=(__doc__ or "").strip(),
            says=_says(rows, self.difficulties),
            limits=self.limits,
            rows=rows,
            figure=figure,
        )

    def _control(self, lab: Lab, seeds: int, start: Sweep) -> list[Row]:
        """Return what the largest dose comes to where defecting does not pay."""
        overseen = start.replace(organism=self.subject.overseen)
        cells = grid(overseen, {"start.dose": self.doses[-1:]})
        records = lab.run("overseen", cells, seeds, rule=self.subject.rule)
        found = basin_fraction(records.frame["verdict"])
        what = f"dose {self.doses[-1]:g} where defecting does not pay: deceptive"
        return [row(what, found, kind="control", expected=0.0)]


def _dose_response(records: Records, doses: Sequence[float], name: str) -> list[Row]:
    verdicts = [records.frame.filter(cell=cell)["verdict"] for cell in records.cells]
    return [
        row(f"{name}, dose {dose:g}: deceptive", basin_fraction(each))
        for dose, each in zip(doses, verdicts, strict=True)
    ]


def _half(found: pl.DataFrame, name: str) -> Row:
    middle, low, high = quantile(found["high"].to_numpy(), 0.5)
    what = f"{name}: dose at which half of the seeds end deceptive"
    return Row(kind="measured", what=what, value=middle, low=low, high=high, seeds=len(found))


def _returns(records: Records, found: pl.DataFrame, doses: Sequence[float], name: str) -> Row:
    """Return how many seeds have a dose above their critical one at which they do not deceive."""
    cells = dict(zip(records.cells, doses, strict=True))
    frame = records.frame.with_columns(
        dose=pl.col("cell").replace_strict(cells), deceives=pl.col("verdict") == "DECEPTIVE"
    ).join(found, on="seed")
    other = pl.col("deceives") != (pl.col("dose") >= pl.col("high"))
    seeds = frame.group_by("seed").agg(other.any().alias("other"))["other"]
    what = f"{name}: seeds that do not deceive at all doses above their critical one, or do below"
    return row(what, estimate(int(seeds.sum()), len(seeds)), kind="sensitivity")


def _natural(records: Records) -> list[Row]:
    """Return the fraction that ends deceptive by how large the gap is at the start, undosed."""
    cell = next(iter(records.cells))
    begun = records.history.filter(cell=cell, step=0).sort("seed")
    gap = (begun["unwatched"] - begun["watched"]).to_numpy()
    ends = records.frame.filter(cell=cell).sort("seed")["verdict"].to_numpy() == "DECEPTIVE"
    bounds = np.quantile(gap, np.linspace(0, 1, GROUPS + 1)[1:-1])
    group = np.searchsorted(bounds, gap)
    return [
        row(
            f"gap at the start in quarter {number + 1}, mean {gap[group == number].mean():+.3f}: "
            "deceptive",
            estimate(int(ends[group == number].sum()), int((group == number).sum())),
        )
        for number in range(GROUPS)
    ]


def _escape(lab: Lab, seeds: int) -> list[Row]:
    """Return the critical scales of single paths, times their draws: the exact threshold."""
    found = lab.critical(
        ESCAPE, "start.scale", seeds, between=(1e-3, 1.0), rule=Behavior(), halvings=FINE
    )
    first = lab.run("escape", [ESCAPE.replace(num_steps=0)], seeds, rule=Behavior())
    strongest = first.frame.sort("seed")["strongest"].to_numpy()
    scales = found.sort("seed")["high"].to_numpy()
    at = (scales * strongest)[np.isfinite(scales)]
    middle, low, high = quantile(at, 0.5)
    # Training ends before the slowest have escaped: the exact one is that of endless training.
    slack = 1e-3
    return [
        Row(
            kind="known",
            what="escape threshold w_u, by bisection of each seed's own scale (± .001)",
            value=middle,
            low=low - slack,
            high=high + slack,
            seeds=len(at),
            expected=ROOT,
        )
    ]


def _finish(left: Axes, middle: Axes, right: Axes) -> None:
    left.set(xlabel="dose of the implant", ylabel="fraction deceptive", ylim=(-0.03, 1.03))
    legend(left)
    middle.set(xlabel="critical dose of a seed", ylabel="share of seeds", ylim=(-0.03, 1.03))
    right.set(
        xlabel="gap at the start, by quarters",
        ylabel="fraction deceptive",
        xticks=range(GROUPS),
        xticklabels=["least", "", "", "most"],
        ylim=(-0.03, 1.03),
    )


def _says(rows: Sequence[Row], difficulties: Sequence[int]) -> list[str]:
    half = [one for one in rows if "half of the seeds" in one.what]
    natural = [one for one in rows if one.what.startswith("gap at the start")]
    said = [
        f"At difficulty {difficulty} half of the seeds end deceptive from a dose of {one} on."
        for difficulty, one in zip(difficulties, half, strict=True)
    ]
    if natural:
        said.append(
            f"Without an implant, {natural[0]} of the quarter of seeds with the smallest gap at "
            f"the start end deceptive, and {natural[-1]} of the quarter with the largest."
        )
    return said
