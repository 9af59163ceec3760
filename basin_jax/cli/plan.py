"""The command that says how many seeds a question needs, and how long they take here."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from basin_jax.cli.output import print_table, say
from basin_jax.cli.sweeps import File, Set


if TYPE_CHECKING:
    from basin_jax.core.sweep import Sweep
    from basin_jax.report.render import Table
    from basin_jax.runs.sweepfile import SweepFile


SECONDS = 2.0  # for which each program is timed


class Way(NamedTuple):
    """A way to answer the question, and the seeds (or trainings) of each cell that it takes.

    A way that needs noise is left out where training draws none.
    """

    name: str
    seeds: int
    needs_noise: bool = False


class Program(NamedTuple):
    """The cells that one program trains, and its measured speed in seed-steps per second."""

    label: str
    cells: Sequence["Sweep"]
    speed: float
    draws: bool  # whether clones of a particle train apart


def plan(
    file: File,
    set_: Set = None,
    below: Annotated[
        float | None,
        typer.Option(help="Prove a fraction to be at most P, or find it.", metavar="P"),
    ] = None,
    tell: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Tell two fractions apart.", metavar="P1 P2"),
    ] = None,
    width: Annotated[
        float | None,
        typer.Option(help="Give a fraction an interval of at most this width.", metavar="W"),
    ] = None,
    power: Annotated[
        float | None,
        typer.Option(help="The probability to tell the two apart.  [default: 0.9]"),
    ] = None,
    level: Annotated[float, typer.Option(help="The level of the interval or of the test.")] = 0.95,
) -> None:
    """Say how many seeds a question needs, and how long this machine takes to train them.

    Nothing is stored. Each program of the sweep is compiled and timed for some seconds.
    """
    _check(below, tell, width, power, level)
    say(f"reading {file}")  # before JAX is imported, which takes seconds
    from basin_jax.runs.checks import check_cells
    from basin_jax.runs.sweepfile import load_sweep

    source = load_sweep(file, set_ or [])
    check_cells(source.cells, source.rule)
    if below is not None:
        sentence, ways = _below(below, level)
    elif tell is not None:
        sentence, ways = _tell(tell, 0.9 if power is None else power, level)
    else:
        assert width is not None
        sentence, ways = _width(width, level)
    typer.echo(sentence)
    programs = _programs(source, ways[0].seeds)
    print_table(_table(programs, ways).rich(), width=140)


def _check(
    below: float | None,
    tell: tuple[float, float] | None,
    width: float | None,
    power: float | None,
    level: float,
) -> None:
    """Raise `ValueError` unless one question is asked, with numbers that make sense."""
    asked = {"--below": below, "--tell": tell, "--width": width}
    given = " and ".join(name for name, value in asked.items() if value is not None)
    if given not in asked:
        raise ValueError(f"{given or 'no question'}; allowed: one of --below, --tell and --width")
    if power is not None and tell is None:
        raise ValueError(f"--power {power} with {given}; allowed: with --tell")
    shares = [("--tell", share) for share in tell or ()]
    shares += [("--below", below), ("--width", width), ("--power", power), ("--level", level)]
    for name, share in shares:
        if share is not None and not 0 < share < 1:
            raise ValueError(f"{name} {share}; allowed: above 0 and below 1")
    if tell is not None and tell[0] == tell[1]:
        raise ValueError(f"--tell {tell[0]} {tell[1]}; allowed: two fractions that differ")


def _below(fraction: float, level: float) -> tuple[str, list[Way]]:
    from basin_jax.rare import ImportanceSampling, Splitting, SubsetSimulation
    from basin_jax.statistics import sample_size

    proven = sample_size.seeds_below(fraction, level=level)
    found = sample_size.seeds_until_hit(fraction)
    sentence = (
        f"{proven:,} seeds without a hit prove a fraction of at most {fraction:g} (interval of "
        f"Clopper and Pearson at {level:.4g}); if it is {fraction:g}, {found:,} have at least one "
        "hit with probability 0.95."
    )
    subset, splitting, importance = (
        math.ceil(search.trainings(fraction))
        for search in (SubsetSimulation(), Splitting(), ImportanceSampling())
    )
    return sentence, [
        Way("brute force, no hit", proven),
        Way("brute force, first hit", found),
        Way("--rare subset", subset),
        Way("--rare splitting", splitting, needs_noise=True),
        Way("--rare importance, for starts of few numbers", importance),
    ]


def _tell(fractions: tuple[float, float], power: float, level: float) -> tuple[str, list[Way]]:
    from basin_jax.statistics import sample_size

    paired = sample_size.paired_seeds_to_tell(*fractions, level=level, power=power)
    apart = sample_size.seeds_to_tell(*fractions, level=level, power=power)
    first, second = fractions
    sentence = (
        f"{paired:,} seeds that two cells share tell fractions of {first:g} and {second:g} apart "
        f"with power {power:g} at level {level:.4g} (McNemar's exact test), or fewer if most seeds "
        f"end alike in both; with other seeds each cell takes {apart:,} (Fisher's exact test)."
    )
    return sentence, [Way("the same seeds", paired), Way("other seeds", apart)]


def _width(width: float, level: float) -> tuple[str, list[Way]]:
    from basin_jax.statistics import sample_size

    seeds = sample_size.seeds_for_width(width, level=level)
    sentence = (
        f"{seeds:,} seeds give any fraction an interval of at most the width {width:g} (Clopper "
        f"and Pearson at {level:.4g}); a fraction far from one half takes fewer."
    )
    return sentence, [Way("brute force", seeds)]


def _programs(source: "SweepFile", seeds: int) -> list[Program]:
    """Time the programs that a run of so many seeds would train by."""
    from basin_jax.core.identity import draws
    from basin_jax.core.labels import labels_of
    from basin_jax.core.trial import signature_of
    from basin_jax.engine.autotune import choose
    from basin_jax.engine.kernel import build_kernel

    names = dict(zip(map(str, range(len(source.cells))), source.names, strict=False))
    fields = {str(number): cell.fields() for number, cell in enumerate(source.cells)}
    labels = list(labels_of(fields, names).values())
    groups: dict[object, list[int]] = {}
    for number, cell in enumerate(source.cells):
        groups.setdefault((signature_of(cell), cell.schedule), []).append(number)
    programs = []
    for numbers in groups.values():
        cells = [source.cells[number] for number in numbers]
        label = _named([labels[number] for number in numbers])
        say(f"timing {label}")
        tuning = choose(cells[0], seeds=seeds * len(cells), tell=say)
        kernel = build_kernel(cells, lanes=tuning.lanes, backend=tuning.backend)
        noisy = cells[0].vary != "init" and draws(cells[0])
        programs.append(Program(label, cells, kernel.speed(seconds=SECONDS), noisy))
    return programs


def _named(labels: Sequence[str]) -> str:
    first, *others = labels
    return f"{first} and {len(others)} more" if others else first


def _table(programs: Sequence[Program], ways: Sequence[Way]) -> "Table":
    import jax

    from basin_jax.report.render import Group, Line, Table

    devices = jax.local_devices()
    groups = []
    for program in programs:
        lines = []
        for way in ways:
            if way.needs_noise and not program.draws:
                continue
            steps = way.seeds * sum(cell.all_steps for cell in program.cells)
            minutes = steps / program.speed / 60
            shown = f"{minutes:,.0f}" if minutes >= 10 else f"{minutes:.2g}"
            numbers = f"{way.seeds:,}", f"{steps:.3g}", shown
            lines.append(Line([program.label, way.name, *numbers]))
        groups.append(Group(lines))
    head = ["cells", "method", "seeds of each", "seed-steps", "minutes"]
    note = (
        f"The minutes are of the steps of all seeds at a speed measured for some {SECONDS:g} s on "
        f"{len(devices)} x {devices[0].device_kind}: "
        f"{', '.join(f'{program.speed:,.0f}' for program in programs)} seed-steps/s."
    )
    return Table(head=head, groups=groups, right=head[2:], note=note)
