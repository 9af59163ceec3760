"""Does training keep a good start good? "It depends on the training process": how much?"""

from basin_jax.base import Method
from basin_jax.methods.adversarial import Adversarial
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.sharpness_aware import SharpnessAware
from basin_jax.spec import Sweep
from basin_jax.starts.trained import Trained
from basin_jax.statistics import paired_difference
from basin_jax.studies.draw import INK, canvas, forest
from basin_jax.studies.finding import Finding, Row, row
from basin_jax.studies.study import WELL, WELL_RULE, Lab, Outcome, Study
from basin_jax.verdict import Verdict


SGD = Gradient(learning_rate=0.1)


class Preservation(Study):
    """Train networks under oversight, then take it away, by one method or another.

    The good starts are the seeds that end as intended under a share of full oversight. Each is
    trained on in the organism itself, where defecting pays, by every method, so that methods are
    compared seed by seed with the first of them (McNemar's exact test, and intervals that agree
    with it, for all methods at once).
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

    def measure(self, lab: Lab) -> Finding:
        subject, rule = self.subject, self.subject.rule
        steps = subject.num_steps
        good = subject.sweep.replace(method=subject.overseen_by(self.made_under, end=steps))
        seeds = lab.run("good", [good], self.seeds(lab), rule=rule).seeds(good, Verdict.INTENDED)
        onward = subject.sweep.replace(start=Trained(of=good))
        cells = [onward.replace(method=method) for method in self.methods]
        trained = lab.run("onward", cells, seeds, rule=rule)
        left = [
            row(f"{name}: deceptive", trained.fraction(cell, cells=len(cells)))
            for name, cell in zip(self.names, cells, strict=True)
        ]
        apart = [
            self._apart(trained, cells[0], cell, name)
            for name, cell in zip(self.names[1:], cells[1:], strict=True)
        ]
        kept = onward.replace(method=subject.overseen_by(end=steps))
        control = row(
            "trained on under full oversight: deceptive",
            lab.run("overseen", [kept], seeds, rule=rule).fraction(kept),
            kind="control",
            expected=0.0,
        )
        figure, (a, b) = canvas(2, height=0.22 * len(self.names) + 1.0)
        forest(a, self.names, left, color=INK[0])
        most = max(one.high for one in left)
        a.set(xlabel="fraction that becomes deceptive", xlim=(-0.03 * most, 1.03 * most))
        forest(b, self.names[1:], apart, color=INK[1])
        b.axvline(0, color="#858585", lw=0.6)
        b.set(xlabel=f"difference from {self.names[0]}, same seeds")
        return Finding(
            name="preservation",
            question=(__doc__ or "").strip(),
            says=self._says(len(seeds), left, apart),
            limits=self.limits,
            rows=[
                *(*left, *apart),
                *trained.thresholds(cells[0], f"{self.names[0]}: deceptive"),
                *(control, _well(lab, self.seeds(lab))),
            ],
            figure=figure,
        )

    def _apart(self, trained: Outcome, first: Sweep, cell: Sweep, name: str) -> Row:
        before, after = (trained.verdicts(c) == Verdict.DECEPTIVE.name for c in (first, cell))
        gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
        found = paired_difference(gained, lost, len(after), cells=len(self.names) - 1)
        return Row(
            kind="measured",
            what=f"{name}: deceptive, less under {self.names[0]} "
            f"({gained} gained, {lost} lost, p = {found.p_value:.2g})",
            value=found.difference,
            low=found.low,
            high=found.high,
            seeds=found.trials,
        )

    def _says(self, count: int, left: list[Row], apart: list[Row]) -> list[str]:
        ordered = sorted(left, key=lambda one: one.value)
        clear = [one for one in apart if one.low > 0 or one.high < 0]
        told = "; ".join(f"{_method(one)} by {one}" for one in clear)
        return [
            f"Of {count:,} good starts, made under {self.made_under:g} of full oversight, "
            f"{left[0]} become deceptive under {self.names[0]}; over all methods from {ordered[0]} "
            f"({_method(ordered[0])}) to {ordered[-1]} ({_method(ordered[-1])}).",
            f"{len(clear)} of {len(apart)} other methods differ from {self.names[0]} on the same "
            f"seeds, by intervals for all at once{f': {told}' if told else ''}.",
        ]


def _method(one: Row) -> str:
    return one.what.partition(":")[0]


def _well(lab: Lab, seeds: int) -> Row:
    """Return how many particles leave the left well by descent: none."""
    left = lab.run("well", [WELL], seeds, rule=WELL_RULE).seeds(WELL, Verdict.INTENDED)
    onward = WELL.replace(start=Trained(of=WELL))
    found = lab.run("well_onward", [onward], left, rule=WELL_RULE).fraction(onward)
    what = "double well: from the left to the right well, by gradient descent"
    return row(what, found, kind="known", expected=0.0)
