"""The study of tickets: what is read of it, and the laws of the race."""

import numpy as np
import polars as pl
import pytest

from basin_jax.core.identity import digest_of
from basin_jax.methods import Gradient, Masked
from basin_jax.networks.mlp import MLP
from basin_jax.organisms import Audit
from basin_jax.rules.behavior import Behavior
from basin_jax.starts import Ticket
from basin_jax.studies.framework.foretell import _features, foretold, shifted
from basin_jax.studies.framework.rows import Row
from basin_jax.studies.framework.study import Outcome
from basin_jax.studies.framework.testbed import AUDIT, Subject
from basin_jax.studies.registry import make
from basin_jax.studies.tickets import RANDOM, REST, TICKET, Tickets


STUDY = Tickets(subject=AUDIT.replace(num_steps=100), keeps=(0.5,), early=(0.0, 0.1))
FRESH = STUDY.subject.sweep.replace(save_at=(0, 10))


def history(cell, seeds, verdicts, step, gap=None):
    gap = np.zeros(len(seeds)) if gap is None else gap
    return pl.DataFrame(
        {
            "cell": digest_of(cell),
            "seed": np.asarray(seeds, np.uint64),
            "step": step,
            "fit": 1.0,
            "watched": 0.0,
            "unwatched": gap,
            "verdict": verdicts,
        }
    )


def test_all_starts_are_masked_and_only_a_ticket_is_kept_whole():
    cells = STUDY._cells()
    starts = {name: cell.start for name, cell in cells.items()}
    assert len(cells) == len({digest_of(cell) for cell in cells.values()}) == 6
    assert starts[TICKET, 1.0] == Ticket(of=STUDY.subject.sweep, keep=1.0)
    assert {cell.method for cell in cells.values()} == {Masked(method=STUDY.subject.method)}


def test_pairs_are_compared_on_the_same_seeds():
    cells = STUDY._cells()
    ends = {TICKET: "DDDDDDDDDD", RANDOM: "DDOOOOOOOO", REST: "ODDDDOOOOO"}
    frames = [
        history(
            cell,
            range(10),
            [{"D": "DECEPTIVE", "O": "OTHER"}[end] for end in ends.get(name, "OODDOOOOOO")],
            100,
        )
        for (name, keep), cell in cells.items()
        if keep == 0.5
    ]
    rows = STUDY._apart(Outcome(history=pl.concat(frames), rule=Behavior()), cells)
    assert [round(one.value, 6) for one in rows] == [0.8, 0.8, 0.8, -0.2]
    assert "8 gained, 0 lost" in rows[0].what
    assert "1 gained, 3 lost" in rows[-1].what


def test_what_differs_is_said_with_its_sign_and_its_shares():
    study = STUDY.replace(keeps=(0.2, 0.8))

    def told(*bounds):
        rows = [
            Row(kind="measured", what="", value=0.0, low=low, high=high, seeds=9)
            for low, high in (*bounds, *[(-0.1, 0.1)] * (8 - len(bounds)))
        ]
        return study._differ(rows).partition("deceptive: ")[2]

    assert told() == "none more or less often than its pair"
    assert (
        told((0.1, 0.2), (0.1, 0.3))
        == "ticket more often than fresh weights at a share of 0.2, 0.8"
    )
    assert told((-0.1, 0.1), (0.0, 0.1), (-0.2, -0.1), (0.1, 0.2)) == (
        "ticket more often than shuffled weights at a share of 0.8; "
        "ticket less often than shuffled weights at a share of 0.2"
    )


def test_a_step_tells_where_the_interval_leaves_out_one_half():
    bounds = [(0.4, 0.9), (0.5, 0.9)], [(0.4, 0.9), (0.51, 1.0)], [(0.1, 0.4), (0.51, 1.0)]
    starts = [
        STUDY._tells(
            "gap",
            [
                Row(kind="measured", what="", value=0.5, low=low, high=high, seeds=9)
                for low, high in pair
            ],
        ).text.partition(" the gap")[0]
        for pair in bounds
    ]
    assert starts == [
        "After no step that was looked at does",
        "After steps 10",
        "After steps 0, 10",
    ]


