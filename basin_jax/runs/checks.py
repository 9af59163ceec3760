"""Check the settings, the cells and the rule of a run before anything is trained."""

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from basin_jax.core.identity import digest_of, evidence_names
from basin_jax.core.labels import check_names, varied
from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import signature_of
from basin_jax.core.verdict import Rule, judge
from basin_jax.engine.backends import LANES
from basin_jax.engine.preflight import TRIED, examine, unmoved
from basin_jax.engine.unread import unread_fields
from basin_jax.engine.waiting import Patience
from basin_jax.interrupts import GaveUp
from basin_jax.results.chunk import EVIDENCE, KEYS, LABEL
from basin_jax.results.store import Store
from basin_jax.runs.parked import PATIENCE, Parked, ParkedSeeds, check_patience
from basin_jax.schema import name as check_name
from basin_jax.schema import refuse, text


def named_cells(
    sweep: Sweep | Sequence[Sweep] | Mapping[str, Sweep],
) -> tuple[list[Sweep], list[str]]:
    """Return the cells of what a run is given, and their names, if they have some.

    Raises:
        ValueError: if the names cannot be shown.
    """
    if isinstance(sweep, Mapping):
        check_names(list(sweep))
        return list(sweep.values()), list(sweep)
    return [sweep] if isinstance(sweep, Sweep) else list(sweep), []


def check_settings(
    sweep: Sweep | Sequence[Sweep] | Mapping[str, Sweep],
    seeds: Any,
    *,
    until: float | None,
    whole: Any,
    pilot: str | None,
    lanes: int | None,
) -> tuple[list[Sweep], list[str]]:
    """Check that the settings of a run fit together, and return its cells and their names.

    Raises:
        ValueError: if they do not.
    """
    cells, names = named_cells(sweep)
    if (seeds is None) == (until is None):
        raise ValueError("seeds or until; allowed: exactly one of them")
    if until is not None and (whole is not None or pilot is not None):
        name, value = ("pilot", pilot) if whole is None else ("whole", whole)
        raise ValueError(f"{name} = {value!r} with until; allowed: with seeds")
    if until is not None and not 0 < until < 1:
        raise ValueError(f"until = {until}; allowed: a width above 0 and below 1")
    if until is not None and any(cell.siblings > 1 for cell in cells):
        raise ValueError(
            f"until = {until}; allowed: a number of seeds, since those of one parent are related"
        )
    if lanes is not None and not 1 <= lanes <= LANES:
        raise ValueError(f"lanes = {lanes}; allowed: at least 1, at most {LANES}")
    return cells, names


def check_note(note: str | None) -> None:
    """Raise `ValueError` if a note says nothing, or cannot be kept."""
    if note is not None:
        text("note", note)
        if not note.strip():
            refuse("note", note, "what the run is for, in words")


def check_cells(
    cells: Sequence[Sweep], rule: Rule, *, first_step: Callable[[Sweep], None] = examine
) -> dict[str, Sweep]:
    """Check the cells, and return them by their digests.

    Args:
        cells: the cells.
        rule: the decision rule.
        first_step: what tries the first step of a cell.

    Raises:
        ValueError: if the cells and the rule do not fit together.
    """
    if not cells:
        raise ValueError("sweep has no cells; allowed: at least one")
    for cell in {signature_of(cell): cell for cell in cells}.values():
        _located(first_step, cell)
    first = _located(evidence_names, cells[0])
    for own in first:
        check_name("evidence", own)
    if len(first) > EVIDENCE:
        raise ValueError(f"the evidence has {len(first)} names; allowed: at most {EVIDENCE}")
    taken_names = {*KEYS, LABEL, *(path for cell in cells for path in cell.fields())}
    if taken := taken_names & {*first}:
        raise ValueError(
            f"the organism gives evidence named {taken.pop()!r}; allowed: other names than "
            f"{', '.join((*KEYS, LABEL))} and the sweep's fields, which are columns beside it"
        )
    for cell in cells[1:]:
        names = _located(evidence_names, cell)
        if names != first:
            raise ValueError(
                f"{type(cell.organism).__name__} gives the evidence {', '.join(names)}; "
                f"allowed: that of the first cell, {', '.join(first)}"
            )
    judge(rule, {name: np.zeros(2) for name in first})
    digests = {_located(digest_of, cell): cell for cell in cells}
    if len(digests) < len(cells):
        raise ValueError("two cells are the same sweep; allowed: cells that differ in a field")
    alike: dict[str, int] = {}
    for number, cell in enumerate(cells, 1):
        first_alike = alike.setdefault(json.dumps(cell.fields()), number)
        if first_alike != number:
            raise ValueError(
                f"cells {first_alike} and {number} have the same fields, but other programs; "
                "allowed: values that can be told by name, such as functions of a def"
            )
    return digests


