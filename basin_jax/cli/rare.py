"""The search for rare basins: `run --rare`, and the report of a folder that holds searches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from basin_jax.cli.output import print_table, say


if TYPE_CHECKING:
    from basin_jax.rare import Search, StoredSearch
    from basin_jax.runs.sweepfile import SweepFile


SearchName = Literal["subset", "splitting", "importance"]
BELOW = 1e-6  # which a budget is planned for by default

Rare = Annotated[
    SearchName | None,
    typer.Option(
        help="Search for basins that are too rare to count: for seeds with the verdict `of` of "
        "FILE, DECEPTIVE by default."
    ),
]
Below = Annotated[
    float | None,
    typer.Option(
        help="With --rare: end a search where what is left is rarer, and plan the budget for it.  "
        f"[default: {BELOW:g} for a budget]",
        metavar="P",
    ),
]
Budget = Annotated[
    int | None,
    typer.Option(
        help="With --rare: about how many trainings all replications of a cell take.",
        metavar="TRAININGS",
    ),
]


def check_search(
    rare: SearchName | None, below: float | None, budget: int | None, **others: Any
) -> None:
    """Raise `ValueError` if the options of a search do not fit together, or to it.

    Args:
        rare: the kind of search.
        below: how rare an event it goes down to.
        budget: its trainings.
        others: the options of a run that make no sense with a search.
    """
    if rare is None:
        for name, value in (("below", below), ("budget", budget)):
            if value is not None:
                raise ValueError(f"--{name} {value:g}; allowed: with --rare")
        return
    for name, value in others.items():
        if value is not None and value is not False:
            given = "" if value is True else f" {value}"
            raise ValueError(
                f"--{name.replace('_', '-')}{given} with --rare; allowed: --set, --lanes, --out, "
                "--below and --budget"
            )
    if below is not None and not 0 < below < 1:
        raise ValueError(f"--below {below:g}; allowed: above 0 and below 1")
    if rare == "importance" and below is not None and budget is None:
        raise ValueError(
            f"--below {below:g} with --rare importance, which has no levels to end at; allowed: "
            "with --budget, which is planned for it"
        )


def search_of(name: SearchName, below: float | None, budget: int | None) -> "Search":
    """Return the search that the options describe.

    Raises:
        ValueError: if the budget allows too few particles.
    """
    from basin_jax.rare import ImportanceSampling, Splitting, SubsetSimulation

    kinds = {"subset": SubsetSimulation, "splitting": Splitting, "importance": ImportanceSampling}
    search = kinds[name]()
    if below is not None and name != "importance":
        search = search.replace(below=below)
    return search if budget is None else search.within(budget, below or BELOW)


def search_cells(source: "SweepFile", folder: str, *, search: "Search", lanes: int | None) -> None:
    """Search each cell of a sweep file, and commit what is found to its folder."""
    from basin_jax.rare import fraction
    from basin_jax.runs.checks import check_cells
    from basin_jax.runs.sweepfile import remember

    check_cells(source.cells, source.rule)
    remember(source.file)
    count = len(source.cells)
    say(f"{source.file}: {count} cell{'s' * (count > 1)}, {source.of.name}, into {folder}")
    for number, cell in enumerate(source.cells):
        where = f"cell {number + 1} of {count}: " if count > 1 else ""
        found = fraction(
            cell,
            rule=source.rule,
            of=source.of,
            method=search,
            lanes=lanes,
            folder=folder,
            tell=lambda line, where=where: say(f"{where}{line}"),
        )
        say(f"{where}{found}")


def print_searches(searches: "Sequence[StoredSearch]") -> None:
    """Print the table of searches, and loudly which are not to be trusted."""
    from basin_jax.report.rare import alarms, table

    print_table(table(searches).rich(), width=180)
    for alarm in alarms(searches):
        say(f"NOT TO BE TRUSTED: {alarm}")