def fresh_history(gap):
    """Every third seed ends deceptive; the gap at step 10 says which, that at 0 does not."""
    seeds = np.arange(120)
    verdicts = np.where(seeds % 3 == 0, "DECEPTIVE", "INTENDED")
    flat = np.zeros(len(seeds))
    parts = [(0, flat), (10, gap(seeds)), (100, flat)]
    frames = [history(FRESH, seeds, verdicts, step, values) for step, values in parts]
    return Outcome(history=pl.concat(frames), rule=Behavior())


def test_the_end_is_foretold_from_where_evidence_tells():
    found = foretold(fresh_history(lambda seeds: 1.0 * (seeds % 3 == 0)), FRESH)
    for rows in found.values():
        assert [one.value for one in rows] == [0.5, 1.0]
        assert [one.seeds for one in rows] == [60, 60]
    # The gap may be turned round; the discriminant learns so from the other half.
    turned = foretold(fresh_history(lambda seeds: -1.0 * (seeds % 3 == 0)), FRESH)
    assert [rows[1].value for rows in turned.values()] == [1.0, 0.0]


def test_what_is_foretold_is_held_out():
    begun = fresh_history(lambda seeds: 0.0 * seeds)
    noise = np.random.default_rng(0).normal(size=(len(begun.history), 40))
    columns = {f"noise_{number}": values for number, values in enumerate(noise.T)}
    noisy = Outcome(history=begun.history.with_columns(**columns), rule=begun.rule)
    rows = foretold(noisy, FRESH)["discriminant"]
    # Of the seeds that it is fitted to, so much noise tells all.
    assert all(one.value < 0.7 for one in rows)


def test_another_seeds_gap_foretells_nothing():
    rng = np.random.default_rng(1)
    gap = rng.random(300)
    verdicts = np.where(gap > 0.7, "DECEPTIVE", "OTHER")
    frame = history(FRESH, range(300), verdicts, 10, gap)
    assert shifted(frame, verdicts).holds
    # Where a seed's own gap were taken it would not hold.
    assert not shifted(frame, np.roll(verdicts, -1)).holds


def test_what_is_no_number_counts_as_none():
    evidence = {
        "unwatched": np.array([np.inf, 0.25]),
        "seen": np.array([True, False]),
        "rate": np.array([0.5, np.nan]),
    }
    assert _features(evidence).tolist() == [[0, 1, 0.5], [0.25, 0, 0]]


@pytest.mark.parametrize("changes", [{"keeps": ()}, {"keeps": (0.5, 1.0)}, {"early": (0.1,)}])
def test_a_study_of_tickets_that_cannot_be_made_is_refused(changes):
    with pytest.raises(ValueError, match="allowed"):
        Tickets(**changes)


def test_the_laws_of_the_race_are_those_of_descent():
    rng = np.random.default_rng(5)
    runs, paths = 1500, 4

    def wins(weights, kept):
        for _ in range(2500):
            left = 1 - (weights**3).sum(1, keepdims=True)
            weights = (weights + 0.15 * weights**2 * left) * kept
        outputs = weights**3
        fits = 1 - (1 - outputs.sum(1)) ** 2 >= 0.25
        return weights, (fits & (outputs.argmax(1) < 2)).mean()

    begun = 0.3 * rng.normal(size=(runs, paths))
    ended, whole = wins(begun, 1.0)
    ticket = np.eye(paths)[np.abs(ended).argmax(1)]
    lot = np.eye(paths)[rng.integers(0, paths, runs)]
    anew = 0.3 * rng.normal(size=(runs, paths))
    shares = [
        whole,
        *(wins(w * k, k)[1] for w, k in ((begun, ticket), (anew, ticket))),
        *(wins(begun * (1 - k), 1 - k)[1] for k in (ticket, lot)),
    ]
    assert shares == pytest.approx([15 / 32, 15 / 32, 1 / 4, 11 / 32, 14 / 32], abs=0.04)


TINY = Subject(
    organism=Audit(network=MLP(widths=(8, 8))),
    overseen=Audit(network=MLP(widths=(8, 8)), honeypot_rate=1.0),
    method=Gradient(learning_rate=0.3),
    num_steps=600,
)


@pytest.mark.slow
def test_tickets_are_not_sound_where_defecting_pays_under_oversight(tmp_path):
    study = Tickets(subject=TINY.replace(overseen=TINY.organism), quick=96)
    (found,) = make({"tickets": study}, tmp_path, quick=True)
    assert [one.what for one in found.rows if one.holds is False] == [
        "deceptive parents, ticket, 0.8 kept, trained where defecting does not pay: deceptive"
    ]
