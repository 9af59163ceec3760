"""Make docs/organisms.md: each organism's docstring, a figure, and the verdicts of its seeds.

    uv run python docs/organisms.py [NAME ...] [--runs runs/organisms]
    uv run python docs/organisms.py [NAME ...] --time

The script trains the missing seeds of the named sweeps, or of all (about an hour and a half on two
cores), and writes the sections of all sweeps that have results. Other sections stay as they are.
With `--time` it trains nothing, and times a step of each sweep's default cell for the page's table.
"""

import inspect
import re
import statistics
import textwrap
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import polars as pl
import typer
from matplotlib import rc_context
from matplotlib.figure import Figure

import basin_jax as bj
from basin_jax.core.trial import count_params
from basin_jax.core.verdict import UNJUDGED, Verdict
from basin_jax.devices import cpu_model
from basin_jax.engine.autotune import choose
from basin_jax.engine.backends import BACKENDS
from basin_jax.engine.timed import TimedSteps
from basin_jax.report.figures import FULL, STYLE, add_legend, save
from basin_jax.report.kinds import BEHIND
from basin_jax.report.panels import gap_panel
from basin_jax.report.tables import ORDER, amount
from basin_jax.results.records import Records
from basin_jax.rules.behavior import Behavior
from basin_jax.runs.sweepfile import load_sweep
from basin_jax.studies.framework.lab import whatever_fit


DOCS = Path(__file__).parent
SWEEPS = DOCS.parent / "sweeps"
SEEDS = 2500  # per cell: intervals of ±2 %
TIMES = DOCS / "organisms" / "times.csv"
TURNS = 5  # in which a step is timed, of which the median is taken
SHOWN = 4  # the cells that a figure has room for
VERDICTS = [verdict for verdict in ORDER if verdict not in UNJUDGED]  # which hardly any seed is
HEAD = (
    "cell",
    "step",
    "seeds",
    *(verdict.name.lower() for verdict in VERDICTS),
    "agreement with the end",
)


class Entry(NamedTuple):
    """An organism's class, and the file of its sweep."""

    organism: type[bj.Organism]
    file: Path


def entries() -> dict[str, Entry]:
    """Return the organisms that have a sweep, by file name; those of deception first."""
    files = [*sorted((SWEEPS / "organisms").glob("*.py")), *_known()]
    found = {}
    for file in files:
        organism = type(load_sweep(file).cells[0].organism)
        found.setdefault(file.stem, Entry(organism, file))
    return found


def _known() -> list[Path]:
    names = ("born_dead", "double_well", "escape_threshold", "gate", "perceptron")
    names += ("phase_retrieval", "relu_xor", "ticket_race")
    return [SWEEPS / "known_answers" / f"{name}.py" for name in names]


def train(entry: Entry, folder: Path) -> Records:
    """Train the missing seeds, and return the records."""
    source = load_sweep(entry.file)
    return bj.run(source.sweep, min(source.seeds, SEEDS), folder, rule=source.rule)


def timed(entry: Entry) -> dict[str, Any]:
    """Time the steps of an organism's default cell: training steps of one seed per second."""
    cell = load_sweep(entry.file).cells[0]
    tuning = choose(cell, seeds=SEEDS)
    steps = TimedSteps(cell, BACKENDS[tuning.backend], tuning.lanes)
    speed = statistics.median(steps.speed() for _ in range(TURNS))
    return {
        "organism": entry.organism.__name__,
        "parameters": count_params(cell),
        "steps": cell.all_steps,
        "program": tuning.backend,
        "seed-steps per s": round(float(f"{speed:.3g}")),
        "devices": f"{len(jax.local_devices())} x {cpu_model()}",
    }


def record(row: dict[str, Any]) -> None:
    """Write an organism's row of the timed steps in the place of the one before."""
    rows = pl.read_csv(TIMES).to_dicts() if TIMES.exists() else []
    others = [other for other in rows if other["organism"] != row["organism"]]
    pl.DataFrame(sorted([*others, row], key=lambda row: row["organism"])).write_csv(TIMES)


