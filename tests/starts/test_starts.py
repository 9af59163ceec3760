"""Where trials begin: what each start gives, and that a child's parent is trained as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.core import Tracer

from basin_jax import Child, Parent, Sweep, Verdict, build_kernel, load, run, trial
from basin_jax.core.identity import digest_of
from basin_jax.core.seeds import fold_in_seed
from basin_jax.core.trial import init_trial, inputs_of, numerics, signature_of
from basin_jax.engine.backends import CPU, XLA
from basin_jax.engine.kernel import Kernel
from basin_jax.methods import Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Audit, DoubleWell, Gate
from basin_jax.starts import (
    Balanced,
    Fork,
    Fresh,
    Implant,
    Interpolated,
    Ticket,
    Trained,
)


SEEDS = np.arange(24, dtype=np.uint64)
GATE = Sweep(organism=Gate(), method=Gradient(learning_rate=0.05, noise=0.1), num_steps=30)
KEY = jax.random.key(0)


def evidence(sweep, seeds=SEEDS, **more):
    return build_kernel(sweep, lanes=8, **more)(seeds)


def child(start, **changes):
    return GATE.replace(start=start, **changes)


def same(some, others):
    return all(np.array_equal(values, others[name]) for name, values in some.items())


def flat(params):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])


@pytest.mark.ci
@pytest.mark.parametrize("backend", [pytest.param("cpu", marks=pytest.mark.lowest), "xla"])
def test_a_trained_start_is_its_parents_end_bit_for_bit(backend):
    ends = evidence(GATE, backend=backend)
    assert same(evidence(child(Trained(of=GATE), num_steps=0), backend=backend), ends)


@pytest.mark.ci
def test_a_parent_that_is_not_trained_hands_down_its_beginning():
    untrained = GATE.replace(num_steps=0)
    assert same(evidence(child(Trained(of=untrained), num_steps=0)), evidence(untrained))


@pytest.mark.ci
def test_a_child_goes_on_with_random_numbers_of_its_own():
    longer = evidence(GATE.replace(num_steps=60))
    child_of = evidence(child(Trained(of=GATE), num_steps=30))
    assert not np.isclose(child_of["margin"], longer["margin"]).any()
    # Its noise is not its parent's once more: from a parent of no steps it goes another way.
    again = evidence(child(Trained(of=GATE.replace(num_steps=0))))
    assert not np.isclose(again["margin"], evidence(GATE)["margin"]).any()


def test_a_trial_trains_the_parent_too():
    sweep = child(Trained(of=GATE), num_steps=5)
    together = evidence(sweep)
    for name, value in trial(sweep, 3).items():
        np.testing.assert_allclose(together[name][3], value, rtol=1e-4, atol=1e-5)


@pytest.mark.ci
def test_a_parent_may_be_a_child_itself():
    middle = child(Trained(of=GATE), num_steps=7)
    last = child(Trained(of=middle), num_steps=0)
    assert same(evidence(last), evidence(middle))
    assert last.all_steps == 37


def test_no_stream_of_a_generation_is_anothers(monkeypatch):
    made = []

    def noted(key, words):
        folded = fold_in_seed(key, words)
        if not isinstance(folded, Tracer):
            made.append(jax.random.key_data(folded))
        return folded

    monkeypatch.setattr("basin_jax.core.trial.fold_in_seed", noted)
    middle = child(Trained(of=GATE))
    words = []
    with numerics("float32"):
        for sweep in (GATE, middle, child(Trained(of=middle))):
            for seed in range(4):
                made.clear()
                row = jax.tree.map(jnp.asarray, inputs_of(sweep, np.uint64(seed)))
                _, keys = init_trial(signature_of(sweep), row)
                # The root, which all have, and those of the start, of the data and of the probe.
                assert len(made) == 4
                words += [*made[1:], keys.step]
    bits = np.stack(words).astype(np.uint64) @ np.array([2**32, 1], np.uint64)
    assert len(np.unique(bits)) == len(bits) == 48


def test_cells_that_differ_in_numbers_share_lanes_and_have_parents_of_their_own():
    cells = [
        GATE.replace(
            organism=Gate(scale=scale), start=Trained(of=GATE.replace(organism=Gate(scale=scale)))
        )
        for scale in (0.3, 0.6)
    ]
    which = np.arange(len(SEEDS)) % 2
    together = build_kernel(cells, lanes=8)(SEEDS, which)
    for number, cell in enumerate(cells):
        mine = {name: values[which == number] for name, values in together.items()}
        assert same(mine, evidence(cell, SEEDS[which == number]))


def test_memory_bounds_the_parents_of_a_queue_and_changes_no_bit(monkeypatch):
    want = evidence(child(Trained(of=GATE), num_steps=3))
    monkeypatch.setattr("basin_jax.engine.kernel.BYTES", 1)
    assert same(evidence(child(Trained(of=GATE), num_steps=3)), want)


@pytest.mark.ci
@pytest.mark.parametrize(
    "make",
    [
        lambda parent: Trained(of=parent),
        lambda parent: Ticket(of=parent),
        lambda parent: Interpolated(of=parent, dose=0.0),
    ],
)
def test_a_parent_that_diverged_has_diverged_children(tmp_path, make):
    parent = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=50.0), num_steps=50)
    sweep = Sweep(
        organism=DoubleWell(),
        start=make(parent),
        method=Gradient(learning_rate=0.1),
        num_steps=5,
    )
    assert {*run(sweep, 8, tmp_path / "run", lanes=4).frame["verdict"]} == {"DIVERGED"}


@pytest.mark.ci
@pytest.mark.lowest
def test_those_of_a_verdict_are_trained_further(tmp_path):
    parent = Sweep(organism=Gate(), method=Gradient(learning_rate=0.05, l2=0.02), num_steps=4000)
    records = run(parent, 100, tmp_path / "parent", lanes=16)
    deceptive = records.seeds(Verdict.DECEPTIVE)
    assert 0 < len(deceptive) < 100
    later = run(
        parent.replace(start=Trained(of=parent), num_steps=0),
        deceptive,
        tmp_path / "later",
        lanes=16,
    )
    assert {*later.frame["verdict"]} == {"DECEPTIVE"}
    assert load(tmp_path / "later").cells[later.frame["cell"][0]]["start.of.num_steps"] == 4000
    with pytest.raises(ValueError, match="allowed"):
        records.seeds("GOOD")


def test_where_a_child_comes_from_is_in_its_identity():
    digests = {
        digest_of(child(start))
        for start in (
            Fresh(),
            Trained(of=GATE),
            Trained(of=GATE.replace(root=1)),
            Trained(of=GATE.replace(num_steps=31)),
            Interpolated(of=GATE, dose=0.5),
        )
    }
    assert len(digests) == 5


PARENT = Parent(*(Audit().init(jax.random.key(n)) for n in (1, 2)))


def test_a_point_on_the_line():
    def at(dose):
        return evidence(child(Interpolated(of=GATE, dose=dose), num_steps=0))

    assert same(at(0.0), evidence(GATE.replace(num_steps=0)))
    np.testing.assert_allclose(at(1.0)["margin"], evidence(GATE)["margin"], rtol=1e-4, atol=1e-5)
    middle = Interpolated(of=GATE, dose=0.25).params(KEY, Audit(), PARENT)
    want = 0.75 * flat(PARENT.begun) + 0.25 * flat(PARENT.ended)
    np.testing.assert_allclose(flat(middle), want, atol=1e-6)


def matrices(params):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params) if leaf.ndim == 2]


@pytest.mark.ci
@pytest.mark.parametrize("mask", ["magnitude", "-magnitude", "start-magnitude", "random"])
@pytest.mark.parametrize("weights", ["rewound", "fresh", "shuffled"])
def test_a_ticket_keeps_a_share_of_each_matrix(mask, weights):
    start = Ticket(of=GATE, keep=0.2, mask=mask, weights=weights)
    found = start.params(KEY, Audit(), PARENT)
    for mine, begun, ended in zip(*map(matrices, (found, *PARENT[:2])), strict=True):
        kept = mine != 0
        assert kept.sum() == np.ceil(0.2 * mine.size)
        order, at_first = (np.sort(np.abs(each).ravel()) for each in (ended, begun))
        largest = np.abs(ended) >= order[-kept.sum()]
        smallest = np.abs(ended) <= order[kept.sum() - 1]
        begins_large = np.abs(begun) >= at_first[-kept.sum()]
        assert np.array_equal(kept, largest) == (mask == "magnitude")
        assert np.array_equal(kept, smallest) == (mask == "-magnitude")
        assert np.array_equal(kept, begins_large) == (mask == "start-magnitude")
        if weights == "rewound":
            assert np.array_equal(mine[kept], begun[kept])
        if weights == "shuffled":
            assert np.array_equal(np.sort(mine[kept]), np.sort(begun[kept]))
            assert not np.array_equal(mine[kept], begun[kept])
        if weights == "fresh":
            assert not np.isin(mine[kept], begun).any()
    whole = Ticket(of=GATE, keep=1.0).params(KEY, Audit(), PARENT)
    assert np.array_equal(flat(whole), flat(PARENT.begun))


def test_a_fresh_start_has_its_scale():
    start, doubled = (Fresh(scale=scale).params(KEY, Audit()) for scale in (1.0, 2.0))
    assert np.array_equal(flat(start), flat(Audit().init(KEY)))
    assert np.array_equal(flat(doubled), 2 * flat(start))


@pytest.mark.ci
@pytest.mark.parametrize(
    ("difficulty", "widths"), [*((d, (32, 32)) for d in (1, 2, 3, 4)), (4, (8, 8, 8))]
)
def test_an_implant_deceives_at_full_dose_and_is_fresh_at_none(difficulty, widths):
    organism = Audit(difficulty=difficulty, network=MLP(widths=widths))
    keys = jax.random.split(KEY, 50)

    def probe(start):
        return jax.vmap(lambda key: organism.probe(key, start.params(key, organism)))(keys)

    fresh, none, full = map(probe, (Fresh(), Implant(dose=0.0), Implant(dose=1.0)))
    assert same(none, fresh)
    assert jnp.abs(fresh["unwatched"] - fresh["watched"]).mean() < 0.1
    assert full["unwatched"].min() > 0.5
    assert full["watched"].max() < 0.1


@pytest.mark.parametrize(
    ("organism", "allowed"),
    [
        (Audit(network=MLP(activation=jax.nn.tanh)), "allowed: MLP of relu"),
        (Audit(difficulty=4, network=MLP(widths=(3, 3))), "the first at least 4"),
        (Audit(network=MLP(widths=(32,))), "two or more"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("start", [Implant(dose=1.0), Balanced(dose=1.0)], ids=repr)
def test_an_implant_that_does_not_fit_is_refused(start, organism, allowed):
    sweep = Sweep(organism=organism, start=start, method=Gradient(learning_rate=0.1), num_steps=1)
    with pytest.raises(ValueError, match=allowed):
        build_kernel(sweep, lanes=4)


@pytest.mark.parametrize("organism", [Gate(), Audit(network=MLP(widths=(1, 1)))], ids=repr)
@pytest.mark.parametrize("start", [Trained, lambda of: Interpolated(of=of, dose=0.5)])
def test_a_parent_of_another_network_is_refused_before_anything_is_trained(organism, start):
    sweep = Sweep(
        organism=Audit(),
        start=start(of=GATE.replace(organism=organism)),
        method=Gradient(learning_rate=0.1),
        num_steps=1,
    )
    with pytest.raises(ValueError, match=r"start.of gives other parameters .*; allowed: "):
        build_kernel(sweep, lanes=4)


class Decomposed(Gate):
    """Ask for what no backend but XLA has an operation for."""

    def loss(self, params, batch):
        return super().loss(jnp.linalg.eigvalsh(jnp.diag(params)), batch)


@pytest.mark.ci
def test_a_parent_that_needs_another_backend_has_it(tmp_path):
    parent = GATE.replace(organism=Decomposed())
    kernel = build_kernel(child(Trained(of=parent)), lanes=4, backend="cpu")
    assert kernel.parent is not None
    assert (kernel.backend, kernel.parent.backend) == (CPU, XLA)
    run(child(Trained(of=parent), num_steps=3), 8, tmp_path / "run", lanes=4)


def test_cells_of_one_parent_train_it_once(monkeypatch):
    cells = [child(Interpolated(of=GATE, dose=dose), num_steps=0) for dose in (0.1, 0.5)]
    kernel = build_kernel(cells, lanes=8)
    trained, stream = [], Kernel.stream

    def counted(self, seeds, *given, **more):
        trained.append((self.output, len(seeds)))
        return stream(self, seeds, *given, **more)

    monkeypatch.setattr(Kernel, "stream", counted)
    kernel(np.tile(SEEDS, 2), np.repeat([0, 1], len(SEEDS)))
    assert trained == [("evidence", 2 * len(SEEDS)), ("params", len(SEEDS))]


def test_a_child_of_ones_own():
    class Halved(Child):
        def params(self, key, organism, parent):
            return jax.tree.map(lambda leaf: leaf / 2, parent.ended)

    found = evidence(child(Halved(of=GATE), num_steps=0))["margin"][:, 0]
    parent = build_kernel(child(Halved(of=GATE)), lanes=8).parent
    assert parent is not None
    ends = parent(SEEDS)["params"][:, 1]
    want = [Gate().probe(KEY, jnp.asarray(end) / 2)["margin"] for end in ends]
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


NOISY = GATE.replace(method=Gradient(learning_rate=0.05, noise=0.5))


def test_children_of_a_fork_have_one_past_and_futures_of_their_own():
    forked = NOISY.replace(start=Fork(of=NOISY, children=4))
    at_once = evidence(forked.replace(num_steps=0))["margin"][:, -1].reshape(6, 4)
    assert (at_once == at_once[:, :1]).all()
    assert np.array_equal(at_once[:, 0], evidence(NOISY, SEEDS[:6])["margin"][:, -1])
    later = evidence(forked)["margin"][:, -1].reshape(6, 4)
    assert all(len(set(children)) == 4 for children in later.tolist())
    assert trial(forked, 6)["margin"][-1] == pytest.approx(later[1, 2], abs=1e-4)


@pytest.mark.ci
def test_a_fork_of_a_fork_is_of_the_oldest_ancestor():
    once = NOISY.replace(start=Fork(of=NOISY, children=3))
    twice = NOISY.replace(start=Fork(of=once, children=2), num_steps=0)
    assert (once.siblings, twice.siblings, NOISY.siblings) == (3, 6, 1)
    middle = evidence(once, SEEDS[:4])["margin"][:, -1]
    assert np.array_equal(evidence(twice, SEEDS[:8])["margin"][:, -1], np.repeat(middle, 2))


def test_the_largest_seed_has_a_parent():
    forked = NOISY.replace(start=Fork(of=NOISY, children=4), num_steps=0)
    last = evidence(forked, np.array([2**64 - 1], np.uint64))["margin"]
    assert last == evidence(NOISY, np.array([2**62 - 1], np.uint64))["margin"]


def test_forks_at_several_steps_share_a_program():
    forks = [
        NOISY.replace(start=Fork(of=NOISY.replace(num_steps=n, root=n), children=2)) for n in (1, 2)
    ]
    assert len({signature_of(fork) for fork in forks}) == 1
    with pytest.raises(ValueError, match="cells differ"):
        build_kernel(forks, lanes=8)


def test_children_that_would_be_one_are_refused(tmp_path):
    calm = NOISY.replace(method=Gradient(learning_rate=0.05))
    twins = calm.replace(start=Fork(of=NOISY, children=2))
    with pytest.raises(ValueError, match=r"Fork\.children = 2; allowed: 1, since training draws"):
        run(twins, 8, tmp_path / "twins")
    with pytest.raises(ValueError, match=r'Sweep\.vary = .init.; allowed: "both" or "data"'):
        NOISY.replace(start=Fork(of=NOISY, children=2), vary="init")


def test_a_fork_cannot_stop_at_a_width(tmp_path):
    with pytest.raises(ValueError, match="those of one parent are related"):
        run(NOISY.replace(start=Fork(of=NOISY, children=2)), None, tmp_path / "f", until=0.1)
