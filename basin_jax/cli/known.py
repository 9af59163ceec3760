"""The command that compares sweeps with their known answers."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from basin_jax.cli.output import print_table, say
from basin_jax.cli.train import train


def known(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Sweep files, or folders of them.  [default: sweeps]"),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="The number of seeds of each cell.  [default: each file's own]"),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of the results and the table.")] = Path(
        "runs/known"
    ),
) -> None:
    """Compare sweeps with their known answers."""
    from basin_jax.report import known_answers as answers
    from basin_jax.results.references import compare

    frames, machine = [], {}
    for source in answers.knowing(paths or [Path("sweeps")]):
        folder = out / answers.folder_of(source)
        records = train(source, source.seeds if seeds is None else seeds, str(folder))
        frames.append(compare(records, source.known))
        machine = records.machine
    frame = answers.by_kind(frames)
    asked = [] if seeds is None else ["--seeds", str(seeds)]
    command = shlex.join(["basin-jax", "known", *map(str, paths or []), *asked])
    made = f"Made by `{command}` on {machine['device']}, JAX {machine['jax']}."
    table = answers.write_answers(frame, out, made=made)
    say(f"Table: {table}")
    print_table(answers.text_table(frame), width=140)
    if not frame["agrees"].all():
        raise typer.Exit(1)
