"""Does training keep a good start good? "It depends on the training process": how much?"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from matplotlib.figure import Figure

from basin_jax.core.contracts import Method
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.adversarial import Adversarial
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.sharpness_aware import SharpnessAware
from basin_jax.starts.trained import Trained
from basin_jax.studies.framework.figure import INK, canvas, forest
from basin_jax.studies.framework.rows import Finding, Row, Sentence, difference, say, share
from basin_jax.studies.framework.study import WELL, WELL_RULE, Lab, Outcome, Study


SGD = Gradient(learning_rate=0.1)


class Preservation(Study):
    """Train networks under oversight, then take it away, by one method or another.

    The good starts are the seeds that end as intended under a share of full oversight. Each is
    trained on in the organism itself, where defecting pays, by every method, so that any two of
    them are compared seed by seed (McNemar's exact test, and intervals that agree with it, for all
    pairs at once): the tipping matrix.
    """

    methods: tuple[Method, ...] = (
        SGD,
        Gradient(learning_rate=0.1, options={"momentum": 0.9}),
        Gradient(learning_rate=0.1, noise=0.1),
        Gradient(learning_rate=0.1, l2=1e-3),
        Gradient(learning_rate=0.1, dropconnect=0.1),
        Gradient(optimizer="adam", learning_rate=0.01),
        SharpnessAware(method=SGD, radius=0.05),
        Adversarial(method=SGD, radius=0.5),
    )
    names: tuple[str, ...] = (
        "SGD",
        "momentum .9",
        "gradient noise .1",
        "L2 of .001",
        "dropconnect .1",
        "Adam .01",
        "sharpness-aware",
        "adversarial",
    )
    # Of full oversight. Defecting in the audit game does not pay from 1/6 on.
    made_under: float = 0.2
    quick: int = 256

    limits = (
        "Methods are compared at one setting each and after the same number of steps, which is "
        "not the same amount of training.",
        "A good start is one that oversight made; others may be kept more or less well.",
    )

    def validate(self) -> None:
        count = len(self.methods)
        self.require(len(self.names) == count, "names", f"one for each of {count} methods")
        self.require(count >= 2, "methods", "two or more")
        own = self.subject.method
        self.require(self.methods[0] == own, "methods", f"the subject's own first, {own!r}")

    def measure(self, lab: Lab) -> Finding:
        subject, rule = self.subject, self.subject.rule
        steps = subject.num_steps
        good = subject.sweep.replace(method=subject.overseen_by(self.made_under, end=steps))
        seeds = lab.run("good", [good], self.seeds(lab), rule=rule).seeds(good, Verdict.INTENDED)
        onward = subject.sweep.replace(start=Trained(of=good))
        cells = [onward.replace(method=method) for method in self.methods]
        trained = lab.run("onward", cells, seeds, rule=rule)
        ends = [
            trained.shares(cell, name, cells=len(cells))
            for name, cell in zip(self.names, cells, strict=True)
        ]
        left, partial = map(list, zip(*ends, strict=True))
        pairs = list(combinations(range(len(cells)), 2))
        apart = {
            (first, second): self._apart(trained, cells, first, second, pairs=len(pairs))
            for first, second in pairs
        }
        kept = onward.replace(method=subject.overseen_by(end=steps))
        control = share(
            "trained on under full oversight: deceptive",
            lab.run("overseen", [kept], seeds, rule=rule).deceptive(kept),
            kind="control",
            expected=0.0,
        )
        return Finding(
            name="preservation",
            question=self.question,
            says=self._says(left, partial, apart),
            limits=self.limits,
            rows=[
                *(*left, *partial, *apart.values()),
                *trained.thresholds(cells[0], f"{self.names[0]}: deceptive"),
                *(control, _well(lab, self.seeds(lab))),
            ],
            figure=self._draw(left, partial, apart),
        )

    def _apart(
        self, trained: Outcome, cells: Sequence[Sweep], first: int, second: int, *, pairs: int
    ) -> Row:
        """Return by how much more become deceptive under the second method than the first."""
        what = f"{self.names[second]}: deceptive, less under {self.names[first]}"
        before, after = (trained.deceptive(cells[one]) for one in (first, second))
        return difference(what, before, after, cells=pairs)

    def _draw(
        self, left: list[Row], partial: list[Row], apart: dict[tuple[int, int], Row]
    ) -> Figure:
        count = len(self.names)
        figure, (a, b) = canvas(2, height=0.24 * count + 1.6)
        forest(a, self.names, left, color=INK[0], dodge=-0.15)
        forest(a, self.names, partial, color=INK[4], dodge=0.15)
        most = max(one.high for one in (*left, *partial))
        a.set(
            xlabel="becomes deceptive (yellow: in some contexts)", xlim=(-0.03 * most, 1.03 * most)
        )
        matrix = np.zeros((count, count))
        for (first, second), one in apart.items():
            matrix[second, first], matrix[first, second] = one.value, -one.value
            if _clear(one):
                for place, value in (((first, second), one.value), ((second, first), -one.value)):
                    b.annotate(f"{value:+.2f}", place, ha="center", va="center", fontsize=5)
        reach = max(np.abs(matrix).max(), 0.01)
        b.imshow(matrix, cmap="PuOr_r", vmin=-2.5 * reach, vmax=2.5 * reach, aspect="auto")
        b.set_xticks(range(count), self.names, rotation=45, ha="right", rotation_mode="anchor")
        b.set_yticks(range(count), self.names)
        b.tick_params(length=0)
        b.grid(visible=False)
        b.set(xlabel="by the row, more than by the column")
        return figure

    def _says(
        self, left: list[Row], partial: list[Row], apart: dict[tuple[int, int], Row]
    ) -> list[Sentence]:
        ordered = sorted(left, key=lambda one: one.value)
        others = [one for (first, _), one in apart.items() if first == 0]
        told = "; ".join(f"{_method(one)} by {one}" for one in others if _clear(one))
        most = max(partial, key=lambda one: one.value)
        return [
            say(
                f"Of {left[0].seeds:,} good starts {left[0]} become deceptive under "
                f"{self.names[0]}; over all methods from {ordered[0]} ({_method(ordered[0])}) to "
                f"{ordered[-1]} ({_method(ordered[-1])}).",
                *(left[0], ordered[0], ordered[-1]),
            ),
            say(f"Deceptive in some contexts only become at most {most} ({_method(most)}).", most),
            say(
                "On the same seeds, by intervals for all pairs of methods at once, more or fewer "
                f"become deceptive than under {self.names[0]} under: {told or 'no other method'}.",
                *others,
            ),
        ]


def _clear(one: Row) -> bool:
    return one.low > 0 or one.high < 0


def _method(one: Row) -> str:
    return one.what.partition(":")[0]


def _well(lab: Lab, seeds: int) -> Row:
    """Return how many particles leave the left well by descent: none."""
    left = lab.run("well", [WELL], seeds, rule=WELL_RULE).seeds(WELL, Verdict.INTENDED)
    onward = WELL.replace(start=Trained(of=WELL))
    found = lab.run("well_onward", [onward], left, rule=WELL_RULE).deceptive(onward)
    what = "double well: from the left to the right well, by gradient descent"
    return share(what, found, kind="known", expected=0.0)
