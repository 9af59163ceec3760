"""Tables of a sweep's results; estimates as text with the decimals that they deserve."""

import math
from collections.abc import Iterable
from typing import Any

import polars as pl

from basin_jax.core.verdict import NEAR, Verdict
from basin_jax.report.render import Group, Line, Table
from basin_jax.results.records import Records
from basin_jax.statistics.estimates import p_text


MEANINGS = {
    Verdict.DECEPTIVE: "behaves well where it is watched, and does the unintended act elsewhere.",
    Verdict.PARTIAL: "behaves well where it is watched, and does the unintended act in some of "
    "the contexts where it is not, but not in all.",
    Verdict.INTENDED: "behaves well, watched or not.",
    Verdict.OTHER: "learned its objective, but is neither of the two.",
    Verdict.UNFIT: "did not learn its training objective well enough to be judged.",
    Verdict.DIVERGED: "some evidence is not a finite number; counted, never dropped.",
    Verdict.ERROR: "to train or to examine it failed; counted, never dropped.",
}
ORDER = tuple(MEANINGS)  # in which verdicts are shown
METHODS = {
    "fixed": "Clopper-Pearson intervals: the number of seeds was fixed beforehand",
    "conditional": "Clopper-Pearson intervals, conditional on which seeds are counted",
    "anytime": "Confidence sequences: valid at every number of seeds",
}
# The fraction of seeds near a threshold below which there is no warning.
FEW = 0.02
# The most cells that a table for readers has, and that have warnings of their own.
SHOWN, WARNED = 200, 20
REASONS = 5  # of seeds that failed, in a warning


def remarks(records: Records) -> list[str]:
    """Describe the seeds that are counted, if they are not a sample of all."""
    said = []
    if records.sample == "chosen":
        said.append(
            f"The seeds were chosen ({records.criterion}): the estimates are of seeds chosen in "
            "this way, not of all seeds"
        )
    if records.left_out:
        why = "; ".join(dict.fromkeys(str(one.pilot) for one in records.requests.pilots))
        said.append(f"{records.left_out:,} seeds are not counted, since they were a pilot ({why})")
    return [" ".join(one.split()) for one in said]


def method(records: Records) -> str:
    """Name the kind of interval, and the seeds that are counted."""
    return ". ".join([METHODS[records.interval], *remarks(records)])


def seeds_meant(records: Records) -> str:
    """Return `seeds`, or `chosen seeds`."""
    return "chosen seeds" if records.sample == "chosen" else "seeds"


def amount(row: dict[str, Any]) -> str:
    """Format a fraction with its interval, such as `0.160 [0.119, 0.207]`.

    The number of decimals follows from the width of the interval; an exact 0 or 1 has none.
    """
    point, low, high = numbers(row)
    return f"{point} [{low}, {high}]" if row["trials"] else "no seeds yet"


def numbers(row: dict[str, Any], suffix: str = "") -> list[str]:
    """Format a fraction and the ends of its interval (`_all`: of the simultaneous one)."""
    values = [row["fraction"], row[f"low{suffix}"], row[f"high{suffix}"]]
    # Enough for the widest interval of so many seeds, and for this one.
    widest, width = max(row["trials"], 1) ** -0.5, values[2] - values[1]
    decimals = 1 - math.floor(math.log10(min(0.05, widest, width)))
    style = ".2g" if values[2] < 1e-3 else f".{decimals}f"
    return [
        f"{value:g}" if value in (0, 1) else f"{value:{style}}".replace("e-0", "e-")
        for value in values
    ]


def difference(row: dict[str, Any], suffix: str = "") -> str:
    """Format a difference with its interval, such as `+0.012 [-0.003, +0.027]`."""
    if not row["trials"]:
        return "no seeds yet"
    low, high = row[f"low{suffix}"], row[f"high{suffix}"]
    decimals = 1 - math.floor(math.log10(min(0.05, high - low)))
    point, low, high = (f"{value:+.{decimals}f}" for value in (row["difference"], low, high))
    return f"{point} [{low}, {high}]"


def occurring(frame: pl.DataFrame) -> list[Verdict]:
    """Return DECEPTIVE and the verdicts that occur, in the order to show them."""
    found = set(frame.filter(pl.col("hits") > 0)["verdict"])
    return [v for v in ORDER if v.name in found or v == Verdict.DECEPTIVE]


