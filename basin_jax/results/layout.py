"""The schema of `sweep.json` and of the records of runs."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from basin_jax.core.identity import identity_hash
from basin_jax.core.sources import short_hash
from basin_jax.core.sweep import CHILDREN, siblings_of
from basin_jax.engine.backends import BACKENDS, FASTEST, LANES
from basin_jax.schema import (
    SEEDS,
    Check,
    cases,
    listed,
    mapping,
    name,
    number,
    one_of,
    optional,
    parse,
    plain,
    record,
    refuse,
    seal_of,
    seal_of_text,
    text,
    text_of,
    whole,
)


# The format that is written, and the versions of basin_jax that wrote those that are read as well.
# The first has no seal, and no hashes of runs' records.
FORMAT, UNSEALED = 4, 1
OLD = {1: "0.2", 2: "0.3", 3: "0.4"}
# Backends by the names that they had before format 3.
OLD_NAMES = {"simd": "cpu", "fused": "cuda", "xla": "xla"}
# What differs between two kinds of machine that may train the seeds of one folder.
KIND = ("platform", "device", "architecture")
# The most seeds that are stored together, and of one parent.
CHUNK, SIBLINGS = 2**24, 2**62
MANIFEST_BYTES, RUN_BYTES = 2**26, 2**20
RUN_NAME = re.compile(r"[\w+-]{1,100}\.json", re.ASCII)
HASH = re.compile("[0-9a-f]{64}")
END = "\n}\n"  # of a text of JSON


def manifest_text(manifest: Mapping[str, Any]) -> bytes:
    """Return a manifest as a text with its format and its seal.

    Raises:
        ValueError: if it could not be read again.
    """
    content = {"format": FORMAT, **manifest}
    check_manifest(content)
    text = text_of(content)
    return f'{text.removesuffix(END)},\n "seal": "{seal_of_text(text)}"{END}'.encode()


def read_manifest(raw: bytes) -> dict[str, Any]:
    """Parse a manifest, drop its seal, and update its cells to the current format.

    Raises:
        ValueError: if its format is unknown, it differs from its seal or its schema, or the hash
            of a cell is not that of its fields, sources and trace.
    """
    content = parse(raw)
    form = content.get("format") if isinstance(content, dict) else None
    if type(form) is not int or form not in (*OLD, FORMAT):
        raise ValueError(f"it is not of format {', '.join(map(str, (*OLD, FORMAT)))}")
    if form != UNSEALED and content.pop("seal", None) != seal_of(content):
        raise ValueError("it differs from the seal in it")
    check_manifest(content)
    return content if form == FORMAT else _renewed(content)


def _renewed(content: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest of an older format, laid out as one of this format."""
    plans = {}
    for digest, cell in content["cells"].items():
        program = cell.pop("program", None)
        backend = {**program, "name": OLD_NAMES[program["name"]]} if program else None
        plan = {name: cell.pop(name) for name in _PLAN if name in cell}
        plans[digest] = {"backend": backend, **plan}
    machines = [{"machine": content.pop("machine"), "plans": plans}]
    return content | {"machines": machines}


def plan_of(manifest: Mapping[str, Any], cell: str, machine: int) -> dict[str, Any]:
    """Return how a machine trains a cell: its backend, its lanes and their speed."""
    return manifest["machines"][machine]["plans"][cell]


