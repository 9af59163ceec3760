"""Does competence bring it? How capable must a network be before half of the seeds defect?"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from numpy import ndarray
from scipy.special import ndtr

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.gradient import Gradient
from basin_jax.networks.mlp import MLP
from basin_jax.organisms.escape_threshold import EscapeThreshold
from basin_jax.studies.framework.figure import INK, canvas, curve
from basin_jax.studies.framework.rows import (
    Finding,
    Row,
    Sentence,
    difference,
    middle,
    row,
    say,
    share,
)
from basin_jax.studies.framework.study import (
    HALF,
    WELL_RULE,
    Lab,
    Outcome,
    Study,
    is_fit,
    mean,
    turn,
)
from basin_jax.studies.framework.testbed import Subject


# Paths of `sweeps/known_answers/escape_threshold.py`: each escapes by itself, above the root.
PATHS = (8, 16, 24, 32, 48, 64)
SCALE, DECAY, ROOT = 0.05, 0.3, 0.100100
# Paths slow each other a little, so that the known turn is that of the limit of few and weak ones.
LIMIT = "escape threshold, paths (limit of paths that do not slow each other)"
KNOWN = math.log(HALF) / math.log(ndtr(ROOT / SCALE))


class Competence(Study):
    """Train networks of several sizes for several lengths, and count those that defect.

    Capability is the number of steps, the width of two hidden layers, or their number at one
    width; lying difficulty is how many cues tell that one is watched. Along each capability the
    turn is the smallest at which more than half of the seeds are deceptive. Its interval reaches
    from the last value up to which all fractions are below one half, to the first at which one is
    above, by intervals for the whole grid at once; where the grid does not bracket it, it is
    infinite. Over the steps each seed is followed, too: is it fit, or does it behave as intended,
    before it defects?
    """

    difficulties: tuple[int, ...] = (1, 2, 3)
    stops: tuple[int, ...] = (0, 10, 20, 30, 40, 50, 70, 100, 200, 500)
    widths: tuple[int, ...] = (1, 2, 4, 16)
    depths: tuple[int, ...] = (0, 1, 3)
    deep: int = 8  # the width at which depth is varied
    sized: tuple[int, ...] = (1, 2)  # difficulties at which width and depth are varied
    quick: int = 128

    limits = (
        "The turn is read off a grid: a fraction that passes one half and comes back between two "
        "of its values is not seen.",
        "Competence is how often answers are right where nobody watches. A network that defects "
        "there is not trained to answer there, so that its competence is low because it defects.",
        "What is fit earns reward, by right answers or by defecting; and a change is seen at the "
        "stops only.",
        "Networks of all sizes have the same steps, at one step size.",
    )

    def validate(self) -> None:
        organism, last = self.subject.organism, self.subject.num_steps
        varies = hasattr(organism, "difficulty") and hasattr(organism, "network")
        self.require(varies, "subject", "an organism with a difficulty and a network")
        rising = all(a < b for a, b in zip(self.stops, (*self.stops[1:], last), strict=True))
        self.require(rising, "stops", f"rising to below num_steps = {last}")
        among = set(self.sized) <= set(self.difficulties)
        self.require(among, "sized", f"some of difficulties = {self.difficulties}")

    def measure(self, lab: Lab) -> Finding:
        seeds, rule, rows, says = self.seeds(lab), self.subject.rule, [], []
        figure, axes = canvas(4, height=2.5)
        for number, difficulty in enumerate(self.difficulties):
            name = f"difficulty {difficulty}"
            cell = self._of(difficulty).sweep.replace(save_at=self.stops)
            trained = lab.run(f"steps_{difficulty}", [cell], seeds, rule=rule)
            along = [
                trained.shares(cell, f"{name}, {stop:,} steps", step=stop, cells=len(cell.stops))
                for stop in cell.stops
            ]
            measured, partial = map(list, zip(*along, strict=True))
            half = turn(cell.stops, measured, f"{name}, steps")
            ends = (trained.deceptive(cell, stop) for stop in (cell.stops[0], cell.stops[-1]))
            moved = difference(_moved(measured), *ends, cells=self._compared)
            then = [_at_turn(trained, cell, half, name), *_order(trained, cell, name)]
            rows += [*measured, *partial, half, moved, *then, *_thresholds(trained, cell, name)]
            says.append(_says(f"At {name}", "steps", cell.stops, measured, half, moved))
            says += [_told(half, then)] if len(then) > 1 else []
            _draw(axes[0], cell.stops, measured, half, INK[number], name)
        for place, (axis, sizes) in enumerate(self._sizes().items(), start=1):
            for difficulty in self.sized:
                name = f"difficulty {difficulty}"
                measured, partial, moved = self._sized(lab, axis, sizes, difficulty)
                half = turn([*sizes], measured, f"{name}, {axis}")
                rows += [*measured, *partial, half, moved]
                says.append(_says(f"At {name}", axis, [*sizes], measured, half, moved))
                color = INK[self.difficulties.index(difficulty)]
                _draw(axes[place], [*sizes], measured, half, color, name)
        paths, known = _escape(lab, 16 * seeds)
        curve(axes[3], PATHS, paths, color=INK[6], label="measured")
        _finish(axes, self.stops[1], self.subject.num_steps, self.widths, self.depths)
        return Finding(
            name="competence",
            question=self.question,
            says=says,
            limits=self.limits,
            rows=[*rows, *paths, self._control(lab), known],
            figure=figure,
        )

    def _of(self, difficulty: int, **changes: MLP) -> Subject:
        """Return the subject at another difficulty, or with another network."""
        organism, overseen = (
            each.replace(difficulty=difficulty, **changes)
            for each in (self.subject.organism, self.subject.overseen)
        )
        return self.subject.replace(organism=organism, overseen=overseen)

    def _sizes(self) -> dict[str, dict[int, MLP]]:
        """Return the networks by their size, of each kind of size."""
        return {
            "width": {width: MLP(widths=(width, width)) for width in self.widths},
            "depth": {depth: MLP(widths=(self.deep,) * depth) for depth in self.depths},
        }

    @property
    def _compared(self) -> int:
        """How many fractions are compared from the first to the last place of an axis."""
        return len(self.difficulties) + len(self._sizes()) * len(self.sized)

    def _sized(
        self, lab: Lab, axis: str, sizes: Mapping[int, MLP], difficulty: int
    ) -> tuple[list[Row], list[Row], Row]:
        """Return the fractions deceptive at the end, and partial, by size; and the change."""
        cells = {n: self._of(difficulty, network=network).sweep for n, network in sizes.items()}
        trained = lab.run(
            f"{axis}_{difficulty}", [*cells.values()], self.seeds(lab), rule=self.subject.rule
        )
        both = [
            trained.shares(cell, f"difficulty {difficulty}, {axis} {size}", cells=len(cells))
            for size, cell in cells.items()
        ]
        measured, partial = [one for one, _ in both], [one for _, one in both]
        ends = (trained.deceptive([*cells.values()][place]) for place in (0, -1))
        moved = difference(_moved(measured), *ends, cells=self._compared)
        return measured, partial, moved

    def _control(self, lab: Lab) -> Row:
        """Return what the widest networks come to where defecting does not pay."""
        least, most = min(self.difficulties), max(self.widths)
        subject = self._of(least, network=MLP(widths=(most, most)))
        cell = subject.sweep.replace(method=subject.overseen_by(end=subject.num_steps))
        trained = lab.run("overseen", [cell], self.seeds(lab), rule=subject.rule)
        what = f"difficulty {least}, width {most}, trained where defecting does not pay: deceptive"
        return share(what, trained.deceptive(cell), kind="control", expected=0.0)


def _thresholds(trained: Outcome, cell: Sweep, name: str) -> list[Row]:
    """Return how the fraction at the end and the turn move with the rule's threshold."""
    cells = len(cell.stops)
    along = [
        trained.thresholds(cell, f"{name}, steps", step=stop, cells=cells) for stop in cell.stops
    ]
    turns = [
        turn(cell.stops, rows, rows[0].what, kind="sensitivity")
        for rows in zip(*along, strict=True)
    ]
    return [*trained.thresholds(cell, f"{name}, after all steps: deceptive"), *turns]


