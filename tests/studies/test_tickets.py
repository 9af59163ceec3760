"""The study of tickets: what is read of it, and the laws of the race."""

from typing import Any

import numpy as np
import pytest
from study_tables import TINY, number, outcome

from basin_jax.core.identity import digest_of
from basin_jax.methods import Masked
from basin_jax.starts import Ticket
from basin_jax.studies.framework.lab import Lab
from basin_jax.studies.framework.prediction import PREDICTORS, features, predicted, shifted
from basin_jax.studies.framework.rows import Table
from basin_jax.studies.framework.testbed import AUDIT
from basin_jax.studies.parts.transplants import FROM, UNITS, crossed, groups, said
from basin_jax.studies.registry import make
from basin_jax.studies.tickets import BEGUN, PAIRS, RANDOM, STARTS, TICKET, Tickets


STUDY = Tickets(testbed=AUDIT.replace(num_steps=100), keeps=(0.5,), early=(0.0, 0.1))
CROSSED = (*FROM, "weights-less-places", f"less-{RANDOM}", f"less-{TICKET}")
FRESH = STUDY.sweeps(9)["fresh"].cells
CELLS = STUDY.sweeps(9)["tickets"].cells


def history(seeds, gaps):
    """Every third seed ends deceptive; the gap after each step is given."""
    ends = np.where(np.arange(seeds) % 3 == 0, "DECEPTIVE", "INTENDED")
    given = {("", step): ends for step in (0, 10, 100)}
    unwatched = np.concatenate([gaps.get(step, np.zeros(seeds)) for step in (0, 10, 100)])
    trained = outcome(given, FRESH, fit=1.0, watched=0.0, unwatched=0.0)
    column = trained.history.with_columns(unwatched=unwatched)
    return type(trained)(cells=FRESH, history=column, rule=trained.rule)


@pytest.mark.ci
def test_all_starts_are_masked_and_only_a_ticket_is_kept_whole():
    assert len(CELLS) == len({digest_of(cell) for cell in CELLS.values()}) == 7
    assert CELLS[f"{TICKET}=1"].start == Ticket(of=STUDY.testbed.sweep, keep=1.0)
    assert {cell.method for cell in CELLS.values()} == {Masked(method=STUDY.testbed.method)}


@pytest.mark.ci
def test_pairs_are_compared_on_the_same_seeds():
    ends = {"ticket": "DDDDDDDDDD", "random places": "DDOOOOOOOO", "all but a ticket": "ODDDDOOOOO"}
    given = {
        (f"{name}=0.5", None): np.array([*ends.get(name, "OODDOOOOOO")]) == "D" for name in STARTS
    }
    rows = STUDY.differences(outcome(given, CELLS))
    assert [round(one.value, 6) for one in rows] == [0.8, 0.8, 0.8, 0.8, 0.0, -0.2]
    assert (rows[0].gained, rows[0].lost) == (8, 0)
    assert (rows[-1].gained, rows[-1].lost) == (1, 3)


def table_of(study, **bounds):
    """A table in which all that the sentences need has some numbers, and some rows bounds."""
    keys = [f"deceptive/{name}={k:g}/deceptive" for name in STARTS for k in study.keeps]
    keys += [f"deceptive/{a}-less-{b}={k:g}" for a, b in PAIRS for k in study.keeps]
    for keep in study.keeps:
        ticket = f"ticket={keep:g}"
        keys += [f"intended/{name}={keep:g}/deceptive" for name in (TICKET, BEGUN)]
        keys.append(f"deceptive/{ticket}/before/deceptive")
        keys += [f"crossed/{what}/{units}={keep:g}" for what in CROSSED for units in UNITS]
        keys.append(f"{ticket}/before/AUC")
    keys += [f"fresh/{name}/step={n}/AUC" for name in PREDICTORS for n in study.steps]
    rows = {key: number(key=key, low=-0.1, high=0.6) for key in keys}
    for key, (low, high) in bounds.items():
        rows[key] = number(key=key, low=low, high=high)
    return Table(rows.values())


def test_what_differs_is_said_with_its_sign_and_its_shares():
    study = STUDY.replace(keeps=(0.2, 0.8))

    def said(**bounds):
        keys = {f"deceptive/ticket-less-{key}": each for key, each in bounds.items()}
        return (
            [*study.sentences(table_of(study, **keys))][4]
            .text.partition("deceptive: ")[2]
            .partition("; where none is shown")[0]
        )

    assert said() == "none more or less often than its pair"
    assert said(**{"fresh weights=0.2": (0.1, 0.2), "fresh weights=0.8": (0.1, 0.3)}) == (
        "ticket more often than fresh weights where 0.2, 0.8 are kept"
    )
    assert said(**{"shuffled weights=0.2": (-0.2, -0.1), "shuffled weights=0.8": (0.1, 0.2)}) == (
        "ticket more often than shuffled weights where 0.8 are kept; "
        "ticket less often than shuffled weights where 0.2 are kept"
    )


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ([(0.4, 0.9), (0.5, 0.9)], "After none of these steps"),
        ([(0.4, 0.9), (0.51, 1.0)], "After steps 10"),
        ([(0.1, 0.4), (0.51, 1.0)], "After steps 0, 10"),
    ],
)
def test_a_step_predicts_where_the_interval_leaves_out_one_half(bounds, said):
    keys = [f"fresh/gap/step={step}/AUC" for step in (0, 10)]
    *_, last = STUDY.sentences(table_of(STUDY, **dict(zip(keys, bounds, strict=True))))
    assert last.text.startswith(f"{said} the gap ")


