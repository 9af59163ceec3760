"""Fractions of the same seeds are compared seed by seed, in every study that compares them."""

import ast
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from basin_jax import Sweep
from basin_jax.core.identity import digest_of
from basin_jax.studies.buffer import WAYS, Buffer
from basin_jax.studies.commitment import Commitment
from basin_jax.studies.framework import study
from basin_jax.studies.framework.rows import difference, share
from basin_jax.studies.framework.study import WELL, WELL_RULE, Lab, Outcome
from basin_jax.studies.initialization import _apart
from basin_jax.studies.way_back import WayBack


FILES = sorted(Path(study.__file__).parent.glob("*.py"))
# Quarters of the natural gap are different seeds.
OF_OTHER_SEEDS = {"hijack"}
FEW, MORE = np.arange(128) < 2, np.arange(128) < 15


def outcome(ends: list[tuple[Sweep, int, np.ndarray]], **columns: Any) -> Outcome:
    """Return an outcome of made-up ends: for each cell and step, who is deceptive."""
    parts = [
        pl.DataFrame(
            {
                "cell": digest_of(cell),
                "seed": range(len(hits)),
                "step": step,
                "verdict": np.where(hits, "DECEPTIVE", "INTENDED"),
            }
            | columns
        )
        for cell, step, hits in ends
    ]
    return Outcome(history=pl.concat(parts), rule=WELL_RULE)


def overlaps(tree: ast.AST) -> list[int]:
    """Return the lines that hold the limit of one interval against that of another."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for one, other in zip([node.left, *node.comparators], node.comparators, strict=False)
        if isinstance(one, ast.Attribute)
        and isinstance(other, ast.Attribute)
        and {one.attr, other.attr} == {"low", "high"}
        and ast.dump(one.value) != ast.dump(other.value)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_study_tells_fractions_apart_by_whether_intervals_overlap(path):
    found = overlaps(ast.parse(path.read_text()))
    assert not found or path.stem in OF_OTHER_SEEDS, f"{path.name}, lines {found}"


def test_comparisons_on_the_same_seeds_are_paired():
    """2 against 15 of 128 have intervals that overlap: McNemar's test tells them apart."""
    few, more = share("few", FEW, cells=10), share("more", MORE, cells=10)
    assert few.high > more.low
    found = difference("more", FEW, MORE, cells=10)
    assert found.low > 0
    assert "p = 0.00024" in found.what


def test_the_extremes_of_scales_are_compared_on_the_same_seeds():
    cells = {f"scale {n}": WELL.replace(num_steps=n) for n in (1, 2, 3)}
    ends = dict(zip(cells, (MORE, FEW, MORE & ~FEW), strict=True))
    trained = outcome([(cell, cell.num_steps, ends[name]) for name, cell in cells.items()])
    after = [share(f"{name}, after training: deceptive", hits) for name, hits in ends.items()]
    found = _apart(trained, cells, after)
    assert found.what.startswith("scale 1, after training: deceptive, less scale 2 (13 gained, 0")
    assert found.low > 0
    # For all three pairs at once.
    assert found.low < difference("", FEW, MORE).low


@dataclass(frozen=True, kw_only=True)
class Made(Lab):
    """A lab in which nothing is trained: ends are given by the folder and the cell's number."""

    ends: Callable[[str, int], np.ndarray]

    def run(self, name, cells, seeds, *, rule, lanes=None) -> Outcome:
        del seeds, rule, lanes
        return outcome(
            [
                (cell, stop, self.ends(name, n))
                for n, cell in enumerate(cells)
                for stop in cell.stops
            ]
        )


def test_pushed_and_unpushed_networks_are_compared_on_the_same_seeds(tmp_path):
    buffer = Buffer(pushes=(0.0, 1.0, 2.0))
    lab = Made(folder=tmp_path, quick=True, ends=lambda _, n: MORE if n == 1 else FEW)
    base = buffer.subject.sweep
    rows, beyond = buffer._pushed(lab, "fresh networks", base, np.arange(128), "loss")
    assert [one.low > 0 for one in beyond] == [True, False]
    # For all pushes and ways at once.
    assert beyond[0].low == difference("", FEW, MORE, cells=3 * len(WAYS)).low
    medians = defaultdict(lambda: share("", FEW))
    said = buffer._says(
        {"fresh networks": {"loss": rows}}, {"fresh networks": {"loss": beyond}}, medians
    )
    assert said[1].text.endswith(
        "more fresh networks are deceptive than without a push by: loss 1."
    )


def test_what_children_share_tells_from_where_more_agree_on_the_same_seeds():
    one, study = share("", FEW), Commitment()

    def said(*after):
        beyond = [difference("", FEW, hits) for hits in after]
        forks = [100 * place for place in range(len(after))]
        told = study._says(forks, one, [one] * len(after), beyond, one, [one] * 3, [one] * 3)
        return told[1].text

    few_more = np.arange(128) < 4  # which is not shown to be more
    assert said(few_more, MORE).startswith(
        "What two seeds share tells on their verdicts from step 100"
    )
    assert said(MORE, few_more).startswith("At no step")


def test_oversight_that_is_late_is_compared_with_none_on_the_same_seeds(tmp_path):
    way_back = WayBack(strengths=(0.0, 0.5, 1.0))
    many = ("spell_never", "kept_deceptive")
    lab = Made(folder=tmp_path, quick=True, ends=lambda name, _: MORE if name in many else FEW)
    timed, _, moved = way_back._timed(lab)
    assert {*moved} == {*timed} - {"never"}
    assert all(one.high < 0 for one in moved.values())
    rows = [share("", FEW)] * 3
    _, _, held = way_back._hysteresis(lab, np.arange(128))
    assert all(one.low > 0 for one in held)
    said = way_back._says([rows], rows[0], (rows, rows, held), timed, moved, rows)
    assert f"seed by seed, a difference of {held[1]}." in said[2].text
    assert said[3].text.endswith(f"fewer than by never for: {', '.join(moved)}; more for: none.")
