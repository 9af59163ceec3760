"""When is a seed's fate sealed, and by what: its initialization, or the data that come after?"""

import math
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import quad
from scipy.stats import norm

from basin_jax.clusters import Brood, betting
from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.audit import Audit
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.records import Records
from basin_jax.rules.behavior import Behavior
from basin_jax.spec import Sweep
from basin_jax.starts.fork import Fork
from basin_jax.statistics import estimate, quantile
from basin_jax.studies.draw import INK, canvas, curve, legend
from basin_jax.studies.finding import Finding, Row, row
from basin_jax.studies.study import Lab, Study, thresholds
from basin_jax.studies.subject import Subject
from basin_jax.verdict import Verdict


# The audit game in which actions are drawn, since exact rewards leave nothing to chance.
SAMPLED = Subject(
    organism=Audit(sampled=True),
    overseen=Audit(sampled=True, honeypot_rate=1.0),
    method=Gradient(learning_rate=0.1),
    num_steps=2000,
)
ERROR = 0.05
# The double well of `sweeps/known_answers/committor.py`.
TEMPERATURE, RATE, TILT = 0.1, 5e-4, 0.2
LEFT, RIGHT = -0.87888507, 1.08803391
# By how much the committor of these steps may differ from that of the diffusion, twice.
SLACK = 0.004


