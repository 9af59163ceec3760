"""Estimates as text: with as many decimals as they deserve, and as a table for LaTeX."""

import math
import re
from collections.abc import Iterable
from typing import Any

import polars as pl

from basin_jax.core.verdict import NEAR, Verdict
from basin_jax.results.records import Records


# The order in which verdicts are shown.
ORDER = (
    Verdict.DECEPTIVE,
    Verdict.PARTIAL,
    Verdict.INTENDED,
    Verdict.OTHER,
    Verdict.UNFIT,
    Verdict.DIVERGED,
)
METHODS = {
    "fixed": "Clopper-Pearson intervals: the number of seeds was fixed beforehand",
    "conditional": "Clopper-Pearson intervals, conditional on which seeds are counted",
    "anytime": "Confidence sequences: valid while watching, and wherever one stops",
}
# The share of seeds near a threshold that is still not worth a warning.
FEW = 0.02
LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "−": "$-$",
    "²": "$^2$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
}


def remarks(records: Records) -> list[str]:
    """Say of which seeds the estimates speak, where it is not of all seeds, in sentences."""
    said = []
    if records.sample == "chosen":
        said.append(
            f"The seeds were chosen ({records.criterion}): estimates speak of seeds that are "
            "chosen in this way, not of all seeds"
        )
    if left_out := records.frame["seed"].n_unique() - records.counted["seed"].n_unique():
        why = "; ".join(dict.fromkeys(str(one.pilot) for one in records.requests.pilots))
        said.append(f"{left_out:,} seeds are left out, since they served as a pilot ({why})")
    return [" ".join(one.split()) for one in said]


def method(records: Records) -> str:
    """Say which intervals are shown, and of which seeds they speak."""
    return ". ".join([METHODS[records.interval], *remarks(records)])


def seeds_meant(records: Records) -> str:
    """Name the seeds that fractions are of: `seeds`, or `chosen seeds`."""
    return "chosen seeds" if records.sample == "chosen" else "seeds"


def amount(row: dict[str, Any]) -> str:
    """Write a fraction with its interval, as `0.160 [0.119, 0.207]`.

    There are as many decimals as tell the ends of the interval apart; an exact 0 or 1
    has none.
    """
    point, low, high = numbers(row)
    return f"{point} [{low}, {high}]" if row["trials"] else "no seeds yet"


def numbers(row: dict[str, Any], suffix: str = "", *, unit: int = 1) -> list[str]:
    """Write a fraction and the ends of its interval (`_all`: of the one for all rows)."""
    values = [row["fraction"], row[f"low{suffix}"], row[f"high{suffix}"]]
    # Enough for the widest interval of so many seeds, and for this one.
    widest, width = max(row["trials"], 1) ** -0.5, values[2] - values[1]
    decimals = 1 - math.floor(math.log10(min(0.05, widest, width))) - round(math.log10(unit))
    style = ".2g" if values[2] < 1e-3 else f".{decimals}f"
    return [
        f"{unit * value:g}" if value in (0, 1) else f"{unit * value:{style}}".replace("e-0", "e-")
        for value in values
    ]


def difference(row: dict[str, Any], suffix: str = "") -> str:
    """Write a difference with its interval, as `+0.012 [-0.003, +0.027]`."""
    if not row["trials"]:
        return "no seeds yet"
    low, high = row[f"low{suffix}"], row[f"high{suffix}"]
    decimals = 1 - math.floor(math.log10(min(0.05, high - low)))
    point, low, high = (f"{value:+.{decimals}f}" for value in (row["difference"], low, high))
    return f"{point} [{low}, {high}]"


def occurring(frame: pl.DataFrame) -> list[Verdict]:
    """Return the verdicts to show, DECEPTIVE first: itself, and those that any seed has."""
    found = set(frame.filter(pl.col("hits") > 0)["verdict"])
    return [v for v in ORDER if v.name in found or v == Verdict.DECEPTIVE]


def warnings(records: Records) -> list[str]:
    """Say of each threshold that many seeds lie near how many verdicts change with it."""
    rule, whose = type(records.judged_by).__name__, seeds_meant(records)
    return [
        f"{cell_name(records, row['cell'])}: {100 * row['share']:.1f} % of {whose} change their "
        f"verdict if {rule}.{row['threshold']} = {row['value']:g} is changed by ±{NEAR:g}; compare "
        "other thresholds with `Records.sensitivity`."
        for row in records.near_thresholds().filter(pl.col("share") > FEW).to_dicts()
    ]


def by_cell(frame: pl.DataFrame) -> Iterable[tuple[str, dict[Verdict, dict[str, Any]]]]:
    """Yield each cell with its rows by verdict."""
    for (cell,), rows in frame.group_by("cell", maintain_order=True):
        yield str(cell), {Verdict[row["verdict"]]: row for row in rows.to_dicts()}


def seeds(rows: dict[Verdict, dict[str, Any]]) -> int:
    """Return how many seeds a cell has, given its rows."""
    return rows[Verdict.DECEPTIVE]["trials"]


def cell_name(records: Records, cell: str) -> str:
    """Return a cell's label on one line."""
    return " ".join(records.label(cell).split())


def latex(records: Records, frame: pl.DataFrame) -> str:
    """Return a booktabs table: a row a cell, a column a verdict that occurs."""
    verdicts = occurring(frame)
    absent = ", ".join(v.name for v in ORDER if v not in verdicts) or "none"
    head = " & ".join(["", *(verdict.name.lower() for verdict in verdicts), "$n$"])
    lines = [
        f"% {100 * frame['level'][0]:g} % intervals, each by itself. {method(records)}.",
        f"% Verdicts that no seed has, and that are left out: {absent}.",
        *(f"% Warning: {said}" for said in warnings(records)),
        rf"\begin{{tabular}}{{l{'l' * len(verdicts)}r}}",
        rf"\toprule{'\n'}{head} \\{'\n'}\midrule",
    ]
    for cell, rows in by_cell(frame):
        estimates = [amount(rows[verdict]) for verdict in verdicts]
        texts = [cell_name(records, cell), *estimates, str(seeds(rows))]
        lines.append(" & ".join(map(typeset, texts)) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def typeset(text: str) -> str:
    """Set a text for LaTeX, its intervals smaller, so that four stand in a row."""
    escaped = "".join(LATEX.get(char, char) for char in text)
    powers = re.sub(r"([\d.]+)e-(\d+)", r"$\1\\cdot10^{-\2}$", escaped)
    return re.sub(r"(\[[\d.].*\])", r"{\\scriptsize\1}", powers)
