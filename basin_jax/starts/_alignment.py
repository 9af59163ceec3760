"""Match the hidden units of one multilayer perceptron to those of another."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from basin_jax.core.contracts import Organism, Params
from basin_jax.core.sweep import Child, Parent
from basin_jax.networks.mlp import MLP


# Passes over all layers: few are needed, and rounding cannot make it go in circles.
PASSES = 32


def aligned_partner(start: Child, organism: Organism, parent: Parent) -> Params:
    """Return where a parent's partner ends, with hidden units in the order of the parent's.

    Raises:
        ValueError: where the organism's network is no `MLP`.
    """
    if not isinstance(getattr(organism, "network", None), MLP):
        name = type(organism).__name__
        start.refuse("aligned", f"False, since {name} has no network that is an MLP")
    return aligned(parent.partner, parent.ended)


def aligned(params: PyTree[Array], to: PyTree[Array]) -> PyTree[Array]:
    """Permute the hidden units of a perceptron, so that its weights are near another's.

    The network computes what it did. Units are first assigned layer by layer from the input on, so
    that their biases and the weights that they read with have the largest inner product with those
    of the other's; then, with the weights by which they are read, until nothing changes: weight
    matching (Ainsworth, Hayase & Srinivasa 2023, "Git Re-Basin"). Each assignment is exact, all of
    them together are a local optimum; it is the same in whatever order the units were.

    Args:
        params: the parameters of an `MLP`.
        to: those of another of the same widths.
    """
    leaves, structure = jax.tree.flatten(params)
    own, others = _layers(leaves), _layers(jax.tree.leaves(to))

    def unfinished(at: tuple[list[_Layer], Array, Array]) -> Array:
        _, moved, passes = at
        return moved & (passes < PASSES)

    def matched(at: tuple[list[_Layer], Array, Array]) -> tuple[list[_Layer], Array, Array]:
        layers, moved = [*at[0]], jnp.asarray(False)
        for number in range(len(layers) - 1):
            here = slice(number, number + 2)
            gains = _gains(others[here], layers[here], at[2] > 0)
            order = assignment(gains)
            moved |= (order != jnp.arange(len(order))).any()
            layer, after = layers[here]
            layers[number] = _Layer(layer.bias[order], layer.kernel[:, order])
            layers[number + 1] = _Layer(after.bias, after.kernel[order])
        return layers, moved, at[2] + 1

    found = jax.lax.while_loop(unfinished, matched, (own, jnp.asarray(True), jnp.int32(0)))[0]
    return jax.tree.unflatten(structure, jax.tree.leaves(found))


class _Layer(NamedTuple):
    """The parameters of a layer, in the order in which a tree has them."""

    bias: Float[Array, " unit"]
    kernel: Float[Array, "input unit"]


def _layers(leaves: list[Array]) -> list[_Layer]:
    return [_Layer(*pair) for pair in zip(leaves[::2], leaves[1::2], strict=True)]


def _gains(
    others: list[_Layer], own: list[_Layer], whole: Bool[Array, ""]
) -> Float[Array, "unit unit"]:
    """Compute the inner products of units, of the weights that they read with or of all."""
    (there, beyond), (here, after) = others, own
    read = there.kernel.T @ here.kernel + jnp.outer(there.bias, here.bias)
    return read + jnp.where(whole, beyond.kernel @ after.kernel.T, 0)


def assignment(gains: Float[Array, "n n"]) -> Int[Array, " n"]:
    """Assign each row a column of its own, so that the sum of the gains is largest.

    It is exact but for rounding, by shortest augmenting paths (Crouse 2016, "On implementing 2D
    rectangular assignment algorithms"), in O(n³) operations of JAX. Gains that are not finite
    count as 0, and no number of any size keeps it from ending.

    Returns:
        The column of each row.
    """
    costs = -jnp.where(jnp.isfinite(gains), gains, 0)
    # Shares of the largest, whose sums are finite.
    largest = jnp.abs(costs).max(initial=jnp.finfo(costs.dtype).tiny)
    zeros = jnp.zeros(len(costs), costs.dtype)
    begun = _Matching(jnp.full(len(costs), -1), zeros, zeros)
    found = jax.lax.fori_loop(0, len(costs), partial(_match, costs / largest), begun)
    return jnp.argsort(found.rows)


class _Matching(NamedTuple):
    """The row of each column, -1 for none, and the dual prices."""

    rows: Int[Array, " n"]
    of_rows: Float[Array, " n"]
    of_columns: Float[Array, " n"]


class _Search(NamedTuple):
    """The shortest paths from a row to the columns."""

    lengths: Float[Array, " n"]
    before: Int[Array, " n"]  # the row before each column
    seen: Bool[Array, " n"]
    row: Int[Array, ""]  # the row to go on from; -1 if the path is found
    column: Int[Array, ""]  # the column seen last
    length: Float[Array, ""]


def _match(costs: Float[Array, "n n"], row: Int[Array, ""], at: _Matching) -> _Matching:
    """Match one row more, by the shortest path to a column that is free."""

    def onward(search: _Search) -> _Search:
        reduced = costs[search.row] - at.of_rows[search.row] - at.of_columns
        lengths = search.length + reduced
        nearer = ~search.seen & (lengths < search.lengths)
        lengths = jnp.where(nearer, lengths, search.lengths)
        before = jnp.where(nearer, search.row, search.before)
        column = jnp.argmin(jnp.where(search.seen, jnp.inf, lengths))
        seen = search.seen.at[column].set(True)
        return _Search(lengths, before, seen, at.rows[column], column, lengths[column])

    blank = jnp.full_like(at.of_rows, jnp.inf), jnp.full_like(at.rows, -1), at.rows < -1
    begun = _Search(*blank, row, row, jnp.zeros_like(at.of_rows, shape=()))
    found = jax.lax.while_loop(lambda search: search.row >= 0, onward, begun)
    left = jnp.where(found.seen, found.length - found.lengths, 0)
    passed = found.seen & (at.rows >= 0)
    of_rows = at.of_rows.at[at.rows].add(jnp.where(passed, left, 0))
    of_rows = of_rows.at[row].add(found.length)

    def back(path: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        rows, column, _ = path
        own = found.before[column]
        # The column that the row leaves is the next one to be taken.
        return rows.at[column].set(own), jnp.argmax(at.rows == own), own

    path = (at.rows, found.column, jnp.full_like(row, -1))
    rows, _, _ = jax.lax.while_loop(lambda path: path[2] != row, back, path)
    return _Matching(rows, of_rows, at.of_columns - left)
