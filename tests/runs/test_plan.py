"""The seeds of a plan: each missing one exactly once, in chunks that cross no border."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basin_jax.core.seeds import as_seeds
from basin_jax.runs.plan import chunks


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
seed_sets = ranges | ranges.map(lambda r: r[::-1]) | st.lists(near_borders, min_size=1, unique=True)


@given(seeds=seed_sets, size=st.integers(1, 130), data=st.data())
def test_chunks_are_exactly_the_missing_seeds_and_cross_no_border(seeds, size, data):
    asked = as_seeds(seeds)
    done = data.draw(st.sets(st.sampled_from(list(asked))), "done")
    planned = list(chunks(asked, done=np.array(sorted(done), np.uint64), size=lambda: size))
    assert all(chunk.dtype == np.uint64 and len(chunk) for chunk in planned)
    flat = [int(seed) for chunk in planned for seed in chunk]
    assert flat == sorted(set(seeds) - done)
    blocks = [{int(seed) // size for seed in chunk} for chunk in planned]
    assert all(len(block) == 1 for block in blocks)
    assert all(a != b for a, b in itertools.pairwise(blocks))


def test_seeds_that_others_have_done_are_no_hindrance():
    done = np.array([1, 3, 999], np.uint64)
    assert [c.tolist() for c in chunks(range(5), done=done, size=lambda: 4)] == [[0, 2], [4]]


def test_a_plan_without_end_is_drawn_lazily():
    endless = chunks(as_seeds(range(2**62)), done=np.zeros(0, np.uint64), size=lambda: 2**10)
    assert [len(next(endless)) for _ in range(3)] == [2**10] * 3


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([64, 128, 512])), min_size=1))
def test_workers_with_chunks_of_other_sizes_store_no_seed_twice(turns):
    """Of two workers, each turn lets one plan, or commit what it has planned."""
    stored, planned, views = {}, {}, {}
    for worker, wide in turns:
        plan = views.get(worker)
        if plan is None:
            done = np.array(sorted(itertools.chain(*stored.values())), np.uint64)
            sizes = {worker: wide}
            views[worker] = plan = chunks(
                range(1024), done=done, size=lambda s=sizes, w=worker: s[w]
            )
        if worker not in planned:
            planned[worker] = next(plan, None)
            continue
        chunk = planned.pop(worker)
        if chunk is None or chunk[0] in stored:
            del views[worker]  # what the other has stored is seen now
        else:
            stored[chunk[0]] = chunk.tolist()
    seeds = [*itertools.chain(*stored.values())]
    assert len(seeds) == len({*seeds})


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
