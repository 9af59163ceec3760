"""Mutations of all that a folder and the cache hold: each is found, or harmless."""

import copy as copying
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import folders
import polars as pl
import pytest

from basin_jax import load
from basin_jax.compiler.xla_ffi import hash_beside, hash_of, is_sound
from basin_jax.core.identity import identity_hash
from basin_jax.report.page import write_report
from basin_jax.results.chunk import HASH, UNSEALED, seal_chunk, write_chunk
from basin_jax.results.layout import hash_of as record_hash
from basin_jax.results.store import Store, StoreError
from basin_jax.schema import seal_of, text_of


FEW, MANY = 50, 200
HOSTILE = (
    *(None, True, False, 0, 1, -1, 2, 3, 64, 2**31, 2**63, 2**64, 10**30, 1e-300, 0.5, 1e308),
    *("", "x", "0", "^.*$", "*", "../../etc", "<b>&$x_1$\n%s{}", "a" * 9_999, "\u202e\u0301"),
    *([], {}, [[]], [None], [1, "x", None], {"": 0}, {"class": "Behavior"}, "load", "xla"),
)
ODD = ("\x00", "\ud800", float("nan"), float("inf"), "a" * 20_000, 10**5000)


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a content, as what holds it and its key."""
    keys = content if isinstance(content, dict) else range(len(content))
    for key in list(keys):
        yield content, key
        if isinstance(content[key], dict | list):
            yield from places(content[key])


def mutated(content: Any, chance: random.Random) -> Any:
    """Return a content with one to three of its parts changed, moved, left out or repeated."""
    content = copying.deepcopy(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        found = list(places(content))
        if not found:
            break
        (holder, key), (other, place) = chance.choice(found), chance.choice(found)
        kind = chance.randrange(7)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[chance.choice((f"{key}x", "", "^x$", "cells", "*"))] = holder.pop(key)
        elif kind == 2:
            holder[key] = copying.deepcopy(other[place])
        elif kind == 3 and isinstance(holder[key], int | float):
            holder[key] = -holder[key] if chance.random() < 0.5 else holder[key] + 1
        elif kind == 4:
            holder[key] = [holder[key]]
        elif kind == 5 and isinstance(holder, dict):
            holder[key] = holder.pop(key)  # in another order
        else:
            holder[key] = chance.choice(HOSTILE)
    return content


def garbled(raw: bytes, chance: random.Random) -> bytes:
    """Return a text with one bit flipped, cut short, or with a value that JSON has not."""
    kind = chance.randrange(3)
    if kind == 0:
        return flipped(raw, chance)
    if kind == 1:
        return raw[: chance.randrange(len(raw))]
    content = json.loads(raw)
    holder, key = chance.choice(list(places(content)))
    holder[key] = chance.choice(ODD[:-1])
    return json.dumps(content).encode()


def flipped(raw: bytes, chance: random.Random) -> bytes:
    bit = chance.randrange(8 * len(raw))
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def all_of(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what a folder says."""
    records = load(folder)
    records.store.runs()  # a bad record is refused before the chunks are read
    return records.frame, records.fractions()


def attempt[T](read: Callable[[], T]) -> T | None:
    """Return what is read, or None where it is refused in a line."""
    try:
        return read()
    except StoreError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert len(refusal) < 2_000
    return None


def is_found(folder: Path, expected: tuple[pl.DataFrame, pl.DataFrame]) -> bool:
    """Return whether a folder is refused; what is not must say what it did before."""
    found = attempt(lambda: all_of(folder))
    if found is None:
        return True
    assert all(a.equals(b) and a.schema == b.schema for a, b in zip(found, expected, strict=True))
    return False


@pytest.fixture
def copy(wells_folder, tmp_path) -> Path:
    return shutil.copytree(wells_folder, tmp_path / "copy")


