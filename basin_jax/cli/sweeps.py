"""The commands that run sweeps, and report, replay and verify their results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from basin_jax.cli.engines import (
    EngineName,
    check_options,
    leave_memory_of_gpus,
    train_by_engine,
)
from basin_jax.cli.output import print_table, say
from basin_jax.cli.rare import (
    Below,
    Budget,
    Rare,
    check_search,
    print_searches,
    search_cells,
    search_of,
)
from basin_jax.cli.train import train


if TYPE_CHECKING:
    from basin_jax.core.verdict import Rule
    from basin_jax.results.records import Records


File = Annotated[Path, typer.Argument(help="A Python file that defines `sweep`.", metavar="FILE")]
Folder = Annotated[str, typer.Argument(help="A folder or URL of results.", metavar="DIR")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a field, such as num_steps=500."),
]
Lanes = Annotated[int | None, typer.Option(help="The number of lanes.  [default: measured]")]
Patience = Annotated[
    float | None,
    typer.Option(
        help="The seconds to wait for a call of some 1 s.  [default: 600, or 50 times the longest]"
    ),
]
Retry = Annotated[
    bool, typer.Option("--retry-errors", help="Train stored seeds that failed again.")
]

UntilWidth = Annotated[
    float | None,
    typer.Option(help="Train until the interval of each cell has this width, instead."),
]
Engine = Annotated[EngineName | None, typer.Option(help="What starts workers, and waits for them.")]
Seeds = Annotated[
    int | None,
    typer.Option(help="The number of seeds of each cell.  [default: FILE's `seeds`, or 1024]"),
]
Pilot = Annotated[
    str | None,
    typer.Option(help="What these seeds serve to choose; no estimate counts them.", metavar="TEXT"),
]
Note = Annotated[
    str | None,
    typer.Option(help="What the run is for; `basin-jax runs` shows it.", metavar="TEXT"),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="The part to train first, such as 0/4, where several workers share a folder.  "
        "[default: that of the task of a Slurm array, if it is one]",
        metavar="I/N",
    ),
]
Out = Annotated[
    str | None,
    typer.Option(
        help="The folder of results, or its URL, such as s3://BUCKET/NAME.  "
        "[default: runs/FILE's name]",
        metavar="DIR",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="The address of a Ray cluster.  [default: one on this machine]", metavar="HOST:PORT"
    ),
]
Sbatch = Annotated[
    str | None,
    typer.Option(
        help="Further options of sbatch, such as '--partition=gpu --time=2:00:00'.",
        metavar="OPTIONS",
    ),
]


def run(
    file: File,
    seeds: Seeds = None,
    until_width: UntilWidth = None,
    pilot: Pilot = None,
    note: Note = None,
    set_: Set = None,
    lanes: Lanes = None,
    shard: ShardOf = None,
    retry_errors: Retry = False,
    patience: Patience = None,
    out: Out = None,
    engine: Engine = None,
    workers: Annotated[int | None, typer.Option(help="Their number.", metavar="N")] = None,
    address: Address = None,
    sbatch: Sbatch = None,
    rare: Rare = None,
    below: Below = None,
    budget: Budget = None,
) -> None:
    """Train the seeds of a sweep and write its report; resume a stopped run.

    Any number of workers, on any hosts that share the folder, may run the same command at once, or
    an engine starts them. With --rare it searches for fractions that are too small to count.
    """
    given = {"pilot": pilot, "note": note, "retry_errors": retry_errors, "patience": patience}
    others = {"seeds": seeds, "until_width": until_width, "shard": shard, "engine": engine}
    places = {"address": address, "sbatch": sbatch}
    check_search(rare, below, budget, **given, **others, workers=workers, **places)
    if seeds is not None and until_width is not None:
        raise ValueError("--seeds and --until-width; allowed: one of them")
    check_options(engine, workers=workers, shard=shard, **places)
    say(f"reading {file}")  # before JAX is imported, which takes seconds
    from basin_jax.runs.sweepfile import load_sweep

    search = None if rare is None else search_of(rare, below, budget)
    if engine is not None:
        leave_memory_of_gpus()
    source = load_sweep(file, set_ or [])
    folder = out or str(Path("runs") / file.stem)
    if search is not None:
        search_cells(source, folder, search=search, lanes=lanes)
        _report_folder(folder, source.rule)
        return
    count = source.seeds if seeds is None and until_width is None else seeds
    given |= {"until": until_width, "lanes": lanes}
    if engine is not None and workers is not None:
        told = {"seeds": count, "out": folder, **given}
        records = train_by_engine(engine, source, told, workers=workers, **places)
    else:
        records = train(source, count, folder, shard=shard, **given)
    _end(records, source.rule, folder, by_engine=engine is not None)


def _end(records: "Records", rule: "Rule", folder: str, *, by_engine: bool) -> None:
    """Report a run, unless other workers are still at it."""
    from basin_jax.runs.workers import workers_of

    records.judged_by = rule  # also one of the user's own, which no folder holds
    others = sum(worker.is_live for worker in workers_of(records.store))
    # An engine's have ended, and one that died on another host seems to live for a while.
    if others and not by_engine:
        many = f"{others} worker{'s' * (others > 1)}"
        say(f"{many} still at it; the last one writes the report, or basin-jax report {folder}")
        return
    say(f"Final fractions ({records.interval} interval):")
    _report(records)


def status(folder: Folder) -> None:
    """Show how far a folder is, and what its workers are at."""
    from basin_jax.report.status import cells_table, workers_table
    from basin_jax.results.records import Records
    from basin_jax.runs.workers import workers_of

    records = Records(folder)
    print_table(cells_table(records).rich(), width=120)
    if workers := workers_of(records.store):
        print_table(workers_table(workers).rich(), width=120)
    else:
        say("no worker is at it")


def report(
    folder: Folder,
    rule: Annotated[
        Path | None,
        typer.Option(help="A Python file that defines the `rule` to judge the stored evidence by."),
    ] = None,
) -> None:
    """Write the tables and figures of a folder.

    They are in DIR/report as HTML, PNG, PDF, CSV and LaTeX; with the rule of another file, in
    DIR/report-FILE. Those of a bucket are in the local folder
    runs/s3:/BUCKET/NAME.
    """
    from basin_jax.results.records import load
    from basin_jax.runs.sweepfile import load_rule

    if rule is None:
        _report_folder(folder)
        return
    records = load(folder, rule=load_rule(rule))
    _report(records, records.store.folder / f"report-{rule.stem}")


def watch(
    folder: Folder,
    port: Annotated[
        int, typer.Option(help="The port of this machine; 0 for any that is free.")
    ] = 8765,
) -> None:
    """Show the report of a folder in a browser while a run goes on.

    It is served to this machine alone, and made anew when the folder has changed. Nothing is
    written. Ctrl-C ends it.
    """
    from basin_jax.report.watch import watch as serve

    serve(folder, port=port, tell=say)


def _report_folder(folder: str, rule: "Rule | None" = None) -> None:
    """Report a folder, which may hold a sweep, searches for rare basins, or both.

    Args:
        folder: the folder or its URL.
        rule: the rule of the user's own file, if it is known.
    """
    from basin_jax.rare import load as load_searches
    from basin_jax.report.rare import write_searches
    from basin_jax.results.records import load
    from basin_jax.results.store import Store

    if Store(folder).exists():
        records = load(folder)
        records.judged_by = rule or records.judged_by
        _report(records)
        return
    page = write_searches(folder)
    print_searches(load_searches(folder))
    say(f"Report: {page}")


def _report(records: "Records", folder: Path | None = None) -> None:
    """Print the fractions, and write the report into a folder, that of the results if None."""
    from basin_jax.report.page import searches_of, text_table, write_report

    page = write_report(records, folder)
    print_table(text_table(records), width=120)
    if searches := searches_of(records):
        print_searches(searches)
    say(f"Report: {page}")


def replay(
    folder: Folder,
    seed: Annotated[int, typer.Option(help="The stored seed to train again.")],
    cell: Annotated[
        str | None, typer.Option(help="The cell of a grid, such as difficulty=2.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="The sweep's file.  [default: the one that you ran, if it is unchanged]"),
    ] = None,
) -> None:
    """Train a stored seed again and compare its bits.

    Its evidence over training is drawn, too.
    """
    from basin_jax.report.replay import replay_folder, write_replay
    from basin_jax.results.records import load
    from basin_jax.runs.replay import replay as replay_seed

    replay_folder(load(folder))  # before what takes time
    outcome = replay_seed(folder, seed=seed, cell=cell, file=file)
    typer.echo(write_replay(outcome)[0])
    if outcome.differing:
        raise typer.Exit(1)


def recheck(
    folder: Folder,
    seeds: Annotated[int, typer.Option(help="The number of stored seeds to train again.")] = 100,
    root: Annotated[int | None, typer.Option(help="What decides which.  [default: drawn]")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="The sweep's file.  [default: the one that you ran, if it is unchanged]"),
    ] = None,
) -> None:
    """Train a random sample of stored seeds again, and count those that differ.

    The exit code is 1 if some have other bits on the same kind of machine.
    """
    from basin_jax.runs.recheck import recheck as recheck_seeds

    found = recheck_seeds(folder, seeds=seeds, root=root, file=file)
    for change in found.changes:
        say(change)
    typer.echo(f"other bits: {found.differing}\nanother verdict: {found.flips}")
    say(f"Repeat with --root {found.root}")
    if not found.frame.filter("same")["equal"].all():
        raise typer.Exit(1)


def verify(folder: Folder) -> None:
    """Check the files of a folder against their hashes.

    The exit code is 1 if something is damaged or missing. A run that has not finished is reported,
    and is no fault.
    """
    from basin_jax.rare.reading import verify as verify_searches
    from basin_jax.results.store import Store

    store, (searched, faults) = Store(folder), verify_searches(folder)
    trained = store.exists() or not searched  # a search alone leaves a folder without a sweep
    if trained:
        faults = [*store.verify(), *faults]
    if faults:
        advice = "delete damaged chunks, and run again to train what is missing"
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        typer.echo("\n".join(faults))
        typer.echo(f"basin-jax: {folder}: {count}; {advice}", err=True)
        raise typer.Exit(1)
    counts = [f"{len(store.chunks())} chunks"] * trained
    counts += [f"{searched} records of searches"] * (searched > 0)
    notices = store.notices() if trained else []
    typer.echo("\n".join([f"{folder}: {', '.join(counts)}, all sound", *notices]))
