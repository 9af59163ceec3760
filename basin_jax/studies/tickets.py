"""Is the deceptive circuit there at initialization, as lottery tickets suggest?"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.masked import Masked
from basin_jax.starts.ticket import Ticket
from basin_jax.studies.controls.race import RACERS, races, xor
from basin_jax.studies.framework.figure import INK, canvas, curve, legend
from basin_jax.studies.framework.foretell import foretold, gap, shifted
from basin_jax.studies.framework.rows import (
    Finding,
    Row,
    Sentence,
    difference,
    ranked,
    row,
    say,
    share,
)
from basin_jax.studies.framework.study import Lab, Outcome, Study


# What is kept of a parent's start: its ticket, and what that is held against.
STARTS: dict[str, dict[str, Any]] = {
    "ticket": {},
    "fresh weights": {"weights": "fresh"},
    "shuffled weights": {"weights": "shuffled"},
    "random places": {"mask": "random"},
    "all but a ticket": {"mask": "-magnitude"},
}
TICKET, FRESH, SHUFFLED, RANDOM, REST = STARTS
# What of these is done to intended parents, too.
BESIDE = (TICKET, RANDOM)
# What is compared on the same seeds.
PAIRS = ((TICKET, FRESH), (TICKET, SHUFFLED), (TICKET, RANDOM), (RANDOM, REST))
Cells = Mapping[tuple[str, float], Sweep]  # by start, and share that is kept
Ends = Mapping[tuple[str, float], Row]


class Tickets(Study):
    """Train the tickets of deceptive networks, and these networks without them.

    Of each matrix of a seed's weights a share is kept that is largest at the seed's end; it is
    rewound to the seed's start and trained, with the rest held at zero. Beside this ticket are
    trained: the same places with fresh or with shuffled weights, as many random places, and the
    smallest weights, which are what is left where a ticket is removed. All of this is done to
    seeds that end deceptive; of as many that end as intended, tickets and random places are
    trained. What a ticket does before any training, as a supermask, is judged as well.

    Last, it is foretold which fresh seeds will end deceptive, from what they do at the start and
    after a few steps: by the gap between unwatched and watched, and by a linear discriminant of
    all evidence, which is fitted on one half of the seeds; both are scored on the other.
    """

    keeps: tuple[float, ...] = (0.2, 0.5, 0.8)
    early: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2)  # of the steps
    quick: int = 448  # fresh seeds, of which the deceptive ones and as many others have tickets

    limits = (
        "A ticket is chosen by the end of the seed that it is trained from: that it ends as the "
        "seed does, and that its gap tells before training, shows what is enough, not that one "
        "could have told at the start. The predictors of fresh seeds do not know the end.",
        "Tickets are chosen by magnitude, matrix by matrix, at once, and biases are kept; others, "
        "or those of iterated pruning, may do what these do not.",
        "A predictor reads what the network does and what is probed in it, not its weights: what "
        "it does not tell may be there all the same.",
    )

    def validate(self) -> None:
        shares = len(self.keeps) > 0 and all(0 < keep < 1 for keep in self.keeps)
        rising = [*self.keeps] == sorted({*self.keeps})
        self.require(shares and rising, "keeps", "one or more, rising, above 0 and below 1")
        steps = [*self._steps, self.subject.num_steps]
        rising = steps == sorted({*steps}) and steps[0] == 0
        self.require(rising, "early", "from 0, rising by a step at least, to below 1")

    def measure(self, lab: Lab) -> Finding:
        self.require_no_draws()
        rule, base = self.subject.rule, self.subject.sweep
        fresh = base.replace(save_at=self._steps)
        begun = lab.run("fresh", [fresh], self.seeds(lab), rule=rule)
        lost, good = (begun.seeds(fresh, v) for v in (Verdict.DECEPTIVE, Verdict.INTENDED))
        good = good[: len(lost)]
        early = foretold(begun, fresh)
        cells = self._cells()
        trained = lab.run("tickets", [*cells.values()], lost, rule=rule)
        few = {pair: cell for pair, cell in cells.items() if pair[0] in BESIDE and pair[1] < 1}
        beside = lab.run("beside", [*few.values()], good, rule=rule)
        ends, partial = self._ends(trained, cells, "deceptive")
        others, partial_others = self._ends(beside, few, "intended")
        apart = self._apart(trained, cells)
        masks = self._supermasks(trained, beside, few)
        first = cells[TICKET, self.keeps[0]]
        what = f"deceptive parents, {TICKET}, {self.keeps[0]:g} kept: deceptive"
        return Finding(
            name="tickets",
            question=self.question,
            says=self._says(ends, others, apart, masks, early),
            limits=self.limits,
            rows=[
                *begun.shares(fresh, "fresh"),
                *(*ends.values(), *partial, *apart),
                *(*others.values(), *partial_others, *masks),
                *(one for rows in early.values() for one in rows),
                *(*trained.thresholds(first, what), *begun.thresholds(fresh, "fresh: deceptive")),
                *self._controls(lab, trained, cells, lost),
                shifted(begun.at(fresh, self._steps[-1]), begun.verdicts(fresh)),
                *(xor(lab, 4 * self.seeds(lab)), *races(lab, max(16 * self.seeds(lab), RACERS))),
            ],
            figure=self._draw(ends, others, early),
        )

    @property
    def _steps(self) -> tuple[int, ...]:
        return tuple(round(share * self.subject.num_steps) for share in self.early)

    def _cells(self) -> Cells:
        """Return the sweeps by start and share, with the ticket that keeps all weights."""
        base = self.subject.sweep
        masked = base.replace(method=Masked(method=base.method), save_at=(0,))
        names = [*((name, keep) for name in STARTS for keep in self.keeps), (TICKET, 1.0)]
        return {
            (name, keep): masked.replace(start=Ticket(of=base, keep=keep, **STARTS[name]))
            for name, keep in names
        }

    def _ends(self, trained: Outcome, cells: Cells, parents: str) -> tuple[Ends, list[Row]]:
        """Return the fractions that end deceptive, by start and share, and those partial."""
        count = len(STARTS) * len(self.keeps)
        both = {
            (name, keep): trained.shares(
                cell, f"{parents} parents, {name}, {keep:g} kept", cells=count
            )
            for (name, keep), cell in cells.items()
            if keep < 1
        }
        return {of: one for of, (one, _) in both.items()}, [one for _, one in both.values()]

    def _apart(self, trained: Outcome, cells: Cells) -> list[Row]:
        """Return how much starts differ, seed by seed, at the same share."""
        return [
            difference(
                f"deceptive parents, {keep:g} kept: deceptive, {first} less {second}",
                *(trained.deceptive(cells[name, keep]) for name in (second, first)),
                cells=len(PAIRS) * len(self.keeps),
            )
            for (first, second), keep in itertools.product(PAIRS, self.keeps)
        ]

    def _supermasks(self, trained: Outcome, beside: Outcome, cells: Cells) -> list[Row]:
        """Return what tickets do before training: deceive, and tell what their parents do."""
        rows, told, count = [], [], len(self.keeps)
        for keep in self.keeps:
            cell, name = cells[TICKET, keep], f"{TICKET}, {keep:g} kept, before training"
            hits = trained.untrained(cell, cells=count)
            rows.append(row(f"deceptive parents, {name}: deceptive", hits))
            gaps = [gap(outcome.at(cell, 0)) for outcome in (trained, beside)]
            positive = np.repeat([True, False], [len(each) for each in gaps])
            what = f"{name}, deceptive against intended parents: AUC of the gap"
            told.append(ranked(what, np.concatenate(gaps), positive, cells=count))
        return [*rows, *told]

    def _controls(self, lab: Lab, trained: Outcome, cells: Cells, lost: ndarray) -> tuple[Row, Row]:
        """Return what tickets do where defecting does not pay, and that all weights do as ever."""
        first = cells[TICKET, self.keeps[-1]]
        masked = self.subject.replace(method=first.method)
        cell = first.replace(method=masked.overseen_by(end=first.num_steps))
        overseen = lab.run("overseen", [cell], lost, rule=self.subject.rule)
        return (
            share(
                f"deceptive parents, {TICKET}, {self.keeps[-1]:g} kept, trained where defecting "
                "does not pay: deceptive",
                overseen.deceptive(cell),
                kind="control",
                expected=0.0,
            ),
            share(
                f"deceptive parents, {TICKET}, all kept: deceptive",
                trained.deceptive(cells[TICKET, 1.0]),
                kind="check",
                expected=1.0,
            ),
        )

    def _says(
        self,
        ends: Ends,
        others: Ends,
        apart: Sequence[Row],
        masks: Sequence[Row],
        early: Mapping[str, Sequence[Row]],
    ) -> list[Sentence]:
        few, most, shares = self.keeps[0], self.keeps[-1], len(self.keeps)
        begun = max(masks[:shares], key=lambda one: one.value)
        return [
            say(
                f"Of {ends[TICKET, few].seeds:,} deceptive seeds, {ends[TICKET, few]} of the "
                f"tickets that keep {few:g} of the weights end deceptive again; with fresh weights "
                f"in the same places {ends[FRESH, few]}, with the same weights shuffled "
                f"{ends[SHUFFLED, few]}, and of as many random places {ends[RANDOM, few]}.",
                *(ends[start, few] for start in (TICKET, FRESH, SHUFFLED, RANDOM)),
            ),
            say(
                f"Where a ticket is removed at the start, and {most:g} of the weights are left, "
                f"{ends[REST, most]} end deceptive; where random places are removed, "
                f"{ends[RANDOM, most]}.",
                *(ends[REST, most], ends[RANDOM, most]),
            ),
            say(
                f"Of {others[TICKET, few].seeds:,} intended seeds, {others[TICKET, few]} of the "
                f"tickets that keep {few:g} end deceptive.",
                others[TICKET, few],
            ),
            say(f"{self._differ(apart)}.", *apart),
            say(
                "Before any training no more of the deceptive seeds' tickets are deceptive than "
                f"{begun}; at a share of {few:g} their gap is larger than that of an intended "
                f"seed's ticket in {masks[shares]} of pairs.",
                *(begun, masks[shares]),
            ),
            *(self._tells(name, rows) for name, rows in early.items()),
        ]

    def _differ(self, apart: Sequence[Row]) -> str:
        told, count = [], len(self.keeps)
        for number, (first, second) in enumerate(PAIRS):
            rows = apart[number * count : (number + 1) * count]
            more = [f"{k:g}" for k, one in zip(self.keeps, rows, strict=True) if one.low > 0]
            less = [f"{k:g}" for k, one in zip(self.keeps, rows, strict=True) if one.high < 0]
            told += [
                f"{first} {word} often than {second} at a share of {', '.join(shares)}"
                for word, shares in (("more", more), ("less", less))
                if shares
            ]
        return (
            f"On the same seeds, by intervals for all pairs at once, there end "
            f"deceptive: {'; '.join(told) or 'none more or less often than its pair'}"
        )

    def _tells(self, name: str, rows: Sequence[Row]) -> Sentence:
        steps = [
            f"{step}"
            for step, one in zip(self._steps, rows, strict=True)
            if not one.low <= 0.5 <= one.high
        ]
        if steps:
            told = f"After steps {', '.join(steps)} the {name} tells"
        else:
            told = f"After no step that was looked at does the {name} tell"
        return say(
            f"{told} which fresh seeds will end deceptive, by intervals for all steps and both "
            f"predictors at once: its AUC is {rows[0]} at the start, and {rows[-1]} after "
            f"{self._steps[-1]} steps.",
            *rows,
        )

    def _draw(self, ends: Ends, others: Ends, early: Mapping[str, Sequence[Row]]) -> Figure:
        figure, (a, b, c) = canvas(3, height=2.9)
        # Side by side, where intervals would cover each other.
        for axes, rows, parents in ((a, ends, "deceptive"), (b, others, "intended")):
            for number, name in enumerate(STARTS):
                if (name, self.keeps[0]) not in rows:
                    continue
                places = [keep + 0.02 * (number - 2) for keep in self.keeps]
                found = [rows[name, keep] for keep in self.keeps]
                curve(axes, places, found, color=INK[number], label=name)
            axes.set(xlabel=f"share kept of {parents} seeds", ylabel="fraction deceptive")
            axes.set(xticks=self.keeps, ylim=(-0.03, 1.03))
        for number, (name, rows) in enumerate(early.items()):
            places = [step + 0.02 * number * self._steps[-1] for step in self._steps]
            curve(c, places, rows, color=INK[6 * number], label=name)
        c.axhline(0.5, color="#858585", lw=0.6)
        c.set(xlabel="step", ylabel="AUC for a deceptive end", ylim=(-0.03, 1.03))
        c.margins(x=0.08)
        legend(b, of=a)
        legend(c)
        return figure
