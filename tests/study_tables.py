"""Tables of studies for tests: made up, or those of docs/results.md; what a sentence rests on."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from basin_jax.studies.framework.rows import Finding, Row, say


RESULTS = Path(__file__).parent.parent / "docs" / "results.md"
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def finding(*rows):
    return Finding(
        name="way_back",
        question="Is there a way back?",
        says=[say("Half < all.", *rows[:1])],
        limits=("Nothing is told of ½.",),
        rows=[*rows],
        figure=Figure(),
    )


def number(expected=None, **changes):
    told = {"kind": "control", "what": "none", "value": 0.0, "low": 0.0, "high": 0.1, "seeds": 30}
    return Row(**{**told, **changes}, expected=expected)


def committed() -> list[Finding]:
    """The findings of docs/results.md, as far as their tables tell."""
    found = []
    for file in sorted(RESULTS.with_suffix("").glob("*.csv")):
        rows = [
            Row(**{name: one[name] for name in Row.__annotations__})
            for one in pl.read_csv(file, schema_overrides={"expected": pl.Float64}).to_dicts()
        ]
        found.append(replace(finding(*rows), name=file.stem))
    return found


def numbers_in(text: str) -> set[float]:
    """The numbers of a text, without their signs: "5 to .7" has 5 and 7."""
    return {float(each.replace(",", "")) for each in NUMBER.findall(text)}


def unsupported(text: str, rows: Sequence[Row]) -> set[float]:
    """The numbers of a sentence that are none of the rows it rests on, nor of their names."""
    of_rows = [f"{row.what} {row} {row.seeds}" for row in rows]
    of_rows += [f"{row.expected:.3g}" for row in rows if row.expected is not None]
    return numbers_in(text) - numbers_in(" ".join(of_rows))


def moved(one: Row) -> Row:
    """The row with other numbers."""
    expected = None if one.expected is None else 0.9876
    told = {"low": 0.1234, "high": 0.4321, "seeds": 987_654_321, "expected": expected}
    return replace(one, value=0.3217, **told)


def far(one: Row) -> Row:
    """The row with numbers that are clear of all others."""
    return replace(moved(one), value=9.5, low=9.25, high=9.75)


def below(one: Row) -> Row:
    """The row of a difference that is below 0."""
    return replace(moved(one), value=-0.3217, low=-0.4321, high=-0.1234)
