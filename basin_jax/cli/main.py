"""The command line: `basin-jax run | report | replay | verify | known | study |
studies | bench | list | new`.

JAX is imported when a command needs it, so that `--help` does not wait. A user's mistake
ends in one line that names the thing and what is allowed, and in exit code 2; a run that a
signal stopped ends in 128 + the signal's number, and can be gone on with.
"""

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from basin_jax.results.records import Records
    from basin_jax.runs.sweepfile import SweepFile
    from basin_jax.studies.framework.study import Study


app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Measure the fraction of random seeds whose training falls into a deceptive basin.",
)


File = Annotated[Path, typer.Argument(help="A Python file that defines `sweep`.", metavar="FILE")]
Folder = Annotated[Path, typer.Argument(help="A folder that `run` made.", metavar="DIR")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a field, as in num_steps=500."),
]


@app.command()
def run(
    file: File,
    seeds: Annotated[
        int | None,
        typer.Option(help="How many seeds each cell trains.  [default: FILE's `seeds`, or 1024]"),
    ] = None,
    until_width: Annotated[
        float | None,
        typer.Option(help="Train until each cell's interval is this narrow, instead."),
    ] = None,
    pilot: Annotated[
        str | None,
        typer.Option(
            help="What these seeds serve to choose: no estimate counts them.", metavar="TEXT"
        ),
    ] = None,
    set_: Set = None,
    lanes: Annotated[
        int | None, typer.Option(help="Seeds trained side by side.  [default: measured]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of results.  [default: runs/FILE's name]")
    ] = None,
) -> None:
    """Train a sweep's seeds, or go on where a run stopped; then write its report."""
    from rich.console import Console

    from basin_jax.report.page import write_report
    from basin_jax.runs.sweepfile import load_sweep

    if seeds is not None and until_width is not None:
        raise ValueError("--seeds and --until-width; allowed: one of them")
    source = load_sweep(file, set_ or [])
    folder = out or Path("runs") / file.stem
    count = source.seeds if seeds is None and until_width is None else seeds
    console = Console(stderr=True)
    records = _train(source, count, folder, console, until=until_width, pilot=pilot, lanes=lanes)
    page = write_report(records)
    _print_table(records)
    console.print(f"Report: {page}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def report(
    folder: Folder,
    rule: Annotated[
        Path | None,
        typer.Option(help="A Python file whose `rule` judges the evidence anew."),
    ] = None,
) -> None:
    """Write a folder's table, figures (PNG, PDF), CSV, LaTeX and HTML into DIR/report.

    With a rule of another file, into DIR/report-FILE, beside the sweep's own.
    """
    from rich.console import Console

    from basin_jax.report.page import write_report
    from basin_jax.results.records import load
    from basin_jax.runs.sweepfile import load_rule

    records = load(folder, rule=load_rule(rule) if rule else None)
    page = write_report(records, folder / f"report-{rule.stem}" if rule else None)
    _print_table(records)
    Console(stderr=True).print(f"Report: {page}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def replay(
    folder: Folder,
    seed: Annotated[int, typer.Option(help="The stored seed to train again.")],
    cell: Annotated[
        str | None, typer.Option(help="Which cell of a grid, such as difficulty=2.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="The sweep's file.  [default: the one that you ran, if it is as it was]"),
    ] = None,
) -> None:
    """Train one stored seed again, draw its evidence over training, and compare its bits."""
    from basin_jax.report.replay import write_replay
    from basin_jax.runs.replay import replay as replay_seed

    outcome = replay_seed(folder, seed=seed, cell=cell, file=file)
    typer.echo(write_replay(outcome)[0])
    if outcome.differing:
        raise typer.Exit(1)


@app.command()
def verify(folder: Folder) -> None:
    """Check all of a folder against its hashes, and for what is missing.

    Ends with 1 where something is damaged or missing. A run that has not finished is said,
    and is no fault.
    """
    from basin_jax.results.store import Store

    store = Store(folder)
    faults = store.verify()
    if faults:
        advice = "delete damaged chunks, and run again to train what is missing"
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        typer.echo("\n".join(faults))
        typer.echo(f"basin-jax: {folder}: {count}; {advice}", err=True)
        raise typer.Exit(1)
    typer.echo("\n".join([f"{folder}: {len(store.chunks())} chunks, all sound", *store.notices()]))


@app.command()
def known(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Sweep files, or folders of them.  [default: sweeps]"),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="How many seeds each cell trains.  [default: each file's own]"),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of results and of the table.")] = Path(
        "runs/known"
    ),
) -> None:
    """Run the sweeps whose fractions are known beforehand; write ours against theirs."""
    from rich.console import Console

    from basin_jax.report import reference_table as answers
    from basin_jax.results.references import compare

    console = Console(stderr=True)
    frames, machine = [], {}
    for source in answers.knowing(paths or [Path("sweeps")]):
        folder = out / answers.folder_of(source)
        records = _train(source, source.seeds if seeds is None else seeds, folder, console)
        frames.append(compare(records, source.known))
        machine = records.manifest["machine"]
    frame = answers.by_kind(frames)
    made = f"Made by `basin-jax known` on {machine['device']}, JAX {machine['jax']}."
    page = answers.write_answers(frame, out, made=made)
    Console(width=None if sys.stdout.isatty() else 140).print(answers.text_table(frame))
    console.print(f"Table: {page}", highlight=False, markup=False, soft_wrap=True)
    if not frame["agrees"].all():
        raise typer.Exit(1)


Full = Annotated[
    bool,
    typer.Option("--full/--quick", help="Seeds for an accelerator, or for minutes of two cores."),
]
STUDIED = Path("runs/studies")
Studied = Annotated[Path, typer.Option(help="The folder of results and of the page.")]


@app.command()
def study(
    names: Annotated[
        list[str], typer.Argument(help="A study, or a file that defines one.", metavar="NAME")
    ],
    organism: Annotated[
        str | None,
        typer.Option(help="Its testbed, or a file that defines `testbed`.  [default: its own]"),
    ] = None,
    full: Full = False,
    out: Studied = STUDIED,
) -> None:
    """Put questions to an organism: figures, tables and a page, each with its control."""
    from basin_jax.studies.registry import all_named

    _study(all_named(names, organism), full=full, out=out)


@app.command()
def studies(
    all_: Annotated[bool, typer.Option("--all", help="Make them, and not only list them.")] = False,
    full: Full = False,
    out: Studied = STUDIED,
) -> None:
    """List all studies with their questions, or make them all and one page of them."""
    from basin_jax.studies.registry import STUDIES, all_named

    if all_:
        _study(all_named([*STUDIES]), full=full, out=out)
    else:
        for name, kind in STUDIES.items():
            typer.echo(f"{name}: {kind().question}")


@app.command()
def bench(
    peers: Annotated[
        bool, typer.Option("--peers", help="Also time PyTorch and pybasin, where installed.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON, instead of tables.")
    ] = False,
    cases: Annotated[
        str | None, typer.Option(help="Which, with commas between.  [default: all]")
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often everything is timed.")] = 7,
    seconds: Annotated[float, typer.Option(help="How long each is timed, at least.")] = 0.5,
    out: Annotated[
        Path | None,
        typer.Option(help="A new folder for a record, with figures.  [default: none]"),
    ] = None,
) -> None:
    """Measure how fast seeds are trained, against peers and the machine's ceilings."""
    from rich.console import Console

    from basin_jax.bench.cases import CASES
    from basin_jax.bench.measure import run as measure
    from basin_jax.bench.record import as_json as to_json
    from basin_jax.bench.record import write
    from basin_jax.bench.report import summarize, tables

    if out is not None and out.exists():
        raise ValueError(f"--out {out} is there already; allowed: a new folder")
    console = Console(stderr=True)
    results = measure(
        list(CASES) if cases is None else cases.split(","),
        rounds=rounds,
        seconds=seconds,
        with_peers=peers,
        with_growth=out is not None,
        tell=lambda line: console.print(line, highlight=False, markup=False),
    )
    rows = summarize(results)
    if as_json:
        typer.echo(to_json(results, rows))
    else:
        # A log has no width of its own: wide enough that no row is broken.
        for table in tables(results, rows):
            Console(width=None if sys.stdout.isatty() else 160).print(table)
    if out is not None:
        write(out, results, rows)
        console.print(f"Record: {out}", highlight=False, markup=False, soft_wrap=True)


@app.command("list")
def list_() -> None:
    """List the organisms, starts, methods and rules of the package, and their fields."""
    from basin_jax.cli.catalog import catalog

    typer.echo(catalog())


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The name of the sweep; NAME.py is written.")],
) -> None:
    """Write a sweep file with an organism, a method and a rule of one's own, ready to run."""
    stem = name.removesuffix(".py")
    if not stem.isidentifier():
        raise ValueError(f"NAME = {name!r}; allowed: letters, digits and _, not first a digit")
    file = Path(f"{stem}.py")
    template = Path(__file__).with_name("template.py").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as handle:
            handle.write(template.replace("THIS_FILE", file.name))
    except FileExistsError:
        raise ValueError(f"{file} is there already; allowed: a new name") from None
    typer.echo(f"Wrote {file}. Run it: basin-jax run {file}")


def _train(
    source: "SweepFile",
    seeds: int | None,
    folder: Path,
    console: "Console",
    *,
    until: float | None = None,
    pilot: str | None = None,
    lanes: int | None = None,
) -> "Records":
    """Run a sweep file, showing progress; a signal ends the command with what goes on."""
    from basin_jax.runs.progress import progress_for
    from basin_jax.runs.run import run as run_sweep
    from basin_jax.runs.sweepfile import remember

    remember(source.file)
    console.print(
        f"{source.file}: {len(source.cells)} cells, into {folder}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    with _going_on(console, folder), progress_for(console) as progress:
        return run_sweep(
            source.cells,
            seeds,
            folder,
            rule=source.rule,
            until=until,
            pilot=pilot,
            lanes=lanes,
            progress=progress,
            origin=source.origin(folder),
        )


def _study(studies: "Mapping[str, Study]", *, full: bool, out: Path) -> None:
    """Make studies, say what they found, and fail where a control or a known answer does."""
    from rich.console import Console

    from basin_jax.runs.progress import progress_for
    from basin_jax.studies.registry import make, page_of

    console = Console(stderr=True)
    with _going_on(console, out), progress_for(console) as progress:
        findings = make(studies, out, quick=not full, progress=progress)
    for finding in findings:
        for sentence in finding.sentences:
            typer.echo(f"{finding.name}: {sentence.text}")
    console.print(f"Page: {out / page_of(studies)}", highlight=False, markup=False, soft_wrap=True)
    if not all(finding.sound for finding in findings):
        raise typer.Exit(1)


@contextlib.contextmanager
def _going_on(console: "Console", folder: Path) -> "Iterator[None]":
    """End the command where a signal stops a run, and say how to go on."""
    from basin_jax.runs.run import Interrupted

    try:
        yield
    except Interrupted as stopped:
        console.print(
            f"{stopped}: all that was trained is committed in {folder}. Go on with:\n"
            f"  basin-jax {shlex.join(sys.argv[1:])}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(128 + stopped.signum) from None


def _print_table(records: "Records") -> None:
    from rich.console import Console

    from basin_jax.report.page import text_table

    # A log has no width of its own: wide enough that no interval is broken.
    Console(width=None if sys.stdout.isatty() else 120).print(text_table(records))


def fail(message: str) -> NoReturn:
    """Print one line on what is wrong, and exit with code 2."""
    typer.echo(f"basin-jax: {message}", err=True)
    raise SystemExit(2)


def main() -> None:
    """Run the command line."""
    try:
        raise SystemExit(app(sys.argv[1:] or ["--help"], standalone_mode=False))
    except typer.TyperException as error:
        fail(error.format_message().replace("\n", " "))
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("stopped; what was committed is kept", err=True)
        raise SystemExit(130) from None
    except (ValueError, OSError) as error:
        fail(" ".join(str(error).split()))