def first_steps(store: Store, patience: float | None) -> Callable[[Sweep], None]:
    """Return what tries the first step of a cell, unless some of it is stored or parked.

    It raises `ValueError` as `examine` does, and `GaveUp` if the step has not ended: then its seeds
    are parked, so that another process leaves them to training.

    Raises:
        ValueError: if nobody can wait for so long.
        GaveUp: if a call was given up before.
    """
    check_patience(patience)
    parked, seconds = ParkedSeeds(store), PATIENCE if patience is None else patience
    known = parked.cells | store.by_cell().keys()

    def first_step(cell: Sweep) -> None:
        if known and digest_of(cell) in known:
            return
        try:
            examine(cell, Patience(seconds))
        except GaveUp:
            store.prepare()
            seeds = [*range(TRIED)]
            given = {"tries": 1, "seconds": seconds, "trained": None, "alone": False}
            parked.park(Parked(cell=digest_of(cell), seeds=seeds, **given))
            raise GaveUp(
                f"{type(cell.organism).__name__}: gave up the first step of the seeds 0 to "
                f"{TRIED - 1} after {seconds:g} s; the same command in another process goes on"
            ) from None

    return first_step


def _expect_slopes(cell: Sweep, error: Exception) -> None:
    """Raise `ValueError` if it was a gradient in parameters that have none."""
    if not str(error).startswith("grad requires"):
        return
    params = jax.eval_shape(cell.organism.init, jax.random.key(0))
    fixed = [
        f"{jax.tree_util.keystr(path) or 'params'} of type {leaf.dtype}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        if not jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    if fixed:
        organism, method = type(cell.organism).__name__, type(cell.method).__name__
        raise ValueError(
            f"{organism}.init gives {', '.join(fixed)}, in which {method} takes a gradient; "
            f"allowed: floats. What is not trained can be a field, or drawn in {organism}.sample"
        ) from error


def remarks(cells: Sequence[Sweep]) -> list[str]:
    """Say what of the cells is allowed, and may not be meant."""
    said = {}
    for cell in {signature_of(cell): cell for cell in cells}.values():
        if names := unmoved(cell):
            name, them = type(cell.organism).__name__, "them" if len(names) > 1 else "it"
            said[name] = (
                f"{name}: the loss does not depend on {', '.join(names)}, so no gradient "
                f"moves {them}"
            )
    unread = unread_fields(cells, varied([cell.fields() for cell in cells]))
    return [
        *said.values(),
        *(
            f"{path} is varied, but no code reads it: cells that differ in it alone are alike"
            for path in unread
        ),
    ]


def _located[T](function: Callable[[Sweep], T], cell: Sweep) -> T:
    """Call a function of a cell; name the line of a plug-in that raises."""
    try:
        return function(cell)
    except (ValueError, GaveUp):
        raise
    except Exception as error:
        _expect_slopes(cell, error)
        # Without the frames of JAX.
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "site-packages" not in f.filename] or frames
        where = f"{Path(own[-1].filename).name}, line {own[-1].lineno}, in {own[-1].name}"
        first = str(error).partition("\n")[0]
        raise ValueError(f"{where}: {type(error).__name__}: {first}") from error
