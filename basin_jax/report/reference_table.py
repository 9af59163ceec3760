"""Write what sweep files know beforehand, ours against theirs: one table and one figure."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from basin_jax.core.identity import digest_of
from basin_jax.report.figures import agreement, save
from basin_jax.report.tables import amount, typeset
from basin_jax.results.references import cell_of
from basin_jax.runs.sweepfile import SweepFile, load_sweep


NAME = "known_answers"
KNOWS = re.compile(r"^known\b|\bknown\s*=", re.MULTILINE)
CRITERIA = {
    "exact": "Derived. Ours agrees where its 99.9 % interval holds theirs.",
    "limit": "Derived in a limit that the sweep is close to. Ours agrees where its 99.9 % interval "
    "holds theirs.",
    "published": "Counted by others. Ours agrees where their count has p > .01 under it, which "
    "takes ours as exact and so wants some 10,000 seeds. What it accepts is told: a count of few "
    "runs agrees with much.",
    "independent": "Measured by code that shares nothing with this project. Ours agrees within "
    "4 standard errors of both.",
}
HEAD = ("", "theirs", "ours", "seeds", "shared", "z", "p", "agrees")


def knowing(paths: Sequence[Path]) -> list[SweepFile]:
    """Return the sweep files among some files and folders that know fractions beforehand.

    Raises:
        ValueError: where a path is not there, nothing in it knows any, or a known
            fraction is of no cell.
    """
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path} is not there; allowed: a sweep file, or a folder of them")
    files = {file.resolve(): file for path in paths for file in _candidates(path)}
    found = [source for source in map(load_sweep, files.values()) if source.known]
    if not found:
        raise ValueError(
            f"{', '.join(map(str, paths))} knows no fractions beforehand; allowed: sweep files "
            "that define `known`"
        )
    folders: dict[Path, Path] = {}
    for source in found:  # before anything is trained
        other = folders.setdefault(folder_of(source), source.file)
        if other != source.file:
            raise ValueError(f"{other} and {source.file}; allowed: files of different names")
        cells = {digest_of(cell): cell.fields() for cell in source.cells}
        for one in source.known:
            cell_of(one, cells)
    return found


def _candidates(path: Path) -> list[Path]:
    """Return the file, or those of a folder that assign `known`: others are not run.

    Nor are those of its folder `gpu`, which would take days elsewhere.
    """
    if not path.is_dir():
        return [path]
    files = (f for f in sorted(path.rglob("*.py")) if "gpu" not in f.relative_to(path).parts)
    return [file for file in files if KNOWS.search(file.read_text("utf-8"))]


def folder_of(source: SweepFile) -> Path:
    """Return where a file's results go, in the folder of all of them."""
    return Path(source.file.resolve().parent.name, source.file.stem)


def by_kind(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of several sweeps' `known.compare`, exact ones first.

    `shared` has one letter for rows whose seeds overlap, of one organism and root: a lucky draw
    of these stands in each of them.
    """
    rows = pl.concat(frames, how="vertical_relaxed")
    rows = pl.concat(rows.filter(kind=kind) for kind in CRITERIA)
    drawn = ("organism", "root")
    before = pl.col("last").cum_max().shift().over(drawn)
    groups = (
        rows.with_row_index("row")
        .sort(*drawn, "first")
        .with_columns(group=(pl.col("first") > before).fill_null(value=True).cum_sum())
        .with_columns(size=pl.len().over("group"), place=pl.col("row").min().over("group"))
        .sort("row")
    )
    places = groups.filter(pl.col("size") > 1)["place"].unique().sort()
    letters = {place: _letter(number) for number, place in enumerate(places)}
    return rows.with_columns(shared=pl.Series([letters.get(p, "") for p in groups["place"]]))


def _letter(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    more, last = divmod(number, 26)
    return (_letter(more - 1) if more else "") + chr(ord("a") + last)


def write_answers(frame: pl.DataFrame, folder: Path, *, made: str) -> Path:
    """Write known_answers.md, .tex, .png and .pdf, and return the path of the first.

    Args:
        frame: what `by_kind` gives.
        folder: where to write.
        made: says by what the results were made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figure = agreement(frame)
    for suffix in ("png", "pdf"):
        save(figure, folder / f"{NAME}.{suffix}")
    (folder / f"{NAME}.tex").write_text(latex(frame), encoding="utf-8")
    page = folder / f"{NAME}.md"
    page.write_text(markdown(frame, made), encoding="utf-8")
    return page


def summary(frame: pl.DataFrame) -> str:
    """Say in one sentence how many fractions agree."""
    kinds = [f"{len(rows)} {kind}" for kind, rows in _groups(frame)]
    said = f"{frame['agrees'].sum()} of {len(frame)} fractions agree ({', '.join(kinds)})."
    if "anytime" in frame["interval"]:
        said += " Where the number of seeds was not fixed beforehand, intervals are confidence"
        said += " sequences."
    if alike := [letter for letter in frame["shared"] if letter]:
        said += (
            f" {len(alike)} rows share their seeds with others: those with one letter are of the"
        )
        said += " same seeds of one organism and root, and err together."
    return said


def markdown(frame: pl.DataFrame, made: str) -> str:
    """Return the page: a table for each kind of known fraction."""
    said = f"{summary(frame)} {made}"
    lines = ["# Known answers", "", said, "", f"![Ours minus theirs]({NAME}.png)"]
    for kind, rows in _groups(frame):
        lines += ["", f"## {kind.capitalize()}", "", CRITERIA[kind], ""]
        lines += [_line([*HEAD, "source"]), "|---|---|---|--:|---|--:|--:|---|---|"]
        lines += [_line([*_texts(row), row["source"]]) for row in rows]
    return "\n".join([*lines, ""])


def latex(frame: pl.DataFrame) -> str:
    """Return a booktabs table: a row for each known fraction, in groups by kind."""
    lines = [r"\begin{tabular}{lllrlrr}", r"\toprule", " & ".join([*HEAD[:-1]]) + r" \\"]
    for kind, rows in _groups(frame):
        lines += [r"\midrule", rf"\multicolumn{{7}}{{l}}{{\emph{{{kind}}}}} \\"]
        lines += [" & ".join(map(typeset, _texts(row)[:-1])) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def text_table(frame: pl.DataFrame) -> Table:
    """Return the table for a terminal."""
    table = Table(caption=summary(frame), caption_justify="left")
    for name in HEAD:
        table.add_column(name, justify="right" if name in ("seeds", "z", "p") else "left")
    for _, rows in _groups(frame):
        for row in rows:
            table.add_row(*map(Text, _texts(row)), style="" if row["agrees"] else "bold red")
        table.add_section()
    return table


def _groups(frame: pl.DataFrame) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    for (kind,), rows in frame.group_by("kind", maintain_order=True):
        yield str(kind), rows.to_dicts()


def _texts(row: dict[str, Any]) -> list[str]:
    """Write a row's cells, in the order of `HEAD`."""
    theirs = f"{row['theirs']:.5g}"
    if row["theirs_trials"]:
        theirs = f"{row['theirs']:.3f} of {row['theirs_trials']:,}"
    if row["accepts_low"] is not None:
        theirs += f" (accepts {row['accepts_low']:.3f} to {row['accepts_high']:.3f})"
    return [
        row["name"],
        theirs,
        amount(row),
        f"{row['trials']:,}",
        row["shared"],
        f"{row['z']:+.1f}",
        f"{row['p_value']:.2g}",
        "yes" if row["agrees"] else "NO",
    ]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', r'\|') for cell in cells)} |"
