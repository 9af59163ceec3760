"""Report searches for rare basins: table, figure, CSV, LaTeX, and a part of the page."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basin_jax.files import make_folder, printable, write_pages
from basin_jax.rare import RareEstimate, StoredSearch, load
from basin_jax.report.figures import FULL, STYLE, Drawing, add_note, drawn
from basin_jax.report.panels import rows_of
from basin_jax.report.picture import picture
from basin_jax.report.render import PAGE, Group, Line, Table, fill
from basin_jax.results.folder import StoreError
from basin_jax.results.store import Store


SHOWN = 40  # searches in a figure
TRUSTED, ALARM, BRACKET = "#303030", "#c00000", "#dcdcdc"
HEAD = (
    "cell",
    "verdict",
    "fraction [interval]",
    "to be trusted",
    "search",
    "trainings",
    "brute force",
    "score",
)
MEANT = (
    "A fraction is the mean of independent replications of a search; its interval follows from how "
    "they differ. Brute force: the events among those particles that were fresh seeds. A search "
    "cannot tell of a way into the event that none of its replications has found."
)


def table(searches: Sequence[StoredSearch]) -> Table:
    """Return a table with a row for each search; those not to be trusted are marked, with why."""
    lines = [_line(search) for search in searches]
    return Table(head=HEAD, groups=[Group(lines)], right={"trainings"}, note=MEANT)


def alarms(searches: Sequence[StoredSearch]) -> list[str]:
    """Say of each estimate that is not to be trusted what speaks against it."""
    return [
        f"{_name(search)}: {'; '.join(search.estimate.warnings)}."
        for search in searches
        if search.estimate and not search.estimate.trusted
    ]


def frame(searches: Sequence[StoredSearch]) -> pl.DataFrame:
    """Return a row for each search."""
    return pl.DataFrame([search.row() for search in searches], infer_schema_length=None)


def figure(searches: Sequence[StoredSearch]) -> Figure:
    """Draw the estimates of searches on an axis of powers of ten, with what speaks against them."""
    shown = searches[:SHOWN]
    height = 0.42 if alarms(shown) else 0.3
    with rc_context(STYLE):
        drawing = Drawing(figsize=(FULL, height * len(shown) + 1.1))
        axes = drawing.subplots()
        least, most = _ends(shown)
        axes.set_xscale("log")
        axes.set_xlim(least, most)
        for row, search in enumerate(shown):
            _draw(axes, row, search, least)
        names = [_name(search, between="\n") for search in shown]
        rows_of(axes, [textwrap.shorten(name, 60) if len(name) > 90 else name for name in names])
        axes.set_xlabel("fraction of seeds")
        add_note(drawing, _caption(searches))
    return drawing


def files(searches: Sequence[StoredSearch]) -> dict[str, bytes]:
    """Return the files of a report on searches by their names."""
    found = figure(searches)
    return {
        "rare.csv": frame(searches).write_csv().encode(),
        "rare.tex": table(searches).latex().encode(),
        **{f"rare{suffix}": drawn(found, suffix) for suffix in (".png", ".pdf")},
    }


def part_of_page(searches: Sequence[StoredSearch]) -> dict[str, Any] | None:
    """Return what the page tells of searches; None without any."""
    if not searches:
        return None
    return {
        "count": len(searches),
        "table": table(searches),
        "alarms": alarms(searches),
        "picture": picture(figure(searches)),
        "caption": _caption(searches),
        "meant": MEANT,
        "settings": [(_name(search), _settings(search)) for search in searches],
    }


def report_files(folder: str) -> dict[str, bytes]:
    """Return the files of the report of a folder that holds searches and no sweep.

    They are `report.html`, and `rare.csv`, `.tex`, `.png` and `.pdf`.

    Raises:
        StoreError: if it holds no search, either.
    """
    store, searches = Store(folder), load(folder)
    if not searches:
        raise StoreError(
            f"{store.where} holds no sweep (no sweep.json), and no searches for rare basins; "
            "allowed: a folder that `basin-jax run` made"
        )
    made = files(searches)
    content = {"name": printable(store.folder.resolve().name), "files": sorted(made)}
    page = fill(Path(__file__).with_name("rare.html"), rare=part_of_page(searches), **content)
    return made | {PAGE: page.encode()}


def write_searches(folder: str) -> Path:
    """Write the report of a folder that holds searches and no sweep; return the path of its page.

    Raises:
        StoreError: if it holds no search, either.
    """
    made, written = report_files(folder), Store(folder).folder / "report"
    make_folder(written)
    return write_pages(written, made) / PAGE


def _line(search: StoredSearch) -> Line:
    found = search.estimate
    many = f"{search.method['class']}, {search.wanted} x {search.method.get('particles')}"
    if found is None:
        said = (
            f"{search.replications} of {search.wanted} replications",
            "not finished: run it again",
        )
        return Line([search.label, search.of, *said, many, "", "", _score(search)])
    amount = f"{_short(found.fraction)} [{_short(found.low)}, {_short(found.high)}]"
    said = "yes" if found.trusted else f"NO: {'; '.join(found.warnings)}"
    cost = f"{found.trainings:,} + {found.pilot:,}" if found.pilot else f"{found.trainings:,}"
    bracket = found.bracket
    ends = f"[{_short(bracket.low)}, {_short(bracket.high)}]"
    counted = f"{bracket.hits:,} of {bracket.trials:,} {ends}"
    cells = [search.label, search.of, amount, said, many, cost, counted, _score(search)]
    return Line(cells, failed=not found.trusted)


def _short(number: float) -> str:
    return f"{number:.2g}".replace("e-0", "e-")


def _name(search: StoredSearch, *, between: str = ", ") -> str:
    label = " ".join(search.label.split())
    return f"{label}{between}{search.of} by {search.method['class']}"


def _score(search: StoredSearch) -> str:
    """Return a score briefly, such as `SettlingTime(fit, below, 0.5)`."""
    if search.score is None:
        return "not chosen yet"
    values = ", ".join(
        ", ".join(value) if name == "names" else str(value)
        for name, value in search.score.items()
        if name not in ("class", "weights")
    )
    return f"{search.score['class']}({values})"


def _settings(search: StoredSearch) -> str:
    fields = {**search.fields, **{f"rule.{path}": v for path, v in search.rule.items()}}
    kinds = {"search": search.method, "score": search.score or {}}
    fields |= {f"{kind}.{path}": v for kind, own in kinds.items() for path, v in own.items()}
    fields |= {"search.root": search.root, **search.machine}
    return "; ".join(f"{path} = {value}" for path, value in fields.items())


def _caption(searches: Sequence[StoredSearch]) -> str:
    levels = {found.level for search in searches if (found := search.estimate)}
    said = "".join(f"{100 * level:g} % " for level in levels)
    left = f" The first {SHOWN} of {len(searches)} searches." if len(searches) > SHOWN else ""
    return (
        f"Line: the {said}interval of the mean over replications, which are the dots above it (a "
        "triangle at the left edge found no event). Gray bar: what the fresh seeds of the same "
        f"search tell by themselves. Hollow and red: not to be trusted.{left}"
    )


def _ends(searches: Sequence[StoredSearch]) -> tuple[float, float]:
    """Return the powers of ten between which all numbers lie."""
    numbers = [value for search in searches for value in _numbers(search.estimate) if value > 0]
    if not numbers:
        return 1e-12, 1.0
    least, most = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    return 10.0**least, min(10.0 ** max(most, least + 1), 1.0)


def _numbers(found: RareEstimate | None) -> list[float]:
    if found is None:
        return []
    replications = [replication.fraction for replication in found.replications]
    bracket = found.bracket
    return [*replications, found.low, found.high, bracket.low, bracket.high]


def _draw(axes: Axes, row: int, search: StoredSearch, least: float) -> None:
    found = search.estimate
    if found is None:
        said = f" {search.replications} of {search.wanted} replications"
        axes.text(least, row, said, va="center", fontsize=6, color="#858585")
        return
    color = TRUSTED if found.trusted else ALARM
    low, high = max(found.bracket.low, least), found.bracket.high
    axes.barh(row, high - low, left=low, height=0.28, color=BRACKET, zorder=1)
    for replication in found.replications:
        marker = "o" if replication.fraction else "<"
        place = max(replication.fraction, least)
        looks = {"ms": 2.6, "mew": 0, "color": color, "alpha": 0.6, "zorder": 5, "clip_on": False}
        axes.plot(place, row - 0.25, marker, **looks)
    axes.hlines(row, max(found.low, least), found.high, color=color, lw=1.4, zorder=3)
    inside = {"mfc": color if found.trusted else "white", "mec": color, "mew": 0.9}
    axes.plot(max(found.fraction, least), row, "o", ms=5, zorder=4, clip_on=False, **inside)
    if not found.trusted:
        said = f"not to be trusted: {'; '.join(found.warnings)}"
        lines = textwrap.fill(said, 110, max_lines=2, placeholder=" …")
        below = axes.get_yaxis_transform()
        looks = {"color": ALARM, "fontsize": 5.5, "va": "top", "parse_math": False}
        axes.text(0.005, row + 0.2, lines, transform=below, zorder=5, **looks)
