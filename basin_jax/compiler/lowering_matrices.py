"""Factors and solutions of small systems of linear equations, as loops over rows in JAX.

JAX leaves these primitives to LAPACK. Here a loop takes a row, or a column, at each turn, so that a
program's length does not grow with the system.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import JaxprEqn

from basin_jax.compiler import ir


LARGEST_SYSTEM = 32  # rows


def triangular_solution(
    matrix: Array,
    right: Array,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    unit_diagonal: bool,
    **_: Any,
) -> Array:
    """Solve for one row after the other."""
    if not left_side:  # of x A = b, the transpose A' x' = b' is solved
        right = right.T
    if transpose_a == left_side:
        matrix, lower = matrix.T, not lower
    count = len(matrix)
    columns = jnp.arange(count)

    def turn(turns: Any, solved: Array) -> Array:
        row = turns if lower else count - 1 - turns
        known = columns < row if lower else columns > row
        here = right[row] - jnp.where(known, matrix[row], 0) @ solved
        return solved.at[row].set(here if unit_diagonal else here / matrix[row, row])

    solved = jax.lax.fori_loop(0, count, turn, jnp.zeros_like(right))
    return solved if left_side else solved.T


def root(matrix: Array, **_: Any) -> Array:
    """Compute Cholesky's factor, one column after the other; without a root all is no number."""
    rows = jnp.arange(len(matrix))

    def turn(column: Any, factor: Array) -> Array:
        rest = matrix[:, column] - factor @ factor[column]
        scaled = jnp.where(rows >= column, rest / jnp.sqrt(rest[column]), 0)
        return factor.at[:, column].set(scaled)

    factor = jax.lax.fori_loop(0, len(matrix), turn, jnp.zeros_like(matrix))
    return jnp.where((factor == factor).all(), factor, jnp.nan)


def eliminated(matrix: Array, **_: Any) -> tuple[Array, Array, Array]:
    """Eliminate with the largest pivot of each column."""
    rows = jnp.arange(len(matrix), dtype=jnp.int32)

    def turn(place: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        matrix, pivots, order = carry
        sizes = jnp.where(rows >= place, jnp.abs(matrix[:, place]), -1)
        pivot = jnp.argmax(sizes).astype(jnp.int32)
        traded = jnp.where(rows == place, pivot, jnp.where(rows == pivot, place, rows))
        matrix, order = (each.at[traded].get(mode="clip") for each in (matrix, order))
        across, down = matrix[place], matrix[:, place]
        # As LAPACK has it, a column of zeros stays.
        factor = jnp.where(across[place] != 0, down / across[place], down)
        rest = jnp.where(rows > place, matrix - factor[:, None] * across, factor[:, None])
        changed = (rows > place)[:, None] & (rows >= place)
        return jnp.where(changed, rest, matrix), pivots.at[place].set(pivot), order

    return jax.lax.fori_loop(0, len(matrix), turn, (matrix, rows, rows))


def permutation(pivots: Array, *, permutation_size: int) -> Array:
    """Trade the places that pivots name, one after the other."""
    rows = jnp.arange(permutation_size, dtype=jnp.int32)

    def turn(place: Any, order: Array) -> Array:
        pivot = pivots[place]
        traded = jnp.where(rows == place, pivot, jnp.where(rows == pivot, place, rows))
        return order.at[traded].get(mode="clip")

    return jax.lax.fori_loop(0, len(pivots), turn, rows)


SYSTEMS: dict[str, Callable[..., Any]] = {
    "triangular_solve": triangular_solution,
    "cholesky": root,
    "lu": eliminated,
    "lu_pivots_to_permutation": permutation,
}


def traced_system(eqn: JaxprEqn) -> Any:
    """Return the loops that a primitive of systems stands for.

    Raises:
        Unsupported: where the system is too large, or no system.
    """
    avals: list[Any] = [var.aval for var in eqn.invars]
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    name, shape = eqn.primitive.name, shapes[0].shape
    *batch, size = shape if name == "lu_pivots_to_permutation" else shape[:-1]
    if name != "lu_pivots_to_permutation" and shape[-1] != size:
        raise ir.Unsupported("factors of a matrix that is not square")
    if size > LARGEST_SYSTEM:
        raise ir.Unsupported(f"a system of {size} equations; at most {LARGEST_SYSTEM}")

    def computed(*arrays: Array) -> Any:
        return SYSTEMS[name](*arrays, **eqn.params)

    for _ in batch:
        computed = jax.vmap(computed)
    with jax.numpy_rank_promotion("allow"):
        return jax.make_jaxpr(computed)(*shapes)
