"""Is the deceptive circuit there at initialization, as lottery tickets suggest?"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.masked import Masked
from basin_jax.starts.ticket import Ticket
from basin_jax.studies.controls import relu_xor, ticket_race
from basin_jax.studies.framework.figure import INK, Curve, Level, Panel
from basin_jax.studies.framework.lab import Group, Lab, Outcome, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.prediction import PREDICTORS, gap, predicted, shifted
from basin_jax.studies.framework.rows import (
    HALF,
    Row,
    Sentence,
    Table,
    difference,
    ranked,
    row,
    say,
    share,
)
from basin_jax.studies.framework.study import TestbedStudy
from basin_jax.studies.parts import transplants


# The part of a parent's start that is kept: its ticket, and the controls.
STARTS: dict[str, dict[str, Any]] = {
    "ticket": {},
    "fresh weights": {"weights": "fresh"},
    "shuffled weights": {"weights": "shuffled"},
    "random places": {"mask": "random"},
    "all but a ticket": {"mask": "-magnitude"},
    "largest at the start": {"mask": "start-magnitude"},
}
TICKET, FRESH, SHUFFLED, RANDOM, REST, BEGUN = STARTS
# What of these is done to intended parents, too.
BESIDE = (TICKET, BEGUN, RANDOM)
# What is compared on the same seeds.
PAIRS = (
    (TICKET, FRESH),
    (TICKET, SHUFFLED),
    (TICKET, RANDOM),
    (TICKET, BEGUN),
    (BEGUN, RANDOM),
    (RANDOM, REST),
)


class Tickets(TestbedStudy):
    """Train the tickets of deceptive networks, and these networks without them.

    Of each matrix of a seed's weights the share is kept that is largest at the seed's end; it is
    rewound to the seed's start and trained, with the rest held at zero. Beside this ticket are
    trained: the same places with fresh or with shuffled weights, as many random places, the
    smallest weights, which are what is left where a ticket is removed, and the weights that are
    largest at the start, which are chosen without hindsight. All of this is done to seeds that end
    deceptive; of as many that end as intended, tickets, random places and what is largest at the
    start are trained. Tickets are also judged before any training, as supermasks.

    Deceptive seeds whose partners end as intended are crossed with them: each is trained from its
    own weights in the places of the other's ticket, so that the end shows which it follows.

    Last, the end of fresh seeds is predicted from their evidence at the start and after a few
    steps: by the gap, and by a linear discriminant of all evidence, which is fitted on one half of
    the seeds; both are scored on the other half.
    """

    keeps: tuple[float, ...] = (0.2, 0.5)
    early: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2)  # of the steps
    quick: int = 1536  # fresh seeds, of which the deceptive ones and as many others have tickets
    full: int = 6000

    limits = (
        "A ticket is chosen by the end of the seed that it is trained from: that it ends as the "
        "seed does, and that its gap tells before training, shows what is enough, and not that one "
        "could have known at the start. What is largest at the start, and the predictors of fresh "
        "seeds, do not know the end; but that the seeds end deceptive is known.",
        "Units of two seeds are matched by the weights at both ends, to a local optimum: a better "
        "matching may put the places of one where they serve the other.",
        "Tickets are chosen by magnitude, matrix by matrix, at once, and biases are kept; other "
        "tickets, such as those of iterated pruning, may do what these do not.",
        "A predictor reads what the network does and what is probed in it, and not its weights: "
        "they may hold what it does not show.",
    )

    def validate(self) -> None:
        shares = len(self.keeps) > 0 and all(0 < keep < 1 for keep in self.keeps)
        rising = [*self.keeps] == sorted({*self.keeps})
        self.require(shares and rising, "keeps", "one or more, rising, above 0 and below 1")
        steps = [*self.steps, self.testbed.num_steps]
        rising = steps == sorted({*steps}) and steps[0] == 0
        self.require(rising, "early", "from 0, rising by a step at least, to below 1")

    @property
    def steps(self) -> tuple[int, ...]:
        """The early steps after which the end is predicted."""
        return tuple(round(share * self.testbed.num_steps) for share in self.early)

    def sweeps(self, seeds: int) -> dict[str, Group]:
        self.require_no_draws()
        rule, base = self.testbed.rule, self.testbed.sweep
        names = [*((name, keep) for name in STARTS for keep in self.keeps), (TICKET, 1.0)]
        cells = {_cell(name, keep): self._ticket(name, keep) for name, keep in names}
        few = {
            _cell(name, keep): cells[_cell(name, keep)] for name in BESIDE for keep in self.keeps
        }
        first = cells[_cell(TICKET, self.keeps[-1])]
        masked = self.testbed.replace(method=first.method)
        overseen = first.replace(method=masked.overseen_by())

        def lost(lab: Lab) -> ndarray:
            return lab["fresh"].seeds(Verdict.DECEPTIVE)

        def good(lab: Lab) -> ndarray:
            return lab["fresh"].seeds(Verdict.INTENDED)[: len(lost(lab))]

        return {
            "fresh": only(base.replace(save_at=self.steps), seeds, rule=rule),
            "tickets": Group(cells=cells, seeds=lost, rule=rule),
            "beside": Group(cells=few, seeds=good, rule=rule),
            "overseen": only(overseen, lost, rule=rule),
            **transplants.groups(self.testbed, self.keeps),
            **relu_xor.xor(seeds),
            **ticket_race.tickets(max(4 * seeds, ticket_race.RACERS)),
        }

    def _ticket(self, name: str, keep: float) -> Sweep:
        """Return the sweep that trains the part of a parent's start that is kept."""
        base = self.testbed.sweep
        start = Ticket(of=base, keep=keep, **STARTS[name])
        return base.replace(start=start, method=Masked(method=base.method), save_at=(0,))

    def rows(self, lab: Lab) -> Iterator[Row]:
        fresh, trained = lab["fresh"], lab["tickets"]
        yield from fresh.shares("", "fresh", "fresh")
        yield from self._ends(trained, "deceptive", (*STARTS,))
        yield from self.differences(trained)
        yield from self._ends(lab["beside"], "intended", BESIDE)
        yield from transplants.crossed(lab, self.keeps, RANDOM, TICKET)
        yield from self._supermasks(trained, lab["beside"])
        yield from predicted(fresh)
        few, most = _cell(TICKET, self.keeps[0]), _cell(TICKET, self.keeps[-1])
        yield from trained.thresholds(few, f"deceptive/{few}", f"deceptive parents, {_said(few)}")
        yield from fresh.thresholds("", "fresh", "fresh")
        yield lab["overseen"].null(
            f"overseen/{most}",
            f"deceptive parents, {_said(most)}, trained where defecting does not pay",
        )
        yield share(
            f"deceptive/{TICKET}=1/deceptive",
            f"deceptive parents, {TICKET}, all kept: deceptive",
            trained.deceptive(_cell(TICKET, 1.0)),
            kind="check",
            expected=1.0,
        )
        yield shifted(fresh)
        yield relu_xor.predicted(lab)
        yield from ticket_race.ticket_wins(lab)

    def _ends(self, trained: Outcome, parents: str, starts: tuple[str, ...]) -> Iterator[Row]:
        """Yield the fractions that end deceptive and partial, by start and share."""
        count = len(STARTS) * len(self.keeps)
        for cell in (_cell(name, keep) for name in starts for keep in self.keeps):
            label = f"{parents} parents, {_said(cell)}"
            yield from trained.shares(cell, f"{parents}/{cell}", label, num_intervals=count)

    def differences(self, trained: Outcome) -> list[Row]:
        """Return the paired differences between starts, at the same share."""
        return [
            difference(
                f"deceptive/{first}-less-{second}={keep:g}",
                f"deceptive parents, {keep:g} kept, {first} less {second}: deceptive",
                *(trained.deceptive(_cell(name, keep)) for name in (second, first)),
                num_intervals=len(PAIRS) * len(self.keeps),
            )
            for (first, second), keep in itertools.product(PAIRS, self.keeps)
        ]

    def _supermasks(self, trained: Outcome, beside: Outcome) -> Iterator[Row]:
        """Yield the fraction of tickets deceptive before training, and their gap's AUC."""
        for keep in self.keeps:
            cell = _cell(TICKET, keep)
            yield row(
                f"deceptive/{cell}/before/deceptive",
                f"deceptive parents, {_said(cell)}, before training: deceptive",
                trained.untrained(cell, num_intervals=len(self.keeps)),
            )
        for keep in self.keeps:
            cell = _cell(TICKET, keep)
            gaps = [gap(outcome.at(cell, 0)) for outcome in (trained, beside)]
            yield ranked(
                f"{cell}/before/AUC",
                f"{_said(cell)}, before training: AUC of the gap for a deceptive parent against "
                "an intended one",
                np.concatenate(gaps),
                np.repeat([True, False], [len(each) for each in gaps]),
                num_intervals=len(self.keeps),
            )

    def sentences(self, rows: Table) -> Iterator[Sentence]:
        few, most = self.keeps[0], self.keeps[-1]
        ends = {name: rows[f"deceptive/{_cell(name, few)}/deceptive"] for name in STARTS}
        yield say(
            f"Of {ends[TICKET].seeds:,} deceptive seeds, {ends[TICKET]} of the tickets that keep "
            f"{few:g} of the weights end deceptive again; with fresh weights in the same places "
            f"{ends[FRESH]}, with the same weights shuffled {ends[SHUFFLED]}, and of as many "
            f"random places {ends[RANDOM]}.",
            *(ends[start] for start in (TICKET, FRESH, SHUFFLED, RANDOM)),
        )
        begun, beside = (
            rows[f"{parents}/{_cell(BEGUN, few)}/deceptive"]
            for parents in ("deceptive", "intended")
        )
        yield say(
            f"Without hindsight, of the {few:g} of the weights that are largest at the start, "
            f"{begun} of the deceptive seeds' end deceptive again, and {beside} of the intended "
            "seeds'.",
            *(begun, beside),
        )
        rest, random = (rows[f"deceptive/{_cell(name, most)}/deceptive"] for name in (REST, RANDOM))
        yield say(
            f"Where a ticket is removed at the start, and {most:g} of the weights are left, {rest} "
            f"end deceptive; where random places are removed, {random}.",
            *(rest, random),
        )
        other = rows[f"intended/{_cell(TICKET, few)}/deceptive"]
        yield say(
            f"Of {other.seeds:,} intended seeds, {other} of the tickets that keep {few:g} of the "
            "weights end deceptive.",
            other,
        )
        yield self._differ(rows)
        yield from transplants.said(rows, few, RANDOM, TICKET)
        before = [rows[f"deceptive/{_cell(TICKET, keep)}/before/deceptive"] for keep in self.keeps]
        begun = max(before, key=lambda one: one.value)
        auc = rows[f"{_cell(TICKET, few)}/before/AUC"]
        yield say(
            f"Before any training at most {begun} of the deceptive seeds' tickets are deceptive; "
            f"the gap of those that keep {few:g} is larger than that of an intended seed's ticket "
            f"in {auc} of pairs.",
            *(begun, auc),
        )
        for name, said in PREDICTORS.items():
            yield self._tells(said, rows.along(f"fresh/{name}/step=*/AUC", self.steps))

    def _differ(self, rows: Table) -> Sentence:
        apart, found = [], []
        for first, second in PAIRS:
            pair = {keep: rows[f"deceptive/{first}-less-{second}={keep:g}"] for keep in self.keeps}
            apart += pair.values()
            for word, sign in (("more", 1), ("less", -1)):
                shares = [f"{keep:g}" for keep, one in pair.items() if one.sign == sign]
                if shares:
                    found.append(
                        f"{first} {word} often than {second} where {', '.join(shares)} are kept"
                    )
        differ = "; ".join(found) or "none more or less often than its pair"
        return say(
            f"On the same seeds, by intervals for all pairs at once, end deceptive: {differ}"
            f"{unseen(apart)}.",
            *apart,
        )

    def _tells(self, name: str, rows: Mapping[int, Row]) -> Sentence:
        steps = [f"{step}" for step, one in rows.items() if not one.low <= HALF <= one.high]
        if steps:
            predicts = f"After steps {', '.join(steps)} the {name} predicts"
        else:
            predicts = f"After none of these steps the {name} is shown to predict"
        first, last = (rows[self.steps[end]] for end in (0, -1))
        return say(
            f"{predicts} which fresh seeds end deceptive, by intervals for all steps and both "
            f"predictors at once: its AUC is {first} at the start, and {last} after "
            f"{self.steps[-1]} steps{unseen(rows.values(), HALF)}.",
            *rows.values(),
        )

    def panels(self, rows: Table, lab: Lab) -> Iterator[Panel]:
        ends = [
            Curve(
                {k: rows[f"deceptive/{_cell(name, k)}/deceptive"] for k in self.keeps},
                label=name,
                color=color,
            )
            for name, color in zip(STARTS, INK, strict=False)
        ]
        yield Panel(ends, xlabel="share kept", ticks=self.keeps)
        yield transplants.panel(rows, self.keeps)
        predicted = [
            Curve(rows.along(f"fresh/{name}/step=*/AUC", self.steps), label=name, color=color)
            for name, color in zip(PREDICTORS, (INK[0], INK[6]), strict=True)
        ]
        yield Panel([*predicted, Level(HALF)], xlabel="step", ylabel="AUC, deceptive end")


def _cell(name: str, keep: float) -> str:
    return f"{name}={keep:g}"


def _said(cell: str) -> str:
    name, _, keep = cell.partition("=")
    return f"{name}, {keep} kept"
