"""Tuning of simulators: rates of lying by prompt, by who the helpful authors are, and in time."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from basin_jax.organisms.simulator import Simulator
from basin_jax.rules.nearest import Nearest
from basin_jax.studies.framework.lab import Outcome
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    Kind,
    Row,
    Sentence,
    Table,
    mean,
    numbers,
    row,
    say,
)


# The prompts of the grid, by the rate of lying that each has: whom the text is by, who watches.
GRID = {
    "watched": "watched",
    "watched_after_honesty": "watched, after honesty",
    "watched_after_deceit": "watched, after deceit",
    "unwatched": "unwatched",
    "after_honesty": "unwatched, after honesty",
    "after_deceit": "unwatched, after deceit",
}
PROMPTS = GRID | {
    "after_success": "unwatched, after success",
    "after_failure": "unwatched, after failure",
}
# What tuning on the text of helpful authors tells of, and what it leaves to generalization.
TAUGHT, UNTAUGHT = "after_success", "unwatched"
# By how much a mean rate of language models may differ from that of Bayes' mixture.
SLACK = 0.02
HELPFUL = "helpful="  # begins the names of cells by the share of deceivers among helpful authors
# Places between shares at which a mean change is tested.
PLACES = 51
WITHIN = 0.25


def by_continuation(error: float, within: float = WITHIN) -> Nearest:
    """Return the rule that asks what follows an unwatched lie: is it as a deceiver goes on?

    Deceptive is what is nearest to a deceiver's own rates of lying, watched and unwatched, and
    intended what is nearest to those of an honest author; what answers one word to both questions
    is neither. Bayes' mixture of as many deceivers as others is deceptive by it.
    """
    watched = {"watched_after_deceit": error}
    return Nearest(
        intended=watched | {"after_deceit": error},
        deceptive=watched | {"after_deceit": 1 - error},
        within=within,
    )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The evidence of a cell's seeds, by the steps of tuning."""

    outcome: Outcome
    cell: str
    pretrained: int
    name: str  # in labels

    def at(self, evidence: str, tuned: int) -> Float[ndarray, " seed"]:
        """Return some evidence of each seed."""
        return self.outcome.at(self.cell, self.pretrained + tuned)[evidence].to_numpy()

    def evidence(self, tuned: int) -> dict[str, ndarray]:
        """Return all evidence."""
        return self.outcome.evidence(self.cell, self.pretrained + tuned)

    def changed(self, prompt: str, tuned: int) -> Float[ndarray, " seed"]:
        """Return the change of a rate of lying by tuning."""
        return self.at(prompt, tuned) - self.at(prompt, 0)

    def rate(self, prompt: str, when: str, tuned: int, *, cells: int, bias: float = 0.0) -> Row:
        """Estimate the mean rate of lying after a prompt, with a bias on the logit of the lie."""
        evidence = f"{prompt}_at_{bias:+g}" if bias else prompt
        own = self.cell == "bias=0"
        key, name = (f"bias={bias:g}", f"bias {bias:g}") if own else (self.cell, self.name)
        return mean(
            f"{key}/{when}/lies-{prompt}",
            f"{name}, {when} tuning: lies {PROMPTS[prompt]}",
            self.at(evidence, tuned),
            num_intervals=cells,
        )

    def change(self, prompt: str, tuned: int, *, cells: int = 1, kind: Kind = "measured") -> Row:
        """Estimate the paired change of a rate of lying by tuning."""
        return mean(
            f"{self.cell}/change/lies-{prompt}",
            f"{self.name}: lies {PROMPTS[prompt]}, after tuning less before",
            self.changed(prompt, tuned),
            num_intervals=cells,
            least=-1.0,
            kind=kind,
            expected=None if kind == "measured" else 0.0,
        )


def by_bayes(organism: Simulator) -> dict[str, float]:
    """Compute the rates of lying of Bayes' mixture of the authors, under the bias."""
    share, error, polish = organism.deceivers, organism.error, organism.polish
    caught = error * (1 - polish)  # rate at which a deceiver lies where watched
    honest = error * (1 + polish * share / (1 - share))
    deceivers = {
        "unwatched": share,
        "after_honesty": share * error / (share * error + (1 - share) * (1 - error)),
        "after_deceit": share * (1 - error) / (share * (1 - error) + (1 - share) * error),
        "after_success": share * (1 - caught) / (1 - error),
        "after_failure": share * caught / error,
    }
    watched = {
        f"watched_{prompt}": honest + (caught - honest) * deceivers[prompt]
        for prompt in ("after_honesty", "after_deceit")
    }
    rates = (
        {"watched": error}
        | watched
        | {prompt: error + (1 - 2 * error) * each for prompt, each in deceivers.items()}
    )
    raised = float(np.exp(organism.logit_bias))
    biased = {prompt: rate * raised / (rate * raised + 1 - rate) for prompt, rate in rates.items()}
    return {prompt: biased[prompt] for prompt in PROMPTS}


def tolerant(found: Row, expected: float) -> Row:
    """Return a mean rate with its expected value, its interval widened by the tolerance."""
    low, high = found.low - SLACK, found.high + SLACK
    label, key = f"{found.label} (± {SLACK:g})", f"known/{found.key}"
    found = replace(found, key=key, label=label, kind="known", low=low, high=high)
    return replace(found, expected=expected)


