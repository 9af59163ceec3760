"""The battery of environments: machines that lack something, odd folders, settings of JAX."""

import contextlib
import errno
import functools
import os
import pwd
import re
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import basin_jax as bj
from basin_jax import files
from basin_jax.devices import cache_directory, find_cache
from basin_jax.report import page
from basin_jax.report.render import Group, Line, Table
from basin_jax.runs import manifest


class Diverging(bj.organisms.DoubleWell):
    """Some of its seeds end at infinity; it mixes types of numbers."""

    def loss(self, params, batch):
        steps = np.int32(3)
        return super().loss(params, batch) * (steps / 2)


METHOD = bj.methods.Gradient(learning_rate=0.6)
SWEEP = bj.Sweep(organism=Diverging(), method=METHOD, num_steps=40)
MACHINE, SYSTEM, NAME, SETTING = "machine", "file system", "name of the folder", "setting of JAX"


MASKS = {
    r"basin_jax-\w+": "basin_jax-UID",
    r"/staging/[^)]+": "/staging/FILE",
    r"\w+-\w+\.parquet": "CHUNK.parquet",
    r"JAX_PLATFORMS = \S+": "JAX_PLATFORMS = ...",
}


class Environment(NamedTuple):
    """Something about a machine that may be otherwise; `make` makes it so, for a folder."""

    kind: str
    make: Callable[[pytest.MonkeyPatch, Path], Any]
    folder: str = "runs"


class Row(NamedTuple):
    """The result of a run in an environment: it succeeds, or is refused in one line."""

    kind: str
    name: str
    outcome: str


def refusing(code: int, only=lambda *args: True, then=None):
    """Return an operation of the system that fails with an error, or does what it does."""

    def call(*args, **kwargs):
        if then is None or only(*args):
            path = [str(args[0])] if isinstance(args[0], str | Path) else []
            raise OSError(code, os.strerror(code), *path)
        return then(*args, **kwargs)

    return call


def lacking(*operations: tuple[Any, str, int]) -> Environment:
    """Return a file system that has no such operations."""

    def make(patch, folder):
        for owner, name, code in operations:
            patch.setattr(owner, name, refusing(code))

    return Environment(SYSTEM, make)


def unflushed(patch, folder):
    def is_folder(handle):
        return stat.S_ISDIR(os.fstat(handle).st_mode)

    patch.setattr(os, "fsync", refusing(errno.EINVAL, is_folder, os.fsync))


def faulty(owner: Any, name: str, code: int) -> Environment:
    """Return a disk on which an operation fails, which is told before anything is tuned."""

    def make(patch, folder):
        def tuned(*args, **kwargs):
            raise AssertionError("it was tuned")

        def is_inside(path, *args):
            return not isinstance(path, Path) or path.is_relative_to(folder)

        patch.setattr(manifest, "choose", tuned)
        patch.setattr(owner, name, refusing(code, is_inside, getattr(owner, name)))

    return Environment(SYSTEM, make)


def filling(patch, folder):
    def is_chunk(path, content):
        return path.suffix == ".parquet"

    patch.setattr(Path, "write_bytes", refusing(errno.ENOSPC, is_chunk, Path.write_bytes))


def unwritable_name(patch, folder):
    wrong = UnicodeEncodeError("ascii", "ä", 0, 1, "ordinal not in range(128)")

    def mkdir(path, *args, make=Path.mkdir, **kwargs):
        if path.is_relative_to(folder):
            raise wrong
        make(path, *args, **kwargs)

    patch.setattr(Path, "mkdir", mkdir)


def homeless(patch, folder):
    def nobody(*args):
        raise KeyError("uid not found")

    patch.setattr(tempfile, "tempdir", str(folder.parent))
    patch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME"):
        patch.delenv(name, raising=False)


def cached_nowhere(patch, folder):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    homeless(patch, folder)
    patch.setattr(tempfile, "gettempdir", nowhere)


def cached_at(cache: str) -> Environment:
    """Return a machine that has XDG_CACHE_HOME set, and a home."""

    def make(patch, folder):
        homeless(patch, folder)
        patch.setenv("HOME", str(folder.parent))
        patch.setenv("XDG_CACHE_HOME", cache)

    return Environment(MACHINE, make)


def deviceless(patch, folder):
    def none():
        raise RuntimeError("Unable to initialize backend 'cuda': no GPU\nand more")

    patch.setattr(jax, "local_devices", none)


def set_to(context: Callable[[], Any]) -> Environment:
    """Return a setting of JAX."""
    return Environment(SETTING, lambda patch, folder: context())


