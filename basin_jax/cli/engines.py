"""The engines of the command that runs sweeps."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from basin_jax.cli.output import say


if TYPE_CHECKING:
    from basin_jax.results.records import Records
    from basin_jax.runs.engines.contract import Engine
    from basin_jax.runs.sweepfile import SweepFile


EngineName = Literal["local", "ray", "slurm"]


def check_options(
    engine: EngineName | None,
    *,
    workers: int | None,
    shard: str | None,
    address: str | None,
    sbatch: str | None,
) -> None:
    """Raise `ValueError` if the options of engines do not fit together."""
    for name, value, wanted in [("address", address, "ray"), ("sbatch", sbatch, "slurm")]:
        if value is not None and engine != wanted:
            raise ValueError(f"--{name} {value!r}; allowed: with --engine {wanted}")
    if engine is None and workers is not None:
        raise ValueError(f"--workers {workers}; allowed: with --engine")
    if engine is not None and (workers is None or workers < 1):
        given = "" if workers is None else f", and --workers {workers}"
        raise ValueError(f"--engine {engine}{given}; allowed: with --workers N, at least 1")
    if engine is not None and shard is not None:
        raise ValueError(f"--shard {shard} with --engine; allowed: one of them")


def train_by_engine(
    name: EngineName,
    source: "SweepFile",
    given: dict[str, Any],
    *,
    workers: int,
    address: str | None,
    sbatch: str | None,
) -> "Records":
    """Run a sweep file by the workers of an engine, and show their progress.

    Args:
        name: the engine's.
        source: the sweep's file.
        given: what the workers are told besides the file, as a `Reference` has it.
        workers: their number.
        address: that of the Ray cluster.
        sbatch: further options of sbatch.
    """
    from rich.console import Console

    from basin_jax.runs.coordinator import coordinate
    from basin_jax.runs.engines.contract import Reference
    from basin_jax.runs.progress import progress_for
    from basin_jax.runs.sweepfile import remember

    engine = _engine(name, address, sbatch)
    reference = Reference(
        file=source.file, overrides=source.overrides, directory=Path.cwd(), **given
    )
    remember(source.file)
    by, count = f"{workers} worker{'s' * (workers > 1)} by {name}", len(source.cells)
    say(f"{source.file}: {count} cell{'s' * (count > 1)}, into {reference.out}, {by}")
    with progress_for(Console(stderr=True)) as progress:
        return coordinate(
            source.sweep,
            source.rule,
            reference,
            engine=engine,
            workers=workers,
            progress=progress,
        )


def _engine(name: EngineName, address: str | None, sbatch: str | None) -> "Engine":
    if name == "ray":
        from basin_jax.runs.engines.ray import Ray

        return Ray(address)
    if name == "slurm":
        from basin_jax.runs.engines.slurm import Slurm

        return Slurm(tuple(shlex.split(sbatch or "")))
    from basin_jax.runs.engines.local import Local

    return Local()


def leave_memory_of_gpus() -> None:
    """Let this process, which trains nothing, take memory of GPUs as it needs it.

    Workers train there, too, which inherit no more than the user has set.
    """
    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    if name in os.environ:
        return
    os.environ[name] = "false"
    try:
        from basin_jax.devices import expect_devices

        expect_devices()
    finally:
        del os.environ[name]