class Commitment(Study):
    """Train children of one parent apart from some step on, and see how often they agree.

    A parent is trained for a share of the steps; its children go on from there, each with data of
    its own, to the end. Two children of one parent agree on their verdict as often as two
    unrelated seeds where nothing has been decided yet, and always where the fate is sealed. From
    the first step on, what they have in common is the initialization.
    """

    subject: Subject = SAMPLED
    shares: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)  # of the steps
    children: int = 4
    quick: int = 768  # children, of all parents
    full: int = 65_536

    limits = (
        "What an optimizer remembers is not handed on to children; plain descent remembers "
        "nothing.",
        "A seed is committed when all its children agree, and so many children may agree by "
        "chance: the times are early by a little.",
        "A device adds no chance of its own here: a seed's bits are the same at every run.",
    )

    def measure(self, lab: Lab) -> Finding:
        subject, rule = self.subject, self.subject.rule
        base, steps = subject.sweep, subject.num_steps
        count = self.seeds(lab) // self.children * self.children
        fresh = lab.run("fresh", [base], count, rule=rule)
        alone = fresh.frame.sort("seed")["verdict"].to_numpy()
        pairs = alone.reshape(-1, 2)
        strangers = row(
            "two unrelated seeds: same verdict",
            estimate(int((pairs[:, 0] == pairs[:, 1]).sum()), len(pairs)),
        )
        forks = [round(share * steps) for share in self.shares]
        kin, families = [], []
        for fork in forks:
            parent = base.replace(num_steps=fork)
            child = base.replace(
                start=Fork(of=parent, children=self.children), num_steps=steps - fork
            )
            records = lab.run(f"fork_{fork}", [child], count, rule=rule)
            families.append(self._families(records))
            kin.append(_agree(families[-1], f"children apart from step {fork}: same verdict"))
        when = self._times(forks, families)
        spread = self._spread(families, forks)
        figure, (a, b, c) = canvas(3)
        curve(a, forks, kin, color=INK[0], label="two children of one parent")
        a.axhspan(strangers.low, strangers.high, color="#dddddd", lw=0, label="two unrelated seeds")
        a.set(xlabel="step from which they are apart", ylabel="same verdict", ylim=(0, 1.03))
        legend(a)
        for number, (fork, shares) in enumerate(zip(forks, spread, strict=True)):
            if number in (0, len(forks) // 2, len(forks) - 1):
                b.plot(
                    np.sort(shares),
                    np.linspace(0, 1, len(shares)),
                    color=INK[number],
                    label=f"step {fork}",
                )
        b.set(xlabel="deceptive share of a parent's children", ylabel="share of parents")
        legend(b)
        c.hist(when, bins=[*forks, steps], color=INK[1])
        c.set(xlabel="step from which all children agree", ylabel="parents")
        middle, low, high = quantile(when, 0.5)
        times = Row(
            kind="measured",
            what="first fork from which on all children agree: median step",
            value=middle,
            low=low,
            high=high,
            seeds=len(when),
        )
        control = self._control(families[-1], alone)
        sealed = [fork for fork, one in zip(forks, kin, strict=True) if one.low > strangers.high]
        says = [
            f"Two unrelated seeds have the same verdict in {strangers} of pairs, two that share "
            f"the initialization alone in {kin[0]}, two that share the first {forks[-1]} of "
            f"{steps} steps in {kin[-1]}.",
            (
                f"What is shared tells from step {sealed[0]} on, by intervals that do not overlap."
                if sealed
                else "At no fork do the intervals of children and of unrelated seeds come apart."
            ),
            f"Half of the parents are committed from step {times} on.",
        ]
        return Finding(
            name="commitment",
            question=(__doc__ or "").strip(),
            says=says,
            limits=self.limits,
            rows=[
                strangers,
                *kin,
                times,
                *thresholds(fresh, rule, "fresh: deceptive"),
                control,
                self._wells(lab, count),
            ],
            figure=figure,
        )

    def _families(self, records: Records) -> ndarray:
        """Return the verdicts [parent, child]."""
        verdicts = records.frame.sort("seed")["verdict"].to_numpy()
        return verdicts.reshape(-1, self.children)

    def _times(self, forks: list[int], families: list[ndarray]) -> Float[ndarray, " parent"]:
        """Return for each parent the first fork from which on all children agree, or the end."""
        agree = np.stack([(each == each[:, :1]).all(1) for each in families])
        lasting = np.logical_and.accumulate(agree[::-1])[::-1]
        first = np.array(forks)[lasting.argmax(0)]
        return np.where(lasting.any(0), first, self.subject.num_steps).astype(float)

    def _spread(self, families: list[ndarray], forks: list[int]) -> list[ndarray]:
        return [(each == Verdict.DECEPTIVE.name).mean(1) for each in families]

    def _control(self, families: ndarray, alone: ndarray) -> Row:
        """Return how often children of different parents agree: as often as unrelated seeds."""
        half = len(families) // 2
        same = families[:half] == families[half : 2 * half]
        kinds, counts = np.unique(alone, return_counts=True)
        total = len(alone)
        by_chance = float((counts * (counts - 1)).sum() / (total * (total - 1)))
        found = _bounds(same.mean(1))
        return Row(
            kind="control",
            what=f"children of different parents, apart from the last fork: same verdict "
            f"({len(kinds)} verdicts by chance)",
            value=float(same.mean()),
            low=found[0],
            high=found[1],
            seeds=same.size,
            expected=by_chance,
        )

    def _wells(self, lab: Lab, count: int) -> Row:
        """Return how often two particles that begin alike end alike, which is known."""
        noisy = Gradient(learning_rate=RATE, noise=math.sqrt(2 * TEMPERATURE / RATE))
        base = Sweep(
            organism=DoubleWell(tilt=TILT),
            method=EarlyStopping(method=noisy),
            num_steps=int(16 / RATE),
        )
        child = base.replace(start=Fork(of=base.replace(num_steps=0), children=self.children))
        records = lab.run("wells", [child], count, rule=Behavior())
        found = _agree(self._families(records), "double well at T = .1: same well (± .004)")
        return Row(
            kind="known",
            what=found.what,
            value=found.value,
            low=found.low - SLACK,
            high=found.high + SLACK,
            seeds=found.seeds,
            expected=_by_committor(),
        )


def _agree(families: ndarray, what: str) -> Row:
    """Return how often two children of one parent agree, with bounds that go by parents."""
    children = families.shape[1]
    same = sum(
        (families == verdict.name).sum(1) * ((families == verdict.name).sum(1) - 1)
        for verdict in Verdict
    )
    shares = same / (children * (children - 1))
    low, high = _bounds(shares)
    return Row(
        kind="measured",
        what=what,
        value=float(shares.mean()),
        low=low,
        high=high,
        seeds=families.size,
    )


def _bounds(shares: Float[ndarray, " parent"]) -> tuple[float, float]:
    brood = Brood(shares, np.ones(len(shares), int))
    return betting(brood, error=ERROR, interval="fixed")


def _by_committor() -> float:
    """Return how often two particles from one standard normal start end in the same well."""

    def weight(x: float) -> float:
        return math.exp(((x**2 - 1) ** 2 / 4 - TILT * x) / TEMPERATURE)

    whole = quad(weight, LEFT, RIGHT)[0]

    def alike(x: float) -> float:
        right = quad(weight, LEFT, x)[0] / whole
        return (right**2 + (1 - right) ** 2) * norm.pdf(x)

    between = sum(quad(alike, a, b)[0] for a, b in pairwise(np.linspace(LEFT, RIGHT, 5)))
    return float(norm.cdf(LEFT) + norm.sf(RIGHT) + between)