ENVIRONMENTS: dict[str, Environment] = {
    "no home, and no entry in passwd": Environment(MACHINE, homeless),
    "XDG_CACHE_HOME=/proc/none": cached_at("/proc/none"),
    "XDG_CACHE_HOME=relative": cached_at("relative"),
    "no folder for temporary files either": Environment(MACHINE, cached_nowhere),
    "JAX_PLATFORMS=cuda, and no GPU": Environment(MACHINE, deviceless),
    "no hard links": lacking((os, "link", errno.EPERM)),
    "no locks": lacking((files.fcntl, "flock", errno.EOPNOTSUPP)),
    "no hard links and no locks": lacking(
        (os, "link", errno.EOPNOTSUPP), (files.fcntl, "flock", errno.ENOSYS)
    ),
    "folders that cannot be flushed": Environment(SYSTEM, unflushed),
    "a read-only disk": faulty(Path, "mkdir", errno.EROFS),
    "another user's folder": faulty(Path, "write_bytes", errno.EACCES),
    "a full disk": faulty(Path, "write_bytes", errno.ENOSPC),
    "a spent quota": faulty(os, "fsync", errno.EDQUOT),
    "no more locks": faulty(files.fcntl, "flock", errno.ENOLCK),
    "too long a path": faulty(os, "open", errno.ENAMETOOLONG),
    "a broken disk": faulty(os, "fsync", errno.EIO),
    "a disk that fills up during training": Environment(SYSTEM, filling),
    "a locale that cannot write the folder's name": Environment(SYSTEM, unwritable_name),
    **{
        ascii(name)[1:-1] if len(name) < 255 else '"a" * 255': Environment(
            NAME, lambda patch, folder: None, name
        )
        for name in (
            *("a\nb", "a\udcffb", "[1]*?{x}", '<b>"$\\ %s', "läufe 東", "-rf", "a" * 255),
            "\x1b[31m",
        )
    },
    "JAX_TRANSFER_GUARD=disallow": set_to(lambda: jax.transfer_guard("disallow")),
    "JAX_TRANSFER_GUARD=disallow_explicit": set_to(lambda: jax.transfer_guard("disallow_explicit")),
    "JAX_DISABLE_JIT=1": set_to(jax.disable_jit),
    "JAX_DEBUG_NANS=1": set_to(lambda: jax.debug_nans(True)),
    "JAX_DEBUG_INFS=1": set_to(lambda: jax.debug_infs(True)),
    "JAX_ENABLE_X64=1": set_to(lambda: jax.enable_x64(True)),
    "JAX_NUMPY_DTYPE_PROMOTION=strict": set_to(lambda: jax.numpy_dtype_promotion("strict")),
    "JAX_DEFAULT_MATMUL_PRECISION=bfloat16": set_to(
        lambda: jax.default_matmul_precision("bfloat16")
    ),
    "JAX_THREEFRY_PARTITIONABLE=0": set_to(lambda: jax.threefry_partitionable(False)),
    "JAX_DEFAULT_PRNG_IMPL=rbg": set_to(lambda: jax.default_prng_impl("rbg")),
    "JAX_CHECK_TRACER_LEAKS=1": set_to(jax.check_tracer_leaks),
}


def trained(folder: Path) -> str:
    """Train the sweep in a folder, and return its table."""
    return bj.run(SWEEP, 32, folder, lanes=8, progress=False).frame.write_csv()


def trial() -> dict[str, bytes]:
    """Train one seed by itself."""
    return {name: value.tobytes() for name, value in bj.trial(SWEEP, 3).items()}


@functools.cache
def expected() -> tuple[str, dict[str, bytes], str]:
    """Return what is trained, and the sweep's digest, on a machine that has everything."""
    with tempfile.TemporaryDirectory() as folder:
        found = trained(Path(folder) / "runs")
        verdicts = {*bj.load(Path(folder) / "runs").frame["verdict"]}
    assert "DIVERGED" in verdicts
    assert len(verdicts) > 1
    return found, trial(), bj.digest_of(SWEEP)


def attempt(name: str, parent: Path) -> Row:
    """Train in an environment, to the same bits as elsewhere, or return the line that it says."""
    environment = ENVIRONMENTS[name]
    table, evidence, digest = expected()
    folder = parent / environment.folder
    find_cache.cache_clear()
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(record=True) as told,
        contextlib.ExitStack() as stack,
    ):
        warnings.simplefilter("always", UserWarning)
        # Which takes most of the time of a report.
        patch.setattr(page, "drawn", lambda figure, suffix: b"")
        context = environment.make(patch, folder)
        if context is not None:
            stack.enter_context(context)
        try:
            cache_directory()
            assert trained(folder) == table
            if environment.kind == NAME:
                assert folder in page.write_report(bj.load(folder)).parents
            if environment.kind == SETTING:
                assert trial() == evidence
                # Of another class, which is traced anew.
                again = type("Diverging", (Diverging,), {"__module__": __name__})
                assert bj.digest_of(SWEEP.replace(organism=again())) == digest
            outcome = "runs"
        except ValueError as error:
            outcome = f"refused: {error}"
    find_cache.cache_clear()
    lines = [outcome, *(f"warns: {warning.message}" for warning in told)]
    shown = "; ".join(dict.fromkeys(lines))
    assert "\n" not in shown, shown
    return Row(environment.kind, name, masked(shown, folder))


def masked(said: str, folder: Path) -> str:
    """Replace in a line what is of one machine and of one run."""
    said = said.replace(str(folder), "FOLDER").replace(str(folder.parent), "TMP")
    for pattern, name in MASKS.items():
        said = re.sub(pattern, name, said)
    return said


def rows(*, train: bool) -> Iterator[Row]:
    """Try all environments."""
    for name in ENVIRONMENTS:
        with tempfile.TemporaryDirectory() as parent:
            yield attempt(name, Path(parent))


def line(row: Row) -> Line:
    """Return a row's line of the table."""
    return Line([f"`{row.name}`" if row.kind in (NAME, SETTING) else row.name, row.outcome])


def section(found: list[Row]) -> str:
    """Write the section of the page."""
    kinds = dict.fromkeys(row.kind for row in found)
    groups = [Group([line(row) for row in found if row.kind == kind], kind) for kind in kinds]
    return f"{INTRODUCTION}\n\n{Table(head=('environment', 'a run'), groups=groups).markdown()}\n"


INTRODUCTION = """## Environments

What a run does where something is missing or otherwise. Each that runs trains to the same bits as
elsewhere, and each that is refused says one line, before it tunes or trains. FOLDER is the sweep's
folder, TMP that of temporary files."""
