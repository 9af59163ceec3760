"""How the commands train a sweep."""

from typing import TYPE_CHECKING

from basin_jax.cli.output import say


if TYPE_CHECKING:
    from basin_jax.results.records import Records
    from basin_jax.runs.sweepfile import SweepFile


def train(
    source: "SweepFile",
    seeds: int | None,
    folder: str,
    *,
    until: float | None = None,
    pilot: str | None = None,
    note: str | None = None,
    lanes: int | None = None,
    shard: str | None = None,
    retry_errors: bool = False,
    patience: float | None = None,
) -> "Records":
    """Run a sweep file and show its progress."""
    from rich.console import Console

    from basin_jax.results.store import Store
    from basin_jax.runs.progress import progress_for
    from basin_jax.runs.run import run as run_sweep
    from basin_jax.runs.shard import Shard
    from basin_jax.runs.sweepfile import remember

    remember(source.file)
    count = len(source.cells)
    say(f"{source.file}: {count} cell{'s' if count > 1 else ''}, into {folder}")
    with progress_for(Console(stderr=True)) as progress:
        return run_sweep(
            source.sweep,
            seeds,
            folder,
            rule=source.rule,
            until=until,
            pilot=pilot,
            note=note,
            lanes=lanes,
            shard=None if shard is None else Shard.parse(shard),
            retry_errors=retry_errors,
            patience=patience,
            progress=progress,
            origin=source.origin(Store(folder).folder),
        )
