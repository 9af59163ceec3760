"""Does training keep a good start good? "It depends on the training process": how much?"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from basin_jax.core.contracts import Method
from basin_jax.core.verdict import Verdict
from basin_jax.methods.adversarial import Adversarial
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.sharpness_aware import SharpnessAware
from basin_jax.starts.trained import Trained
from basin_jax.studies.controls import double_well
from basin_jax.studies.framework.figure import INK, Forest, Matrix, Panel
from basin_jax.studies.framework.lab import Group, Lab, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import Row, Sentence, Table, difference, say
from basin_jax.studies.framework.study import TestbedStudy


SGD = Gradient(learning_rate=0.1)


class Preservation(TestbedStudy):
    """Train networks under oversight, then take it away, by one method or another.

    The good starts are the seeds that end as intended under a share of full oversight. Each is
    trained on in the organism itself, where defecting pays, by every method, so that any two
    methods are compared seed by seed (McNemar's exact test, and intervals that agree with it, for
    all pairs at once).
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
        "Good starts are those that oversight made; others may be kept more or less well.",
    )

    def validate(self) -> None:
        count = len(self.methods)
        self.require(len(self.names) == count, "names", f"one for each of {count} methods")
        self.require(count >= 2, "methods", "two or more")
        own = self.testbed.method
        self.require(self.methods[0] == own, "methods", f"the testbed's own first, {own!r}")

    def sweeps(self, seeds: int) -> dict[str, Group]:
        testbed, rule = self.testbed, self.testbed.rule
        good = testbed.sweep.replace(method=testbed.overseen_by(self.made_under))
        onward = testbed.sweep.replace(start=Trained(of=good))
        cells = {
            name: onward.replace(method=method)
            for name, method in zip(self.names, self.methods, strict=True)
        }
        overseen = onward.replace(method=testbed.overseen_by())

        def kept(lab: Lab) -> np.ndarray:
            return lab["good"].seeds(Verdict.INTENDED)

        return {
            "good": only(good, seeds, rule=rule),
            "onward": Group(cells=cells, seeds=kept, rule=rule),
            "overseen": only(overseen, kept, rule=rule),
            **double_well.descent(seeds),
        }

    @property
    def _pairs(self) -> list[tuple[str, str]]:
        return [*combinations(self.names, 2)]

    def rows(self, lab: Lab) -> Iterator[Row]:
        onward = lab["onward"]
        for name in self.names:
            yield from onward.shares(name, name, name, num_intervals=len(self.names))
        for first, second in self._pairs:
            yield difference(
                _less(first, second),
                f"{second} less {first}: deceptive",
                *(onward.deceptive(name) for name in (first, second)),
                num_intervals=len(self._pairs),
            )
        yield from onward.thresholds(self.names[0], self.names[0], self.names[0])
        yield lab["overseen"].null("overseen", "trained on under full oversight")
        yield double_well.stays(lab)

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        first = rows[f"{self.names[0]}/deceptive"]
        ends = {name: rows[f"{name}/deceptive"] for name in self.names}
        least, *_, most = sorted(ends, key=lambda name: ends[name].value)
        yield say(
            f"Of {first.seeds:,} good starts, {first} become deceptive under {self.names[0]}; the "
            f"fraction is smallest under {least}, {ends[least]}, and largest under {most}, "
            f"{ends[most]}.",
            *(first, ends[least], ends[most]),
        )
        partial = {name: rows[f"{name}/partial"] for name in self.names}
        most = max(partial, key=lambda name: partial[name].value)
        yield say(
            f"At most {partial[most]} become deceptive in some contexts only ({most}).",
            partial[most],
        )
        others = {name: rows[_less(self.names[0], name)] for name in self.names[1:]}
        clear = [f"{name} ({one})" for name, one in others.items() if one.sign]
        differ = "; ".join(clear) or "no other method"
        yield say(
            f"On the same seeds, the fraction differs from that under {self.names[0]}, by "
            f"intervals for all pairs of methods at once, under: {differ}"
            f"{unseen(others.values())}.",
            *others.values(),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        deceptive, partial = (rows.along(f"*/{of}", self.names) for of in ("deceptive", "partial"))
        ends = [
            Forest(deceptive, label="deceptive", color=INK[0]),
            Forest(partial, label="in some contexts", color=INK[4]),
        ]
        yield Panel(ends, xlabel="becomes deceptive", limits=(0.0, None))
        apart = np.full((len(self.names), len(self.names)), np.nan)
        for i, j in combinations(range(len(self.names)), 2):
            one = rows[_less(self.names[i], self.names[j])]
            if one.sign:
                apart[j, i], apart[i, j] = one.value, -one.value
        matrix = Matrix(self.names, apart)
        yield Panel([matrix], xlabel="row less column (–: not shown to differ)")


def _less(first: str, second: str) -> str:
    return f"{second}-less-{first}/deceptive"