def machines_of(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the machines that trained a folder's seeds: their kinds and versions."""
    return [each["machine"] for each in manifest["machines"]]


def check_manifest(content: Mapping[str, Any]) -> None:
    """Raise `ValueError` naming the key, its value and what is allowed."""
    form = content["format"]
    _MANIFESTS[form]("", content)
    record({"words": optional(_words)} if "words" in content else {})("", content)
    sealed = form != UNSEALED
    if not content["cells"]:
        refuse("cells", {}, "at least one cell")
    for digest, cell in content["cells"].items():
        made = (identity_hash if sealed else _old_digest)(**{k: cell[k] for k in _MADE[sealed]})
        if digest != made:
            refuse("cells", digest, f"{made}, the hash of its fields and code")
        stops = stops_of(cell)
        if stops != sorted(set(stops)):
            refuse(f"{digest}.fields.save_at", stops[:-1], f"rising steps below {stops[-1]}")
    for run in content["runs"].values() if sealed else ():
        if unknown := run["seeds"].keys() - content["cells"].keys():
            refuse("runs.seeds", unknown.pop(), "a cell of the sweep")
    planned = [*dict.fromkeys(d for each in content.get("machines", ()) for d in each["plans"])]
    if form == FORMAT and {*planned} != content["cells"].keys():
        refuse("machines.plans", planned, "a plan for each cell, and none for others")
    rule = content["rule"]
    if rule["fields"]["class"] not in rule["sources"]:
        refuse("rule.sources", [*rule["sources"]], f"also {rule['fields']['class']}")


def run_text(run: Mapping[str, Any]) -> bytes:
    """Return a run's record as a text.

    Raises:
        ValueError: if it could not be read again.
    """
    _run("", run)
    return text_of(run).encode()


def read_run(raw: bytes) -> dict[str, Any]:
    """Return a run's record from its text.

    Raises:
        ValueError: if it differs from its schema.
    """
    run = parse(raw)
    _run("", run)
    return run


def hash_of(raw: bytes) -> str:
    """Return the hash of a run's record that is in `sweep.json`."""
    return hashlib.sha256(raw).hexdigest()


def request_in(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request of a run's record (`stop` in format 1)."""
    return run["request"] if "request" in run else run["stop"]


def range_of(run: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the first and the last seed of a request that is a range."""
    request = request_in(run)
    if "width" in request:
        return None
    first, last = sorted((request["first"], request["last"]))
    return (first, last) if request["count"] == last + 1 - first else None


def stops_of(cell: Mapping[str, Any]) -> list[int]:
    """Return the steps at which a cell's seeds were probed, as `Sweep.stops`."""
    return [*cell["fields"]["save_at"], cell["fields"]["num_steps"]]


def _old_digest(fields: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    return short_hash(json.dumps({"fields": fields, "sources": sources}, sort_keys=True))


def _fields(path: str, value: Any) -> None:
    mapping(name, plain)(path, value)
    record(_NEEDED)(path, value)
    for own in filter(CHILDREN.fullmatch, value):
        whole(1, 2**31)(f"{path}.{own}", value[own])
    whole(1, SIBLINGS)(f"{path}: seeds of one parent", siblings_of(value))


def _named(names: Iterable[str]) -> Check:
    """Allow texts that describe a backend."""

    def check(path: str, value: Any) -> None:
        _texts(path, value)
        record({"name": one_of(names)})(path, value)

    return check


def _hash(path: str, value: Any) -> None:
    if not isinstance(value, str) or not HASH.fullmatch(value):
        refuse(path, value, "64 hexadecimal digits")


def _run_name(path: str, value: Any) -> None:
    if not RUN_NAME.fullmatch(value):
        refuse(path, value, "the name of a run's record")


def _run(path: str, value: Any) -> None:
    _made(path, value)
    record({"note": text} if "note" in value else {})(path, value)
    record({"request": _request} if "request" in value else {"stop": _stop})(path, value)


_texts = mapping(text, text)
_step = whole(0, 2**31 - 1)
_NEEDED = {"organism": text, "num_steps": _step, "save_at": listed(_step)}
# What a cell's name is the hash of, in the formats after the first, and in it.
_MADE = {True: ("fields", "sources", "trace"), False: ("fields", "sources")}
_CELL: dict[str, Check] = {"fields": _fields, "sources": _texts}
_TRACED: dict[str, Check] = {**_CELL, "trace": text}
_SPEED: dict[str, Check] = {"lanes": whole(1, LANES), "speed": number(0.0, FASTEST)}
_PROGRAM: dict[str, Check] = {**_SPEED, "program": _named(OLD_NAMES)}  # before format 3
_PLAN: dict[str, Check] = {**_SPEED, "backend": _named(BACKENDS)}
_COMMON: dict[str, Check] = {
    "rule": record({"fields": record({"class": text}), "sources": _texts}),
    "chunk": whole(1, CHUNK),  # the most seeds of a chunk
}
_ALONE: dict[str, Check] = {**_COMMON, "machine": _texts}  # before format 4
_seeds = mapping(name, optional(whole(0, SEEDS)))
_runs = mapping(_run_name, record({"record": _hash, "seeds": _seeds}))


def _cells(entry: dict[str, Check]) -> Check:
    return mapping(name, record(entry))


_machine = record({"machine": _texts, "plans": _cells(_PLAN)})
_MANIFESTS: dict[int, Check] = {
    1: record({"cells": _cells({**_CELL, **_PROGRAM}), **_ALONE}),
    2: record({"cells": _cells({**_TRACED, **_PROGRAM}), **_ALONE, "runs": _runs}),
    3: record({"cells": _cells({**_TRACED, **_PLAN}), **_ALONE, "runs": _runs}),
    4: record(
        {
            "cells": _cells(_TRACED),
            "machines": listed(_machine),
            "unit": whole(1, CHUNK),  # the seeds of the first units
            **_COMMON,
            "runs": _runs,
        }
    ),
}
_asked: dict[str, Check] = {
    "count": whole(1, SEEDS),
    "first": whole(0, SEEDS),
    "last": whole(0, SEEDS),
}
_width: dict[str, Check] = {
    "width": number(0.0, 1.0),
    "interval": text,
    "level": number(0.0, 1.0),
}
_request = cases(
    "kind",
    {
        "range": _asked,
        "chosen": {**_asked, "set": text, "from": optional(text)},
        "width": _width,
    },
)
_stop = cases("rule", {"seeds": _asked, "width": _width})
_words = record({"docstring": text, "fields": _texts})  # of the rule
_made = record(
    {
        "began": text,
        "host": text,
        "python": text,
        "devices": whole(1, 2**20),
        "origin": optional(record({"file": text, "set": listed(text)})),
    }
)