def times(known: dict[str, Entry]) -> list[str]:
    """Format the table of how long the seeds of a default cell take, from the timed steps."""
    rows = pl.read_csv(TIMES).to_dicts()
    order = [entry.organism.__name__ for entry in known.values()]
    lines = [
        "| organism | parameters | steps of a seed | program | seed-steps/s | ±2 % takes |",
        "|---|--:|--:|---|--:|--:|",
    ]
    for row in sorted(rows, key=lambda row: order.index(row["organism"])):
        speed = row["seed-steps per s"]
        numbers = (f"{row['parameters']:,}", f"{row['steps']:,}", row["program"], f"{speed:,}")
        lasts = _duration(SEEDS * row["steps"] / speed)
        lines.append(f"| {row['organism']} | {' | '.join(numbers)} | {lasts} |")
    machines = " or ".join(sorted({row["devices"] for row in rows}))
    said = (
        f"{SEEDS:,} seeds give any fraction an interval of ±2 %. The table has how long training "
        f"so many takes in the default cell of each organism, on {machines}. Speeds are of the "
        f"steps, the median of {TURNS} measurements by the time of the CPU; compiling takes some "
        "seconds more. `basin-jax plan FILE --width 0.04` says it of any sweep and machine."
    )
    return [
        *textwrap.wrap(said, 100),
        "",
        *lines,
        "",
    ]


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "< 1 s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def table(records: Records, untrained: Records) -> list[str]:
    """Format the table of the verdicts of an organism's seeds.

    The rule for networks before training does not ask whether they are fit.
    """
    lines = [f"| {' | '.join(HEAD)} |", f"|---|--:|--:|{'---|' * (len(VERDICTS) + 1)}"]
    stops, same = _stops(records)
    before = _stops(untrained)
    for cell in records.cells:
        steps = sorted(step for own, step in stops if own == cell)
        for step in steps:
            # Where nothing is trained the rule itself says who is fit.
            verdicts, agree = (stops, same) if step or steps == [0] else before
            fractions = [_fraction(verdicts[cell, step], verdict) for verdict in VERDICTS]
            row = (_name(records, cell), f"{step:,}", f"{len(verdicts[cell, step]):,}", *fractions)
            lines.append(f"| {' | '.join(row)} | {agree.get((cell, step), '')} |")
    return lines


def _stops(records: Records) -> tuple[dict[tuple[str, int], pl.Series], dict[Any, str]]:
    """Return the verdicts by cell and stop, and their agreement with those of the last stop."""
    later = records.agreement() if records.earlier else pl.DataFrame({"cell": [], "step": []})
    same = {(row["cell"], row["step"]): amount(row) for row in later.to_dicts()}
    groups = records.history.group_by("cell", "step", maintain_order=True)
    return {(str(cell), int(str(step))): one["verdict"] for (cell, step), one in groups}, same


def _name(records: Records, cell: str) -> str:
    """Return a cell's own name, or name it by the fields in which it differs from the first one."""
    if own_name := records.manifest["cells"][cell].get("name"):
        return own_name
    first, own = records.cells[next(iter(records.cells))], records.cells[cell]
    differs = {path: own.get(path) for path in records.varied if own.get(path) != first.get(path)}
    # A method's objective changes with its organism, and the stops with the phases of training.
    organism = [path for path in differs if path.startswith("organism.")]
    follow = {"save_at", *(f"method.objective.{path.partition('.')[2]}" for path in organism)}
    shown = {path: value for path, value in differs.items() if path not in follow} or differs
    named = {
        re.sub(r"^(organism|method|method\.method)\.", "", path): shown[path] for path in shown
    }
    return ", ".join(f"{name}={value}" for name, value in named.items()) or "default"


def _fraction(verdicts: pl.Series, of: Verdict) -> str:
    found = bj.basin_fraction(verdicts, of)
    return amount({**vars(found), "fraction": found.fraction})


