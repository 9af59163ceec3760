"""The study of connectivity: which pairs it joins, and what it reads on their lines."""

import functools
from typing import Any

import numpy as np
import polars as pl
import pytest
from study_tables import TINY, outcome

from basin_jax.methods import Correction
from basin_jax.starts import Displaced
from basin_jax.studies.connectivity import Connectivity
from basin_jax.studies.framework.lab import Lab, Outcome, only
from basin_jax.studies.framework.rows import Table
from basin_jax.studies.framework.testbed import META_LEARNER
from basin_jax.studies.parts import fine_tuning


STUDY = Connectivity(testbed=TINY, points=2, quick=48)


@functools.cache
def groups():
    """The groups of the study, which take a second."""
    return STUDY.sweeps(48)


def line(name, verdicts, fits):
    """Networks on lines, by the verdicts and the fits at each point."""
    cells = groups()[name].cells
    parts = [
        outcome({(cell, None): np.array([*at])}, cells, fit=np.array(fit, float))
        for cell, at, fit in zip(cells, verdicts, fits, strict=True)
    ]
    history = parts[0].history.vstack(parts[1].history).vstack(parts[2].history)
    return Outcome(cells=cells, history=history, rule=TINY.rule)


@pytest.fixture
def lab(tmp_path):
    one, other = "DIPDIDDI", "DIPIDDOP"
    names = {"D": "DECEPTIVE", "I": "INTENDED", "P": "PARTIAL", "O": "OTHER"}
    lab = Lab(folder=tmp_path, quick=True)
    for group, ends in (("fresh", one), ("partners", other)):
        cells = only(TINY.sweep, 8, rule=TINY.rule).cells
        lab.outcomes[group] = outcome({("", None): [names[end] for end in ends]}, cells)
    return lab


def test_a_partner_has_the_highest_bit_flipped(lab):
    partners = groups()["partners"].seeds
    assert callable(partners)
    assert partners(lab).tolist() == [2**63 + seed for seed in range(8)]


@pytest.mark.parametrize(
    ("kind", "seeds"),
    [("deceptive", [0, 5]), ("intended", [1]), ("partial", [2]), ("mixed", [3, 4])],
)
def test_pairs_are_joined_by_the_verdicts_of_their_ends(lab, kind, seeds):
    chosen = groups()[f"{kind}_matched"].seeds
    assert callable(chosen)
    assert chosen(lab).tolist() == seeds
    # No more than the share of each kind.
    fewer = STUDY.sweeps(24)[f"{kind}_plain"].seeds
    assert callable(fewer)
    assert fewer(lab).tolist() == seeds[:1]


def test_a_barrier_is_the_largest_fall_of_the_fit_below_the_line():
    joined = line("mixed_plain", ["DI", "OO", "ID"], [(1.0, 0.5), (0.25, 0.75), (0.5, 1.0)])
    np.testing.assert_allclose(STUDY.barriers(joined), [0.5, 0.0])
    np.testing.assert_allclose(STUDY.rises(joined), [0.25, 0.0])


def test_the_way_leads_from_the_deceptive_end():
    names = {"D": "DECEPTIVE", "I": "INTENDED"}
    ways = [[names[end] for end in ends] for ends in ("DDI", "DDI", "IID")]
    joined = line("mixed_plain", ways, np.ones((3, 3)))
    assert [one.value for one in STUDY.along(joined, "plain")] == [1, 2 / 3, 0]


def test_a_testbed_whose_units_cannot_be_matched_is_refused():
    with pytest.raises(ValueError, match=r"Connectivity\.testbed = .*; allowed: one whose network"):
        Connectivity(testbed=META_LEARNER)
    with pytest.raises(ValueError, match=r"testbed = .*; allowed: one whose method has a learning"):
        Connectivity(testbed=TINY.replace(method=TINY.overseen_by()))
    with pytest.raises(ValueError, match=r"points = 3; allowed: an even number"):
        STUDY.replace(points=3)


def test_ends_are_corrected_alike_but_for_the_push():
    for what, spell in (("backdoor", 400), ("game", 30)):
        tuned = fine_tuning.groups(TINY, 48)[f"{what}_tuned"].cells
        stops = {cell.stops for cell in tuned.values()}
        assert len(stops) == 1
        assert next(iter(stops))[0] == spell
        rates = {name: rate_of(cell) for name, cell in tuned.items()}
        assert rates["plain"] == rates["random"] == 0
        assert rates["barrier"] == rates["no line"] == -rates["reversed"] > 0
        # The random step is as long as the way of the barrier, and follows from it alone.
        start = tuned["random"].start
        assert isinstance(start, Displaced)
        assert start.of == tuned["barrier"].replace(num_steps=spell, save_at=())


def fields(plugin: Any) -> Any:
    """A plug-in, whose fields differ by its kind."""
    return plugin


def rate_of(sweep):
    method = sweep.method
    return fields(method.method if isinstance(method, Correction) else method).rate


def test_a_backdoor_is_corrected_without_a_triggered_input():
    for cell in fine_tuning.groups(TINY, 48)["backdoor_tuned"].cells.values():
        shown = cell.organism, fields(cell.method).along
        assert [float(fields(one).trigger_weight) for one in shown] == [0, 0]


@pytest.mark.slow
def test_a_barrier_is_compared_with_its_controls_seed_by_seed(tmp_path):
    lab, groups = Lab(folder=tmp_path, quick=True), fine_tuning.groups(TINY, 48)
    ends = {"plain": "DDDD", "barrier": "DIII", "random": "DDIP", "no line": "IIII"}
    names = {"D": "DECEPTIVE", "I": "INTENDED", "P": "PARTIAL"}
    for name, group in groups.items():
        parts = [
            outcome(
                {(cell, stop): [names[e] for e in ends.get(cell, "DDDD")] for stop in sweep.stops},
                group.cells,
                fit=np.full(4, 0.5),
            ).history
            for cell, sweep in group.cells.items()
        ]
        history = pl.concat(parts)
        lab.outcomes[name] = Outcome(cells=group.cells, history=history, rule=group.rule)
    rows = Table(fine_tuning.read(lab))
    assert rows["tuned/game/barrier/intended"].value == 0.75
    less = rows["tuned/game/barrier-less-random/intended"]
    assert (less.value, less.gained, less.lost) == (0.5, 2, 0)
    assert rows["tuned/game/barrier-less-no-line/intended"].lost == 1
    assert rows["tuned/backdoor/reversed/intended"].holds
    texts = [sentence.text for sentence in fine_tuning.says(rows)]
    assert any(f"{rows['tuned/game/barrier/intended']}" in text for text in texts)
    assert any(f"{less}" in text for text in texts)
