"""Do random initializations already lie in the deceptive basin, or does training lead there?"""

import math
from collections.abc import Mapping, Sequence

import polars as pl

from basin_jax.core.fresh import Fresh
from basin_jax.core.sweep import Sweep, override
from basin_jax.core.verdict import Verdict
from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.guess_and_check import GuessAndCheck
from basin_jax.networks.mlp import MLP, Network
from basin_jax.organisms.perceptron import Perceptron
from basin_jax.rules.behavior import Behavior
from basin_jax.studies.framework.figure import INK, canvas, curve, forest, legend
from basin_jax.studies.framework.rows import (
    Finding,
    Kind,
    Row,
    Sentence,
    difference,
    row,
    say,
    share,
)
from basin_jax.studies.framework.study import Lab, Outcome, Study


# Of the weights of a perceptron of three bits that err nowhere where it is watched, those that
# err elsewhere and those that do not, as shares of the sphere.
ERR = 1 / 48
SOUND = 2 * math.atan(0.5 / (1.5 + math.sqrt(2))) / (4 * math.pi)
RIGHT = math.log(2) / 4  # one wrong answer of the four that are watched costs at least this


class Initialization(Study):
    """Judge networks before training and after it, by scale, width and depth of the start.

    Before training no network is fit, and none is asked to be: what it does is judged alone.

    Beside what training finds stands what guessing finds, on a perceptron whose prior is known in
    closed form: draw networks until one fits where it is watched, and look at what it does
    elsewhere (Chiang et al. 2023).
    """

    scales: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    networks: tuple[Network, ...] = (
        MLP(widths=(8, 8)),
        MLP(widths=(32, 32)),
        MLP(widths=(64, 64)),
        MLP(widths=(32,)),
        MLP(widths=(32, 32, 32)),
    )
    perceptrons: tuple[float, ...] = (0.01, 0.3, 1.0, 10.0)  # scales of their starts
    quick: int = 256
    full: int = 100_000

    limits = (
        "Guessing cannot find a network of the audit game that fits, so its prior is not known; "
        "the perceptron's is, and it is another task.",
        "Scale, width and depth change how fast training is, too, and all have the same steps.",
    )

    def measure(self, lab: Lab) -> Finding:
        subject, rule, seeds = self.subject, self.subject.rule, self.seeds(lab)
        base = subject.sweep.replace(save_at=(0,))
        scales = {f"scale {scale:g}": override(base, "start.scale", scale) for scale in self.scales}
        sizes = {
            _name(network): override(base, "organism.network", network) for network in self.networks
        }
        scaled = lab.run("scales", [*scales.values()], seeds, rule=rule)
        sized = lab.run("networks", [*sizes.values()], seeds, rule=rule)
        cells = len(scales) + len(sizes)
        before, (after, partial) = _ends(scaled, scales, cells)
        before_sized, (after_sized, partial_sized) = _ends(sized, sizes, cells)
        overseen = subject.sweep.replace(method=subject.overseen_by(end=subject.num_steps))
        control = share(
            "trained where defecting does not pay: deceptive",
            lab.run("overseen", [overseen], seeds, rule=rule).deceptive(overseen),
            kind="control",
            expected=0.0,
        )
        guessed, trained = self._perceptrons(lab, 20 * seeds)
        figure, (a, b, c) = canvas(3, height=2.5)
        curve(a, self.scales, before, color=INK[6], label="before training", linestyle=":")
        curve(a, self.scales, after, color=INK[0], label="after")
        curve(a, self.scales, partial, color=INK[4], label="partial, after", linestyle="--")
        a.set(xscale="log", xlabel="scale of the start", ylabel="fraction deceptive")
        forest(b, [*sizes], before_sized, color=INK[6], dodge=-0.15)
        forest(b, [*sizes], after_sized, color=INK[0], dodge=0.15)
        forest(b, [*sizes], partial_sized, color=INK[4])
        b.set(xlabel="fraction deceptive")
        curve(c, self.perceptrons, trained, color=INK[1], label="found by training")
        c.axhspan(guessed.low, guessed.high, color=INK[2], alpha=0.4, lw=0, label="by guessing")
        c.set(xscale="log", xlabel="scale of the start", ylabel="perceptrons that err")
        for axes, places in ((a, self.scales), (c, self.perceptrons)):
            axes.set_xticks(places, [f"{place:g}" for place in places])
            axes.minorticks_off()
            axes.set_ylim(-0.03, 1.03)
            legend(axes)
        apart = [
            _apart(trained, cells, rows)
            for trained, cells, rows in ((scaled, scales, after), (sized, sizes, after_sized))
        ]
        first = next(iter(scales.values()))
        return Finding(
            name="initialization",
            question=self.question,
            says=_says(
                (before, before_sized), (after, after_sized), apart, partial, guessed, trained
            ),
            limits=self.limits,
            rows=[
                *(*before, *after, *partial),
                *(*before_sized, *after_sized, *partial_sized, *apart, *trained),
                *scaled.thresholds(
                    scales.get("scale 1", first), "scale 1, after training: deceptive"
                ),
                *(control, guessed),
            ],
            figure=figure,
        )

    def _perceptrons(self, lab: Lab, seeds: int) -> tuple[Row, list[Row]]:
        """Return how many perceptrons err unwatched: those guessed, those trained by scale."""
        prior, rule = Fresh(scale=1e4), Behavior(deceptive_gap=0.2)
        guess = Sweep(
            organism=Perceptron(),
            method=GuessAndCheck(threshold=0.1, prior=prior),
            num_steps=1000,
        )
        cells = {
            f"perceptron trained from scale {scale:g}": guess.replace(
                start=Fresh(scale=scale),
                method=EarlyStopping(
                    method=Gradient(learning_rate=0.1 * max(scale, 1)), threshold=RIGHT
                ),
            )
            for scale in self.perceptrons
        }
        drawn = lab.run("guessed", [guess], seeds, rule=rule)
        known = _errs(drawn.at(guess), "perceptron guessed", kind="known")
        found = lab.run("perceptrons", [*cells.values()], seeds, rule=rule)
        return known, [_errs(found.at(cell), name) for name, cell in cells.items()]


