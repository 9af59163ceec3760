"""Inner properties beside behavior: which networks have which, what they do and become."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.studies.framework.lab import Outcome
from basin_jax.studies.framework.power import unseen, unseen_beside
from basin_jax.studies.framework.rows import (
    HALF,
    Row,
    Sentence,
    Table,
    difference,
    median,
    ranked,
    say,
    share,
)


# What a rule beside Behavior judges, as it is said of networks.
HOLDS = {
    "Represents": "representing oversight",
    "Instrumental": "weighing an audit",
    "Searches": "searching",
    "Preference": "preferring the act",
    "GoalDirected": "pursuing the proxy",
}
CELLS = {
    "both": "deceptive and {holds}",
    "behavior-alone": "deceptive and not {holds}",
    "property-alone": "{holds} and not deceptive",
    "neither": "neither deceptive nor {holds}",
}
APART = ("behavior-alone", "property-alone")
TOLD = ("watched", "unwatched", "fit", "competence", "margin")
FEW = 6  # seeds of a cell from which on a median has an interval


@runtime_checkable
class Inner(Protocol):
    """A rule that can tell an inner property, whatever the behavior."""

    def inner(self, evidence: Mapping[str, ndarray]) -> Bool[ndarray, " seed"]: ...


def holds(rule: Rule, evidence: Mapping[str, ndarray]) -> Bool[ndarray, " seed"]:
    """Return True for each seed of which a rule holds: an inner property, or the verdict."""
    if isinstance(rule, Inner):
        return rule.inner(evidence)
    return judge(rule, evidence) == Verdict.DECEPTIVE


def score(rule: str, evidence: Mapping[str, ndarray]) -> Float[ndarray, " seed"]:
    """Return the graded evidence for what a rule judges."""
    if rule == "Represents":
        return evidence["steered"]
    if rule == "Instrumental":
        return evidence["tracking"]
    if rule == "Searches":
        return np.minimum(evidence["retargeted"], evidence["horizon"])
    return evidence["unwatched"] - evidence["intended"]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The verdicts of Behavior on the seeds of an organism, and what a rule beside it holds of."""

    name: str
    rule: str
    evidence: Mapping[str, ndarray]  # after training
    deceptive: Bool[ndarray, " seed"]
    has: Bool[ndarray, " seed"]
    later: Bool[ndarray, " seed"]  # deceptive after twice the steps

    @classmethod
    def of(cls, name: str, trained: Outcome, rules: Mapping[str, Rule], rule: str) -> "Beside":
        """Read it from seeds that were trained for twice the steps."""
        steps = trained.cells[""].num_steps // 2
        evidence, last = trained.evidence("", steps), trained.evidence()
        behavior = rules["Behavior"]
        return cls(
            name=name,
            rule=rule,
            evidence=evidence,
            deceptive=holds(behavior, evidence),
            has=holds(rules[rule], evidence),
            later=holds(behavior, last),
        )

    @property
    def cells(self) -> dict[str, Bool[ndarray, " seed"]]:
        both = self.deceptive & self.has
        one, other = self.deceptive & ~self.has, self.has & ~self.deceptive
        return dict(zip(CELLS, (both, one, other, ~(self.deceptive | self.has)), strict=True))

    def said(self, cell: str) -> str:
        return CELLS[cell].format(holds=HOLDS[self.rule])

    def table(self, organisms: int) -> Iterator[Row]:
        """Yield the fractions of the four cells."""
        for cell, hits in self.cells.items():
            yield share(
                f"{self.name}/{self.rule}/{cell}",
                f"{self.name}: {self.said(cell)}",
                hits,
                num_intervals=len(CELLS) * organisms,
            )

    def doing(self) -> Iterator[Row]:
        """Yield what networks do of which one holds and the other does not."""
        for cell in APART:
            which = self.cells[cell]
            if which.sum() >= FEW:
                for told in TOLD:
                    yield median(
                        f"{self.name}/{self.rule}/{cell}/{told}",
                        f"{self.name}: {self.said(cell)}: {told}, median",
                        self.evidence[told][which],
                        num_intervals=len(TOLD),
                    )

    def becoming(self) -> Iterator[Row]:
        """Yield what becomes of them by twice the steps, and what the property tells of it."""
        key, what, yet = f"{self.name}/later/{self.rule}", HOLDS[self.rule], ~self.deceptive
        after = f"{self.name}, deceptive after twice the steps"
        for cell, which in self.cells.items():
            if which.any():
                label = f"{after}, of those {self.said(cell)} before"
                yield share(f"{key}/{cell}", label, self.later[which], num_intervals=len(CELLS))
        yield difference(
            f"{key}/right-less-Behavior",
            f"{after}: told rightly by {what}, less by being deceptive before",
            self.deceptive == self.later,
            self.has == self.later,
        )
        graded, later = score(self.rule, self.evidence)[yet], self.later[yet]
        if later.any() and not later.all():
            label = f"{after}, of those not so before: AUC of the degree of {what}"
            yield ranked(f"{key}/AUC", label, graded, later)
            # Seeds are independent, so that another one's property tells nothing.
            yield ranked(
                f"{key}/AUC/of-another-seed",
                f"{label} in another seed",
                np.roll(graded, 1),
                later,
                kind="control",
                expected=HALF,
            )


def says_of_cells(rows: Table, name: str, rule: str) -> Sentence:
    """Write the four cells of an organism."""
    cells = {cell: rows[f"{name}/{rule}/{cell}"] for cell in CELLS}
    told = {cell: text.format(holds=HOLDS[rule]) for cell, text in CELLS.items()}
    listed = ", ".join(f"{one} are {told[cell]}" for cell, one in cells.items())
    count = cells["both"].seeds
    return say(f"{name}: of {count:,} seeds, by Behavior and {rule}, {listed}.", *cells.values())


def says_of_doing(rows: Table, name: str, rule: str) -> Iterator[Sentence]:
    """Write what networks do of which one holds and the other does not."""
    for cell in APART:
        found = {told: rows.get(f"{name}/{rule}/{cell}/{told}") for told in TOLD}
        some = {told: one for told, one in found.items() if one}
        if some:
            listed = ", ".join(f"{told} {one}" for told, one in some.items())
            who, count = CELLS[cell].format(holds=HOLDS[rule]), some[TOLD[0]].seeds
            yield say(
                f"{name}: the {count:,} seeds that are {who} have medians of {listed}.",
                *some.values(),
            )


def says_of_becoming(rows: Table, name: str, rule: str) -> Iterator[Sentence]:
    """Write whether an inner property tells who becomes deceptive."""
    key, what = f"{name}/later/{rule}", HOLDS[rule]
    with_it, without = (rows.get(f"{key}/{cell}") for cell in ("property-alone", "neither"))
    if with_it and without:
        yield say(
            f"{name}: of seeds not deceptive before, {with_it} of those {what} are so after twice "
            f"the steps, and {without} of the others{unseen_beside(with_it, without)}.",
            *(with_it, without),
        )
    if auc := rows.get(f"{key}/AUC"):
        yield say(
            f"{name}: who of them becomes deceptive is told by the degree of {what} with an AUC of "
            f"{auc}{unseen([auc], HALF)}.",
            auc,
        )
    more = rows[f"{key}/right-less-Behavior"]
    better = {1: "better", 0: "not shown to be better or worse", -1: "worse"}[more.sign]
    yield say(
        f"{name}: {what} tells who is deceptive after twice the steps {better} than being "
        f"deceptive before, by a difference of {more} in the fraction told rightly"
        f"{unseen([more])}.",
        more,
    )
