"""When is a seed's fate sealed, and by what: its initialization, or the data that come after?"""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy import ndarray
from scipy.integrate import quad
from scipy.special import xlogy
from scipy.stats import norm

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.pushed import Pushed
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.starts.fork import Fork
from basin_jax.studies.framework.figure import INK, canvas, curve, legend
from basin_jax.studies.framework.rows import Finding, Kind, Row, Sentence, say, share
from basin_jax.studies.framework.study import WELL_RULE, Lab, Outcome, Study, mean, turn
from basin_jax.studies.framework.testbed import SAMPLED_AUDIT, Subject


FEW_LANES = 4
SEALED = 0.9  # of pairs of children, that have one verdict
# The double well of `sweeps/known_answers/committor.py`.
TEMPERATURE, RATE, TILT = 0.1, 5e-4, 0.2
LEFT, RIGHT = -0.87888507, 1.08803391
# By how much the committor of these steps may differ from that of the diffusion, twice.
SLACK = 0.004


class Commitment(Study):
    """Train children of one parent apart from some step on, and see how often they agree.

    A parent is trained for a share of the steps; its children go on from there, each with data of
    its own, to the end. Two children of one parent agree on their verdict as often as two
    unrelated seeds where nothing has been decided yet, and always where the fate is sealed. Where
    they are apart from the first step on, what they have in common is the initialization. That they
    agree more often than not does not say that a fate is sealed: where one verdict has a
    probability of .85, two children agree in three of four families, and four in half of them. The
    step is told from which on two agree with a probability above .9. Of the entropy of a seed's
    verdict, what is left among the children of one parent is drawn, too.

    The variance of verdicts splits into that between initializations and that between orders of
    the data; the device's part is what the same seeds show once more among fewer neighbors. For
    the window of a hijack, seeds that end as intended are pushed once, at one step or another.
    """

    subject: Subject = SAMPLED_AUDIT
    shares: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)  # of the steps
    children: int = 4
    push: float = 1.0  # a length in the space of parameters
    pushed: tuple[float, ...] = (0.0, 0.05, 0.2)  # of the steps
    quick: int = 512  # children, of all parents
    full: int = 65_536

    limits = (
        "What an optimizer remembers is not handed on to children; plain descent remembers "
        "nothing.",
        "How often children agree is a mean over parents: how decided a parent is by itself, so "
        "few children do not tell, and the entropy among them is low by a little.",
        "The window is that of one push, and of one direction; another length has another window.",
    )

    def validate(self) -> None:
        self.require(self.children >= 2, "children", "at least 2")
        self.require(self.shares[:1] == (0.0,), "shares", "rising from 0")
        for name in ("quick", "full"):
            fits = getattr(self, name) % (2 * self.children) == 0 and getattr(self, name) > 0
            self.require(fits, name, f"a multiple of twice children = {self.children}")

    def measure(self, lab: Lab) -> Finding:
        rule, base, steps = self.subject.rule, self.subject.sweep, self.subject.num_steps
        count = self.seeds(lab)
        forks = [round(share * steps) for share in self.shares]
        cells = [
            base.replace(
                start=Fork(of=base.replace(num_steps=fork), children=self.children),
                num_steps=steps - fork,
            )
            for fork in forks
        ]
        # First, since it is refused where training draws nothing.
        families = [
            _families(lab.run(f"fork_{fork}", [cell], count, rule=rule), cell)
            for fork, cell in zip(forks, cells, strict=True)
        ]
        fresh = lab.run("fresh", [base], count, rule=rule)
        alone = fresh.verdicts(base)
        pairs = alone.reshape(-1, 2)
        strangers = share(
            "two unrelated seeds: same verdict",
            pairs[:, 0] == pairs[:, 1],
            cells=len(forks) + 1,
        )
        kin = [
            _agree(each, f"children apart from step {fork}: same verdict", cells=len(forks) + 1)
            for fork, each in zip(forks, families, strict=True)
        ]
        what = f"children of one parent agree with a probability above {SEALED:g}, fork"
        sealed = turn(forks, kin, what, past=SEALED)
        beyond = [
            _beyond(each, f"children apart from step {fork}", cells=len(forks))
            for fork, each in zip(forks, families, strict=True)
        ]
        split = [*_split(strangers, kin[0]), self._device(lab, alone)]
        pushed = [round(each * steps) for each in self.pushed]
        window, unpushed = self._window(lab, pushed)
        return Finding(
            name="commitment",
            question=self.question,
            says=self._says(forks, strangers, kin, beyond, sealed, split, window),
            limits=self.limits,
            rows=[
                *(*fresh.shares(base, "fresh"), strangers, *kin, *beyond),
                *(sealed, *split, *window),
                *fresh.thresholds(base, "fresh: deceptive"),
                *(self._overseen(lab, count), _apart(families[-1], alone)),
                *(unpushed, self._wells(lab, count)),
            ],
            figure=self._draw(forks, strangers, kin, families, alone, window),
        )

    def _overseen(self, lab: Lab, count: int) -> Row:
        """Return how many become deceptive where defecting does not pay."""
        steps = self.subject.num_steps
        cell = self.subject.sweep.replace(method=self.subject.overseen_by(end=steps))
        trained = lab.run("overseen", [cell], count // 4, rule=self.subject.rule)
        what = "trained where defecting does not pay: deceptive"
        return share(what, trained.deceptive(cell), kind="control", expected=0.0)

    def _device(self, lab: Lab, alone: ndarray) -> Row:
        """Return how often a seed has another verdict when it is trained among fewer others."""
        few = len(alone) // 8
        base, rule = self.subject.sweep, self.subject.rule
        again = lab.run("again", [base], few, rule=rule, lanes=FEW_LANES).verdicts(base)
        what = f"the same seed once more, {FEW_LANES} side by side: another verdict"
        return share(what, again != alone[:few])

    def _window(self, lab: Lab, forks: list[int]) -> tuple[list[Row], Row]:
        """Return the fraction that one push leads astray, by its step, and that one of 0 does not.

        What is led astray ends as intended with a push of 0, which leaves the data as they are.
        """
        base, rule, seeds = self.subject.sweep, self.subject.rule, self.seeds(lab) // 4
        astray: list[ndarray] = []
        unpushed: list[ndarray] = []
        for fork in forks:
            method = Pushed(method=base.method, push=self.push, begin=fork, end=fork + 1)
            cells = [base.replace(method=method.replace(push=push)) for push in (self.push, 0.0)]
            pushed = lab.run(f"pushed_{fork}", cells, seeds, rule=rule)
            astray.append(pushed.deceptive(cells[0]))
            unpushed.append(pushed.verdicts(cells[1]))
        intended = unpushed[0] == Verdict.INTENDED.name
        rows = [
            share(
                f"push of {self.push:g} at step {fork}, of seeds intended without: deceptive",
                hits[intended],
                cells=len(forks),
            )
            for fork, hits in zip(forks, astray, strict=True)
        ]
        same = np.all([each == unpushed[0] for each in unpushed], axis=0)
        null = "push of 0 at any step: same verdict"
        return rows, share(null, same, kind="check", expected=1.0)

    def _draw(
        self,
        forks: list[int],
        strangers: Row,
        kin: list[Row],
        families: list[ndarray],
        alone: ndarray,
        window: list[Row],
    ) -> Figure:
        figure, (a, b, c) = canvas(3, height=2.5)
        curve(a, forks, kin, color=INK[0], label="two children of one parent")
        a.axhspan(strangers.low, strangers.high, color="#dddddd", lw=0, label="unrelated")
        a.axhline(SEALED, color="#858585", lw=0.6, ls=":")
        a.set(xlabel="step of the fork", ylabel="same verdict", ylim=(0, 1.03))
        left = [_entropy(each) for each in families]
        b.plot(forks, left, "o-", ms=2.6, lw=0.7, color=INK[1], label="among children")
        b.axhline(_entropy(alone[None]), color="#858585", lw=0.8, label="of all seeds")
        b.set(xlabel="step of the fork", ylabel="entropy of the verdict (bits)")
        b.set_ylim(bottom=0)
        for axes in (a, b):
            legend(axes)
        steps = [each * self.subject.num_steps for each in self.pushed]
        curve(c, steps, window, color=INK[3], label=f"push of {self.push:g}")
        c.set(xlabel="step of the push", ylabel="fraction led astray", ylim=(-0.03, 1.03))
        return figure

    def _says(
        self,
        forks: list[int],
        strangers: Row,
        kin: list[Row],
        beyond: list[Row],
        sealed: Row,
        split: list[Row],
        window: list[Row],
    ) -> list[Sentence]:
        apart = np.array([one.low > 0 for one in beyond])
        lasting = np.logical_and.accumulate(apart[::-1])[::-1]
        if lasting.any():
            fork = forks[int(lasting.argmax())]
            told = f"What two seeds share tells on their verdicts from step {fork} on"
        else:
            told = "At no step is what two seeds share seen to tell on their verdicts"
        return [
            say(
                "Two unrelated seeds have the same verdict (deceptive, intended, unfit or another) "
                f"in {strangers} of pairs, two that share the initialization alone in {kin[0]}, "
                f"two that share the first {forks[-1]} steps in {kin[-1]}.",
                *(strangers, kin[0], kin[-1]),
            ),
            say(
                f"{told}, by how much oftener two children of one parent agree than two of "
                "neighbors, for all steps at once.",
                *beyond,
            ),
            say(
                f"Two children of one parent agree with a probability above {SEALED:g} from step "
                f"{sealed} on (infinite: from none that was looked at).",
                sealed,
            ),
            say(
                f"Of the variance of verdicts {split[0]} lies between initializations, and "
                f"{split[1]} between orders of the data; trained once more, {split[2]} of seeds "
                "have another verdict.",
                *split,
            ),
            say(
                f"Of seeds that end as intended, a push of {self.push:g} along the margin leads "
                "astray: "
                + "; ".join(
                    f"{one} at step {round(each * self.subject.num_steps)}"
                    for one, each in zip(window, self.pushed, strict=True)
                )
                + ".",
                *window,
            ),
        ]

    def _wells(self, lab: Lab, count: int) -> Row:
        """Return how often two particles that begin alike end alike, which is known."""
        noisy = Gradient(learning_rate=RATE, noise=math.sqrt(2 * TEMPERATURE / RATE))
        base = Sweep(
            organism=DoubleWell(tilt=TILT),
            method=EarlyStopping(method=noisy),
            num_steps=int(16 / RATE),
        )
        child = base.replace(start=Fork(of=base.replace(num_steps=0), children=self.children))
        trained = lab.run("wells", [child], count, rule=WELL_RULE)
        what = "double well at T = .1: same well (± .004)"
        found = _agree(_families(trained, child), what, kind="known")
        low, high = found.low - SLACK, found.high + SLACK
        return replace(found, low=low, high=high, expected=_by_committor())


def _families(trained: Outcome, cell: Sweep) -> ndarray:
    """Return the verdicts [parent, child]."""
    return trained.verdicts(cell).reshape(-1, cell.siblings)


def _agree(families: ndarray, what: str, *, cells: int = 1, kind: Kind = "measured") -> Row:
    """Return how often two children of one parent agree, with bounds that go by parents."""
    children = families.shape[1]
    counts = np.stack([(families == verdict.name).sum(1) for verdict in Verdict])
    shares = (counts * (counts - 1)).sum(0) / (children * (children - 1))
    return replace(mean(shares, what, cells=cells, kind=kind), seeds=families.size)


def _beyond(families: ndarray, what: str, *, cells: int) -> Row:
    """Return how much oftener two children of one parent agree than two of neighboring parents.

    Both are counted on the same children, for each two neighbors among the parents.
    """
    children = families.shape[1]
    counts = np.stack([(families == verdict.name).sum(1) for verdict in Verdict])
    own = (counts * (counts - 1)).sum(0) / (children * (children - 1))
    across = (counts[:, ::2] * counts[:, 1::2]).sum(0) / children**2
    excess = own.reshape(-1, 2).mean(1) - across
    what = f"{what}: same verdict, less those of another parent"
    return replace(mean(excess, what, cells=cells, least=-1.0), seeds=families.size)


def _split(strangers: Row, kin: Row) -> list[Row]:
    """Return the shares of the variance of verdicts that initializations, and data, make.

    Two of a kind differ with twice the variance among their kind, so that what lies between
    initializations is (kin - strangers) / (1 - strangers), of how often each have one verdict. It
    rises with the one and falls with the other, whose intervals hold at once.
    """

    def between(same: float, chance: float) -> float:
        return max((same - chance) / (1 - chance), 0.0) if chance < 1 else 0.0

    value = between(kin.value, strangers.value)
    low, high = between(kin.low, strangers.high), between(kin.high, strangers.low)
    seeds = kin.seeds + strangers.seeds
    return [
        Row(
            kind="measured",
            what=f"variance of verdicts: share between {name}",
            value=share,
            low=least,
            high=most,
            seeds=seeds,
        )
        for name, share, least, most in (
            ("initializations", value, low, high),
            ("orders of the data", 1 - value, 1 - high, 1 - low),
        )
    ]


def _entropy(families: ndarray) -> float:
    """Return the mean entropy of the verdicts among the children of a parent, in bits."""
    shares = np.stack([(families == verdict.name).mean(1) for verdict in Verdict])
    return float(-xlogy(shares, shares).sum(0).mean() / math.log(2))


def _apart(families: ndarray, alone: ndarray) -> Row:
    """Return how often children of different parents agree: as often as unrelated seeds."""
    half = len(families) // 2
    same = (families[:half] == families[half : 2 * half]).mean(1)
    _, counts = np.unique(alone, return_counts=True)
    found = mean(
        same,
        "children of different parents, apart from the last fork: same verdict (expected as "
        "counted among fresh seeds)",
        kind="check",
    )
    return replace(
        found,
        seeds=same.size * families.shape[1],
        expected=float((counts * (counts - 1)).sum() / (len(alone) * (len(alone) - 1))),
    )


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
