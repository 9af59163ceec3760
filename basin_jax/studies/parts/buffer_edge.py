"""The edge of the deceptive basin: how high does it lie, and what leads away from it?"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from basin_jax.core.verdict import Verdict
from basin_jax.methods.gradient import Gradient
from basin_jax.starts.interpolated import Interpolated
from basin_jax.starts.trained import Trained
from basin_jax.studies.controls import gate
from basin_jax.studies.framework.figure import Cumulative, Panel
from basin_jax.studies.framework.lab import Group, Lab, Seeds, Tracking, only
from basin_jax.studies.framework.rows import Row, Sentence, Table, median, numbers, say, share
from basin_jax.studies.framework.testbed import Testbed


LOST = Verdict.DECEPTIVE
SAVED = tuple(verdict for verdict in Verdict if verdict != LOST)
# Under a decay the loss has minima, and saddles between them; else it falls for ever.
DECAY = 0.008
PLAIN, DECAYED = "plain", "decayed"
EDGES = {PLAIN: "edges, plain training", DECAYED: f"edges, training with a decay of {DECAY:g}"}
# Under a decay, training and the wait for a verdict take as many times as long.
LONGER, WAIT = 2, 3
ROUNDS = 5
# An unstable direction grows by a factor e within the training, a fast one in this part of it.
FAST = 8
GROWING = ("unstable", "fast")
END = 0.3  # of the figure's axis of losses


def decayed(testbed: Testbed) -> Testbed:
    """Return the testbed trained with a decay, and for longer.

    Raises:
        ValueError: where it is not trained by plain descent, whose steps follow a gradient.
    """
    method = testbed.method
    if not isinstance(method, Gradient) or method.optimizer != "sgd":
        raise ValueError(f"testbed.method = {method!r}; allowed: Gradient with sgd")
    return testbed.replace(method=method.replace(l2=DECAY), num_steps=LONGER * testbed.num_steps)


def groups(testbed: Testbed, seeds: int) -> dict[str, Group]:
    """Return seeds that are trained with a decay, and gates."""
    own = decayed(testbed)
    return {DECAYED: only(own.sweep, seeds, rule=own.rule), **gate.gates(seeds // 4)}


def edges(testbed: Testbed, plain: Seeds, count: int) -> dict[str, Tracking]:
    """Track the edges of deceptive ends, on the lines to where full oversight leads."""

    def with_decay(lab: Lab) -> ndarray:
        return lab[DECAYED].seeds(LOST)[:count]

    return {
        PLAIN: _edge(testbed, plain, testbed.num_steps),
        DECAYED: _edge(decayed(testbed), with_decay, WAIT * testbed.num_steps),
        **gate.edges(SAVED),
    }


def _edge(testbed: Testbed, seeds: Seeds, wait: int) -> Tracking:
    base = testbed.sweep
    corrected = base.replace(start=Trained(of=base), method=testbed.overseen_by())
    line = base.replace(start=Interpolated(of=corrected, dose=0.0), num_steps=wait)
    along = {
        "close": 0.03,
        "apart": 0.3,
        "rounds": ROUNDS,
        "stride": max(testbed.num_steps // 20, 1),
    }
    along |= {"within": (testbed.num_steps, testbed.num_steps // FAST)}
    return Tracking(sweep=line, seeds=seeds, rule=testbed.rule, of=SAVED, along=along)


def edge_rows(lab: Lab) -> Iterator[Row]:
    """Yield how many edges are held, and what lies there: loss, gap, step, unstable directions."""
    for name, label in EDGES.items():
        key = f"{name}/edge/held"
        told = f"{label}: held in {ROUNDS} bisections"
        yield share(key, told, lab.edges[name]["held"].to_numpy(), num_intervals=len(EDGES))
    held, label = lab.edges[DECAYED].filter("held"), f"held {EDGES[DECAYED]}"
    for end, name in (("deceptive", "before"), ("corrected", "beyond")):
        over = (held["loss"] - held[name]).to_numpy()
        yield _median(f"loss-over-{end}", f"{label}: loss less that of the {end} end", over)
    yield _median("gap", f"{label}: gap", held["gap"].to_numpy())
    yield _median("step", f"{label}: length of a step", held["step"].to_numpy())
    for name, column in zip(GROWING, _unstable(held), strict=True):
        told, values = f"{label}: {name} directions", held[column].to_numpy()
        yield _median(name, told, values)
        yield share(f"{DECAYED}/edge/one-{name}", f"{told}, exactly one", values == 1)
    yield from gate.at_the_saddle(lab)


def _unstable(found: pl.DataFrame) -> list[str]:
    """Return the columns of unstable directions, in the order in which they were asked for."""
    return [name for name in found.columns if name.startswith("unstable=")]


def _median(key: str, label: str, values: Float[ndarray, " seed"]) -> Row:
    key, label = f"{DECAYED}/edge/{key}", f"{label}, median"
    if not len(values):
        return numbers(key, label, (np.nan, np.nan, np.nan), 0)
    return median(key, label, values)


def says_of_edges(rows: Table) -> Iterator[Sentence]:
    """Say whether edges are held, how high they lie, and how many directions lead away."""
    plain, held = (rows[f"{name}/edge/held"] for name in EDGES)
    yield say(
        "Between a deceptive end and where full oversight leads from it, the edge is bisected "
        f"again and again while its two sides train on. Of {plain.seeds:,} edges of plain training "
        f"{plain} are held: the two sides of the others come to share a verdict, so that their "
        f"edge was one of time. With a decay {held} of {held.seeds:,} are held.",
        *(plain, held),
    )
    down, up, gap, step = (
        rows[f"{DECAYED}/edge/{key}"]
        for key in ("loss-over-deceptive", "loss-over-corrected", "gap", "step")
    )
    yield say(
        f"The loss at the held edges, with its penalty, lies {down} above that of the deceptive "
        f"end and {up} above that of the corrected one, median of {down.seeds:,} seeds, in "
        f"units of a right answer's reward. There the gap is {gap}, and a step's length {step}.",
        *(down, up, gap, step),
    )
    (number, one), (few, single) = (
        (rows[f"{DECAYED}/edge/{name}"], rows[f"{DECAYED}/edge/one-{name}"]) for name in GROWING
    )
    yield say(
        f"A saddle between two basins has one unstable direction: {one} of these edge states have "
        "exactly one in which a deviation grows by a factor e within the training (median number "
        f"{number}), and {single} exactly one in which it does in an eighth of it ({few}).",
        *(number, one, few, single),
    )


def edge_panel(lab: Lab) -> Panel:
    """Draw how far the loss at the held edges lies above that of both ends."""
    held: pl.DataFrame = lab.edges[DECAYED].filter("held")
    marks = [
        Cumulative((held["loss"] - held[name]).to_numpy(), END, label=f"{end} end")
        for end, name in (("deceptive", "before"), ("corrected", "beyond"))
    ]
    return Panel(marks, xlabel="loss at the edge, above", ylabel="share of edges")