@pytest.mark.ci
@pytest.mark.parametrize("part", ["sweep.json", "runs"])
@pytest.mark.parametrize("many", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_mutations_of_the_manifest_and_of_run_records_are_found_or_harmless(copy, part, many):
    expected, chance = all_of(copy), random.Random(part)
    path = next((copy / part).iterdir()) if part == "runs" else copy / part
    raw = path.read_bytes()
    found = 0
    for i in range(many):
        if i % 2:
            path.write_bytes(garbled(raw, chance))
        else:
            path.write_text(json.dumps(mutated(json.loads(raw), chance)))
        refused = is_found(copy, expected)
        found += refused
        if i % 20 == 0:
            assert len(Store(copy).verify()) == refused
    # Some mutations give what was there before, or change spaces alone.
    assert found > 0.9 * many


@pytest.mark.ci
@pytest.mark.parametrize("many", [FEW // 2, pytest.param(MANY // 2, marks=pytest.mark.slow)])
def test_flipped_bits_in_chunks_are_found(copy, many):
    chance, chunks = random.Random(0), Store(copy).chunks()
    for i in range(many):
        path = copy / chunks[i % len(chunks)]
        raw = path.read_bytes()
        path.write_bytes(flipped(raw, chance))
        if i % 20 == 0:
            assert any(path.name in fault for fault in Store(copy).verify())
        with pytest.raises(StoreError, match=path.name):
            all_of(copy)
        path.write_bytes(raw)


def test_flipped_bits_in_compiled_programs_are_found(tmp_path):
    program, chance = tmp_path / "program.so", random.Random(0)
    content = chance.randbytes(20_000)
    program.write_bytes(content)
    program.chmod(0o700)
    assert not is_sound(program)  # nothing says what it was
    hash_beside(program).write_bytes(hash_of(content))
    assert is_sound(program)
    for path, good in [(program, content)] * MANY + [(hash_beside(program), hash_of(content))] * 20:
        path.write_bytes(flipped(good, chance))
        assert not is_sound(program)
        path.write_bytes(good[: chance.randrange(len(good))])
        assert not is_sound(program)
        path.write_bytes(good)
    program.chmod(0o720)  # others may write to it
    assert not is_sound(program)


def forge(folder: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest under a good seal, with cells, chunks and records that fit it."""
    text = json.dumps(manifest)
    for digest, cell in manifest["cells"].items():
        made = identity_hash(cell["fields"], cell["sources"], cell["trace"])
        for path in (folder / chunk for chunk in Store(folder).chunks(digest)):
            forged = pl.read_parquet(path.read_bytes()).with_columns(cell=pl.lit(made))
            path.unlink()
            path.with_name(path.name.replace(digest, made)).write_bytes(write_chunk(forged))
        text = text.replace(digest, made)
    manifest = json.loads(text)
    (folder / "sweep.json").write_text(text_of(manifest | {"seal": seal_of(manifest)}))


def forged_folders(good: Path, folder: Path, many: int, seed: int) -> Iterator[Path]:
    """Yield folders whose manifest or record was mutated by somebody who knows the seals."""
    manifest, chance = Store(good).manifest(), random.Random(seed)
    (name,) = manifest["runs"]
    record = json.loads((good / "runs" / name).read_text())
    for i in range(many):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good, folder)
        if i % 4 == 3:
            text = json.dumps(mutated(record, chance)).encode()
            (folder / "runs" / name).write_bytes(text)
            runs = {name: manifest["runs"][name] | {"record": record_hash(text)}}
            forge(folder, manifest | {"runs": runs})
            yield folder
            continue
        changed = mutated(manifest, chance)
        if i % 4:  # values of fields, which get furthest
            cell = chance.choice(list(manifest["cells"]))
            changed = copying.deepcopy(manifest)
            fields = changed["cells"][cell]["fields"]
            fields[chance.choice(list(fields))] = chance.choice(HOSTILE)
        try:
            forge(folder, changed)
        except (AttributeError, KeyError, TypeError, ValueError):  # nothing that fits it
            text = text_of(changed | {"seal": seal_of(changed)})
            (folder / "sweep.json").write_text(text)
        yield folder


def read_all(folder: Path, *, report: bool) -> bool:
    """Read, verify and report a folder; return whether it was not refused."""

    def read() -> bool:
        records = load(folder)
        records.fractions()
        records.compare()
        if report:
            write_report(records)
        return True

    attempt(lambda: Store(folder).verify())
    attempt(lambda: Store(folder).notices())
    return attempt(read) is not None


@pytest.mark.ci
def test_forged_folders_are_read_or_refused_in_a_line(wells_folder, tmp_path):
    forged = forged_folders(wells_folder, tmp_path / "forged", MANY // 5, seed=1)
    assert sum(read_all(folder, report=False) for folder in forged) > 10


@pytest.mark.ci
@pytest.mark.parametrize(("many", "seed"), [(5, 2), pytest.param(500, 3, marks=pytest.mark.slow)])
def test_reports_of_forged_folders_end_in_a_page_or_a_line(wells_folder, tmp_path, many, seed):
    forged = forged_folders(wells_folder, tmp_path / "forged", many, seed)
    assert any([read_all(folder, report=True) for folder in forged])


@pytest.mark.ci
def test_chunks_forged_bit_by_bit_are_read_or_refused_in_a_line(tmp_path):
    digest, entry = folders.cell_of({}, (0, 10))
    made = folders.new_store(tmp_path, {digest: entry})
    made.commit(digest, folders.columns(range(20), (0, 10)))
    (chunk,), chance = made.chunks(), random.Random(0)
    path = made.folder / chunk
    raw = path.read_bytes()
    for _ in range(MANY):
        path.write_bytes(resealed(flipped(raw, chance)))
        assert all("\n" not in fault for fault in made.verify())


def resealed(raw: bytes) -> bytes:
    """Return a chunk with the hash of what it holds now."""
    before, name, rest = raw.rpartition(HASH.encode())
    end = 2 + len(UNSEALED)
    return seal_chunk(before + name + rest[:2] + UNSEALED.encode() + rest[end:])