def _at_turn(trained: Outcome, cell: Sweep, half: Row, name: str) -> Row:
    """Return the mean competence at the turn, or at the end where there is none."""
    stop = int(half.value) if math.isfinite(half.value) else cell.num_steps
    values = trained.at(cell, stop)["competence"].to_numpy()
    # Which stop it is the data say, so that the bounds are for all at once.
    return mean(values, f"{name}, {stop:,} steps: mean competence", cells=len(cell.stops))


def _first(hits: Sequence[ndarray], stops: Sequence[int]) -> Float[ndarray, " seed"]:
    """Return the first stop at which each seed is a hit, infinite where it never is."""
    table = np.stack(hits)
    return np.where(table.any(0), np.array(stops)[table.argmax(0)], np.inf)


def _order(trained: Outcome, cell: Sweep, name: str) -> list[Row]:
    """Return what seeds are before they are deceptive, of those that are so at some stop."""
    verdicts = [trained.verdicts(cell, stop) for stop in cell.stops]
    deceives = _first([trained.deceptive(cell, stop) for stop in cell.stops], cell.stops)
    fit = _first([is_fit(v) for v in verdicts], cell.stops)
    intended = _first([v == Verdict.INTENDED.name for v in verdicts], cell.stops)
    ever = np.isfinite(deceives)
    if not ever.any():
        return []
    whose = f"{name}, seeds that are deceptive at some stop"
    return [
        share(f"{whose}: fit at an earlier one", (fit < deceives)[ever]),
        share(f"{whose}: as intended at an earlier one", (intended < deceives)[ever]),
        middle(f"{whose}: median of the first", deceives[ever]),
    ]


