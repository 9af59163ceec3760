"""Track the edge between two basins: bisect again and again while its two sides train on."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from basin_jax.core.seeds import as_seeds
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule, Verdict
from basin_jax.engine.autotune import choose
from basin_jax.engine.bisect import Field, bisected, is_one_of
from basin_jax.engine.kernel import Kernel, build_kernel, release_others
from basin_jax.engine.stability import losses, stability
from basin_jax.starts.interpolated import Interpolated


WAY, LINE = "start.dose", (0.0, 1.0)
STOPS = 8  # between two bisections, at which the distance of the two states is measured


class Edge(NamedTuple):
    """Two states on either side of the edge, for each seed, and the ends of both sides.

    A seed's edge is `held` if at every bisection its two states were still on either side.
    """

    before: Float[ndarray, "seed param"]  # the state on the near side, that of dose 0
    beyond: Float[ndarray, "seed param"]
    ends: Float[ndarray, "seed 2 param"]  # where training leads from doses 0 and 1
    held: Bool[ndarray, " seed"]
    steps: Int[ndarray, " seed"]  # that the states have been trained along the edge
    trained: Int[ndarray, " seed"]  # steps of all that was trained to find it

    @property
    def state(self) -> Float[ndarray, "seed param"]:
        """The edge state: halfway between the two."""
        return (self.before + self.beyond) / 2


def track_edge(
    sweep: Sweep,
    seeds: int | ndarray,
    *,
    rule: Rule,
    of: Collection[Verdict],
    close: float,
    apart: float,
    rounds: int,
    stride: int,
    lanes: int | None = None,
) -> Edge:
    """Find, for each seed, the state to which training leads on the edge between two basins.

    On the line between two states, the beginning and the end of an `Interpolated` start's parent,
    the edge is bisected until its two sides are `close`. Both are trained until they are `apart`,
    and the edge is bisected on the line between them, again and again. So a state that training
    would leave to either side stays on the edge, and goes where that leads: to a saddle, if the
    edge has one that attracts. What training draws at random is the same on both sides, and what
    an optimizer remembers begins anew in every round. (Skufca, Yorke & Eckhardt 2006, "Edge of
    chaos in a parallel shear flow"; Schneider, Eckhardt & Yorke 2007, "Turbulence transition and
    the edge of chaos in pipe flow".)

    A verdict is that after all steps of the sweep. Where it takes seeds ever longer to leave a
    plateau, both sides may come to be beyond the change: the edge was one of time, and is lost.

    Args:
        sweep: the sweep to train, from an `Interpolated` start.
        seeds: their number (0 to n - 1), or the seeds.
        rule: the decision rule.
        of: the verdicts beyond the change: none at dose 0, and one at dose 1.
        close: the distance of the two sides up to which they are bisected.
        apart: that from which on they are bisected again, above `close`.
        rounds: the number of bisections.
        stride: the steps from one look at the distance to the next; there are `STOPS` a round.
        lanes: the number of lanes; measured if None.

    Raises:
        ValueError: for another start, and where distances or numbers are not as above.
    """
    _expect(sweep, close=close, apart=apart, rounds=rounds, stride=stride)
    sides = _Sides(sweep, np.asarray(as_seeds(seeds), np.uint64), rule, of, stride, lanes)
    count = len(sides.seeds)
    ends = np.stack([sides.trained(sides.end, np.full(count, d))[:, -1] for d in LINE], axis=1)
    held, steps = np.ones(count, bool), np.zeros(count, int)
    doses = np.full(count, LINE[0]), np.full(count, LINE[1])
    for number in range(rounds):
        low, high = sides.bisected(held, close)
        held &= np.isfinite(low) & np.isfinite(high)
        doses = np.where(held, low, LINE[0]), np.where(held, high, LINE[1])
        if number == rounds - 1 or not held.any():
            break
        ways = [sides.trained(sides.onward, dose) for dose in doses]
        away = np.linalg.norm(ways[1] - ways[0], axis=-1) > apart
        stop = np.where(away.any(1), away.argmax(1), STOPS - 1)
        sides.move([way[np.arange(count), stop] for way in ways], held)
        steps += np.where(held, stride * (stop + 1), 0)
    before, beyond = (sides.at(dose) for dose in doses)
    return Edge(before, beyond, ends, held, steps, sides.trained_steps)


class _Sides:
    """The two states of each seed, on either side of its edge, and the kernels that train them."""

    def __init__(
        self,
        sweep: Sweep,
        seeds: ndarray,
        rule: Rule,
        of: Collection[Verdict],
        stride: int,
        lanes: int | None,
    ):
        self.seeds, self._rule, self._of = seeds, rule, of
        backend, lanes, _ = choose(sweep, lanes=lanes, seeds=len(seeds))
        some = sweep.replace(num_steps=stride * STOPS, save_at=_spread(stride * STOPS))
        self._judged, moved = (
            build_kernel(one, lanes=lanes, backend=backend) for one in (sweep, some)
        )
        self.onward = replace(moved, output="params")
        # As many stops, so that they share a program.
        self.end = replace(self.onward, cells=(sweep.replace(save_at=_spread(sweep.num_steps)),))
        release_others([self._judged, self.onward])
        self._line, self._doses = self._judged.parents(seeds), Field(sweep, WAY, LINE)
        self.trained_steps = np.zeros(len(seeds), int)

    def at(self, doses: Float[ndarray, " seed"]) -> Float[ndarray, "seed param"]:
        """Return the state at a point of each seed's line."""
        first, last = self._line[:, 0], self._line[:, 1]
        return first + doses[:, None].astype(first.dtype) * (last - first)

    def move(self, states: list[ndarray], held: Bool[ndarray, " seed"]) -> None:
        """Make two states of some seeds the ends of their lines."""
        moved = np.stack(states, axis=1).astype(self._line.dtype)
        self._line = np.where(held[:, None, None], moved, self._line)

    def trained(self, kernel: Kernel, doses: ndarray) -> Float[ndarray, "seed stop param"]:
        """Train all seeds on from a point of their lines."""
        self.trained_steps += kernel.cells[0].num_steps
        return kernel(self.seeds, **self._given(doses, np.arange(len(doses))))["params"]

    def bisected(self, held: Bool[ndarray, " seed"], close: float) -> tuple[ndarray, ndarray]:
        """Bisect the lines of seeds whose edge is held, until their sides are close."""

        def beyond(which: Int[ndarray, " some"], doses: ndarray) -> Bool[ndarray, " some"]:
            own = places[which]
            self.trained_steps[own] += self._judged.cells[0].num_steps
            evidence = self._judged(self.seeds[own], **self._given(doses, own))
            return is_one_of(self._of, self._rule, evidence)

        places = np.flatnonzero(held)
        length = np.linalg.norm(self._line[places, 1] - self._line[places, 0], axis=-1)
        halvings = int(np.ceil(np.log2(np.maximum(length / close, 1)).max(initial=0)))
        found = [np.full(len(held), end) for end in (-np.inf, np.inf)]
        line = [np.full(len(places), end) for end in LINE]
        ends = bisected(beyond, *line, halvings=halvings, dtype=self._doses.dtype)
        for bound, end in zip(found, ends, strict=True):
            bound[places] = end
        return found[0], found[1]

    def _given(self, doses: ndarray, which: Int[ndarray, " some"]) -> dict[str, ndarray]:
        return {"hyperparameters": self._doses.at(doses), "parent_params": self._line[which]}


def measured_edge(
    sweep: Sweep, seeds: int | ndarray, *, within: tuple[int, ...], **asked: Any
) -> pl.DataFrame:
    """Track the edges of seeds as `track_edge` does, and measure what lies there.

    Returns:
        One row a seed: `held`, `steps` and `trained` as of `Edge`; of an edge state that is held
        the `loss` that training lowers, the length of a `step`, the `gap`, and for each number of
        steps in `within` that of the directions in which a deviation grows by a factor e in them,
        such as `unstable=100`; and the losses where training leads from both ends of the line,
        `before` and `beyond`.
    """
    edge = track_edge(sweep, seeds, **asked)
    held = np.flatnonzero(edge.held)
    names = ("loss", "step", "gap", *(f"unstable={steps}" for steps in within))
    columns = {name: np.full(len(edge.held), np.nan) for name in names}
    if len(held):
        state = stability(sweep, edge.state[held])
        gap = state.evidence["unwatched"] - state.evidence["watched"]
        found = (state.loss, state.step, gap, *map(state.unstable, within))
        for name, values in zip(names, found, strict=True):
            columns[name][held] = values
    ends = {"before": losses(sweep, edge.ends[:, 0]), "beyond": losses(sweep, edge.ends[:, 1])}
    told = {"held": edge.held, "steps": edge.steps, "trained": edge.trained}
    return pl.DataFrame({"seed": np.asarray(as_seeds(seeds), np.uint64)} | columns | ends | told)


def _spread(steps: int) -> tuple[int, ...]:
    """Return the stops before the last, as many for any number of steps."""
    return tuple(steps * number // STOPS for number in range(1, STOPS))


def _expect(sweep: Sweep, *, close: float, apart: float, rounds: int, stride: int) -> None:
    if not isinstance(sweep.start, Interpolated):
        raise ValueError(f"start = {sweep.start!r}; allowed: Interpolated, the line to bisect")
    if not 0 < close < apart:
        raise ValueError(f"close, apart = {close}, {apart}; allowed: rising, above 0")
    for name, value in {"rounds": rounds, "stride": stride}.items():
        if value < 1:
            raise ValueError(f"{name} = {value}; allowed: at least 1")
