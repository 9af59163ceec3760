"""Fractions of the same seeds are compared seed by seed, in every study that compares them."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from study_tables import Made, outcome

from basin_jax.studies import framework
from basin_jax.studies.buffer import WAYS, Buffer
from basin_jax.studies.controls.double_well import WELL
from basin_jax.studies.framework.rows import Table, difference, share
from basin_jax.studies.initialization import extremes
from basin_jax.studies.parts.oversight_times import TIMES
from basin_jax.studies.way_back import WayBack


FILES = sorted(Path(framework.__file__).parents[1].rglob("*.py"))
# It compares rows of other seeds.
OF_OTHER_SEEDS = {"power"}
FEW, MORE = np.arange(128) < 2, np.arange(128) < 15


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
    few, more = (
        share("few", "few", FEW, num_intervals=10),
        share("more", "more", MORE, num_intervals=10),
    )
    assert few.high > more.low
    found = difference("more", "more", FEW, MORE, num_intervals=10)
    assert found.low > 0
    assert "p = 0.00024" in found.counts


def test_the_extremes_of_scales_are_compared_on_the_same_seeds():
    cells = {f"scale={n}": WELL.replace(num_steps=n) for n in (1, 2, 3)}
    ends = dict(zip(cells, (MORE, FEW, MORE & ~FEW), strict=True))
    trained = outcome({(name, None): hits for name, hits in ends.items()}, cells)
    found = extremes(trained, "scales")
    assert (found.label, found.gained) == ("scale 1 less scale 2, after training: deceptive", 13)
    assert found.low > 0
    # For all three pairs at once.
    assert found.low < difference("", "", FEW, MORE).low


class Fixed(Made):
    """A lab in which who is deceptive is given by the group and the cell's number."""

    ends: Any

    def __init__(self, ends, **settings):
        super().__init__(**settings)
        object.__setattr__(self, "ends", ends)

    def train(self, name, group):
        ends = {
            (cell, stop): self.ends(name, n)
            for n, (cell, sweep) in enumerate(group.cells.items())
            for stop in sweep.stops
        }
        columns = {"fit": 1.0, "watched": 0.0, "unwatched": 0.0}
        self.outcomes[name] = outcome(ends, group.cells, rule=group.rule, **columns)
        return self.outcomes[name]


def found_in(study, tmp_path, ends):
    lab = Fixed(ends, folder=tmp_path, quick=True)
    for name, group in study.sweeps(128).items():
        lab.train(name, group)
    for name, asked in study.bisections(128).items():
        lab.bisect(name, asked)
    for name, asked in study.trackings(128).items():
        lab.track(name, asked)
    return Table(study.rows(lab))


@pytest.mark.ci
def test_pushed_and_unpushed_networks_are_compared_on_the_same_seeds(tmp_path):
    buffer = Buffer(radii=(1.0, 2.0))
    rows = found_in(buffer, tmp_path, lambda _, n: MORE if n == 1 else FEW)
    first, second = (rows[f"intended/random={radius}-less-none"] for radius in (1, 2))
    assert (first.sign, second.sign) == (1, 0)
    # For all pushes and ways at once.
    assert first.low == difference("", "", FEW, MORE, num_intervals=2 * len(WAYS)).low
    said = [each.text for each in buffer.sentences(rows)]
    assert "a push of 1 makes more deceptive than none" in said[1]
    assert "where none is shown" in said[1]


def of_way_back(tmp_path, **ends):
    """The rows and sentences of a lab in which all fresh networks are deceptive."""
    way_back = WayBack(strengths=(0.0, 0.5, 1.0))
    given = {"fresh": np.ones(128, bool)} | dict.fromkeys(("spell_never", "kept_deceptive"), MORE)
    rows = found_in(way_back, tmp_path, lambda name, _: (given | ends).get(name, FEW))
    return rows, [each.text for each in way_back.sentences(rows)]


@pytest.mark.ci
@pytest.mark.parametrize(
    ("deceptive", "holds", "said"),
    [
        (np.ones(128, bool), True, "It is the direction of the correction"),
        (np.arange(128) % 5 > 0, False, "It is the direction of the correction"),
        (np.arange(128) % 5 < 1, False, "It is not shown to be the direction"),
        (FEW, False, "It is not the direction of the correction"),
    ],
)
def test_a_sham_that_brings_seeds_back_is_no_null(tmp_path, deceptive, holds, said):
    """Oversight brings back four of five."""
    rows, told = of_way_back(tmp_path, sham=deceptive)
    control = rows["window=0.8/sham-less-none/returns"]
    assert (control.kind, control.expected, control.holds) == ("control", 0.0, holds)
    full, sham = rows["window=0.8/returns"], rows["window=0.8/sham/returns"]
    assert rows["window=0.8/full-less-sham/returns"].value == pytest.approx(full.value - sham.value)
    assert told[3].startswith(said)


@pytest.mark.ci
@pytest.mark.parametrize(("returns", "strays"), [(True, 0.5), (False, 0.75)])
def test_a_grid_contradicts_least_strengths_beyond_the_last_halving(tmp_path, returns, strays):
    way_back = WayBack(strengths=(0.0, 0.5, 1.0), windows=(0.5,))
    deceptive = np.ones(128, bool)
    ends = {"fresh": deceptive, "grid_0.5": deceptive & (not returns)}
    lab = Fixed(lambda name, _: ends.get(name, FEW), folder=tmp_path, quick=True)
    for name, group in way_back.sweeps(128).items():
        lab.train(name, group)
    low, high = np.repeat([[0.25, 0.6, 1.0, -np.inf], [0.5, 0.7, np.inf, 0.0]], 32, axis=1)
    lab.bisections["0.5"] = pl.DataFrame({"low": low, "high": high})
    rows = Table(way_back.rows(lab))
    assert rows["contradictions"].value == strays
    assert (rows["window=0.5/returns"].value, rows["windows-to=0.5/never-returns"].value) == (
        0.75,
        0.25,
    )
    assert rows["window=0.5/not-corrected/returns"].value == 0.25
    assert rows["window=0.5/least-strength"].value == 0.5


@pytest.mark.ci
def test_oversight_that_is_late_is_compared_with_none_on_the_same_seeds(tmp_path):
    rows, said = of_way_back(tmp_path)
    moved = [rows[f"overseen={time.replace(' ', '-')}-less-never"] for time in TIMES[1:]]
    assert all(one.sign < 0 for one in moved)
    held = [rows[f"kept={s}/from-deceptive-less-from-fresh"] for s in ("0.5", "1")]
    assert all(one.sign > 0 for one in held)
    assert said[4].endswith(f"a difference on the same seeds of {held[0]}.")
    assert said[6].endswith(
        f"smaller than with never for: {', '.join(TIMES[1:])}; larger for: none."
    )
