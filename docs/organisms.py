"""Make docs/organisms.md: what each organism is, what became of its seeds, and a figure.

    uv run python docs/organisms.py [NAME ...] [--runs runs/organisms]

What an organism is, its own docstring says. The sweeps named, or all, are trained as far as they
are not there yet (all in about an hour on two cores), and the page shows all that are.
"""

import inspect
import re
import textwrap
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import polars as pl
import typer
from matplotlib import rc_context
from matplotlib.figure import Figure

import basin_jax as bj
from basin_jax.core.verdict import Verdict
from basin_jax.report.figures import FULL, STYLE, gap_panel, save, verdict_legend
from basin_jax.report.tables import ORDER, amount
from basin_jax.results.records import Records
from basin_jax.runs.sweepfile import load_sweep
from basin_jax.studies.framework.lab import whatever_fit


DOCS = Path(__file__).parent
SWEEPS = DOCS.parent / "sweeps"
SEEDS = 2500  # of a cell: intervals of ±2 %
SHOWN = 4  # cells that fit into a figure
TOLD = ORDER[:-1]  # of verdicts; hardly a seed diverges
HEAD = ("cell", "step", "seeds", *(verdict.name.lower() for verdict in TOLD), "as at the end")


class Entry(NamedTuple):
    """An organism's class, and the file of its sweep."""

    organism: type[bj.Organism]
    file: Path


def entries() -> dict[str, Entry]:
    """Return what there is a sweep for, by the names of the files; deception first."""
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
    """Train what is not there yet, and return the records."""
    source = load_sweep(entry.file)
    return bj.run(source.cells, min(source.seeds, SEEDS), folder, rule=source.rule)


def table(records: Records, untrained: Records) -> list[str]:
    """Return the lines of the table of an organism's seeds.

    Those before training are judged by a rule that does not ask whether a network is fit.
    """
    lines = [f"| {' | '.join(HEAD)} |", f"|---|--:|--:|{'---|' * (len(TOLD) + 1)}"]
    stops, same = _stops(records)
    begun = _stops(untrained)
    for cell in records.cells:
        for step in sorted(step for own, step in stops if own == cell):
            verdicts, agree = (stops, same) if step else begun
            said = [_share(verdicts[cell, step], verdict) for verdict in TOLD]
            row = (_name(records, cell), f"{step:,}", f"{len(verdicts[cell, step]):,}", *said)
            lines.append(f"| {' | '.join(row)} | {agree.get((cell, step), '')} |")
    return lines


def _stops(records: Records) -> tuple[dict[tuple[str, int], pl.Series], dict[Any, str]]:
    """Return the verdicts by cell and stop, and how many are those of the end."""
    several = len(records.history) > len(records.frame)
    later = records.agreement() if several else pl.DataFrame({"cell": [], "step": []})
    same = {(row["cell"], row["step"]): amount(row) for row in later.to_dicts()}
    groups = records.history.group_by("cell", "step", maintain_order=True)
    return {(str(cell), int(str(step))): one["verdict"] for (cell, step), one in groups}, same


def _name(records: Records, cell: str) -> str:
    """Name a cell by the fields in which it differs from the first, each told once."""
    first, own = records.cells[next(iter(records.cells))], records.cells[cell]
    differs = {path: own.get(path) for path in records.varied if own.get(path) != first.get(path)}
    # An objective follows its organism, and stops follow what happens at them.
    organism = [path for path in differs if path.startswith("organism.")]
    follow = {"save_at", *(f"method.objective.{path.partition('.')[2]}" for path in organism)}
    told = {path: value for path, value in differs.items() if path not in follow} or differs
    said = {re.sub(r"^(organism|method|method\.method)\.", "", path): told[path] for path in told}
    return ", ".join(f"{name}={value}" for name, value in said.items()) or "default"


def _share(verdicts: pl.Series, of: Verdict) -> str:
    found = bj.basin_fraction(verdicts, of)
    return amount({**vars(found), "fraction": found.fraction})


def figure(records: Records, rule: Any) -> Figure:
    """Draw the gap between unwatched and watched at the end, in each of a few cells."""
    cells = list(records.cells)[:SHOWN]
    with rc_context(STYLE):
        made = Figure(figsize=(FULL, 1.9))
        panels = made.subplots(1, len(cells), sharey=True, squeeze=False).flat
        for axes, cell in zip(panels, cells, strict=True):
            gap_panel(axes, records.frame.filter(cell=cell), rule)
            name = textwrap.fill(_name(records, cell), 24)
            axes.set_title(name, loc="left", fontsize=6, parse_math=False)
            axes.set_xlabel("unwatched - watched")
        next(iter(made.axes)).set_ylabel("fraction of seeds")
        verdict_legend(made)
    return made


def section(name: str, entry: Entry, records: Records) -> list[str]:
    """Draw an organism's figure, and return its section: its docstring, figure and table."""
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
        *table(records, untrained),
        "",
        f"The sweep is [{entry.file.stem}.py](../{entry.file.relative_to(DOCS.parent)}).",
        "",
    ]


INTRODUCTION = """# Organisms

What each organism is (its own docstring), and what becomes of its seeds: the fraction that each
verdict holds before training (step 0, fit or not), after T steps and after 2T, in the default cell
and in those that differ from it, with 95 % intervals (Clopper and Pearson, each by itself); the
last column is the share of seeds whose verdict is that of the end. PARTIAL is what lies in some
contexts and not in others. In the figures, on an axis that is linear below .02 and logarithmic
above, the gap between the rates of the unintended act where it is not watched
and where it is; grey is what the rule `Behavior` puts between intended and deceptive. Those of the
second part are not meant as organisms of deception: their fractions are known beforehand
([known answers](known_answers.md)).
"""


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Organisms.  [default: all]")] = None,
    runs: Annotated[Path, typer.Option(help="Where results are.")] = Path("runs/organisms"),
) -> None:
    """Train the organisms' sweeps, and write docs/organisms.md with its figures."""
    known = entries()
    if unknown := set(names or ()) - set(known):
        raise typer.BadParameter(f"{min(unknown)}; allowed: {', '.join(known)}")
    for name in names or known:
        typer.echo(f"{name} ...")
        train(known[name], runs / name)
    (DOCS / "organisms").mkdir(exist_ok=True)
    page = [INTRODUCTION]
    for name, entry in known.items():
        if (runs / name).exists():
            page += section(name, entry, bj.load(runs / name))
    (DOCS / "organisms.md").write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
