"""Find fields that are varied in a grid, and that no code reads."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Var

from basin_jax.core.identity import trace_of
from basin_jax.core.sweep import CHILDREN, Sweep
from basin_jax.core.traces import reached
from basin_jax.core.trial import (
    abstract_inputs,
    init,
    inputs_of,
    numerics,
    plugins_of,
    probe,
    signature_of,
    step,
)


PARENT = "start.of."
# Fields of a sweep that its program does not show.
OUTSIDE = {"num_steps", "root", "save_at", "vary", "precision"}


def unread_fields(cells: Sequence[Sweep], paths: Collection[str]) -> list[str]:
    """Return those of the varied fields on whose values no evidence can depend.

    Only a field in which some cell alone differs from the first is examined, and no float of a
    parent.

    Args:
        cells: the cells of a grid.
        paths: the paths of the fields that are varied.
    """
    return [path for path, other in _alone(cells, paths) if not _is_read(cells[0], other, path)]


def _alone(cells: Sequence[Sweep], paths: Collection[str]) -> Iterator[tuple[str, Sweep]]:
    """Yield each path with a cell that differs from the first one in it alone."""
    first, found = cells[0].fields(), set[str]()
    for cell in cells[1:]:
        fields = cell.fields()
        differing = [path for path in paths if fields.get(path) != first.get(path)]
        if len(differing) == 1 and differing[0] not in found:
            found.add(differing[0])
            yield differing[0], cell
        if len(found) == len(paths):
            return


def _is_read(one: Sweep, other: Sweep, path: str) -> bool:
    if path.removeprefix(PARENT) in OUTSIDE or CHILDREN.fullmatch(path):
        return True
    if signature_of(one) != signature_of(other):
        return trace_of(one) != trace_of(other)
    numbers = [inputs_of(cell, np.uint64(0)).hyperparameters for cell in (one, other)]
    places = np.flatnonzero(numbers[0] != numbers[1])
    if path.startswith(PARENT) or len(places) != 1:
        return True
    return _reaches_the_end(one, int(places[0]))


def _reaches_the_end(sweep: Sweep, place: int) -> bool:
    """Return True if what a trial gives may depend on one of its hyperparameters."""
    signature = signature_of(sweep)

    def trial(number: Any, inputs: Any) -> Any:
        plugins = plugins_of(signature, inputs.hyperparameters)
        leaves, structure = jax.tree.flatten(plugins)
        leaves[place] = number
        plugins = jax.tree.unflatten(structure, leaves)
        state, keys = init(plugins, inputs, signature.vary)
        after = step(plugins, keys, jnp.int32(0), state)
        return after, probe(plugins, keys, after)

    with numerics(signature.precision):
        number = jax.ShapeDtypeStruct((), jnp.result_type(float))
        jaxpr = jax.make_jaxpr(trial)(number, abstract_inputs(signature)[1]).jaxpr
    depend = reached(jaxpr, jaxpr.invars[:1])
    return not depend.isdisjoint(atom for atom in jaxpr.outvars if isinstance(atom, Var))
