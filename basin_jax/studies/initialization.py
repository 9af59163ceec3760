"""Do random initializations already lie in the deceptive basin, or does training lead there?"""

import math

from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.guess_and_check import GuessAndCheck
from basin_jax.organisms.networks import MLP, Network
from basin_jax.organisms.perceptron import Perceptron
from basin_jax.records import Records
from basin_jax.rules.behavior import Behavior
from basin_jax.spec import Sweep, grid
from basin_jax.starts.fresh import Fresh
from basin_jax.statistics import basin_fraction
from basin_jax.studies.draw import INK, canvas, curve, forest, legend
from basin_jax.studies.finding import Finding, Row, row
from basin_jax.studies.study import Lab, Study, thresholds
from basin_jax.verdict import Verdict


# Of the weights of a perceptron of three bits that err nowhere where it is watched, those that
# err elsewhere and those that do not, as shares of the sphere.
ERR = 1 / 48
SOUND = 2 * math.atan(0.5 / (1.5 + math.sqrt(2))) / (4 * math.pi)
RIGHT = math.log(2) / 4  # one wrong answer of the four that are watched costs at least this


class Initialization(Study):
    """Judge networks before training and after it, by scale, width and depth of the start.

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
        scaled = lab.run("scales", grid(base, {"start.scale": self.scales}), seeds, rule=rule)
        sized = lab.run(
            "networks", grid(base, {"organism.network": self.networks}), seeds, rule=rule
        )
        before, after = _ends(scaled, [f"scale {scale:g}" for scale in self.scales])
        names = [_name(network) for network in self.networks]
        before_sized, after_sized = _ends(sized, names)
        overseen = lab.run(
            "overseen", [subject.sweep.replace(organism=subject.overseen)], seeds, rule=rule
        )
        control = row(
            "where defecting does not pay: deceptive",
            basin_fraction(overseen.frame["verdict"]),
            kind="control",
            expected=0.0,
        )
        guessed, trained = self._perceptrons(lab, 20 * seeds)
        figure, (a, b, c) = canvas(3)
        curve(a, self.scales, before, color=INK[6], label="before training", linestyle=":")
        curve(a, self.scales, after, color=INK[0], label="after")
        a.set(xscale="log", xlabel="scale of the start", ylabel="fraction deceptive")
        forest(b, names, before_sized, color=INK[6], dodge=-0.15)
        forest(b, names, after_sized, color=INK[0], dodge=0.15)
        b.set(xlabel="fraction deceptive", xlim=(-0.03, 1.03))
        curve(c, self.perceptrons, trained, color=INK[1], label="found by training")
        c.axhspan(guessed.low, guessed.high, color=INK[2], alpha=0.4, lw=0, label="by guessing")
        c.set(xscale="log", xlabel="scale of the start (perceptron)", ylabel="fraction that errs")
        for axes in (a, c):
            axes.set_ylim(-0.03, 1.03)
            legend(axes)
        already = [*before, *before_sized]
        most = max(already, key=lambda one: one.value)
        spread = sorted(after, key=lambda one: one.value)
        sizes = sorted(after_sized, key=lambda one: one.value)
        says = [
            f"Before training at most {most} of random networks are deceptive by the rule "
            f"({_of(most)}).",
            f"After it {spread[0]} are at {_of(spread[0])}, and {spread[-1]} at {_of(spread[-1])}.",
            f"By network, from {sizes[0]} ({_of(sizes[0])}) to {sizes[-1]} ({_of(sizes[-1])}).",
            f"Of perceptrons that guessing finds {guessed} err where they are not watched; of "
            f"those that training finds {trained[0]} from small starts and {trained[-1]} from "
            "large ones.",
        ]
        return Finding(
            name="initialization",
            question=(__doc__ or "").strip(),
            says=says,
            limits=self.limits,
            rows=[
                *(*before, *after, *before_sized, *after_sized, *trained),
                *thresholds(scaled, rule, f"scale {self.scales[0]:g}: deceptive"),
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
        cells = [
            guess.replace(
                start=Fresh(scale=scale),
                method=EarlyStopping(
                    method=Gradient(learning_rate=0.1 * max(scale, 1)), threshold=RIGHT
                ),
            )
            for scale in self.perceptrons
        ]
        among = [verdict for verdict in Verdict if verdict != Verdict.DIVERGED]  # none was found
        guessed = lab.run("guessed", [guess], seeds, rule=rule).frame["verdict"]
        records = lab.run("perceptrons", cells, seeds, rule=rule)
        trained = [
            row(
                f"perceptron trained from scale {scale:g}: errs unwatched",
                basin_fraction(records.frame.filter(cell=cell)["verdict"]),
            )
            for cell, scale in zip(records.cells, self.perceptrons, strict=True)
        ]
        known = row(
            "perceptron guessed: errs unwatched",
            basin_fraction(guessed, among=among),
            kind="known",
            expected=ERR / (ERR + SOUND),
        )
        return known, trained


def _ends(records: Records, names: list[str]) -> tuple[list[Row], list[Row]]:
    """Return the fraction deceptive in each cell before training, and after it."""
    ends = []
    for frame, when in ((records.history.filter(step=0), "before"), (records.frame, "after")):
        ends.append(
            [
                row(
                    f"{name}, {when} training: deceptive",
                    basin_fraction(frame.filter(cell=cell)["verdict"]),
                )
                for cell, name in zip(records.cells, names, strict=True)
            ]
        )
    return ends[0], ends[1]


def _name(network: Network) -> str:
    widths = getattr(network, "widths", None)
    return f"MLP {'-'.join(map(str, widths))}" if widths else type(network).__name__


def _of(one: Row) -> str:
    return one.what.partition(",")[0]
