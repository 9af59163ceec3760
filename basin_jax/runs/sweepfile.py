"""Read a user's sweep file: it defines `sweep`, and perhaps `rule`, `seeds`, `known` and `of`."""

import ast
import contextlib
import hashlib
import os
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from basin_jax.core.sweep import Sweep, override
from basin_jax.core.verdict import Rule, Verdict
from basin_jax.devices import cache_directory, expect_devices
from basin_jax.files import is_private, is_text, printable, read_file
from basin_jax.results.references import Known
from basin_jax.rules.behavior import Behavior
from basin_jax.runs.checks import named_cells
from basin_jax.runs.imports import execute_alone
from basin_jax.statistics.estimates import as_verdict


SEEDS = 1024  # of each cell, by default
FILE_BYTES = 2**24  # of a file that is remembered


@dataclass(frozen=True)
class SweepFile:
    """The content of a sweep file, and the overridden fields."""

    file: Path
    overrides: tuple[str, ...]
    cells: tuple[Sweep, ...]
    names: tuple[str, ...]  # of the cells, if they have some
    rule: Rule
    seeds: int
    known: tuple[Known, ...]
    of: Verdict  # that a search for rare basins looks for

    @property
    def sweep(self) -> Sequence[Sweep] | Mapping[str, Sweep]:
        """The cells, as `run` takes them."""
        return dict(zip(self.names, self.cells, strict=True)) if self.names else self.cells

    def origin(self, folder: Path) -> dict[str, Any]:
        """Return the origin of a folder's sweep, from which `replay` finds the file."""
        relative = os.path.relpath(self.file.resolve(), folder.resolve())
        return {"file": relative, "set": list(self.overrides)}


def load_sweep(file: Path, overrides: Sequence[str] = ()) -> SweepFile:
    """Run a sweep file, with some fields overridden.

    An override is `path=value`, such as `method.learning_rate=1e-2`; a path that begins
    with `rule.` is one of the rule's.

    Raises:
        ValueError: naming the file and what is wrong with it, or the field and the value.
    """
    module = execute(file)
    sweep = getattr(module, "sweep", None)
    cells, names = _cells(sweep, file)
    rule = _rule(module, file, default=Behavior())
    for text in overrides:
        path, equals, literal = text.partition("=")
        if not equals or not path:
            raise ValueError(f"--set {text!r}; allowed: PATH=VALUE, such as num_steps=500")
        value = _value(literal)
        if path.startswith("rule."):
            rule = override(rule, path.removeprefix("rule."), value)
        else:
            cells = [override(cell, path, value) for cell in cells]
    # Cells that an override makes alike are one.
    alike = [bool(overrides) and cell in cells[:number] for number, cell in enumerate(cells)]
    numbers = [number for number, one in enumerate(alike) if not one]
    return SweepFile(
        file=file,
        overrides=tuple(overrides),
        cells=tuple(cells[number] for number in numbers),
        names=tuple(names[number] for number in numbers if names),
        rule=rule,
        seeds=_seeds(module, file),
        known=_known(module, file),
        of=_of(module, file),
    )


def remember(file: Path) -> None:
    """Record in the user's own cache that the user ran the present content of a file."""
    with contextlib.suppress(OSError, ValueError):  # no place for it: `replay` asks for the file
        note = _note(file)
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        note.write_bytes(b"")


def is_remembered(file: Path) -> bool:
    """Return True if the user ran the present content of a file."""
    try:
        note = _note(file)
        return is_private(note.parent) and note.is_file()
    except (OSError, ValueError):
        return False


def _note(file: Path) -> Path:
    path, content = str(file.resolve()), read_file(file.resolve(), at_most=FILE_BYTES)
    name = hashlib.sha256(path.encode() + b"\0" + content).hexdigest()
    return cache_directory() / "sweepfiles" / name


def load_rule(file: Path) -> Rule:
    """Run a file, and return its rule."""
    return _rule(execute(file), file, default=None)


def _cells(sweep: Any, file: Path) -> tuple[list[Sweep], list[str]]:
    cells = sweep.values() if isinstance(sweep, Mapping) else sweep
    cells = (cells,) if isinstance(cells, Sweep) else cells
    listed = isinstance(sweep, Sweep | Sequence | Mapping)
    if not listed or not all(isinstance(cell, Sweep) for cell in cells):
        raise ValueError(
            f"{file} defines {'no' if sweep is None else 'a wrong'} `sweep`; allowed: a Sweep, a "
            "sequence of them such as grid(...) gives, or a mapping of names to them"
        )
    return named_cells(sweep)


def _rule(module: ModuleType, file: Path, *, default: Rule | None) -> Rule:
    rule = getattr(module, "rule", default)
    if not isinstance(rule, Rule):
        raise ValueError(f"{file} defines no `rule`; allowed: a Rule, such as Behavior()")
    return rule


def _seeds(module: ModuleType, file: Path) -> int:
    seeds = getattr(module, "seeds", SEEDS)
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"{file} defines `seeds` = {seeds!r}; allowed: a number, at least 1")
    return seeds


def _known(module: ModuleType, file: Path) -> tuple[Known, ...]:
    known = getattr(module, "known", ())
    if not isinstance(known, Sequence) or not all(isinstance(one, Known) for one in known):
        raise ValueError(
            f"{file} defines a wrong `known`; allowed: a sequence of Exact, Published and "
            "Independent fractions"
        )
    return tuple(known)


def _of(module: ModuleType, file: Path) -> Verdict:
    try:
        return as_verdict(getattr(module, "of", Verdict.DECEPTIVE))
    except ValueError as error:
        raise ValueError(f"{file} defines a wrong `of`: {error}") from None


def _value(literal: str) -> Any:
    try:
        return ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        return literal


def execute(file: Path) -> ModuleType:
    """Run a user's file, with imports of its own, and return it as a module.

    Raises:
        ValueError: naming the file, and the line and the error where it has one; or if JAX
            finds no device.
    """
    if not file.is_file():
        raise ValueError(f"{file} is no file; allowed: a Python file")
    if file.suffix != ".py":
        raise ValueError(f"{file} is no Python file; allowed: a name that ends in .py")
    path = file.resolve()
    if not is_text(str(path)):
        raise ValueError(f"{printable(str(file))} has a name that is no UTF-8; rename it")
    expect_devices()
    try:
        return execute_alone(path)
    except (Exception, SystemExit) as error:
        where = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = where[-1].lineno if where else "?"
        if isinstance(error, SyntaxError) and error.filename == str(path):
            line = error.lineno
        raise ValueError(f"{file}, line {line}: {type(error).__name__}: {error}") from error
