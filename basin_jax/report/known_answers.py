"""Compare fractions that are known beforehand with ours, in one table and one figure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table as RichTable

from basin_jax.core.identity import digest_of
from basin_jax.files import write_pages
from basin_jax.report.figures import agreement, drawn
from basin_jax.report.render import Group, Line, Table, fill
from basin_jax.report.tables import amount
from basin_jax.results.references import cell_of
from basin_jax.runs.sweepfile import SweepFile, load_sweep
from basin_jax.statistics.estimates import p_text


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
    """Find the sweep files with known answers among some files and folders.

    Of each file they have the cells of which something is known.

    Raises:
        ValueError: if a path does not exist, there is no known answer, or one fits no cell.
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
    return [_asked_of(source) for source in found]


def _asked_of(source: SweepFile) -> SweepFile:
    digests = [digest_of(cell) for cell in source.cells]
    cells = dict(zip(digests, (cell.fields() for cell in source.cells), strict=True))
    asked = {cell_of(one, cells) for one in source.known}
    kept = [digest in asked for digest in digests]
    names = tuple(compress(source.names, kept))
    return replace(source, cells=tuple(compress(source.cells, kept)), names=names)


def _candidates(path: Path) -> list[Path]:
    """Return the file, or the files of a folder that assign `known`.

    Those in its folder `gpu` are left out, since they would take days elsewhere.
    """
    if not path.is_dir():
        return [path]
    files = (f for f in sorted(path.rglob("*.py")) if "gpu" not in f.relative_to(path).parts)
    return [file for file in files if KNOWS.search(file.read_text("utf-8"))]


def folder_of(source: SweepFile) -> Path:
    """Return the folder of a file's results, in the folder of all results."""
    return Path(source.file.resolve().parent.name, source.file.stem)


def by_kind(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of several sweeps' `compare`, in the order of kinds.

    Rows whose seeds overlap, of one organism and root, have the same letter in `shared`: they are
    not independent.
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
    """Number by letters: a, b, ..., z, aa, ab, ..."""
    more, last = divmod(number, 26)
    return (_letter(more - 1) if more else "") + chr(ord("a") + last)


def write_answers(frame: pl.DataFrame, folder: Path, *, made: str) -> Path:
    """Write known_answers.md, .tex, .png and .pdf, and return the path of the first.

    `made` is a sentence that describes the machine and the versions.
    """
    figure = agreement(frame)
    files = {f"{NAME}{suffix}": drawn(figure, suffix) for suffix in (".png", ".pdf")}
    files |= {f"{NAME}.tex": latex(frame).encode(), f"{NAME}.md": markdown(frame, made).encode()}
    return write_pages(folder, files) / f"{NAME}.md"


def summary(frame: pl.DataFrame) -> str:
    """State the number of fractions that agree."""
    kinds = [f"{len(rows)} {kind}" for (kind,), rows in frame.group_by("kind", maintain_order=True)]
    said = f"{frame['agrees'].sum()} of {len(frame)} fractions agree ({', '.join(kinds)})."
    if "anytime" in frame["interval"]:
        said += " Where the number of seeds was not fixed beforehand, intervals are confidence"
        said += " sequences."
    if alike := [letter for letter in frame["shared"] if letter]:
        said += f" {len(alike)} rows share their seeds with others: those with one letter are of"
        said += " the same seeds of one organism and root, and err together."
    return said


def markdown(frame: pl.DataFrame, made: str) -> str:
    """Return the page: a table for each kind of known fraction."""
    kinds = [
        (str(kind), CRITERIA[str(kind)], _table(rows, [*HEAD, "source"], titled=False))
        for (kind,), rows in frame.group_by("kind", maintain_order=True)
    ]
    template = Path(__file__).with_name("known_answers.md")
    return fill(template, name=NAME, summary=summary(frame), made=made, kinds=kinds)


def latex(frame: pl.DataFrame) -> str:
    """Return the table for a paper, in groups by kind."""
    return _table(frame, HEAD[:-1]).latex()


def text_table(frame: pl.DataFrame) -> RichTable:
    """Return the table for a terminal."""
    return _table(frame, HEAD).rich(summary(frame))


def _table(frame: pl.DataFrame, head: Sequence[str], *, titled: bool = True) -> Table:
    """Return a table of some columns, with a group of rows for each kind."""
    groups = []
    for (kind,), rows in frame.group_by("kind", maintain_order=True):
        texts = ((_texts(row), not row["agrees"]) for row in rows.to_dicts())
        lines = [Line([text[name] for name in head], failed) for text, failed in texts]
        groups.append(Group(lines, str(kind) if titled else ""))
    return Table(head=head, groups=groups, right={"seeds", "z", "p"})


def _texts(row: dict[str, Any]) -> dict[str, str]:
    """Format a row's cells by the headings of their columns."""
    theirs = f"{row['theirs']:.5g}"
    if row["theirs_trials"]:
        theirs = f"{row['theirs']:.3f} of {row['theirs_trials']:,}"
    if row["accepts_low"] is not None:
        theirs += f" (accepts {row['accepts_low']:.3f} to {row['accepts_high']:.3f})"
    return {
        "": row["name"],
        "theirs": theirs,
        "ours": amount(row),
        "seeds": f"{row['trials']:,}",
        "shared": row["shared"],
        "z": f"{row['z']:+.1f}",
        "p": p_text(row["p_value"]),
        "agrees": "yes" if row["agrees"] else "NO",
        "source": row["source"],
    }
