"""Crossed tickets: does a ticket's end follow its weights, or the places that they are in?"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, UInt64
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.masked import Masked
from basin_jax.starts.crossed import Crossed
from basin_jax.studies.framework.figure import INK, Curve, Panel
from basin_jax.studies.framework.lab import Group, Lab, only
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import Row, Sentence, Table, difference, say, share
from basin_jax.studies.framework.testbed import Testbed


# Whether the hidden units of the seed that gives the places are matched to the other's.
UNITS = {"plain": "units as they are", "matched": "units matched"}
# Whose weights are where the other of the pair would keep its own.
FROM = {
    "deceptive": "weights of a deceptive seed in the places of an intended one",
    "intended": "weights of an intended seed in the places of a deceptive one",
}
WEIGHTS, PLACES = FROM


def groups(testbed: Testbed, keeps: tuple[float, ...]) -> dict[str, Group]:
    """Return tickets of pairs of seeds, one deceptive and one intended, in each other's places.

    They need the group `fresh` of the seeds by themselves.
    """
    base, rule = testbed.sweep, testbed.rule
    cells = {
        _cell(units, keep): _crossed(base, keep, aligned=units == "matched")
        for units in UNITS
        for keep in keeps
    }
    return {
        "partners": only(base, lambda lab: _partners(_deceptive(lab)), rule=rule),
        "crossed_deceptive": Group(cells=cells, seeds=_mixed, rule=rule),
        "crossed_intended": Group(cells=cells, seeds=lambda lab: _partners(_mixed(lab)), rule=rule),
    }


def _crossed(base: Sweep, keep: float, *, aligned: bool) -> Sweep:
    start = Crossed(of=base, keep=keep, aligned=aligned)
    return base.replace(start=start, method=Masked(method=base.method))


def _deceptive(lab: Lab) -> UInt64[ndarray, " seed"]:
    return lab["fresh"].seeds(Verdict.DECEPTIVE)


def _partners(seeds: UInt64[ndarray, " seed"]) -> UInt64[ndarray, " seed"]:
    return seeds ^ np.uint64(2**63)


def _mixed(lab: Lab) -> UInt64[ndarray, " seed"]:
    """Return the deceptive seeds whose partners are as intended."""
    return _deceptive(lab)[lab["partners"].verdicts() == Verdict.INTENDED.name]


def crossed(lab: Lab, keeps: tuple[float, ...], random: str, own: str) -> Iterator[Row]:
    """Yield how often crossed tickets end deceptive, and their paired differences.

    The order of pairs is that of their deceptive seeds, and of their intended ones. `random` and
    `own` name the cells of `tickets`, but for the share, of the same deceptive seeds.
    """
    cells = [(units, keep) for units in UNITS for keep in keeps]
    count = len(cells)
    for units, keep in cells:
        cell = _cell(units, keep)
        hits = {whose: lab[f"crossed_{whose}"].deceptive(cell) for whose in FROM}
        said = f"{UNITS[units]}, {keep:g} kept"
        for whose, ends in hits.items():
            label = f"{FROM[whose]}, {said}: deceptive"
            yield share(f"crossed/{whose}/{cell}", label, ends, num_intervals=len(FROM) * count)
        yield difference(
            f"crossed/weights-less-places/{cell}",
            f"{FROM[WEIGHTS]} less {FROM[PLACES]}, {said}: deceptive",
            hits[PLACES],
            hits[WEIGHTS],
            num_intervals=3 * count,
        )
        for name in (random, own):
            yield difference(
                f"crossed/less-{name}/{cell}",
                f"{FROM[WEIGHTS]} less {name} of the same seed, {said}: deceptive",
                _of_pairs(lab, f"{name}={keep:g}"),
                hits[WEIGHTS],
                num_intervals=3 * count,
            )


def _of_pairs(lab: Lab, cell: str) -> Bool[ndarray, " pair"]:
    """Return which tickets of the pairs' deceptive seeds end deceptive."""
    tickets = lab["tickets"]
    among = np.isin(tickets.at(cell)["seed"].to_numpy(), _mixed(lab))
    return tickets.deceptive(cell)[among]


def said(rows: Table, keep: float, random: str, own: str) -> Iterator[Sentence]:
    """Write a sentence for each order of units: does the end follow weights or places?"""
    follows = {
        1: "the end follows the weights of the start more than their places",
        -1: "the end follows the places more than the weights of the start",
        0: "the end is not shown to follow the weights or the places more",
    }
    for units, order in UNITS.items():
        cell = _cell(units, keep)
        ends = [rows[f"crossed/{whose}/{cell}"] for whose in FROM]
        moved = rows[f"crossed/weights-less-places/{cell}"]
        beside = [rows[f"crossed/less-{name}/{cell}"] for name in (random, own)]
        yield say(
            f"Of {moved.seeds:,} pairs of a deceptive and an intended seed, {order} and {keep:g} "
            f"kept, {follows[moved.sign]}: deceptive are {ends[0]} of the deceptive seed's weights "
            f"in the places of the intended one, and {ends[1]} of the intended seed's weights in "
            f"the places of the deceptive one, a difference of {moved}; the first less {random} of "
            f"the same seed is {beside[0]}, and less its {own} {beside[1]}"
            f"{unseen([moved, *beside])}.",
            *(*ends, moved, *beside),
        )


def panel(rows: Table, keeps: tuple[float, ...]) -> Panel:
    """Declare the panel of crossed tickets by the share that is kept."""
    marks = [
        Curve(
            {keep: rows[f"crossed/{whose}/{_cell(units, keep)}"] for keep in keeps},
            label=f"{whose} weights{', matched' * (units == 'matched')}",
            color=INK[(0, 1)[whose == PLACES]],
            linestyle={"plain": "-", "matched": "--"}[units],
        )
        for whose in FROM
        for units in UNITS
    ]
    return Panel(marks, xlabel="share kept, places of the other", ticks=keeps)


def _cell(units: str, keep: float) -> str:
    return f"{units}={keep:g}"
