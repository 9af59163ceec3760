"""Networks that choose their own data: how much of their deception outlasts a correction."""

from collections.abc import Iterator
from typing import Any

from basin_jax.core.sweep import Sweep
from basin_jax.methods.correction import Correction
from basin_jax.methods.gradient import Gradient
from basin_jax.organisms.chooser import Chooser
from basin_jax.rules.behavior import Behavior
from basin_jax.studies.framework.figure import FRACTION, Curve, Panel
from basin_jax.studies.framework.lab import Group, Lab
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import (
    Row,
    Sentence,
    Table,
    difference,
    mean,
    null,
    row,
    say,
)


# As in `sweeps/organisms/chooser.py`. The first two begin their correction as the same network,
# and so do the last two.
IGNORED, WITHHELD, SHAM, CREDITED = "choices ignored", "withholding", "indifferent", "credited"
CHOICES: dict[str, dict[str, Any]] = {
    IGNORED: {"floor": 1.0},
    WITHHELD: {},
    SHAM: {"slip": 0.5},
    CREDITED: {"slip": 0.5, "credit": 1.0},
}
NULLS = {WITHHELD: IGNORED, CREDITED: SHAM}
INSTALLED = 1000  # steps
LENGTHS = (0, 10, 100, 1000, 3000)  # of the correction
COMPARED = LENGTHS[-2:]
WHERE = ("unwatched", "watched")


def choosers(seeds: int) -> dict[str, Group]:
    """Return networks that are made deceptive, and then corrected on what they submit."""
    cells = {name: _sweep(Chooser(**fields)) for name, fields in CHOICES.items()}
    return {"choosers": Group(cells=cells, seeds=seeds, rule=Behavior())}


def _sweep(organism: Chooser) -> Sweep:
    end = INSTALLED + LENGTHS[-1]
    return Sweep(
        organism=organism,
        method=Correction(
            method=Gradient(learning_rate=0.1),
            objective=organism.replace(correction=1.0),
            begin=INSTALLED,
            end=end,
        ),
        num_steps=end,
        save_at=tuple(INSTALLED + length for length in LENGTHS[:-1]),
    )


def corrected(lab: Lab) -> Iterator[Row]:
    """Yield the deceptive fractions after each length, paired differences and mean choices."""
    trained, last = lab["choosers"], LENGTHS[-1]
    for name in CHOICES:
        for length in LENGTHS:
            key, label = _key(name, length), f"{name}, {length} steps of correction: deceptive"
            if name in NULLS.values() and length == last:
                yield null(key, label, trained.deceptive(name))
                continue
            found = trained.fraction(
                name, step=INSTALLED + length, num_intervals=len(CHOICES) * len(LENGTHS)
            )
            yield row(key, label, found)
    for name, ignored in NULLS.items():
        for length in COMPARED:
            ends = (trained.deceptive(cell, INSTALLED + length) for cell in (ignored, name))
            yield difference(
                _less(name, length),
                f"{name} less {ignored}, {length} steps of correction: deceptive",
                *ends,
                num_intervals=len(NULLS) * len(COMPARED),
            )
    for name in NULLS:
        for where in WHERE:
            for length in LENGTHS:
                yield mean(
                    _submits(name, where, length),
                    f"{name}, {length} steps of correction: submits where {where}, mean",
                    trained.evidence(name, INSTALLED + length)[f"submitted_{where}"],
                    num_intervals=len(NULLS) * len(WHERE) * len(LENGTHS),
                )


def said(rows: Table) -> Iterator[Sentence]:
    """Write sentences on the rows of `corrected`."""
    first, *_, before, last = LENGTHS
    told = {name: [rows[_key(name, n)] for n in (first, before, last)] for name in CHOICES}
    listed = "; ".join(
        f"{name}, {one}, {two} and {three}" for name, (one, two, three) in told.items()
    )
    yield say(
        "Of networks that choose what they are trained on, these are deceptive after "
        f"{first}, {before} and {last} steps of full oversight: {listed}.",
        *(one for found in told.values() for one in found),
    )
    apart = {name: [rows[_less(name, n)] for n in COMPARED] for name in NULLS}
    differ = [
        f"{' and '.join(map(str, found))} ({name} less {NULLS[name]})"
        for name, found in apart.items()
    ]
    compared = [one for found in apart.values() for one in found]
    yield say(
        "In networks that are the same until then, what the choice is used for changes the "
        f"deceptive fraction after {before} and {last} steps by {', and by '.join(differ)}"
        f"{unseen(compared)}.",
        *compared,
    )
    seen = {
        (name, where): (rows[_submits(name, where, first)], rows[_submits(name, where, last)])
        for name in NULLS
        for where in WHERE
    }
    moved = [
        f"{name} and {where}, from {one} to {other}" for (name, where), (one, other) in seen.items()
    ]
    yield say(
        f"In {last} steps the mean probability of submitting an episode goes: {'; '.join(moved)}.",
        *(one for found in seen.values() for one in found),
    )


def panels(rows: Table) -> Iterator[Panel]:
    """Declare the panels: deceptive fractions, and choices, by the length of the correction."""
    deceptive = [Curve({n: rows[_key(name, n)] for n in LENGTHS}, label=name) for name in CHOICES]
    submits = [
        Curve({n: rows[_submits(name, where, n)] for n in LENGTHS}, label=f"{name}, {where}")
        for name in NULLS
        for where in WHERE
    ]
    for marks, ylabel in ((deceptive, "deceptive"), (submits, "submits an episode, mean")):
        yield Panel(
            marks,
            xlabel="steps of correction",
            ylabel=ylabel,
            xscale="symlog",
            ticks=LENGTHS[:-1],  # where a label has room
            limits=FRACTION,
        )


def _key(name: str, length: int) -> str:
    return f"choosers/{name}/steps={length}/deceptive"


def _less(name: str, length: int) -> str:
    return f"choosers/{name}-less-{NULLS[name]}/steps={length}/deceptive"


def _submits(name: str, where: str, length: int) -> str:
    return f"choosers/{name}/steps={length}/submits-{where}"
