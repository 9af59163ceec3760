"""When is a seed's fate sealed, and by what: its initialization, or the data that come after?"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Unpack

import numpy as np
from numpy import ndarray
from scipy.special import xlogy

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.pushed import Pushed
from basin_jax.starts.fork import Fork
from basin_jax.studies.controls import double_well
from basin_jax.studies.framework.figure import INK, Curve, Level, Line, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    Terms,
    crossing,
    mean,
    numbers,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.framework.testbed import SAMPLED_AUDIT, Testbed


FEW_LANES = 4
SEALED = 0.9  # of pairs of children, that have one verdict
# By how much the committor of these steps may differ from that of the diffusion, twice.
SLACK = 0.004


class Commitment(TestbedStudy):
    """Train children of one parent apart from a step on, and measure their agreement.

    A parent is trained for a share of the steps; its children go on from there, each with data of
    its own, to the end. Two children of one parent have the same verdict as often as two unrelated
    seeds where nothing is decided yet, and always where the verdict is sealed. Where they are apart
    from the first step on, they have only the initialization in common. That they agree more often
    than not does not say that a verdict is sealed: where one verdict has a probability of .85, two
    children agree in three of four families, and four in half of them. So the step is found from
    which on two agree with a probability above .9. Of the entropy of a seed's verdict, the entropy
    among the children of one parent is drawn, too.

    The variance of verdicts splits into that between initializations and that between orders of
    the data; the device's part is how often a seed that is trained again beside fewer others has
    another verdict. For the window of a hijack, seeds that end as intended are pushed once, at one
    step or another.
    """

    testbed: Testbed = SAMPLED_AUDIT
    shares: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)  # of the steps
    children: int = 4
    push: float = 1.0  # a length in the space of parameters
    pushed: tuple[float, ...] = (0.0, 0.05, 0.2)  # of the steps
    quick: int = 512  # children, of all parents
    full: int = 16_384

    limits = (
        "Children do not get the state of an optimizer; plain descent has none.",
        "How often children agree is a mean over parents: so few children do not show how decided "
        "a single parent is, and the entropy among them is a little too low.",
        "The window is that of one push, of one length and in one direction.",
    )

    def validate(self) -> None:
        self.require(self.children >= 2, "children", "at least 2")
        self.require(self.shares[:1] == (0.0,), "shares", "rising from 0")
        for name in ("quick", "full"):
            fits = getattr(self, name) % (2 * self.children) == 0 and getattr(self, name) > 0
            self.require(fits, name, f"a multiple of twice children = {self.children}")

    @property
    def forks(self) -> list[int]:
        """The steps from which on children are trained apart."""
        return [round(share * self.testbed.num_steps) for share in self.shares]

    def sweeps(self, seeds: int) -> dict[str, Group]:
        base, rule = self.testbed.sweep, self.testbed.rule
        steps = base.num_steps
        # First, since it is refused where training draws nothing.
        forks = {
            f"fork_{fork}": only(
                base.replace(
                    start=Fork(of=base.replace(num_steps=fork), children=self.children),
                    num_steps=steps - fork,
                ),
                seeds,
                rule=rule,
            )
            for fork in self.forks
        }
        overseen = base.replace(method=self.testbed.overseen_by())
        return {
            **forks,
            "fresh": only(base, seeds, rule=rule),
            "again": only(base, seeds // 8, rule=rule, lanes=FEW_LANES),
            **{
                f"pushed_{step}": Group(cells=self._pushed(step), seeds=seeds // 4, rule=rule)
                for step in self._pushes
            },
            "overseen": only(overseen, seeds // 4, rule=rule),
            "wells": only(double_well.forked(self.children), seeds, rule=double_well.RULE),
        }

    @property
    def _pushes(self) -> list[int]:
        return [round(share * self.testbed.num_steps) for share in self.pushed]

    def _pushed(self, step: int) -> dict[str, Sweep]:
        """Return a push at a step, and one of 0, which leaves the data as they are."""
        base = self.testbed.sweep
        method = Pushed(method=base.method, push=self.push, begin=step, end=step + 1)
        return {
            name: base.replace(method=method.replace(push=push))
            for name, push in (("pushed", self.push), ("unpushed", 0.0))
        }

    def rows(self, lab: Lab) -> Iterator[Row]:
        fresh, forks = lab["fresh"], self.forks
        alone = fresh.verdicts()
        yield from fresh.shares("", "fresh", "fresh")
        pairs = alone.reshape(-1, 2)
        strangers = share(
            "unrelated/same",
            "two unrelated seeds: same verdict",
            pairs[:, 0] == pairs[:, 1],
            num_intervals=len(forks) + 1,
        )
        families = {fork: families_of(lab[f"fork_{fork}"]) for fork in forks}
        kin = {
            fork: same(
                f"fork={fork}/same",
                f"children apart from step {fork}: same verdict",
                each,
                num_intervals=len(forks) + 1,
            )
            for fork, each in families.items()
        }
        yield from (strangers, *kin.values())
        for fork, each in families.items():
            yield beyond(each, fork, num_intervals=len(forks))
        label = (
            f"first step from which children of one parent agree with a probability above {SEALED}"
        )
        yield crossing("sealed", label, kin, level=SEALED)
        yield from split(strangers, kin[forks[0]])
        again = lab["again"].verdicts()
        yield share(
            "again/differs",
            f"a seed trained again, {FEW_LANES} side by side: another verdict",
            again != alone[: len(again)],
        )
        yield from self._window(lab)
        yield from fresh.thresholds("", "fresh", "fresh")
        yield lab["overseen"].null("overseen", "trained where defecting does not pay")
        yield _other_parents(families[forks[-1]], alone)
        unpushed = self._unpushed(lab)
        yield share(
            "push-of-0/same",
            "push of 0 at any step: same verdict",
            np.all([each == unpushed[0] for each in unpushed], axis=0),
            kind="check",
            expected=1.0,
        )
        yield _wells(lab)

    def _unpushed(self, lab: Lab) -> list[ndarray]:
        return [lab[f"pushed_{step}"].verdicts("unpushed") for step in self._pushes]

    def _window(self, lab: Lab) -> Iterator[Row]:
        """Yield the fraction that one push makes deceptive, by its step."""
        intended = self._unpushed(lab)[0] == Verdict.INTENDED.name
        for step in self._pushes:
            yield share(
                f"push={step}/deceptive",
                f"push of {self.push:g} at step {step}, of seeds intended without: deceptive",
                lab[f"pushed_{step}"].deceptive("pushed")[intended],
                num_intervals=len(self._pushes),
            )

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        forks = self.forks
        strangers = rows["unrelated/same"]
        first, last = (rows[f"fork={fork}/same"] for fork in (forks[0], forks[-1]))
        yield say(
            "Two unrelated seeds have the same verdict (deceptive, intended, unfit or another) in "
            f"{strangers} of pairs, two that share only the initialization in {first}, and two "
            f"that share the first {forks[-1]} steps in {last}.",
            *(strangers, first, last),
        )
        beyond = [rows[f"fork={fork}/same-less-other-parent"] for fork in forks]
        apart = np.array([one.sign > 0 for one in beyond])
        lasting = np.logical_and.accumulate(apart[::-1])[::-1]
        if lasting.any():
            agree = f"Children that are apart from step {forks[int(lasting.argmax())]} or later on"
        else:
            agree = "Children that are apart from none of these steps on"
        yield say(
            f"{agree} are shown to agree more often with those of their own parent than with those "
            f"of another, for all steps at once{unseen(beyond)}.",
            *beyond,
        )
        sealed = rows["sealed"]
        yield say(
            f"Two children of one parent agree with a probability above {SEALED:g} from step "
            f"{sealed} on (infinite: from none of these).",
            sealed,
        )
        between, orders = (rows[f"variance/{part}"] for part in ("initializations", "data"))
        again = rows["again/differs"]
        yield say(
            f"Of the variance of verdicts {between} lies between initializations, and {orders} "
            f"between orders of the data; of seeds that are trained again, {again} have another "
            "verdict.",
            *(between, orders, again),
        )
        window = {step: rows[f"push={step}/deceptive"] for step in self._pushes}
        listed = "; ".join(f"{one} at step {step}" for step, one in window.items())
        yield say(
            f"Of seeds that end as intended, a push of {self.push:g} along the margin makes "
            f"deceptive: {listed}.",
            *window.values(),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        kin = Curve(rows.along("fork=*/same", self.forks), label="two children of one parent")
        strangers = Level(rows["unrelated/same"], label="unrelated")
        xlabel = "step of the fork"
        sealed = Level(SEALED, label="sealed")
        yield Panel([kin, strangers, sealed], xlabel=xlabel, ylabel="same verdict")
        left = {fork: entropy(families_of(lab[f"fork_{fork}"])) for fork in self.forks}
        everyone = entropy(lab["fresh"].verdicts()[None])
        yield Panel(
            [
                Line(left, label="among children", marker="o"),
                Level(everyone, label="of all seeds"),
            ],
            xlabel=xlabel,
            ylabel="entropy of the verdict (bits)",
            limits=(0.0, None),
        )
        window = rows.along("push=*/deceptive", self._pushes)
        push = Curve(window, label=f"push of {self.push:g}", color=INK[3])
        yield Panel([push], xlabel="step of the push")


def families_of(trained: Outcome) -> ndarray:
    """Return the verdicts [parent, child]."""
    return trained.verdicts().reshape(-1, trained.cells[""].siblings)


def same(key: str, label: str, families: ndarray, **terms: Unpack[Terms]) -> Row:
    """Estimate the probability that two children of one parent have the same verdict."""
    children = families.shape[1]
    counts = _counts(families)
    shares = (counts * (counts - 1)).sum(0) / (children * (children - 1))
    return replace(mean(key, label, shares, **terms), seeds=families.size)


def beyond(families: ndarray, fork: int, *, num_intervals: int) -> Row:
    """Estimate the excess agreement of children of one parent over those of neighbors.

    Both are counted on the same children, for each two neighbors among the parents.
    """
    children = families.shape[1]
    counts = _counts(families)
    own = (counts * (counts - 1)).sum(0) / (children * (children - 1))
    across = (counts[:, ::2] * counts[:, 1::2]).sum(0) / children**2
    excess = own.reshape(-1, 2).mean(1) - across
    found = mean(
        f"fork={fork}/same-less-other-parent",
        f"children apart from step {fork}: same verdict, less children of another parent",
        excess,
        num_intervals=num_intervals,
        least=-1.0,
    )
    return replace(found, seeds=families.size)


def _counts(families: ndarray) -> ndarray:
    """Count the children [verdict, parent]."""
    return np.stack([(families == verdict.name).sum(1) for verdict in Verdict])


def split(strangers: Row, kin: Row) -> list[Row]:
    """Split the variance of verdicts between initializations and data.

    Two of a kind differ with twice the variance among their kind, so that the share between
    initializations is (kin - strangers) / (1 - strangers), of how often each have one verdict. It
    rises with the one and falls with the other, whose intervals hold at once.
    """

    def between(same: float, chance: float) -> float:
        return max((same - chance) / (1 - chance), 0.0) if chance < 1 else 0.0

    value = between(kin.value, strangers.value)
    low, high = between(kin.low, strangers.high), between(kin.high, strangers.low)
    parts = (
        ("initializations", "initializations", (value, low, high)),
        ("data", "orders of the data", (1 - value, 1 - high, 1 - low)),
    )
    seeds, label = kin.seeds + strangers.seeds, "variance of verdicts: share between"
    return [
        numbers(f"variance/{part}", f"{label} {name}", of, seeds, num_intervals=kin.num_intervals)
        for part, name, of in parts
    ]


def entropy(families: ndarray) -> float:
    """Compute the mean entropy of the verdicts among a parent's children, in bits."""
    shares = np.stack([(families == verdict.name).mean(1) for verdict in Verdict])
    return float(-xlogy(shares, shares).sum(0).mean() / math.log(2))


def _other_parents(families: ndarray, alone: ndarray) -> Row:
    """Null check: agreement of children of different parents (expected: of fresh seeds)."""
    half = len(families) // 2
    same = (families[:half] == families[half : 2 * half]).mean(1)
    _, counts = np.unique(alone, return_counts=True)
    found = mean(
        "other-parents/same",
        "children of different parents, apart from the last fork: same verdict (expected as "
        "among fresh seeds)",
        same,
        kind="check",
    )
    return replace(
        found,
        seeds=same.size * families.shape[1],
        expected=float((counts * (counts - 1)).sum() / (len(alone) * (len(alone) - 1))),
    )


def _wells(lab: Lab) -> Row:
    """Fraction of pairs of particles from one start in the same well (expected: derived)."""
    label = "double well at T = .1, children of one start: same well (± .004)"
    found = same("double-well/same", label, families_of(lab["wells"]), kind="known")
    low, high = found.low - SLACK, found.high + SLACK
    return replace(found, low=low, high=high, expected=double_well.by_committor())