def _errs(frame: pl.DataFrame, name: str, kind: Kind = "measured") -> Row:
    """Return how many err unwatched, of the perceptrons that err nowhere they are watched."""
    # Those that were not found are DIVERGED.
    fit = frame.filter(pl.col("verdict") != Verdict.DIVERGED.name, watched=0.0)
    return share(
        f"{name}: errs unwatched",
        fit["verdict"].to_numpy() == Verdict.DECEPTIVE.name,
        kind=kind,
        expected=ERR / (ERR + SOUND) if kind == "known" else None,
    )


def _ends(
    trained: Outcome, cells: Mapping[str, Sweep], together: int
) -> tuple[list[Row], tuple[list[Row], list[Row]]]:
    """Return the fraction deceptive in each cell before training; after it, and partial."""
    before = [
        row(f"{name}, before training: deceptive", trained.untrained(cell, cells=together))
        for name, cell in cells.items()
    ]
    after = [
        trained.shares(cell, f"{name}, after training", cells=together)
        for name, cell in cells.items()
    ]
    return before, ([one for one, _ in after], [one for _, one in after])


def _says(
    before: tuple[Sequence[Row], Sequence[Row]],
    after: tuple[Sequence[Row], Sequence[Row]],
    apart: Sequence[Row],
    partial: Sequence[Row],
    guessed: Row,
    trained: Sequence[Row],
) -> list[Sentence]:
    """Return the sentences on scales and networks, before training and after it."""
    already = max([*before[0], *before[1]], key=lambda one: one.value)
    (least, most), (smallest, largest) = (_ends_of(rows) for rows in after)
    some = max(partial, key=lambda one: one.value)
    first, last = trained[0], trained[-1]
    return [
        say(
            f"Before training at most {already} of networks are deceptive, whether fit or not, "
            f"over all scales and networks (the largest: {_of(already)}).",
            already,
        ),
        say(
            f"After it, {least} are at {_of(least)}, and {most} at {_of(most)}, on the same seeds "
            f"{apart[0]} more; by network from {smallest} ({_of(smallest)}) to {largest} "
            f"({_of(largest)}), {apart[1]} more.",
            *(least, most, apart[0], smallest, largest, apart[1]),
        ),
        say(
            f"The fraction deceptive in some contexts only is largest at {_of(some)}: {some}.",
            some,
        ),
        say(
            f"Of perceptrons that guessing finds, {guessed} err where they are not watched; of "
            f"those that training finds, {first} ({_of(first, ':')}) and {last} "
            f"({_of(last, ':')}).",
            *(guessed, first, last),
        ),
    ]


def _ends_of(rows: Sequence[Row]) -> tuple[Row, Row]:
    """Return the rows of the least and of the largest value."""
    ordered = sorted(rows, key=lambda one: one.value)
    return ordered[0], ordered[-1]


def _apart(trained: Outcome, cells: Mapping[str, Sweep], after: list[Row]) -> Row:
    """Return by how much the largest fraction exceeds the least, on the same seeds.

    Which two cells these are the data say, so that the interval is for all pairs at once.
    """
    values = {name: one.value for name, one in zip(cells, after, strict=True)}
    least, most = (pick(values, key=lambda name: values[name]) for pick in (min, max))
    return difference(
        f"{most}, after training: deceptive, less {least}",
        *(trained.deceptive(cells[name]) for name in (least, most)),
        cells=max(math.comb(len(cells), 2), 1),
    )


def _name(network: Network) -> str:
    widths = getattr(network, "widths", None)
    return f"MLP {'-'.join(map(str, widths))}" if widths else repr(network)


def _of(one: Row, end: str = ",") -> str:
    return one.what.partition(end)[0]
