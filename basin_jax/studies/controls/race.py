"""Tickets whose fate is known: a race of scalar paths, and XOR by rectified units."""

from dataclasses import replace

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.masked import Masked
from basin_jax.organisms.relu_xor import ReluXor
from basin_jax.organisms.ticket_race import TicketRace
from basin_jax.starts.ticket import Ticket
from basin_jax.studies.framework.rows import Row, ranked, share
from basin_jax.studies.framework.study import WELL_RULE, Lab, is_fit


# Of `sweeps/known_answers/relu_xor.py` and `ticket_race.py`, in the small.
XOR = Sweep(
    organism=ReluXor(units=3, scale=0.01),
    method=Gradient(learning_rate=0.1),
    num_steps=1500,
    save_at=(0,),
)
DECEPTIVE, HONEST = 2, 2  # paths
RACERS = 7168  # seeds, at least: they cost little
RACE = Sweep(
    organism=TicketRace(deceptive=DECEPTIVE, honest=HONEST, scale=0.3),
    method=Gradient(learning_rate=0.1),
    num_steps=5000,
)


def xor(lab: Lab, seeds: int) -> Row:
    """Return how well the lean of three units at the start foretells success: exactly."""
    trained = lab.run("xor", [XOR], seeds, rule=WELL_RULE)
    positive = trained.verdicts(XOR) == Verdict.INTENDED.name
    scores = trained.at(XOR, 0)["weaker_side"].to_numpy()
    what = "XOR by 3 units, weaker side at step 0: AUC for success"
    found = ranked(what, scores, positive, kind="known", expected=1.0)
    # No bound above it: a single pair that is ranked wrongly is too many.
    return replace(found, high=found.value)


def races(lab: Lab, seeds: int) -> list[Row]:
    """Return how often a deceptive path wins: a ticket of one path, and once a path is removed.

    The path that leads at the parent's end is the largest of the start, and wins if it is
    positive; begun anew, it is so half of the time. Without it the second largest does. Which
    paths are deceptive does not hang on their order.
    """
    paths = DECEPTIVE + HONEST
    deceptive = DECEPTIVE / paths
    none, one = 2.0**-paths, paths * 2.0**-paths  # positive paths
    alone, rest = 1 / paths, 1 - 1 / paths
    cases = {
        "winning ticket alone, fresh": (Ticket(of=RACE, keep=alone, weights="fresh"), 1 / 2),
        "winning ticket removed": (Ticket(of=RACE, keep=rest, mask="-magnitude"), 1 - none - one),
        "random path removed": (Ticket(of=RACE, keep=rest, mask="random"), 1 - 2 * none),
    }
    method = Masked(method=RACE.method)
    cells = [RACE.replace(start=start, method=method) for start, _ in cases.values()]
    trained = lab.run("race", cells, seeds, rule=WELL_RULE)
    rows = []
    for cell, (name, (_, fits)) in zip(cells, cases.items(), strict=True):
        frame = trained.at(cell)
        wins = is_fit(frame["verdict"].to_numpy()) & (frame["leader"].to_numpy() == 1)
        what = f"ticket race, {name}: a deceptive path wins"
        rows.append(share(what, wins, cells=len(cases), kind="known", expected=deceptive * fits))
    return rows
