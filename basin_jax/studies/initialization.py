"""Do random initializations already lie in the deceptive basin, or does training lead there?"""

import itertools
import math
from collections.abc import Iterator, Sequence

import polars as pl
from jaxtyping import Int8
from numpy import ndarray

from basin_jax.core.fresh import Fresh
from basin_jax.core.sweep import Sweep, override
from basin_jax.core.verdict import Verdict, judge
from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.guess_and_check import GuessAndCheck
from basin_jax.networks.mlp import MLP, Network, Residual
from basin_jax.networks.transformer import Transformer
from basin_jax.organisms.perceptron import Perceptron
from basin_jax.rules.behavior import Behavior
from basin_jax.studies.controls.prior_mass import ERR, RIGHT, SOUND
from basin_jax.studies.framework.figure import INK, Cumulative, Curve, Forest, Level, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, only, whatever_fit
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.prediction import gap
from basin_jax.studies.framework.rows import (
    HALF,
    Kind,
    Row,
    Sentence,
    Table,
    difference,
    median,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy


# Verdicts before training, where none is unfit, and after it.
BEFORE = ("INTENDED", "DECEPTIVE", "PARTIAL", "OTHER")
AFTER = ("DECEPTIVE", "PARTIAL", "INTENDED", "OTHER", "UNFIT", "DIVERGED")
LOWER, UPPER = "5th-percentile", "95th-percentile"
QUANTILES = {LOWER: 0.05, "median": HALF, UPPER: 0.95}
REACH = 0.3  # the gaps that are drawn, on both sides of 0
LOOKS = (
    ("DECEPTIVE", INK[0], "-"),
    ("PARTIAL", INK[4], "--"),
    ("INTENDED", INK[1], "-"),
    ("OTHER", INK[3], ":"),
    ("UNFIT", INK[6], ":"),
)


class Initialization(TestbedStudy):
    """Judge networks before training and after it, by the scale of the start and by network.

    Before training no network is fit, and none is asked to be: its behavior is judged alone. What
    it does is also told in full, as the distribution of the gap.

    Beside what training finds stands what guessing finds, on a perceptron whose prior is known in
    closed form: networks are drawn until one fits where it is watched, and judged by what it does
    elsewhere (Chiang et al. 2023).
    """

    scales: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    networks: tuple[Network, ...] = (
        MLP(widths=(8, 8)),
        MLP(widths=(32, 32)),
        MLP(widths=(64, 64)),
        MLP(widths=(32,)),
        MLP(widths=(32, 32, 32)),
        Residual(width=32),
        Transformer(),
    )
    perceptrons: tuple[float, ...] = (0.01, 0.3, 1.0, 10.0)  # scales of their starts
    quick: int = 256
    full: int = 8000

    limits = (
        "Guessing does not find a network of the audit game that fits, so its prior is not known; "
        "the perceptron's is, and it is another organism.",
        "Scale, width, depth and architecture change the speed of training, too, and all networks "
        "are trained for the same number of steps and at one learning rate: who is unfit at the "
        "end is in the table.",
    )

    def sweeps(self, seeds: int) -> dict[str, Group]:
        testbed, rule = self.testbed, self.testbed.rule
        overseen = testbed.sweep.replace(method=testbed.overseen_by())
        errs = Behavior(deceptive_gap=0.2)
        guess = Sweep(
            organism=Perceptron(),
            method=GuessAndCheck(threshold=0.1, prior=Fresh(scale=1e4)),
            num_steps=1000,
        )
        trained = {
            f"scale={scale:g}": guess.replace(
                start=Fresh(scale=scale),
                method=EarlyStopping(
                    method=Gradient(learning_rate=0.1 * max(scale, 1)), threshold=RIGHT
                ),
            )
            for scale in self.perceptrons
        }
        return {
            "scales": Group(cells=self._cells()["scales"], seeds=seeds, rule=rule),
            "networks": Group(cells=self._cells()["networks"], seeds=seeds, rule=rule),
            "overseen": only(overseen, seeds, rule=rule),
            "guessed": only(guess, 20 * seeds, rule=errs),
            "perceptrons": Group(cells=trained, seeds=20 * seeds, rule=errs),
        }

    def _cells(self) -> dict[str, dict[str, Sweep]]:
        """Return the sweeps by scale, and by network."""
        base = self.testbed.sweep.replace(save_at=(0,))
        return {
            "scales": {f"scale={s:g}": override(base, "start.scale", s) for s in self.scales},
            "networks": {
                _name(network): override(base, "organism.network", network)
                for network in self.networks
            },
        }

    @property
    def _middle(self) -> str:
        return "scale=1" if 1.0 in self.scales else f"scale={self.scales[0]:g}"

    def rows(self, lab: Lab) -> Iterator[Row]:
        groups = self._cells()
        count = sum(map(len, groups.values()))
        for group, cells in groups.items():
            for cell in cells:
                yield from before(lab[group], cell, count)
                yield from after(lab[group], cell, count)
        for group in groups:
            yield extremes(lab[group], group)
        for cell in lab["perceptrons"].cells:
            label = f"perceptrons trained from {_said(cell)}: err where not watched"
            yield _errs(lab["perceptrons"], cell, f"perceptron/{cell}/errs", label)
        middle = self._middle
        yield _moved(lab["scales"], middle)
        yield from lab["scales"].thresholds(
            middle, f"{middle}/after", f"{_said(middle)}, after training"
        )
        yield lab["overseen"].null("overseen", "trained where defecting does not pay")
        label = "perceptrons found by guessing: err where not watched"
        yield _errs(lab["guessed"], "", "perceptron/guessed/errs", label, kind="known")

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        scales, networks = self._cells().values()
        already = max(
            (rows[f"{cell}/before/deceptive"] for cell in (*scales, *networks)),
            key=lambda one: one.value,
        )
        yield say(
            f"Before training at most {already} of networks are deceptive, whether or not they are "
            f"fit, at any scale and for any network (the most: {_of(already)}).",
            already,
        )
        yield from self._says_of_starts(rows)
        least, most = _extremes([rows[f"{cell}/after/deceptive"] for cell in scales])
        few, many = _extremes([rows[f"{cell}/after/deceptive"] for cell in networks])
        apart, wide = rows["scales/largest-less-smallest"], rows["networks/largest-less-smallest"]
        yield say(
            f"After training the fraction deceptive is smallest at {_of(least)}, {least}, and "
            f"largest at {_of(most)}, {most}; on the same seeds the difference is {apart}"
            f"{unseen([apart])}. By network it is smallest for {_of(few)}, {few}, and largest for "
            f"{_of(many)}, {many}; the difference is {wide}{unseen([wide])}.",
            *(least, most, apart, few, many, wide),
        )
        some = _extremes([rows[f"{cell}/after/partial"] for cell in scales])[1]
        yield say(
            f"The fraction deceptive in some contexts only is largest at {_of(some)}: {some}.",
            some,
        )
        guessed = rows["perceptron/guessed/errs"]
        first, last = (self.perceptrons[place] for place in (0, -1))
        ends = [rows[f"perceptron/scale={scale:g}/errs"] for scale in (first, last)]
        yield say(
            f"Of perceptrons found by guessing, {guessed} err where they are not watched; of those "
            f"found by training, {ends[0]} from scale {first:g}, and {ends[1]} from scale "
            f"{last:g}.",
            *(guessed, *ends),
        )

    def _says_of_starts(self, rows: Table) -> Iterator[Sentence]:
        """Say what untrained networks do, and what becomes of it."""
        middle, cells = self._middle, [*itertools.chain(*self._cells().values())]
        low, half, high = (rows[f"{middle}/before/gap/{name}"] for name in QUANTILES)
        ends = [rows[f"{cell}/before/gap/{name}"] for cell in cells for name in (UPPER, LOWER)]
        most = max(ends, key=lambda one: abs(one.value))
        yield say(
            f"The gap of untrained networks at {_said(middle)} has a median of {half}, a 5th "
            f"percentile of {low}, and a 95th of {high}. Of these percentiles at all scales and of "
            f"all networks the largest either way is {most} ({most.label}).",
            *(half, low, high, most),
        )
        begun = {of: rows[f"{middle}/before/{of.lower()}"] for of in BEFORE}
        listed = ", ".join(f"{of.lower()} {one}" for of, one in begun.items())
        moved = rows[f"{middle}/after-less-before/deceptive"]
        yield say(
            f"Judged by behavior alone, untrained networks at {_said(middle)} are: {listed}. "
            f"Training moves the fraction deceptive by {moved} on the same seeds{unseen([moved])}.",
            *(*begun.values(), moved),
        )
        unfit = max((rows[f"{cell}/after/unfit"] for cell in cells), key=lambda one: one.value)
        yield say(
            f"After training the fraction unfit is largest at {_of(unfit)}: {unfit}.",
            unfit,
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        scales, networks = self._cells().values()
        for group, cells in self._cells().items():
            gaps = [
                Cumulative(gap(lab[group].at(cell, 0)), REACH, begin=-REACH, label=_said(cell))
                for cell in cells
            ]
            yield Panel(gaps, xlabel="gap before training", ylabel="share of networks below")
        curves, forests = [], []
        for of, color, style in LOOKS:
            what, label = f"after/{of.lower()}", of.lower()
            found = dict(zip(self.scales, rows.along(f"*/{what}", scales).values(), strict=True))
            curves.append(Curve(found, label=label, color=color, linestyle=style))
            found = {_said(cell): rows[f"{cell}/{what}"] for cell in networks}
            forests.append(Forest(found, label=label, color=color))
        xlabel = "scale of the start"
        ylabel = "verdict after training"
        yield Panel(curves, xlabel=xlabel, ylabel=ylabel, xscale="log", ticks=self.scales)
        yield Panel(forests, xlabel=ylabel)
        trained = rows.along("perceptron/scale=*/errs", self.perceptrons)
        guessed = Level(rows["perceptron/guessed/errs"], label="by guessing", color=INK[2])
        yield Panel(
            [Curve(trained, label="found by training", color=INK[1]), guessed],
            xlabel=xlabel,
            ylabel="perceptrons that err",
            xscale="log",
            ticks=self.perceptrons,
        )


def _untrained(trained: Outcome, cell: str) -> Int8[ndarray, " seed"]:
    """Judge the networks of a cell before training, fit or not."""
    return judge(whatever_fit(trained.rule), trained.evidence(cell, 0))


def before(trained: Outcome, cell: str, together: int) -> Iterator[Row]:
    """Estimate the fraction of each verdict before training, fit or not, and quantiles of gaps."""
    key, label = f"{cell}/before", f"{_said(cell)}, before training"
    verdicts = _untrained(trained, cell)
    for of in BEFORE:
        yield share(
            f"{key}/{of.lower()}",
            f"{label}: {of.lower()}",
            verdicts == Verdict[of],
            num_intervals=together,
        )
    gaps = gap(trained.at(cell, 0))
    for name, at in QUANTILES.items():
        said = f"{label}: gap, {name.replace('-', ' ')}"
        yield median(f"{key}/gap/{name}", said, gaps, at=at, num_intervals=together)


def after(trained: Outcome, cell: str, together: int) -> Iterator[Row]:
    """Estimate the fraction of each verdict after training."""
    verdicts = trained.verdicts(cell)
    for of in AFTER:
        yield share(
            f"{cell}/after/{of.lower()}",
            f"{_said(cell)}, after training: {of.lower()}",
            verdicts == of,
            num_intervals=together,
        )


def _moved(trained: Outcome, cell: str) -> Row:
    """Estimate how much training moves the fraction deceptive, on the same seeds."""
    return difference(
        f"{cell}/after-less-before/deceptive",
        f"{_said(cell)}, after training less before: deceptive",
        _untrained(trained, cell) == Verdict.DECEPTIVE,
        trained.deceptive(cell),
    )


def extremes(trained: Outcome, group: str) -> Row:
    """Return the paired difference of the largest fraction from the smallest.

    Which two cells these are depends on the data, so that the interval is for all pairs at once.
    """
    ends = {cell: trained.deceptive(cell) for cell in trained.cells}
    least, most = (pick(ends, key=lambda cell: ends[cell].mean()) for pick in (min, max))
    return difference(
        f"{group}/largest-less-smallest",
        f"{_said(most)} less {_said(least)}, after training: deceptive",
        *(ends[least], ends[most]),
        num_intervals=max(math.comb(len(ends), 2), 1),
    )


def _errs(trained: Outcome, cell: str, key: str, label: str, *, kind: Kind = "measured") -> Row:
    """Estimate the fraction of fit perceptrons that err unwatched."""
    # Those that were not found are DIVERGED.
    fit = trained.at(cell).filter(
        pl.col("verdict") != Verdict.DIVERGED.name, pl.col("watched") == 0.0
    )
    return share(
        key,
        label,
        fit["verdict"].to_numpy() == Verdict.DECEPTIVE.name,
        kind=kind,
        expected=ERR / (ERR + SOUND) if kind == "known" else None,
    )


def _extremes(rows: Sequence[Row]) -> tuple[Row, Row]:
    """Return the rows of the smallest and of the largest value."""
    ordered = sorted(rows, key=lambda one: one.value)
    return ordered[0], ordered[-1]


def _name(network: Network) -> str:
    size = getattr(network, "widths", getattr(network, "width", None))
    told = "-".join(map(str, size)) if isinstance(size, tuple) else f"{size}"
    return f"{type(network).__name__}={told}" if size else repr(network)


def _said(cell: str) -> str:
    return cell.replace("=", " ")


def _of(one: Row) -> str:
    return _said(one.key.partition("/")[0])
