"""Set up all tests: a cache of compiled programs, strict shapes, and a small sweep."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

import basin_jax


def _set_up_environment() -> None:
    # Before JAX is imported. Workers, and what the tests start, inherit it.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    if worker == "main":
        if "BASIN_JAX_TESTS" not in os.environ:
            os.environ["BASIN_JAX_TESTS"] = tempfile.mkdtemp(prefix="basin_jax-")
            atexit.register(shutil.rmtree, os.environ["BASIN_JAX_TESTS"], ignore_errors=True)
        _optimize_programs_less(Path(os.environ["BASIN_JAX_TESTS"]))
    folder = Path(os.environ["BASIN_JAX_TESTS"])
    os.environ |= {
        "JAX_PLATFORMS": "cpu",
        # Half of the time of all tests is XLA's compilation of programs that run for a moment.
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "--xla_backend_optimization_level=0"),
        "JAX_NUMPY_RANK_PROMOTION": "raise",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "xla"),
        # Even the smallest: it is read in a quarter of the time that its compilation takes.
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XDG_CACHE_HOME": str(folder / "cache"),  # workers share what they compile
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
    }


def _optimize_programs_less(folder: Path) -> None:
    # As with XLA, and for the same reason; `compiler/test_cpu.py` tests what users have.
    compiler = next(filter(shutil.which, ("g++", "clang++", "c++")), None)
    if compiler and "CXX" not in os.environ:
        script = folder / compiler
        script.write_text(f'#!/bin/sh\nexec {compiler} "$@" -O2\n')
        script.chmod(0o700)
        os.environ["CXX"] = str(script)


def _check_shapes() -> None:
    # Of all but what has many small calls, which it doubles.
    package = Path(basin_jax.__file__).parent
    files = {path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py")}
    modules = {".".join(file.parts).removesuffix(".__init__") for file in files}
    unchecked = ("basin_jax.compiler", "basin_jax.core.traces")
    checked = [name for name in modules - {"basin_jax"} if not name.startswith(unchecked)]
    install_import_hook(checked, "beartype.beartype")


_set_up_environment()
_check_shapes()
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],  # goes by the clock, like the deadline
)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def wells():
    """Two cells of a cheap sweep: a particle in a tilted and in a level double well."""
    sweep = basin_jax.Sweep(
        organism=basin_jax.organisms.DoubleWell(),
        method=basin_jax.methods.Gradient(learning_rate=0.3),
        num_steps=40,
        root=7,
    )
    return basin_jax.grid(sweep, {"organism.tilt": (0.2, 0.0)})


@pytest.fixture(scope="session")
def wells_folder(wells, tmp_path_factory):
    """The folder of `wells`, with seeds 0 to 99 of both cells. Leave it as it is."""
    folder = tmp_path_factory.mktemp("wells") / "sweep"
    basin_jax.run(wells, 100, folder, lanes=8)
    return folder
