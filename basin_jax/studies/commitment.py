"""When is a seed's fate sealed, and by what: its initialization, or the data that come after?"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.pushed import Pushed
from basin_jax.starts.fork import Fork
from basin_jax.studies.controls import double_well, random_walk
from basin_jax.studies.framework.figure import INK, Cumulative, Curve, Forest, Level, Panel
from basin_jax.studies.framework.lab import Group, Lab, only
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    Terms,
    crossing,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.framework.testbed import SAMPLED_AUDIT, Testbed
from basin_jax.studies.parts.children import (
    PARTS,
    SEALED,
    agreements,
    blocks_of,
    commonest,
    entropies,
    families_of,
    kin_of,
    mixed,
    same,
    split,
    torn,
    undecided,
)


FEW_LANES = 4
# By how much the committor of these steps may differ from that of the diffusion, twice.
SLACK = 0.004
LEAST = 8  # seeds of a group, however few children there are


class Commitment(TestbedStudy):
    """Train children of one parent apart from a step on, and measure their agreement.

    A parent is trained for a share of the steps; its children go on from there, each with data of
    its own, to the end. Two children of one parent have the same verdict as often as two unrelated
    seeds where nothing is decided yet, and always where the verdict is sealed. Where they are apart
    from the first step on, they have only the initialization in common. That they agree more often
    than not does not say that a verdict is sealed: where one verdict has a probability of .85, two
    children agree in three of four families. So there are so many children of each parent that
    their shares tell the probabilities of its verdict, and three numbers are given of each step:
    how often two children agree, which has no bias; the entropy of a parent's verdict; and how many
    parents are undecided. The step is found from which on two agree with a probability above .9;
    for that, two children of some more parents are trained.

    The variance of verdicts is split in a crossed design: of two initializations and two orders of
    the data each is trained with each, in many blocks that share nothing. For the window of a
    hijack, seeds that end as intended are pushed once, at one step or another.
    """

    testbed: Testbed = SAMPLED_AUDIT
    shares: tuple[float, ...] = (0.0, 0.025, 0.1, 0.4)  # of the steps
    children: int = 32
    push: float = 1.0  # a length in the space of parameters
    pushed: tuple[float, ...] = (0.0, 0.05, 0.2)  # of the steps
    quick: int = 1024  # children, of all parents of so many
    full: int = 16_384

    limits = (
        "Children do not get the state of an optimizer; plain descent has none.",
        "The entropy among the children of a parent is corrected for its bias, and still a little "
        "too low: of two verdicts by .014 bits at most.",
        "A parent counts as undecided by the shares among its children, which scatter around the "
        "probabilities.",
        "The window is that of one push, of one length and in one direction.",
    )

    def validate(self) -> None:
        self.require(self.children >= 2, "children", "at least 2")
        self.require(self.shares[:1] == (0.0,), "shares", "rising from 0")
        for name in ("quick", "full"):
            fits = getattr(self, name) % self.children == 0 and getattr(self, name) > 0
            self.require(fits, name, f"a multiple of children = {self.children}")

    @property
    def forks(self) -> list[int]:
        """The steps from which on children are trained apart."""
        return [round(share * self.testbed.num_steps) for share in self.shares]

    def sweeps(self, seeds: int) -> dict[str, Group]:
        base, rule = self.testbed.sweep, self.testbed.rule
        steps, kin = base.num_steps, kin_of(seeds, self.children)
        # First, since it is refused where training draws nothing.
        forks = {
            f"fork_{fork}": only(
                base.replace(
                    start=Fork(of=base.replace(num_steps=fork), children=self.children),
                    num_steps=steps - fork,
                ),
                lambda _: kin,
                rule=rule,
            )
            for fork in self.forks
        }
        overseen = base.replace(method=self.testbed.overseen_by())
        some = max(seeds // 16, LEAST)
        return {
            **forks,
            "fresh": only(base, 4 * some, rule=rule),
            "again": only(base, some // 2, rule=rule, lanes=FEW_LANES),
            "crossed": random_walk.crossed(base, 2 * some, rule),
            "one_order": random_walk.crossed(base.replace(vary="init"), some // 4, rule),
            **{
                f"pushed_{step}": only(self._pushed(step), some, rule=rule) for step in self._pushes
            },
            "unpushed": only(self._pushed(0, push=0.0), some, rule=rule),
            "unpushed_late": only(self._pushed(self._pushes[-1], push=0.0), some, rule=rule),
            "overseen": only(overseen, some, rule=rule),
            "wells": only(double_well.forked(self.children), seeds, rule=double_well.RULE),
            **random_walk.walks(self.children, 8 * seeds),
        }

    @property
    def _pushes(self) -> list[int]:
        return [round(share * self.testbed.num_steps) for share in self.pushed]

    def _pushed(self, step: int, push: float | None = None) -> Sweep:
        """Return a push at a step, or one of 0, which leaves the data as they are."""
        base = self.testbed.sweep
        push = self.push if push is None else push
        return base.replace(method=Pushed(method=base.method, push=push, begin=step, end=step + 1))

    def rows(self, lab: Lab) -> Iterator[Row]:
        fresh = lab["fresh"]
        alone = fresh.verdicts()
        yield from fresh.shares("", "fresh", "fresh")
        yield from self._strangers(alone)
        yield from self._kin(lab)
        yield from split("variance", "variance of verdicts: share", lab["crossed"])
        again = lab["again"].verdicts()
        yield share(
            "again/differs",
            f"a seed trained again, {FEW_LANES} side by side: another verdict",
            again != alone[: len(again)],
        )
        yield from self._window(lab)
        yield from fresh.thresholds("", "fresh", "fresh")
        yield lab["overseen"].null("overseen", "trained where defecting does not pay")
        yield from self._checks(lab)
        yield from _walks(lab, self.children)
        yield _wells(lab)

    def _strangers(self, alone: ndarray) -> Iterator[Row]:
        pairs = alone.reshape(-1, 2)
        label = "two unrelated seeds: same verdict"
        yield share("unrelated/same", label, pairs[:, 0] == pairs[:, 1])

    def _kin(self, lab: Lab) -> Iterator[Row]:
        """Yield what the children of one parent have in common, by the step of their fork."""
        both = {fork: families_of(lab[f"fork_{fork}"]) for fork in self.forks}
        families = {fork: many for fork, (many, _) in both.items()}
        count = self.children
        terms: Terms = {"num_intervals": len(families)}
        apart = {fork: f"{count} children apart from step {fork}" for fork in families}
        kin = {
            fork: same(
                f"fork={fork}/same",
                f"children apart from step {fork}: same verdict",
                *each,
                **terms,
            )
            for fork, each in both.items()
        }
        yield from kin.values()
        for fork, each in families.items():
            label = f"{apart[fork]}: entropy of the verdict, bits"
            yield mixed(f"fork={fork}/entropy", label, each, **terms)
        for fork, each in families.items():
            label = f"{apart[fork]}: no verdict has a share of {SEALED:g} (undecided)"
            yield share(f"fork={fork}/undecided", label, undecided(each), **terms)
        for fork, each in families.items():
            label = f"{apart[fork]}: share deceptive between {1 - SEALED:.1g} and {SEALED:g}"
            yield share(f"fork={fork}/torn", label, torn(each), **terms)
        label = (
            f"first step from which children of one parent agree with a probability above {SEALED}"
        )
        yield crossing("sealed", label, kin, level=SEALED)

    def _window(self, lab: Lab) -> Iterator[Row]:
        """Yield the fraction that one push makes deceptive, by its step."""
        intended = lab["unpushed"].verdicts() == Verdict.INTENDED.name
        for step in self._pushes:
            yield share(
                f"push={step}/deceptive",
                f"push of {self.push:g} at step {step}, of seeds intended without: deceptive",
                lab[f"pushed_{step}"].deceptive()[intended],
                num_intervals=len(self._pushes),
            )

    def _checks(self, lab: Lab) -> Iterator[Row]:
        """Yield what must be equal: with the same start and data, and after a push of 0."""
        blocks = blocks_of(lab["one_order"])
        yield share(
            "same-start-and-data/same",
            "one order of data, a start from the seed itself and from its partner: same verdict",
            (blocks[:, :, 0] == blocks[:, :, 1]).ravel(),
            kind="check",
            expected=1.0,
        )
        yield share(
            "push-of-0/same",
            "push of 0, at the first step and at the last of these: same verdict",
            lab["unpushed"].verdicts() == lab["unpushed_late"].verdicts(),
            kind="check",
            expected=1.0,
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
        bits = rows.along("fork=*/entropy", forks)
        yield say(
            f"The entropy of the verdict (deceptive, partial, intended or another) among "
            f"{self.children} children of one parent, in bits, is {_by_step(bits)}.",
            *bits.values(),
        )
        split, defects = (rows.along(f"fork=*/{what}", forks) for what in ("undecided", "torn"))
        parents = rows["fork=0/undecided"].seeds
        yield say(
            f"Of {parents} parents, undecided (no verdict has a share of {SEALED:g} of the "
            f"children) are {_by_step(split)}; a share deceptive between {1 - SEALED:.1g} and "
            f"{SEALED:g} have {_by_step(defects)}.",
            *split.values(),
            *defects.values(),
        )
        sealed = rows["sealed"]
        yield say(
            f"Two children of one parent agree with a probability above {SEALED:g} from step "
            f"{sealed} on (infinite: from none of these).",
            sealed,
        )
        yield self._says_of_parts(rows)
        window = rows.along("push=*/deceptive", self._pushes)
        yield say(
            f"Of seeds that end as intended, a push of {self.push:g} along the margin makes "
            f"deceptive: {_by_step(window)}.",
            *window.values(),
        )

    def _says_of_parts(self, rows: Table) -> Sentence:
        parts = {name: rows[f"variance/{part}"] for part, name in PARTS.items()}
        again = rows["again/differs"]
        listed = ", ".join(f"{one} {name}" for name, one in parts.items())
        return say(
            "Where initializations and orders of the data are crossed, the variance of verdicts is "
            f"{listed}. Of seeds that are trained again, {again} have another verdict.",
            *(*parts.values(), again),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        forks, xlabel = self.forks, "step of the fork"
        axis = {"xlabel": xlabel, "xscale": "symlog", "ticks": forks}
        kin = Curve(rows.along("fork=*/same", forks), label="children of one parent")
        strangers = Level(rows["unrelated/same"], label="unrelated seeds")
        yield Panel([kin, strangers, Level(SEALED)], ylabel="same verdict, of two", **axis)
        everyone = float(entropies(lab["fresh"].verdicts()[None])[0])
        among = Curve(rows.along("fork=*/entropy", forks), label="children of one parent")
        yield Panel(
            [among, Level(everyone, label="all seeds")],
            ylabel="entropy of the verdict (bits)",
            limits=(0.0, None),
            **axis,
        )
        shares = [
            Cumulative(commonest(families_of(lab[f"fork_{fork}"])[0]), 1.0, label=f"step {fork}")
            for fork in forks
        ]
        yield Panel(shares, xlabel="share of the commonest verdict", ylabel="share of parents")
        yield Panel(
            [
                Curve(rows.along("fork=*/undecided", forks), label="any verdict"),
                Curve(rows.along("fork=*/torn", forks), label="deceptive or not"),
            ],
            ylabel="undecided parents",
            **axis,
        )
        parts = dict(zip(("initialization", "data", "interaction"), PARTS, strict=True))
        found = {name: rows[f"variance/{part}"] for name, part in parts.items()}
        yield Panel([Forest(found)], xlabel="share of the variance")
        window = rows.along("push=*/deceptive", self._pushes)
        push = Curve(window, label=f"push of {self.push:g}", color=INK[3])
        yield Panel([push], xlabel="step of the push")


def _by_step(rows: Mapping[int, Row]) -> str:
    return ", ".join(f"{one} at step {step}" for step, one in rows.items())


def _walks(lab: Lab, children: int) -> Iterator[Row]:
    """Yield what is known of random walks: how their children agree, and parts of the variance."""
    means = {
        "same": (same, agreements, "one side, of two"),
        "entropy": (mixed, entropies, "entropy of the side, bits"),
    }
    count = len(random_walk.FORKS) * (len(means) + 1)
    for fork in random_walk.FORKS:
        families, _ = families_of(lab[f"walk_{fork}"])
        key, said = f"random-walk/fork={fork}", f"random walk, children apart from step {fork}"

        def known(of: Callable[[ndarray], ndarray], fork: int = fork) -> Terms:
            expected = random_walk.expected(of, fork, children)
            return {"kind": "known", "expected": expected, "num_intervals": count}

        for name, (row_of, statistic, label) in means.items():
            yield row_of(f"{key}/{name}", f"{said}: {label}", families, **known(statistic))
        found, terms = undecided(families), known(undecided)
        yield share(f"{key}/undecided", f"{said}: undecided", found, **terms)
    yield from split(
        "random-walk/variance",
        "random walk, variance of the side: share",
        lab["walks_crossed"],
        kind="known",
        expected=random_walk.THIRD,
    )


def _wells(lab: Lab) -> Row:
    """Fraction of pairs of particles from one start in the same well (expected: derived)."""
    label = "double well at T = .1, children of one start: same well (± .004)"
    found = same("double-well/same", label, *families_of(lab["wells"]), kind="known")
    low, high = found.low - SLACK, found.high + SLACK
    return replace(found, low=low, high=high, expected=double_well.by_committor())