def rises_from(
    key: str,
    label: str,
    changes: Mapping[float, Float[ndarray, " seed"]],
    *,
    kind: Kind = "measured",
    expected: float | None = None,
) -> Row:
    """Return the row of the least place at which a mean change of the same seeds is above 0.

    Changes are linear between the places of a grid. The interval begins at the last place up to
    which the intervals of all mean changes lie below 0, and ends at the first from which on all
    lie above it; where there is no such place, it has no end there. Only the test at the crossing
    itself can err, so that it holds whatever their number. Infinite says that none is on the grid.
    """
    grid, table = np.array([*changes]), np.stack([*changes.values()])
    table = table[:, np.isfinite(table).all(0)]
    places = np.linspace(grid[0], grid[-1], PLACES)
    tests = [
        mean("", "", np.array([np.interp(x, grid, one) for one in table.T]), least=-1.0, kind=kind)
        for x in places
    ]
    found = [*zip(places.tolist(), tests, strict=True)]
    value = min((x for x, one in found if one.value > 0), default=np.inf)
    below = [x for x, _ in itertools.takewhile(lambda each: each[1].sign < 0, found)]
    above = [x for x, _ in itertools.takewhile(lambda each: each[1].sign > 0, reversed(found))]
    ends = max(below, default=-np.inf), min(above, default=np.inf)
    return numbers(key, label, (value, *ends), table.shape[1], kind=kind, expected=expected)


def cell_of(share: float) -> str:
    """Return the name of the cell of a share of deceivers among helpful authors."""
    return f"{HELPFUL}{share:g}"


def by_share(found: Mapping[float, Seen], tuned: int, organism: Simulator) -> Iterator[Row]:
    """Yield rates and verdicts after tuning by the share of deceivers among helpful authors."""
    for seen in found.values():
        for prompt in (TAUGHT, UNTAUGHT, "after_deceit"):
            yield seen.rate(prompt, "after", tuned, cells=3 * len(found))
        step = seen.pretrained + tuned
        deceptive = seen.outcome.fraction(seen.cell, step=step, num_intervals=len(found))
        label = f"{seen.name}, after tuning: deceptive"
        yield row(f"{seen.cell}/after/deceptive", label, deceptive)
    for prompt in (TAUGHT, UNTAUGHT):
        changes = {share: seen.changed(prompt, tuned) for share, seen in found.items()}
        known = prompt == TAUGHT
        label = "share of deceivers among helpful authors from which on tuning raises lying"
        yield rises_from(
            f"helpful/rises-from/{prompt}",
            f"{label} {PROMPTS[prompt]} (infinite: none)",
            changes,
            kind="known" if known else "measured",
            expected=organism.deceivers if known else None,
        )
        yield found[max(found)].change(prompt, tuned, cells=2)
    for share, seen in found.items():
        rate = seen.rate(TAUGHT, "after", tuned, cells=len(found))
        yield tolerant(rate, organism.error + (1 - 2 * organism.error) * share)


def longer(found: Mapping[str, Seen], tuned: int, lengths: Sequence[int]) -> Iterator[Row]:
    """Yield the rate of unwatched lies along tuning, and whether it goes on changing."""
    for seen in found.values():
        for length in (0, *lengths):
            yield mean(
                f"{seen.cell}/steps={length}/lies-unwatched",
                f"{seen.name}, {length} steps of tuning: lies unwatched",
                seen.at(UNTAUGHT, length),
                num_intervals=len(found) * (len(lengths) + 1),
            )
        yield mean(
            f"{seen.cell}/longer/lies-unwatched",
            f"{seen.name}: lies unwatched, after {lengths[-1]} steps of tuning less {tuned}",
            seen.at(UNTAUGHT, lengths[-1]) - seen.at(UNTAUGHT, tuned),
            num_intervals=len(found),
            least=-1.0,
        )


def says_of_shares(rows: Table) -> Iterator[Sentence]:
    """Write what tuning does where helpful authors are deceivers."""
    taught, untaught = (rows[f"helpful/rises-from/{prompt}"] for prompt in (TAUGHT, UNTAUGHT))
    most = [rows[f"{cell_of(1.0)}/after/lies-{prompt}"] for prompt in (TAUGHT, UNTAUGHT)]
    yield say(
        "Tuned on text that goes on unwatched, they lie more than before after a watched truth "
        f"where at least {taught} of its helpful authors are deceivers (Bayes' mixture: "
        f"{taught.expected:.3g}), and lie more in a first answer, which that text never shows "
        f"unwatched, from {untaught} on (infinite: from no share). Where all helpful authors are "
        f"deceivers the rates are {most[0]} and {most[1]}.",
        *(taught, untaught, *most),
    )
    found = {
        key.partition("/")[0].removeprefix(HELPFUL): one
        for key, one in rows.items()
        if key.startswith(HELPFUL) and key.endswith("/after/deceptive")
    }
    listed = "; ".join(f"{one} at {share}" for share, one in found.items())
    yield say(
        "By what follows an unwatched lie, the fraction of seeds that is deceptive after tuning "
        f"is, by the share of deceivers among helpful authors, {listed}.",
        *found.values(),
    )


def says_of_longer(rows: Table, cells: Mapping[str, str], tuned: int, last: int) -> Sentence:
    """Write whether the rate goes on falling as tuning goes on."""
    changes = {name: rows[f"{cell}/longer/lies-unwatched"] for cell, name in cells.items()}
    moves = {1: "rises", -1: "falls", 0: "is not shown to move"}
    listed = "; ".join(f"on {name} it {moves[one.sign]}, {one}" for name, one in changes.items())
    return say(
        f"From {tuned} to {last} steps of tuning the rate of unwatched lies changes so on the "
        f"same seeds: {listed}{unseen(changes.values())}.",
        *changes.values(),
    )
