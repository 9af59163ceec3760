"""Set JAX up before it starts: one virtual CPU device a core, and a compilation cache.

Imported before anything else that imports JAX. What the user has set is left alone, and
where JAX has already started its devices are taken as they are.
"""

import contextlib
import hashlib
import os
from pathlib import Path

import jax


def cache_directory() -> Path:
    """Return the folder that outlives a run: compiled programs and measured lanes."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "basin_jax"


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


def _cores() -> int:
    # The cores this process may use, which on a shared node are fewer than the machine's.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _set_up() -> None:
    chosen = "JAX_NUM_CPU_DEVICES" in os.environ
    if not chosen and "device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # JAX has started
            jax.config.update("jax_num_cpu_devices", _cores())
    if not jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(cache_directory() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


_set_up()
