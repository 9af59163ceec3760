"""Chunks: the evidence of some seeds as a Parquet file with its own hash.

Parquet readers overlook flipped bits, or abort the process. So the hash is checked first, then
the sizes, then the columns, and only then are the values read.
"""

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray

from basin_jax.core.verdict import Verdict
from basin_jax.results.parquet import COLUMNS, SLACK_BYTES, VALUE_BYTES, check_size
from basin_jax.schema import SEEDS, listed, mapping, parse, refuse, text, whole
from basin_jax.schema import name as check_name


HASH = "file_sha256"  # of the file with UNSEALED in the hash's place
UNSEALED = hashlib.sha256(HASH.encode()).hexdigest()
MACHINE, NUMBER = "machine", re.compile("[0-9]{1,4}", re.ASCII)
ERRORS, ERRORS_BYTES = "errors", 2**20  # of why seeds failed: {REASON: [[FIRST, LAST], ...]}
TYPES = {"cell": pl.String, "seed": pl.UInt64, "step": pl.Int32, "verdict": pl.Int8}
KEYS = tuple(TYPES)
LABEL = "label"  # the column of cells' names in frames, which no chunk has
EVIDENCE = COLUMNS - len(KEYS)  # names of it, at most
LARGEST = 2**30  # bytes of a file


def rows_of(cell: str, columns: Mapping[str, ndarray]) -> pl.DataFrame:
    """Return columns as the rows of a chunk of a cell."""
    return pl.DataFrame({"cell": pl.repeat(cell, len(columns["seed"]), eager=True), **columns})


def check_order(columns: Mapping[str, ndarray]) -> None:
    """Raise `ValueError` if the rows of a chunk do not rise by seed and step."""
    seeds, steps = columns["seed"], columns["step"]
    same = seeds[1:] == seeds[:-1]
    rises = (seeds[1:] > seeds[:-1]) | (same & (steps[1:] > steps[:-1]))
    if not rises.all():
        seed = seeds[1:][~rises][0]
        raise ValueError(f"a chunk repeats seed {seed}, or has it out of order; it is not stored")


def write_chunk(
    frame: pl.DataFrame, errors: Mapping[int, str] | None = None, *, machine: int = 0
) -> bytes:
    """Return a chunk as a file: a row for each seed and stop, in their order.

    Args:
        frame: the rows.
        errors: why seeds failed, those with the verdict ERROR.
        machine: the number of the machine that trained them, among those of `sweep.json`.
    """
    written = io.BytesIO()
    said = {MACHINE: str(machine)} if machine else {}
    said |= {ERRORS: _errors_text(errors)} if errors else {}
    frame.write_parquet(written, metadata={**said, HASH: UNSEALED})  # the hash last: it is sought
    return seal_chunk(written.getvalue())


def _errors_text(errors: Mapping[int, str]) -> str:
    ranges: dict[str, list[list[int]]] = {}
    for seed in sorted(errors):
        own = ranges.setdefault(errors[seed], [])
        if own and own[-1][1] == seed - 1:
            own[-1][1] = seed
        else:
            own.append([seed, seed])
    said = json.dumps(ranges)
    if len(said) > ERRORS_BYTES:  # a reader would refuse it
        several = f"{len(ranges):,} different errors, such as {next(iter(ranges))}"
        said = json.dumps({several: [[min(errors), max(errors)]]})
    return said


def bytes_of(rows: int) -> int:
    """Return the largest number of bytes of a file with some number of rows."""
    return min(LARGEST, SLACK_BYTES + VALUE_BYTES * COLUMNS * rows)


def read_chunk(raw: bytes, *, rows: int) -> pl.DataFrame:
    """Read the rows of a chunk, up to a number of them.

    Raises:
        ValueError: if it is damaged, or is no chunk.
    """
    check_seal(raw)
    check_size(raw, rows=rows)
    try:
        _check_columns(pl.read_parquet_schema(io.BytesIO(raw)))
        frame = pl.read_parquet(raw)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(f"cannot be read: {' '.join(str(error).split())[:80]}") from None
    if frame.null_count().sum_horizontal()[0]:
        raise ValueError("lacks some values")
    return frame


def read_machine(raw: bytes) -> int:
    """Read the number of the machine that trained a chunk, the first one if there is none.

    Raises:
        ValueError: if it is no number.
    """
    said = pl.read_parquet_metadata(io.BytesIO(raw)).get(MACHINE, "0")
    if not NUMBER.fullmatch(said):
        raise ValueError(f"has the machine {said[:20]!r}; allowed: its number")
    return int(said)


