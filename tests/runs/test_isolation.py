"""Isolation: of seeds that are trained together, exactly those are ERROR that fail alone."""

import math

import folders
import numpy as np
import pytest
from folders import cell_of
from hypothesis import given, settings
from hypothesis import strategies as st

import basin_jax as bj
from basin_jax.core.verdict import Verdict
from basin_jax.engine.faults import reason_of
from basin_jax.engine.kernel import Kernel
from basin_jax.results.records import load
from basin_jax.runs.committed import CommittedSeeds
from basin_jax.runs.isolation import FEW, Isolation, Suspects
from basin_jax.runs.plan import next_chunk
from basin_jax.runs.shard import Shard


METHOD = bj.methods.Gradient(learning_rate=0.1)
WELLS = bj.grid(
    bj.Sweep(organism=bj.organisms.DoubleWell(), method=METHOD, num_steps=8),
    {"organism.tilt": [0.1, 0.2]},
)
KERNEL = bj.build_kernel(WELLS, lanes=4)
MANY = 64


class Machine:
    """Stands in for a kernel's calls, of which some fail."""

    def __init__(self, bad=(), error=None, lasts=math.inf):
        self.bad, self.calls, self.lasts = {*bad}, 0, lasts
        self.error = error or RuntimeError("INTERNAL: it is broken")

    def stream(self, kernel, seeds, cells):
        self.calls += 1
        kinds = np.broadcast_to(cells, len(seeds))
        blocks = np.array_split(np.arange(len(seeds)), -(-len(seeds) // 4))
        for which in blocks:
            fails = any((int(kinds[i]), int(seeds[i])) in self.bad for i in which)
            if fails or self.calls > self.lasts:
                raise self.error
            yield which, kernel.blank(len(which))


def outcomes(machine, seeds, cells, trained=None, suspects=()):
    """Return the places of seeds that were trained, and why others failed."""
    fine, failed = [], {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "stream", lambda kernel, *args, **_: machine.stream(kernel, *args))
        for places, evidence, why in Isolation(KERNEL, ["low", "high"], trained or {}).stream(
            seeds, cells, suspects
        ):
            assert all(len(values) == len(places) for values in evidence.values())
            fine += places.tolist() if why is None else []
            failed |= {} if why is None else dict.fromkeys(places.tolist(), why)
    return fine, failed


@given(st.sets(st.tuples(st.integers(0, 1), st.integers(0, MANY - 1)), max_size=2 * MANY))
def test_exactly_those_that_fail_alone_are_found(bad):
    machine = Machine(bad)
    seeds, cells = np.tile(np.arange(MANY, dtype=np.uint64), 2), np.repeat([0, 1], MANY)
    fine, failed = outcomes(machine, seeds, cells, {0: 1000, 1: 1000})
    assert sorted([*fine, *failed]) == [*range(2 * MANY)]
    assert {(place // MANY, place % MANY) for place in failed} == bad
    assert {*failed.values()} <= {"RuntimeError: INTERNAL: it is broken"}
    assert machine.calls <= 1 + len(bad) * 2 * (1 + math.log2(2 * MANY))


@given(
    st.sets(st.tuples(st.just(0), st.integers(0, MANY - 1)), min_size=1, max_size=8),
    st.integers(0, 60),
)
def test_no_seed_is_blamed_for_a_machine_that_breaks(bad, lasts):
    seeds, cells = np.arange(MANY, dtype=np.uint64), np.zeros(MANY, int)
    machine, failed = Machine(bad, lasts=lasts), {}
    try:
        failed = outcomes(machine, seeds, cells, {0: 1000})[1]
    except bj.TrainingError:
        assert machine.calls > lasts
    assert {(0, place) for place in failed} <= bad


@pytest.mark.parametrize("many", [1, FEW - 1, MANY])
@pytest.mark.parametrize("other", [None, 1000])
def test_a_cell_that_never_trains_is_a_fault_of_the_sweep(many, other):
    seeds, cells = np.arange(many, dtype=np.uint64), np.zeros(many, int)
    machine = Machine((0, seed) for seed in range(many))
    trained = {} if other is None else {1: other}
    if many < FEW and trained:  # so few may be poisonous
        assert len(outcomes(machine, seeds, cells, trained)[1]) == many
        return
    with pytest.raises(
        bj.TrainingError, match=r"training low fails at its seeds 0.* none was trained"
    ):
        outcomes(machine, seeds, cells, trained)
    assert machine.calls < 2 * FEW + 8


@pytest.mark.parametrize(
    "error", [MemoryError("no memory"), RuntimeError("RESOURCE_EXHAUSTED: Out of memory: 9 bytes")]
)
def test_memory_that_never_suffices_is_no_seeds_fault(error):
    seeds, cells = np.arange(MANY, dtype=np.uint64), np.zeros(MANY, int)
    with pytest.raises(bj.TrainingError, match="allowed: fewer lanes than 4, in another folder"):
        outcomes(Machine(error=error, lasts=0), seeds, cells, {0: 1000})
    _, failed = outcomes(Machine({(0, 7)}, error), seeds, cells)
    assert [*failed] == [7]


def test_a_reason_is_one_line_with_the_users_own():
    said = 'INTERNAL: CpuCallback error:\n  File "/x/site-packages/jax/a.py", line 3, in f\n'
    said += '  File "/home/me/mine.py", line 12, in look\n  File "/x/site-packages/b.py", line 4\n'
    why = reason_of(RuntimeError(f"{said}ValueError: two\nlines \x1b[31m"))
    assert why == "ValueError: two lines ?[31m (mine.py, line 12)"
    assert len(reason_of(RuntimeError("long " * 1000))) == 200


@given(
    st.lists(st.tuples(st.integers(0, MANY - 1), st.integers(1, MANY)), max_size=6),
    st.sets(st.integers(0, MANY - 1), max_size=3),
)
def test_parked_seeds_that_overlap_are_trained_once(ranges, alone):
    error, places = TimeoutError("gave up after 2 s"), np.arange(MANY)
    suspects = [
        Suspects(places[first : first + many], error, alone=False) for first, many in ranges
    ]
    suspects += [Suspects(np.array([place]), error, alone=True) for place in alone]
    seeds, cells = places.astype(np.uint64), np.zeros(MANY, int)
    fine, failed = outcomes(Machine(), seeds, cells, {0: 1000}, suspects)
    assert sorted([*fine, *failed]) == [*range(MANY)]
    assert {*failed} == alone


def test_shards_try_their_own_chunks_of_failed_seeds_first(tmp_path):
    cell, entry = cell_of({}, (10,))
    store = folders.new_store(tmp_path, {cell: entry})
    for first in range(0, 32, 8):
        made = folders.columns(range(first, first + 8), (10,))
        made["verdict"][3], made["x"][3] = Verdict.ERROR, np.nan
        store.commit(cell, made, {first + 3: "bad"})
    one, other = CommittedSeeds(store, [cell]), CommittedSeeds(store, [cell])
    tried, _ = one.failed(cell, 1.0, order=Shard(0, 2).order)
    others, elsewhere = other.failed(cell, 1.0, order=Shard(1, 2).order)
    for _ in range(2):
        assert one.commit(cell, folders.columns(next(tried).tolist(), (10,)), {})
    assert [seeds.tolist() for seeds in others] == [[11], [27]]
    assert elsewhere == 0
    left, elsewhere = other.failed(cell, 1.0, machine=1)
    assert ([*left], elsewhere) == ([], 2)


@settings(max_examples=6)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([4, 8])), max_size=12))
def test_scheduled_seeds_are_stored_once_by_workers_one_of_which_fails(tmp_path_factory, turns):
    cell, entry = cell_of({}, (10,))
    store = folders.new_store(tmp_path_factory.mktemp("two"), {cell: entry})
    workers = [CommittedSeeds(store, [cell]) for _ in range(2)]

    def rows(seeds, failing):
        made, bad = folders.columns(seeds, (10,)), seeds % 3 == failing
        made["verdict"] = np.where(bad, Verdict.ERROR, made["verdict"]).astype(np.int8)
        made["x"] = np.where(bad, np.nan, made["x"]).astype(np.float32)
        return made, dict.fromkeys(seeds[bad].tolist(), "bad")

    for worker, size in [*turns, *[(1, 8)] * 4]:
        lacks = lambda seeds, own=workers[worker]: own.missing(cell, seeds)  # noqa: E731
        chunk, _ = next_chunk(range(24), missing=lacks, size=size)
        if len(chunk):  # the first worker fails at some seeds, the second at none
            workers[worker].commit(cell, *rows(chunk, 7 if worker else 0))
    table = load(store.folder).fractions()
    assert table["hits"].sum() == 24
    assert store.verify() == []
    # Both try those that failed again.
    tries = [(worker, seeds) for worker in workers for seeds in worker.failed(cell, 1.0)[0]]
    won = sum(len(s) for worker, s in tries if worker.commit(cell, *rows(s, 7)))
    assert won == table.filter(verdict="ERROR")["hits"].item()
    assert load(store.folder).errors().is_empty()
    assert store.verify() == []
    assert all(worker.count(cell)[0] == 24 for worker in workers[1:])
