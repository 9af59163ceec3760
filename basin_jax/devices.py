"""Set JAX up before it starts: one virtual CPU device a core, and a compilation cache.

Imported before anything else that imports JAX. What the user has set is left alone, and
where JAX has already started its devices are taken as they are.
"""

import atexit
import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import jax

from basin_jax.files import is_private, reason


def cache_directory() -> Path:
    """Return the folder that outlives a run: compiled programs and measured lanes.

    It is a private folder among the temporary ones, with a warning, where the user's cannot be
    written to or there is no home.
    """
    return find_cache(os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME"))


@functools.cache
def find_cache(cache: str, home: str | None) -> Path:
    """Return the first folder that can be written to, for some values of the environment."""
    try:
        # Others than absolute paths are to be ignored: each working directory would have a cache.
        own = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
        folder = own.absolute() / "basin_jax"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
        why = f"{folder} cannot be written to"
    except OSError as error:
        why = f"{error.filename} cannot be used: {reason(error)}"
    except (RuntimeError, ValueError) as error:
        why = f"there is no cache folder: {str(error).rstrip('.')}"
    return _temporary(why)


def _temporary(why: str) -> Path:
    """Return a folder among the temporary ones that nobody else can write to."""
    advice = "set XDG_CACHE_HOME to a folder that you may write to"
    try:
        folder = Path(tempfile.gettempdir()) / f"basin_jax-{os.geteuid()}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not (folder.is_dir() and is_private(folder)):
            folder = Path(tempfile.mkdtemp(prefix="basin_jax-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
    except OSError as error:
        # What is kept there is not needed.
        _warn(f"{why}, and {reason(error)}, so that nothing is kept compiled; {advice}")
        return Path(os.devnull) / "basin_jax"
    _warn(f"{why}, so that {folder} is used; {advice}")
    return folder


def _warn(message: str) -> None:
    # On one line: the line of code that a warning shows would be one of this package.
    warnings.warn_explicit(message, UserWarning, "basin_jax", 1)


def expect_devices() -> None:
    """Raise `ValueError` if JAX finds no device where it was told to look."""
    try:
        jax.local_devices()
    except (RuntimeError, AssertionError) as error:
        said = str(error).partition("\n")[0] or "its support is not installed"
        chosen = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(
            f"JAX finds no device, with JAX_PLATFORMS = {chosen!r} ({said}); allowed: to leave it "
            "out, cpu, or an accelerator that is there (NVIDIA's need the extra `cuda`)"
        ) from None


def cpu_model() -> str:
    """Return the name of this CPU's model, since JAX calls every CPU "cpu"."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    first = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    # The instructions that XLA may use decide low bits, and the model's name is often vague.
    features = hashlib.sha256(first.get("flags", first.get("Features", "")).encode())
    return f"{first.get('model name', '')} [{features.hexdigest()[:8]}]"


def cores() -> int:
    """Return the cores this process may use, which on a shared node are fewer than all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _set_up() -> None:
    chosen = "JAX_NUM_CPU_DEVICES" in os.environ
    if not chosen and "device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # JAX has started
            jax.config.update("jax_num_cpu_devices", cores())
    given = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if not given and cache_directory().is_dir():
        jax.config.update("jax_compilation_cache_dir", str(cache_directory() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


_set_up()
