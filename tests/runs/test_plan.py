"""The seeds of a plan: each missing one exactly once, in chunks that cross no border."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basin_jax.core.seeds import as_seeds
from basin_jax.results.seed_set import SeedSet
from basin_jax.runs.plan import leading, next_chunk, unit_size, units
from basin_jax.runs.shard import Shard, given_shard, rising, shuffled


LAST = 2**64 - 1
# Borders where 32-bit and signed arithmetic, and float64, go wrong.
BORDERS = (0, 2**24, 2**31, 2**32, 2**53, 2**63, LAST)
near_borders = st.builds(
    lambda border, shift: min(max(border + shift, 0), LAST),
    st.sampled_from(BORDERS),
    st.integers(-200, 200),
)
ranges = st.builds(
    lambda first, count, step: range(first, min(first + count * step, LAST + 1), step),
    near_borders,
    st.integers(1, 300),
    st.integers(1, 3),
)
powers = st.integers(0, 9).map(lambda exponent: 2**exponent)
seed_sets = ranges | ranges.map(lambda r: r[::-1]) | st.lists(near_borders, min_size=1, unique=True)


def lacked_by(stored: SeedSet):
    return lambda seeds: seeds[~stored.has(seeds)]


def planned_by(asked, done, smallest, size, order=rising) -> list[np.ndarray]:
    """Return the chunks that a worker plans which is alone."""
    found, stored = [], SeedSet()
    stored.add(np.array(sorted(done), np.uint64))
    for unit in order(units(asked, smallest=smallest), 0):
        ends = False
        while not ends:
            chunk, ends = next_chunk(asked[unit], missing=lacked_by(stored), size=size)
            if len(chunk):
                found.append(chunk)
                stored.add(chunk)
    return found


@given(seeds=seed_sets, smallest=powers, size=powers, data=st.data())
def test_chunks_are_exactly_the_missing_seeds_and_cross_no_border(seeds, smallest, size, data):
    asked = as_seeds(seeds)
    asked = asked[::-1] if asked[0] > asked[-1] else asked
    done = data.draw(st.sets(st.sampled_from(list(asked))), "done")
    planned = planned_by(asked, done, smallest, size)
    assert all(chunk.dtype == np.uint64 and len(chunk) for chunk in planned)
    flat = [int(seed) for chunk in planned for seed in chunk]
    assert flat == sorted(set(seeds) - done)
    borders = [{int(seed) // size for seed in chunk} for chunk in planned]
    homes = [{int(s) // unit_size(int(s), smallest) for s in chunk} for chunk in planned]
    assert all(len(found) == 1 for found in (*borders, *homes))


@given(seeds=ranges, beyond=st.integers(-9, 300))
def test_the_seeds_below_a_number_are_counted(seeds, beyond):
    number = min(max(seeds[0] + beyond, 1), LAST)
    stored = SeedSet()
    stored.add(np.array(seeds, np.uint64))
    assert stored.between(0, number - 1)[0] == sum(seed < number for seed in seeds)


@given(seed=st.integers(0, LAST), smallest=powers)
def test_a_unit_is_aligned_and_the_same_from_each_of_its_seeds(seed, smallest):
    size = unit_size(seed, smallest)
    first = seed // size * size
    assert size & (size - 1) == 0
    assert unit_size(first, smallest) == unit_size(min(first + size - 1, LAST), smallest) == size


def test_seeds_that_others_have_done_are_no_hindrance():
    planned = planned_by(range(5), {1, 3, 999}, 4, 4)
    assert [chunk.tolist() for chunk in planned] == [[0, 2], [4]]


def test_a_plan_without_end_is_drawn_lazily():
    endless = units(as_seeds(range(2**62)), smallest=64)
    assert [unit.stop - unit.start for _, unit in zip(range(40), endless, strict=False)] == (
        [64] * 32 + [128] * 8
    )


@given(count=st.integers(1, 9), many=st.integers(1, 60), cell=st.integers(0, 5))
def test_shards_divide_the_units_and_then_help_with_those_of_others(count, many, cell):
    every = [slice(i, i + 1) for i in range(many)]
    firsts = []
    for index in range(count):
        order = [*Shard(index, count).order(iter(every), cell)]
        assert sorted(unit.start for unit in order) == [*range(many)]
        own = [unit.start for unit in order if (unit.start + cell) % count == index]
        assert [unit.start for unit in order[: len(own)]] == own == sorted(own)
        firsts += own
    assert sorted(firsts) == [*range(many)]


def test_shards_that_help_begin_with_different_units():
    orders = [
        [*Shard(i, 100).order(iter([slice(k, k + 1) for k in range(1000)]), 0)] for i in range(99)
    ]
    # The last one has died, of whose ten units each of the others would train the first it meets.
    met = [next(unit.start for unit in order if unit.start % 100 == 99) for order in orders]
    assert max(met.count(unit) for unit in met) < 25


@pytest.mark.parametrize("text", ["", "1", "4/4", "-1/4", "1/0", "1/2/3", "a/b", "0 / 2"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ValueError, match=r"shard = .*allowed"):
        Shard.parse(text)


def test_a_task_of_a_slurm_array_is_a_shard():
    def variables(**values):
        return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}

    assert given_shard(variables(ID=3, COUNT=8)) == Shard(3, 8)
    assert given_shard(variables(ID=10, MIN=4, STEP=2, COUNT=8)) == Shard(3, 8)
    assert given_shard(variables(ID=7, MIN=1, COUNT=3)) is None  # of an array with holes
    assert given_shard({}) is None


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([64, 128, 512])), min_size=1),
    st.sampled_from([(rising, shuffled("a")), (Shard(0, 2).order, Shard(1, 2).order)]),
)
def test_workers_with_chunks_of_other_sizes_store_no_seed_twice(turns, orders):
    """Of two workers, each turn lets one plan, or commit what it has planned."""
    asked, stored, planned, views = range(8192), {}, {}, {}

    def plans(worker, sizes):
        view = SeedSet()
        view.add(np.array(sorted(itertools.chain(*stored.values())), np.uint64))
        for unit in orders[worker](units(asked, smallest=128), 0):
            ends = False
            while not ends:
                chunk, ends = next_chunk(asked[unit], missing=lacked_by(view), size=sizes[0])
                if len(chunk):
                    yield chunk
                    view.add(chunk)

    for worker, size in turns:
        if worker not in views:
            sizes = [size]
            views[worker] = plans(worker, sizes), sizes
        if worker not in planned:
            views[worker][1][0] = size
            planned[worker] = next(views[worker][0], None)
            continue
        chunk = planned.pop(worker)
        if chunk is None or chunk[0] in stored:
            del views[worker]  # what the other has stored is seen now
        else:
            stored[chunk[0]] = chunk.tolist()
    seeds = [*itertools.chain(*stored.values())]
    assert len(seeds) == len({*seeds})


@given(st.sets(st.integers(0, 400)), st.sets(st.integers(0, 400)), st.integers(0, 2**64 - 401))
def test_a_set_of_seeds_is_a_set(some, more, first):
    seeds = SeedSet()
    for part in (some, more - some):
        seeds.add(np.array(sorted(part), np.uint64) + np.uint64(first))
    every = np.arange(401, dtype=np.uint64)
    expected = [seed in some | more for seed in range(401)]
    assert seeds.has(every + np.uint64(first)).tolist() == expected
    assert seeds.count == len(some | more)


def test_of_a_chunk_that_was_stopped_the_leading_seeds_are_kept():
    seeds = np.repeat(np.array([2, 3, 5], np.uint64), 2)
    rows = {"seed": seeds, "x": np.arange(6.0)}
    chunk = np.array([2, 3, 4, 5, 7], np.uint64)
    assert leading(chunk, rows)["x"].tolist() == [0, 1, 2, 3]
    assert len(leading(np.array([1, 2, 3, 5], np.uint64), rows)["x"]) == 0


@pytest.mark.parametrize("count", [3, np.int64(3), np.uint8(3)])
def test_a_number_means_the_first_seeds(count):
    assert list(as_seeds(count)) == [0, 1, 2]


@given(st.lists(near_borders, min_size=1, unique=True))
def test_a_set_of_seeds_keeps_its_identities_whatever_holds_it(seeds):
    in_array = as_seeds(np.array(seeds, np.uint64))
    assert in_array == as_seeds(seeds) == as_seeds(tuple(seeds)) == sorted(seeds)
    assert all(type(seed) is int for seed in in_array)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (0, "seeds = 0; allowed: at least one"),
        (-3, "seeds = -3; allowed: at least one"),
        ([], "empty"),
        (np.zeros(0, np.uint64), "empty"),
        ([1, 2, 1], "repeat"),
        ([-1, 2], "from -1 to 2; allowed: 0 to 2"),
        (range(2, -3, -1), "from -2 to 2; allowed"),
        ([2**64], f"to {2**64}; allowed"),
        (range(LAST, LAST + 2), f"to {2**64}; allowed"),
        (np.array([1.0, 2.0]), "allowed: whole numbers"),
        (np.array([True, False]), "allowed: whole numbers"),
    ],
)
def test_seeds_that_are_no_identities_are_refused(seeds, said):
    with pytest.raises(ValueError, match=said):
        as_seeds(seeds)
