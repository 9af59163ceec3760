"""Bisect the value of a field at which a seed's verdict changes."""

from collections.abc import Callable, Collection, Mapping

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from basin_jax.core.seeds import as_seeds
from basin_jax.core.sweep import Sweep, override
from basin_jax.core.trial import inputs_of, signature_of
from basin_jax.core.verdict import Rule, Verdict, judge
from basin_jax.engine.autotune import choose
from basin_jax.engine.kernel import build_kernel, release_others
from basin_jax.statistics.estimates import as_verdict


def critical(
    sweep: Sweep,
    path: str,
    seeds: int | ndarray,
    *,
    between: tuple[float, float],
    rule: Rule,
    of: Collection[Verdict] = (Verdict.DECEPTIVE,),
    halvings: int = 30,
    lanes: int | None = None,
) -> pl.DataFrame:
    """Bisect, for each seed, the value of a field from which on its verdict changes.

    All seeds are trained side by side, each at a value of its own, so that a halving takes as
    long as training them once. Their parents are trained once, and held in memory. Between values
    at which the verdict comes and goes, one of the changes is found; whether there are several, a
    grid of values tells.

    Args:
        sweep: the sweep to train, with any value of the field.
        path: the field's dotted path, such as "start.dose".
        seeds: their number (0 to n - 1), or the seeds.
        between: the values at which the search begins.
        rule: the decision rule.
        of: the verdicts beyond the change.
        halvings: their maximal number; floats lie no closer together after 24 or so.
        lanes: the number of lanes; measured if None.

    Returns:
        One row a seed: its verdict is none of `of` at `low`, and is at `high`, with nothing but
        the last halving between. A seed that has such a verdict at the first value already has
        -inf as its `low`; one that has none at the second has inf as its `high`.

    Raises:
        ValueError: where the path names no number of the sweep's own, or values are not rising.
    """
    asked = np.asarray(as_seeds(seeds), np.uint64)
    backend, lanes, _ = choose(sweep, lanes=lanes, seeds=len(asked) * halvings)
    kernel, numbers = build_kernel(sweep, lanes=lanes, backend=backend), Field(sweep, path, between)
    release_others([kernel])
    parents = kernel.parents(asked)

    def beyond(which: Int[ndarray, " some"], values: ndarray) -> Bool[ndarray, " some"]:
        given = {"hyperparameters": numbers.at(values), "parent_params": parents[which]}
        return is_one_of(of, rule, kernel(asked[which], **given))

    low, high = (np.full(len(asked), value, float) for value in between)
    low, high = bisected(beyond, low, high, halvings=halvings, dtype=numbers.dtype)
    return pl.DataFrame({"seed": asked, "low": low, "high": high})


class Field:
    """A field's place among a sweep's hyperparameters.

    Raises:
        ValueError: where the path names no number of the sweep's own, or values are not rising.
    """

    def __init__(self, sweep: Sweep, path: str, between: tuple[float, float]):
        self._own = inputs_of(sweep, np.uint64(0)).hyperparameters
        self._place = _place(sweep, path, between)

    @property
    def dtype(self) -> np.dtype:
        return self._own.dtype

    def at(self, values: Float[ndarray, " seed"]) -> Float[ndarray, "seed hyperparameter"]:
        """Return the hyperparameters of seeds, each with a value of its own."""
        return np.where(self._place, values[:, None], self._own).astype(self.dtype)


def is_one_of(
    of: Collection[Verdict], rule: Rule, evidence: Mapping[str, ndarray]
) -> Bool[ndarray, " seed"]:
    """Return True for each seed that has one of some verdicts at the last stop."""
    verdicts = judge(rule, {name: column[:, -1] for name, column in evidence.items()})
    return np.isin(verdicts, [*map(as_verdict, of)])


def bisected(
    beyond: Callable[[ndarray, ndarray], ndarray],
    first: ndarray,
    last: ndarray,
    *,
    halvings: int,
    dtype: np.dtype,
) -> tuple[Float[ndarray, " seed"], Float[ndarray, " seed"]]:
    """Bisect between two values of each seed, by a function that says which are beyond a change."""
    every, low, high = np.arange(len(first)), first.copy(), last.copy()
    early, late = beyond(every, low), beyond(every, high)
    open_ = ~early & late
    for _ in range(halvings):
        middle = ((low + high) / 2).astype(dtype).astype(float)
        which = np.flatnonzero(open_ & (low < middle) & (middle < high))
        if not len(which):
            break
        past = beyond(which, middle[which])
        high[which[past]], low[which[~past]] = middle[which[past]], middle[which[~past]]
    high[early], low[early] = first[early], -np.inf
    never = ~early & ~late
    low[never], high[never] = last[never], np.inf
    return low, high


def _place(sweep: Sweep, path: str, between: tuple[float, float]) -> Bool[ndarray, " number"]:
    """Find the hyperparameter that a path names."""
    if not between[0] < between[1]:
        raise ValueError(f"between = {between}; allowed: two values, the second above the first")
    ends = [override(sweep, path, value) for value in between]
    shapes = {signature_of(end) for end in ends}
    numbers = [inputs_of(end, np.uint64(0)).hyperparameters for end in ends]
    place = numbers[0] != numbers[1] if len(shapes) == 1 else np.zeros(1, bool)
    if place.sum() != 1 or path.startswith("start.of."):
        raise ValueError(f"path = {path!r}; allowed: a float of the sweep, and not of a parent")
    return place