def read_errors(raw: bytes, frame: pl.DataFrame) -> dict[int, str]:
    """Read why the seeds of a chunk failed that have the verdict ERROR.

    Raises:
        ValueError: if some of them lack a reason.
    """
    failed = frame.filter(verdict=int(Verdict.ERROR))["seed"].unique().sort().to_numpy()
    if not len(failed):
        return {}
    said = pl.read_parquet_metadata(io.BytesIO(raw)).get(ERRORS, "{}").encode()
    if len(said) > ERRORS_BYTES:
        raise ValueError(f"has {len(said):,} bytes of reasons; allowed: {ERRORS_BYTES:,}")
    ranges = parse(said)
    mapping(text, listed(_range))(ERRORS, ranges)
    found, end = {}, -1
    pairs = ((*pair, reason) for reason, own in ranges.items() for pair in own)
    for first, last, reason in sorted(pairs):
        if first <= end:
            raise ValueError(f"has two reasons why seed {first} failed")
        end = last
        low = np.searchsorted(failed, np.uint64(first))
        high = np.searchsorted(failed, np.uint64(last), side="right")
        found |= dict.fromkeys(failed[low:high].tolist(), reason)
    if len(found) != len(failed):
        raise ValueError("has seeds that failed without a reason")
    return found


def _range(path: str, value: Any) -> None:
    listed(whole(0, SEEDS))(path, value)
    if len(value) != 2 or value[0] > value[1]:
        refuse(path, value, "a first and a last seed")


def check_seal(raw: bytes) -> None:
    """Raise `ValueError` if a file differs from its hash."""
    stored = _hash_in(raw)
    if stored is None:
        raise ValueError("has no hash")
    if seal_chunk(raw.replace(stored, UNSEALED.encode())) != raw:
        raise ValueError("differs from the hash in it")


def check_rows(frame: pl.DataFrame, cell: Mapping[str, Any], stops: Sequence[int]) -> None:
    """Raise `ValueError` if a chunk's rows are not those of a cell with these stops."""
    if taken := {*frame.columns} & cell["fields"].keys():
        raise ValueError(f"has a column {taken.pop()!r}, which is a field of the sweep")
    if unknown := {*frame["verdict"].unique()} - {*map(int, Verdict)}:
        raise ValueError(f"has the verdict {unknown.pop()}; allowed: {[*map(int, Verdict)]}")
    seeds, steps = frame["seed"].to_numpy(), frame["step"].to_numpy()
    if len(frame) % len(stops) or (steps.reshape(-1, len(stops)) != np.array(stops)).any():
        raise ValueError(f"has seeds that were not probed after the steps {stops}")
    rows = seeds.reshape(-1, len(stops))
    if (rows != rows[:, :1]).any() or (rows[1:, 0] <= rows[:-1, 0]).any():
        raise ValueError("has seeds that do not rise, or that repeat")
    failed = (frame["verdict"].to_numpy() == Verdict.ERROR).reshape(-1, len(stops))
    if failed.any():
        evidence = frame.filter(pl.Series(failed.reshape(-1))).select(pl.exclude(*KEYS))
        if (failed != failed[:, :1]).any() or not np.isnan(evidence.to_numpy()).all():
            raise ValueError("has evidence of seeds that failed")


def _check_columns(schema: Mapping[str, Any]) -> None:
    """Raise `ValueError` if columns have other names or types than those written here."""
    for column, kind in TYPES.items():
        if schema.get(column) != kind:
            raise ValueError(f"has the column {column} of type {schema.get(column)}, not {kind}")
    for column in [*schema][len(TYPES) :]:
        check_name("a column", column)
        if schema[column] not in (pl.Float32, pl.Float64):
            raise ValueError(f"has the column {column!r} of type {schema[column]}, not a float")
    if [*schema][: len(TYPES)] != [*TYPES] or len(schema) == len(TYPES):
        raise ValueError(f"has the columns {[*schema][:8]}; allowed: {[*TYPES]}, then evidence")


def seal_chunk(written: bytes) -> bytes:
    """Write a file's hash into its Parquet metadata."""
    return written.replace(UNSEALED.encode(), hashlib.sha256(written).hexdigest().encode())


def _hash_in(written: bytes) -> bytes | None:
    _, name, rest = written.rpartition(HASH.encode())
    # Thrift's compact protocol puts a field's type and a string's length in between.
    stored = rest[2 : 2 + len(UNSEALED)]
    return stored if name and len(stored) == len(UNSEALED) else None
