"""Does training keep a good start good? "It depends on the training process": how much?"""

from basin_jax.base import Method
from basin_jax.methods.adversarial import Adversarial
from basin_jax.methods.correction import Correction
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.sharpness_aware import SharpnessAware
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.records import Records
from basin_jax.rules.behavior import Behavior
from basin_jax.spec import Sweep
from basin_jax.starts.trained import Trained
from basin_jax.statistics import basin_fraction
from basin_jax.studies.draw import INK, canvas, forest
from basin_jax.studies.finding import Finding, Row, row
from basin_jax.studies.study import Lab, Study, thresholds
from basin_jax.verdict import Verdict


SGD = Gradient(learning_rate=0.1)
METHODS: tuple[Method, ...] = (
    SGD,
    Gradient(learning_rate=0.1, options={"momentum": 0.9}),
    Gradient(learning_rate=0.1, noise=0.1),
    Gradient(learning_rate=0.1, l2=1e-3),
    Gradient(optimizer="adam", learning_rate=0.01),
    SharpnessAware(method=SGD, radius=0.05),
    Adversarial(method=SGD, radius=0.5),
)


class Preservation(Study):
    """Train networks under oversight, then take it away, by one method or another.

    The good starts are the seeds that end as intended under a share of full oversight. Each is
    trained on in the organism itself, where defecting pays, by every method, so that methods are
    compared seed by seed with the first of them (intervals for all at once).
    """

    # Of full oversight. Defecting in the audit game does not pay from 1/6 on.
    made_under: float = 0.2
    methods: tuple[Method, ...] = METHODS
    names: tuple[str, ...] = (
        "SGD",
        "momentum .9",
        "gradient noise .1",
        "L2 of .001",
        "Adam .01",
        "sharpness-aware",
        "adversarial",
    )
    quick: int = 192
    full: int = 20_000

    limits = (
        "Methods are compared at one setting each and after the same number of steps, which is "
        "not the same amount of training.",
        "A good start is one that oversight made; others may be kept more or less well.",
    )

    def validate(self) -> None:
        self.require(
            len(self.names) == len(self.methods), "names", f"one for each of {len(self.methods)}"
        )

    def measure(self, lab: Lab) -> Finding:
        subject, rule = self.subject, self.subject.rule
        steps = subject.num_steps
        made = Correction(
            method=subject.method, objective=subject.under(self.made_under), end=steps
        )
        good = subject.sweep.replace(method=made)
        begun = lab.run("good", [good], self.seeds(lab), rule=rule)
        seeds = begun.seeds(Verdict.INTENDED)
        onward = subject.sweep.replace(start=Trained(of=good))
        cells = [onward.replace(method=method) for method in self.methods]
        records = lab.run("onward", cells, seeds, rule=rule)
        left = [
            _of(records, cell, name) for cell, name in zip(records.cells, self.names, strict=True)
        ]
        apart = _apart(records, self.names)
        full = Correction(method=subject.method, objective=subject.overseen, end=steps)
        still = lab.run("overseen", [onward.replace(method=full)], seeds, rule=rule)
        control = row(
            "trained on under full oversight: deceptive",
            basin_fraction(still.frame["verdict"]),
            kind="control",
            expected=0.0,
        )
        loose = thresholds(records, rule, f"{self.names[0]}: deceptive")
        figure, (a, b) = canvas(2, height=0.22 * len(self.names) + 1.1)
        forest(a, self.names, left, color=INK[0])
        a.set(xlabel="fraction that becomes deceptive", xlim=(-0.03, 1.03))
        forest(b, self.names[1:], apart, color=INK[1])
        b.axvline(0, color="#858585", lw=0.6)
        b.set(xlabel=f"difference from {self.names[0]}, same seeds")
        ordered = sorted(left, key=lambda one: one.value)
        clear = [one for one in apart if one.low > 0 or one.high < 0]
        says = [
            f"Of {len(seeds):,} good starts, made under {self.made_under:g} of full oversight, "
            f"{left[0]} become deceptive under {self.names[0]}; over all"
            f" methods from {ordered[0]} ({_method(ordered[0])}) to {ordered[-1]} "
            f"({_method(ordered[-1])}).",
            f"{len(clear)} of {len(apart)} other methods differ from {self.names[0]} by more than "
            "intervals for all at once leave open"
            + (f": {'; '.join(f'{_method(one)} by {one}' for one in clear)}." if clear else "."),
        ]
        return Finding(
            name="preservation",
            question=(__doc__ or "").strip(),
            says=says,
            limits=self.limits,
            rows=[*left, *apart, *loose, control, _well(lab, self.seeds(lab))],
            figure=figure,
        )


def _of(records: Records, cell: str, name: str) -> Row:
    verdicts = records.frame.filter(cell=cell)["verdict"]
    return row(f"{name}: deceptive", basin_fraction(verdicts))


def _method(one: Row) -> str:
    return one.what.partition(":")[0]


def _apart(records: Records, names: tuple[str, ...]) -> list[Row]:
    rows = []
    for name, found in zip(names[1:], records.differences().to_dicts(), strict=True):
        gained, lost = found["gained"], found["lost"]
        rows.append(
            Row(
                kind="measured",
                what=f"{name}: deceptive, less under {names[0]} ({gained} gained, {lost} lost)",
                value=found["difference"],
                low=found["low_all"],
                high=found["high_all"],
                seeds=found["trials"],
            )
        )
    return rows


def _well(lab: Lab, seeds: int) -> Row:
    """Return how many particles leave the well that is the lower one: none, by descent."""
    parent = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.3), num_steps=200)
    good = lab.run("well", [parent], seeds, rule=Behavior())
    child = parent.replace(start=Trained(of=parent))
    chosen = good.seeds(Verdict.INTENDED)
    onward = lab.run("well_onward", [child], chosen, rule=Behavior())
    what = "double well: from the left to the right well, by gradient descent"
    found = basin_fraction(onward.frame["verdict"])
    return row(what, found, kind="known", expected=0.0)