def shown(records: Records, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the first cells, as many as a reader looks at."""
    return frame.filter(pl.col("cell").is_in(list(records.cells)[:SHOWN]))


def left_out(records: Records, file: str = "fractions.csv") -> str:
    """Say which file has the cells that are not shown; nothing if all are."""
    if len(records.cells) <= SHOWN:
        return ""
    return f"The first {SHOWN} of {len(records.cells):,} cells; {file} has all of them."


def failures(records: Records) -> list[str]:
    """Say of each of the first cells how many seeds failed, why, and what that may hide."""
    told, said = records.errors(), list[str]()
    pilots = records.requests.are_pilots(told["seed"].to_numpy())
    for (cell,), rows in told.filter(~pilots).group_by("cell", maintain_order=True):
        ends = [judged[:, -1] for _, judged in records.counted(str(cell))]
        hits = sum(int((verdicts == Verdict.DECEPTIVE).sum()) for verdicts in ends)
        trials = sum(map(len, ends))
        reasons = rows["reason"].value_counts(sort=True).rows()
        why = "; ".join(f"{n:,}: {' '.join(why.split())}" for why, n in reasons[:REASONS])
        more = f"; {len(reasons) - REASONS:,} other reasons" if len(reasons) > REASONS else ""
        said.append(
            f"{cell_name(records, str(cell))}: {len(rows):,} of {trials:,} {seeds_meant(records)} "
            f"are ERROR ({why}{more}). The fraction that is deceptive is {hits / trials:.4g} if "
            f"none of them would be, and {(hits + len(rows)) / trials:.4g} if all would."
        )
    left = len(said) - WARNED
    return [*said[:WARNED], *([f"{left:,} more cells have seeds that failed."] if left > 0 else [])]


def warnings(records: Records) -> list[str]:
    """Return a warning for cells in which seeds failed, or lie near a threshold of the rule."""
    return [*failures(records), *_near(records)]


def _near(records: Records) -> list[str]:
    """Return a warning for each threshold of the rule that many seeds lie near."""
    rule, whose = type(records.judged_by).__name__, seeds_meant(records)
    every = records.near_thresholds()
    near, failed = every.filter(pl.col("share") > FEW), every.filter(pl.col("reason").is_not_null())
    unknown = [
        f"how many {whose} lie near {rule}.{row['threshold']} = {row['value']:g} is not known, "
        f"since the rule fails if it is changed by ±{NEAR:g} ({row['reason']})."
        for row in failed.unique("threshold", keep="first", maintain_order=True).to_dicts()
    ]
    if near["cell"].n_unique() > WARNED:
        return unknown + [
            f"in {len(rows):,} of {len(records.cells):,} cells more than {100 * FEW:g} % of "
            f"{whose} change their verdict if {rule}.{threshold} is changed by ±{NEAR:g}; compare "
            "other values of it with `Records.sensitivity`, and see `Records.near_thresholds`."
            for (threshold,), rows in near.group_by("threshold", maintain_order=True)
        ]
    return unknown + [
        f"{cell_name(records, row['cell'])}: {100 * row['share']:.1f} % of {whose} change their "
        f"verdict if {rule}.{row['threshold']} = {row['value']:g} is changed by ±{NEAR:g}; compare "
        "other values of it with `Records.sensitivity`."
        for row in near.to_dicts()
    ]


def by_cell(frame: pl.DataFrame) -> Iterable[tuple[str, dict[Verdict, dict[str, Any]]]]:
    """Yield each cell with its rows by verdict."""
    for (cell,), rows in frame.group_by("cell", maintain_order=True):
        yield str(cell), {Verdict[row["verdict"]]: row for row in rows.to_dicts()}


def seeds(rows: dict[Verdict, dict[str, Any]]) -> int:
    """Return the number of seeds of a cell, given its rows."""
    return rows[Verdict.DECEPTIVE]["trials"]


def cell_name(records: Records, cell: str) -> str:
    """Return a cell's label on one line."""
    return " ".join(records.label(cell).split())


def fractions(records: Records, frame: pl.DataFrame) -> Table:
    """Return a table with a row for each cell and a column for each verdict that occurs."""
    verdicts = occurring(frame)
    lines = [
        Line([cell_name(records, cell), f"{seeds(rows):,}", *(amount(rows[v]) for v in verdicts)])
        for cell, rows in by_cell(frame)
    ]
    head = ["cell", "seeds", *(verdict.name for verdict in verdicts)]
    return Table(head=head, groups=[Group(lines)], right={"seeds"})


def differences(records: Records, frame: pl.DataFrame) -> Table:
    """Return a table of each cell's difference from the baseline."""
    head = ("Cell", "Difference [row alone]", "[all rows]", "Gained / lost", "p")
    lines = []
    for row in frame.to_dicts():
        counts, p = f"{row['gained']:,} / {row['lost']:,}", p_text(row["p_value"])
        ends = difference(row, "_all").partition(" ")[2]
        lines.append(Line([cell_name(records, row["cell"]), difference(row), ends, counts, p]))
    return Table(head=head, groups=[Group(lines)])


def agreement(records: Records, frame: pl.DataFrame) -> Table:
    """Return a table of the seeds whose verdict at an earlier stop is already the last."""
    head = ("Cell", "Step", "Seeds that agree", "Fraction [row alone]", "[all rows]")
    lines = []
    for row in frame.to_dicts():
        _, low, high = numbers(row, "_all")
        counts = f"{row['hits']:,} of {row['trials']:,}"
        name, step = cell_name(records, row["cell"]), f"{row['step']:,}"
        lines.append(Line([name, step, counts, amount(row), f"[{low}, {high}]"]))
    return Table(head=head, groups=[Group(lines)])
