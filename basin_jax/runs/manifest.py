"""Make the manifest of a sweep's folder, or refuse to resume a run.

Evidence is the same bits only on the same kind of machine, with the same versions, lanes
and code. All of that stands in `sweep.json`. A run with other versions or code is refused; a
machine of another kind has lanes and a backend of its own there, and marks what it stores.
"""

from collections.abc import Callable
from typing import Any

import jax

from basin_jax.core.identity import trace_of
from basin_jax.core.labels import labels_of
from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import signature_of
from basin_jax.core.verdict import Rule
from basin_jax.engine.autotune import Tuning, choose
from basin_jax.engine.backends import BACKENDS, prepare, refusal
from basin_jax.results.layout import KIND, OLD, machines_of
from basin_jax.results.rule import rule_identity, words_of
from basin_jax.results.store import Store, StoreError
from basin_jax.runs.chunk_size import ChunkSize
from basin_jax.runs.plan import LARGEST_UNIT
from basin_jax.runs.provenance import machine_identity


UNITS = 64  # of all cells together, at least, where a unit is larger than a block
TRACE = "the program that the plug-ins trace, with what they read from files and packages"


def manifest_of(
    cells: dict[str, Sweep],
    rule: Rule,
    folder: Store,
    old: dict[str, Any] | None,
    *,
    names: dict[str, str],
    lanes: int | None,
    seeds: int,
    most: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Add these cells to the folder's manifest; tune those that are new.

    Args:
        cells: the cells by their digests.
        rule: the decision rule.
        folder: the sweep's folder.
        old: its manifest, if it has one.
        names: the names of cells that have one, by their digests.
        lanes: the number of lanes; measured if None.
        seeds: about how many seeds each cell trains.
        most: the most seeds of a chunk.
        tell: called with lines of progress.

    Raises:
        StoreError: with the differences, where the folder holds another sweep. The same
            cells, or a grid that has grown, are no difference.
    """
    _refuse_unknown(folder, old)
    machine, judged = machine_identity(), rule_identity(rule)
    if old is not None:
        _refuse_others(old, cells, judged, machine, folder)
    known = old or {"cells": {}, "machines": [], "chunk": 1, "unit": None, "runs": {}}
    machines = list(known["machines"])
    number = machine_number(known, machine)
    if number == len(machines):
        if machines:
            tell(_of_another_kind(machines_of(known)[0], machine, folder))
        machines += [{"machine": machine, "plans": {}}]
    plans = dict(machines[number]["plans"])
    for digest in plans.keys() & cells.keys():
        _refuse_other_backend(plans[digest], cells[digest], lanes, folder)
    new = {digest: cell for digest, cell in cells.items() if digest not in plans}
    tunings = _tunings(new, lanes, seeds, tell)
    plans |= {digest: _plan(new[digest], tuning) for digest, tuning in tunings.items()}
    machines[number] = {"machine": machine, "plans": plans}
    for line in dict.fromkeys(_remark(plans[digest]["backend"]) for digest in cells):
        if line is not None:
            tell(line)
    size = _chunk_size(cells, plans, most)
    return {
        "cells": _entries(known["cells"], new, names),
        "machines": machines,
        "rule": judged,
        "chunk": max(known["chunk"], size.most),
        "unit": known["unit"] or _unit_size(size.least, seeds * len(cells)),
        "runs": known["runs"],
        "words": words_of(rule),
    }


def _entries(known: dict[str, Any], new: dict[str, Sweep], names: dict[str, str]) -> dict[str, Any]:
    """Add to the entries of cells; those that are given a name have it from now on."""
    made = {digest: _entry(cell) for digest, cell in new.items() if digest not in known}
    entries = {**known, **made}
    return entries | {digest: {**entries[digest], "name": own} for digest, own in names.items()}


def _refuse_unknown(folder: Store, old: dict[str, Any] | None) -> None:
    """Raise `StoreError` if a folder has no manifest though it has chunks, or one that is old."""
    # Of a bucket another worker may have written both since it was read.
    if old is None and folder.chunks() and not folder.exists():
        raise StoreError(
            f"{folder.where} has chunks, but their sweep.json is gone; without it they cannot "
            "be told from another sweep's: give another folder, or delete them"
        )
    if old is not None and old["format"] in OLD:
        raise StoreError(
            f"{folder.where} was made by basin_jax {OLD[old['format']]} (format "
            f"{old['format']}), whose seeds may differ from those of this version; `report` and "
            "`load` read it; to go on, give another folder"
        )


def machine_number(manifest: dict[str, Any], machine: dict[str, str]) -> int:
    """Return the number of a machine among those of a manifest, the next one if it is new."""
    known = machines_of(manifest)
    return known.index(machine) if machine in known else len(known)


def _entry(cell: Sweep) -> dict[str, Any]:
    return {"fields": cell.fields(), "sources": cell.sources(), "trace": trace_of(cell)}


def _plan(cell: Sweep, tuning: Tuning) -> dict[str, Any]:
    backend = _identity(tuning.backend, cell)
    return {"backend": backend, "lanes": tuning.lanes, "speed": round(tuning.speed)}


def _of_another_kind(first: dict[str, str], machine: dict[str, str], folder: Store) -> str:
    """Say that a folder will have seeds of several kinds of machine."""
    lines = _differences("", _kind(first), _kind(machine))
    return (
        f"another kind of machine has trained seeds of {folder.where} ({'; '.join(lines)}): low "
        "bits differ between them, and basin-jax recheck counts the verdicts that do"
    )


def _kind(machine: dict[str, str]) -> dict[str, str]:
    return {name: machine[name] for name in KIND if name in machine}


def _remark(backend: dict[str, str]) -> str | None:
    """Say why a backend is not the native one, or its kernel not of the better kind."""
    if "why" in backend:
        return f"backend: xla, since {backend['why']}"
    kernel = backend.get("kernel", "")
    return f"kernel: {kernel}" if "since" in kernel else None


def _tunings(
    cells: dict[str, Sweep], lanes: int | None, seeds: int, tell: Callable[[str], None]
) -> dict[str, Tuning]:
    """Choose backend and lanes, once for all cells of one program and one number of steps."""
    groups: dict[Any, list[str]] = {}
    for digest, cell in cells.items():
        groups.setdefault((signature_of(cell), cell.all_steps), []).append(digest)
    programs = len({signature for signature, _ in groups})
    if programs:
        tell(f"compiling {programs} program{'s' * (programs > 1)}, some seconds each at first")
    prepare(list(cells.values()))
    tunings, told = {}, dict[str, None]()

    def tell_once(line: str) -> None:
        if line not in told:
            tell(line)
        told[line] = None

    for digests in groups.values():
        given = {"lanes": lanes, "seeds": seeds * len(digests), "tell": tell_once}
        tunings |= dict.fromkeys(digests, choose(cells[digests[0]], **given))
    for name, count in dict.fromkeys(tuning[:2] for tuning in tunings.values()):
        tell(f"training with the backend {name}, {count} lanes")
    return tunings


def _identity(name: str, cell: Sweep) -> dict[str, str]:
    """Identify a backend, or give the reason why it is XLA and not the native one."""
    backend = BACKENDS[name]
    if backend.identity is None:
        return {"name": name, "why": refusal(cell) or "it was measured to be faster"}
    kernel = backend.steps(signature_of(cell)).kernel
    return {"name": name, "compiler": backend.identity(), **({"kernel": kernel} if kernel else {})}


def _refuse_other_backend(
    plan: dict[str, Any], cell: Sweep, lanes: int | None, folder: Store
) -> None:
    """Raise `StoreError` unless a cell can be trained further as before."""
    if lanes not in (None, plan["lanes"]):
        raise StoreError(
            f"lanes = {lanes}, but {folder.where} was made with {plan['lanes']}, on which "
            "low bits depend; leave it out, or give another folder"
        )
    name = plan["backend"]["name"]
    if BACKENDS[name].identity is not None:
        why = refusal(cell)
        lines = _differences("", plan["backend"], {} if why else _identity(name, cell))
        if lines:
            raise StoreError(
                f"{folder.where} was made with the backend {name}, on which low bits depend "
                f"({why or '; '.join(lines)}); give another folder"
            )


def _unit_size(least: int, seeds: int) -> int:
    """Return the size of a folder's first units, which stays as it is.

    Args:
        least: the size of the smallest chunk.
        seeds: about how many seeds all cells train, which many workers may share.
    """
    return max(least, min(LARGEST_UNIT, 1 << max(seeds // UNITS, 1).bit_length() - 1))


def _chunk_size(cells: dict[str, Sweep], plans: dict[str, dict[str, Any]], most: int) -> ChunkSize:
    """Return the sizes of chunks that suit all cells."""
    block = max(plan["lanes"] for plan in plans.values()) * len(jax.local_devices())
    stops = max(len(cell.stops) for cell in cells.values())
    return ChunkSize(block=block, stops=stops, most=most)


def _refuse_others(
    old: dict[str, Any],
    cells: dict[str, Sweep],
    rule: dict[str, Any],
    machine: dict[str, str],
    folder: Store,
) -> None:
    """Raise `StoreError` with the differences, unless the grid is the same or has grown."""
    there = machines_of(old)[0]
    lines = _differences("", {**there, **_kind(machine)}, machine)
    lines += _differences("rule.", old["rule"]["fields"], rule["fields"])
    lines += _differences("rule ", old["rule"]["sources"], rule["sources"])
    gone = [cell for digest, cell in old["cells"].items() if digest not in cells]
    if gone and not lines and old["cells"].keys() & cells.keys():
        labels = labels_of({digest: cell["fields"] for digest, cell in old["cells"].items()})
        lacking = [labels[digest] for digest in old["cells"] if digest not in cells]
        raise StoreError(
            f"sweep lacks cells of {folder.where}: {'; '.join(lacking[:8])}"
            f"{f' and {len(lacking) - 8} more' * (len(lacking) > 8)}; allowed: all of its cells, "
            "which run the same seeds, and others besides; or give another folder"
        )
    if gone:
        # The cell asked for that is most like the first one that is missing.
        near = [
            _differences("", gone[0]["fields"], cell.fields())
            + _differences("code of ", gone[0]["sources"], cell.sources())
            + _differences("", {TRACE: gone[0]["trace"]}, {TRACE: trace_of(cell)})
            for cell in cells.values()
        ]
        lines += min(near, key=len)
    if lines:
        only_rule = all(line.startswith("rule") for line in lines)
        advice = (
            f"another rule needs no training: basin-jax report {folder.where} --rule FILE"
            if only_rule
            else "give another folder with --out, or go back to what made this one"
        )
        raise StoreError(f"{folder.where} holds another sweep ({'; '.join(lines)}); {advice}")


def _differences(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"{prefix}{name}: {old.get(name)!r} there, {new.get(name)!r} here"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