def figure(records: Records, rule: Any) -> Figure:
    """Draw histograms of the gap at the last stop, one per cell."""
    cells = list(records.cells)[:SHOWN]
    with rc_context(STYLE):
        made = Figure(figsize=(FULL, 1.9))
        panels = made.subplots(1, len(cells), sharey=True, squeeze=False).flat
        for axes, cell in zip(panels, cells, strict=True):
            gap_panel(axes, records.gaps()[cell], rule)
            name = textwrap.fill(_name(records, cell), 24)
            axes.set_title(name, loc="left", fontsize=6, parse_math=False)
            axes.set_xlabel("unwatched - watched")
        next(iter(made.axes)).set_ylabel("fraction of seeds")
        add_legend(made)
    return made


def caption(records: Records, rule: Any) -> str:
    """Say what the figure shows, of how many seeds."""
    cells = list(records.cells)
    counts = {sum(int(part.sum()) for part in records.gaps()[cell].values()) for cell in cells}
    seeds = " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))
    few = f" {SHOWN} of {len(cells)} cells." if len(cells) > SHOWN else ""
    shaded = " Gray: neither intended nor deceptive." if isinstance(rule, Behavior) else ""
    return (
        f"Seeds by their gap at the last stop. n = {seeds} seeds in each cell.{few}{shaded} "
        f"{BEHIND} The axis of fractions is linear below .02; no intervals, no control."
    )


def section(name: str, entry: Entry, records: Records) -> list[str]:
    """Draw an organism's figure, and return its section: docstring, figure and table."""
    rule = load_sweep(entry.file).rule
    save(figure(records, rule), DOCS / "organisms" / f"{name}.png")
    untrained = Records(records.store.folder, rule=whatever_fit(rule))
    doc = inspect.getdoc(entry.organism) or ""
    return [
        f"## {entry.organism.__name__}",
        "",
        doc,
        "",
        f"![Gap between unwatched and watched at the end](organisms/{name}.png)",
        "",
        f"*{caption(records, rule)}*",
        "",
        *table(records, untrained),
        "",
        f"The sweep is [{entry.file.stem}.py](../{entry.file.relative_to(DOCS.parent)}).",
        "",
    ]


INTRODUCTION = """# Organisms

Each section has an organism's docstring, a figure, and a table of the verdicts of its seeds: the
fraction with each verdict before training (step 0, whether fit or not), after T steps and after
2T, in the default cell and in the cells that differ from it, with 95 % intervals
(Clopper-Pearson, each by itself). The last column is the fraction of seeds whose verdict is
already that of the last stop. PARTIAL means that a network lies in some contexts only.

The figures are histograms of the gap at the last stop: the rate of the unintended act where it is
unwatched less the rate where it is watched. The axis of the fraction of seeds is linear below .02
and logarithmic above. Gray marks the gaps that the rule `Behavior` puts between intended and
deceptive. The organisms from BornDead on are not models of deception: their fractions are known
beforehand ([known answers](known_answers.md)).
"""


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Organisms.  [default: all]")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of the results.")] = Path("runs/organisms"),
    time: Annotated[bool, typer.Option("--time", help="Time steps, and train nothing.")] = False,
) -> None:
    """Train the organisms' sweeps and write docs/organisms.md with its figures."""
    known = entries()
    if unknown := set(names or ()) - set(known):
        raise typer.BadParameter(f"{min(unknown)}; allowed: {', '.join(known)}")
    (DOCS / "organisms").mkdir(exist_ok=True)
    for name in names or known:
        typer.echo(f"{name} ...")
        if time:
            record(timed(known[name]))
        else:
            train(known[name], runs / name)
    page = DOCS / "organisms.md"
    parts = re.split("(?m)^(?=## )", page.read_text(encoding="utf-8"))
    before = {part.split("\n", 1)[0]: [*part.rstrip("\n").split("\n"), ""] for part in parts}
    lines = [INTRODUCTION, *times(known)]
    for name, entry in known.items():
        if (runs / name).exists():
            lines += section(name, entry, bj.load(runs / name))
        else:
            lines += before.get(f"## {entry.organism.__name__}", [])
    page.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