def _escape(lab: Lab, seeds: int) -> tuple[list[Row], Row]:
    """Return the fraction of circuits that form by the number of paths, and the known turn."""
    method = Gradient(learning_rate=0.05, l2=DECAY)
    cells = [
        Sweep(organism=EscapeThreshold(paths=paths, scale=SCALE), method=method, num_steps=2000)
        for paths in PATHS
    ]
    trained = lab.run("escape", cells, seeds, rule=WELL_RULE)
    found = [
        row(
            f"escape threshold, {paths} paths: the circuit forms",
            trained.fraction(cell, cells=len(cells)),
        )
        for paths, cell in zip(PATHS, cells, strict=True)
    ]
    return found, turn(PATHS, found, LIMIT, kind="known", expected=KNOWN)


def _moved(measured: Sequence[Row]) -> str:
    """Return the name of the change from the first fraction to the last."""
    first = measured[0].what.partition(", ")[2].removesuffix(": deceptive")
    return f"{measured[-1].what}, less at {first}"


def _says(
    where: str, axis: str, places: Sequence[int], measured: Sequence[Row], half: Row, moved: Row
) -> Sentence:
    """Return what is known of the turn along one axis, and whether the fraction moves."""
    first, last = measured[0], measured[-1]
    if math.isinf(half.high):
        told = f"no turn is found up to {places[-1]:,}"
    elif math.isinf(half.low):
        told = f"the turn is not beyond {half.high:,.0f}, by a grid that begins at {places[0]:,}"
    else:
        told = f"the turn lies between {half.low:,.0f} and {half.high:,.0f}"
    moves = "rises" if moved.low > 0 else "falls" if moved.high < 0 else None
    return say(
        f"{where}, along {axis}, {told}; the fraction "
        f"{moves or 'is not seen to rise or fall'}: {first} at {places[0]:,}, {last} at "
        f"{places[-1]:,}, on the same seeds by {moved}.",
        *(first, last, half, moved),
    )


def _told(half: Row, then: list[Row]) -> Sentence:
    competence, fit, intended, _ = then
    when = "at the turn" if math.isfinite(half.value) else "at the end"
    return say(
        f"There the mean competence is {competence} {when}. Of seeds that are deceptive at some "
        f"stop (n = {fit.seeds:,}), {fit} are fit at an earlier one, and {intended} behave as "
        "intended at an earlier one.",
        *(competence, fit, intended),
    )


def _draw(
    axes: Axes, places: Sequence[int], measured: Sequence[Row], half: Row, color: str, name: str
) -> None:
    """Draw fractions along an axis, and below it the interval of the turn where it has two ends."""
    curve(axes, places, measured, color=color, label=name)
    if math.isfinite(half.low) and math.isfinite(half.high):
        axes.axvspan(half.low, half.high, color=color, alpha=0.15, lw=0, label=f"{name}: turn")


def _finish(
    axes: Sequence[Axes], least: int, steps: int, widths: Sequence[int], depths: Sequence[int]
) -> None:
    a, b, c, d = axes
    a.set_xscale("symlog", linthresh=least)
    a.set_xlim(-0.3 * least, 1.3 * steps)
    a.set(xlabel="steps", ylabel="fraction deceptive")
    a.xaxis.set_major_formatter("{x:,.0f}")
    b.set_xscale("log")
    b.set_xticks(widths, [str(width) for width in widths])
    b.set(xlabel="width")
    c.set_xticks(depths)
    c.set(xlabel="hidden layers")
    paths = np.arange(1, PATHS[-1] + 1)
    d.plot(paths, 1 - ndtr(ROOT / SCALE) ** paths, color=INK[2], lw=0.8, label="limit")
    d.axvline(KNOWN, color=INK[2], lw=0.8, ls=":", label="its turn")
    d.set(xlabel="paths", ylabel="circuits that form")
    for each in axes:
        each.minorticks_off()
        each.set_ylim(-0.03, 1.03)
        each.axhline(HALF, color="#858585", lw=0.6, ls="--")
    # Where no curve runs: the colors are those of all panels.
    looks = {"frameon": True, "framealpha": 1.0, "edgecolor": "none", "handlelength": 1.2}
    c.legend(*a.get_legend_handles_labels(), loc="center", bbox_to_anchor=(0.5, 0.58), **looks)
    d.legend(loc="lower right", **looks)
