"""The command that runs the benchmark."""

from pathlib import Path
from typing import Annotated

import typer

from basin_jax.cli.output import print_table, say


def bench(
    peers: Annotated[
        bool, typer.Option("--peers", help="Time PyTorch and pybasin, too, if they are installed.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON in place of tables.")
    ] = False,
    device: Annotated[
        bool,
        typer.Option("--device", help="The short form, for this device: two cases, one round."),
    ] = False,
    cases: Annotated[
        str | None,
        typer.Option(help="The cases, separated by commas.  [default: all; two with --device]"),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(help="The times that everything is timed.  [default: 7; 1 with --device]"),
    ] = None,
    seconds: Annotated[float, typer.Option(help="The least time for which each is timed.")] = 0.5,
    out: Annotated[
        Path | None,
        typer.Option(help="A new folder for a record with figures.  [default: none]"),
    ] = None,
) -> None:
    """Measure the speed, against peers and ceilings."""
    import jax

    from basin_jax.bench.cases import CASES, SHORT
    from basin_jax.bench.measure import run as measure
    from basin_jax.bench.record import as_json as to_json
    from basin_jax.bench.record import write
    from basin_jax.bench.report import summarize, text_tables

    if out is not None and out.exists():
        raise ValueError(f"--out {out} is there already; allowed: a new folder")
    results = measure(
        list(SHORT if device else CASES) if cases is None else cases.split(","),
        rounds=(1 if device else 7) if rounds is None else rounds,
        seconds=seconds,
        with_peers=peers,
        with_growth=out is not None,
        tell=say,
    )
    rows, devices = summarize(results), jax.local_devices()
    say(f"{len(devices)} x {devices[0].device_kind}")
    if as_json:
        typer.echo(to_json(results, rows))
    else:
        for table in text_tables(results, rows):
            print_table(table, width=180)
    if out is not None:
        write(out, results, rows)
        say(f"Record: {out}")