def test_the_end_is_predicted_from_where_evidence_tells():
    ends = np.arange(120) % 3 == 0
    found = [*predicted(history(120, {10: 1.0 * ends}))]
    assert [one.value for one in found] == [0.5, 1.0] * 2
    assert [one.seeds for one in found] == [60] * 4
    # The gap may be turned round; the discriminant learns so from the other half.
    turned = [*predicted(history(120, {10: -1.0 * ends}))]
    assert [one.value for one in turned[1::2]] == [1.0, 0.0]


def test_what_is_predicted_is_held_out():
    begun = history(120, {})
    noise = np.random.default_rng(0).normal(size=(40, len(begun.history)))
    columns = {f"noise_{number}": values for number, values in enumerate(noise)}
    noisy = type(begun)(cells=FRESH, history=begun.history.with_columns(**columns), rule=begun.rule)
    # Of the seeds that it is fitted to, so much noise predicts all.
    assert all(one.value < 0.7 for one in predicted(noisy) if "discriminant" in one.key)


def test_another_seeds_gap_predicts_nothing():
    rng = np.random.default_rng(1)
    ends, gap = np.arange(300) % 3 == 0, rng.random(300)
    assert shifted(history(300, {10: gap})).holds
    # Where the next seed's gap told the end it would not hold.
    assert not shifted(history(300, {10: np.roll(gap + ends, 1)})).holds


def test_what_is_no_number_counts_as_none():
    evidence = {
        "unwatched": np.array([np.inf, 0.25]),
        "seen": np.array([True, False]),
        "rate": np.array([0.5, np.nan]),
    }
    assert features(evidence).tolist() == [[0, 1, 0.5], [0.25, 0, 0]]


@pytest.mark.ci
def test_pairs_are_crossed_where_one_is_deceptive_and_the_other_intended(tmp_path):
    lab: Any = Lab(folder=tmp_path, quick=True)
    declared: Any = groups(STUDY.testbed, (0.5,))
    ends = np.array(["DECEPTIVE", "INTENDED", "DECEPTIVE", "DECEPTIVE", "OTHER"])
    lab.outcomes["fresh"] = outcome({("", None): ends}, {"": STUDY.testbed.sweep})
    partners = declared["partners"].seeds(lab)
    assert (partners - np.uint64(2**63)).tolist() == [0, 2, 3]
    others = {("", None): np.array(["INTENDED", "PARTIAL", "INTENDED"])}
    lab.outcomes["partners"] = outcome(others, declared["partners"].cells)
    assert declared["crossed_deceptive"].seeds(lab).tolist() == [0, 3]
    back = declared["crossed_intended"].seeds(lab)
    assert (back - np.uint64(2**63)).tolist() == [0, 3]
    # All tickets of seeds 0, 2 and 3 end deceptive, of random places that of seed 2 alone.
    tickets = {(f"{TICKET}=0.5", None): [1, 1, 1], (f"{RANDOM}=0.5", None): [0, 1, 0]}
    given = outcome({at: np.array(hits, bool) for at, hits in tickets.items()}, CELLS)
    seeds = np.tile(np.array([0, 2, 3], np.uint64), 2)
    lab.outcomes["tickets"] = type(given)(
        cells=CELLS, history=given.history.with_columns(seed=seeds), rule=given.rule
    )
    for whose, hits in (("deceptive", [1, 1]), ("intended", [0, 1])):
        cells = declared[f"crossed_{whose}"].cells
        found = {(cell, None): np.array(hits, bool) for cell in cells}
        lab.outcomes[f"crossed_{whose}"] = outcome(found, cells)
    rows = Table(crossed(lab, (0.5,), RANDOM, TICKET))
    assert {name: rows[f"crossed/{name}/plain=0.5"].value for name in CROSSED} == {
        "deceptive": 1,
        "intended": 0.5,
        "weights-less-places": 0.5,
        f"less-{RANDOM}": 1,
        f"less-{TICKET}": 0,
    }


@pytest.mark.parametrize(
    ("bounds", "follows"),
    [
        ((0.1, 0.5), "follows the weights of the start more"),
        ((-0.5, -0.1), "follows the places more"),
        ((-0.1, 0.1), "is not shown to follow the weights or the places more"),
    ],
)
def test_what_a_crossed_ticket_follows_is_said_by_the_interval(bounds, follows):
    rows = table_of(STUDY, **{"crossed/weights-less-places/plain=0.5": bounds})
    plain, _ = said(rows, 0.5, RANDOM, TICKET)
    assert follows in plain.text


@pytest.mark.parametrize("changes", [{"keeps": ()}, {"keeps": (0.5, 1.0)}, {"early": (0.1,)}])
def test_a_study_of_tickets_that_cannot_be_made_is_refused(changes):
    with pytest.raises(ValueError, match="allowed"):
        Tickets(**changes)


@pytest.mark.ci
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


@pytest.mark.slow
def test_tickets_are_not_sound_where_defecting_pays_under_oversight(tmp_path):
    study = Tickets(testbed=TINY.replace(overseen=TINY.organism), quick=96)
    (found,) = make({"tickets": study}, tmp_path, quick=True)
    assert [one.key for one in found.rows.values() if one.holds is False] == [
        "overseen/ticket=0.5/deceptive"
    ]
