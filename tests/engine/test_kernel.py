"""A seed's evidence is the same bits whatever runs beside it, and seeds never collide."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from basin_jax import Organism, Sweep, build_kernel, run, trial
from basin_jax.core.seeds import fold_in_seed, seed_bits
from basin_jax.core.trial import abstract_inputs, numerics, signature_of
from basin_jax.engine import kernel as engine
from basin_jax.engine.backends import XLA
from basin_jax.engine.lanes import advance_queue, shapes_of_lanes
from basin_jax.engine.pacing import StepBudget
from basin_jax.methods import Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Audit, DoubleWell, Gate


SEEDS = np.arange(200, dtype=np.uint64)
SWEEPS = {
    "audit": Sweep(organism=Audit(difficulty=2), method=Gradient(learning_rate=0.1), num_steps=20),
    "wide": Sweep(
        organism=Audit(network=MLP(widths=(1024,))),
        method=Gradient(learning_rate=0.1),
        num_steps=3,
    ),
    "gate": Sweep(
        organism=Gate(),
        method=Gradient(optimizer="adam", learning_rate=0.05, noise=0.1),
        num_steps=50,
        save_at=(0, 10),
    ),
}


@pytest.mark.ci
@pytest.mark.parametrize("backend", ["cpu", "xla"])
@pytest.mark.parametrize("name", ["audit", "wide", pytest.param("gate", marks=pytest.mark.lowest)])
def test_bits_do_not_depend_on_order_or_number_or_calls(name, backend):
    kernel = build_kernel(SWEEPS[name], lanes=8, backend=backend)
    whole = kernel(SEEDS)
    shuffled = np.random.default_rng(0).permutation(SEEDS)
    again, few = kernel(shuffled), kernel(SEEDS[:13])
    parts = list(kernel.stream(SEEDS, seconds=0.0))
    order = np.argsort(np.concatenate([which for which, _ in parts]))
    for evidence, values in whole.items():
        assert np.array_equal(again[evidence], values[shuffled.astype(int)])
        assert np.array_equal(few[evidence], values[:13])
        assert np.array_equal(np.concatenate([p[evidence] for _, p in parts])[order], values)


def test_a_queue_is_one_dispatch_a_call_and_the_host_reads_nothing_but_what_is_done(monkeypatch):
    # Rounds, probes and refills are all on the device: of six blocks, of three stops each.
    kernel = build_kernel(SWEEPS["gate"], lanes=8)
    kernel.compile()
    counted = Counter()

    def counting(name):
        function = getattr(engine, name)

        def call(*arguments):
            counted[name] += 1
            return function(*arguments)

        monkeypatch.setattr(engine, name, call)

    for name in ("program_of", "put", "_fetch"):
        counting(name)
    monkeypatch.setattr(engine, "StepBudget", lambda seconds, **_: StepBudget(seconds, 10**6))
    kernel(np.arange(6 * 8 * len(kernel.devices), dtype=np.uint64))
    # One call trains all, and one is under way when it ends; of it the host reads what is left of
    # its steps, which seeds are done, and their evidence.
    assert counted == {"put": 1, "program_of": 2, "_fetch": 3}


DIGEST = """
import sys
sys.path.insert(0, {tests!r})
from test_kernel import SEEDS, SWEEPS, digest
print(len(__import__("jax").devices()), *(digest(SWEEPS[name]) for name in sys.argv[1:]))
"""


def digest(sweep: Sweep) -> str:
    """Hash the bits of the evidence of some seeds, by both backends."""
    found = [build_kernel(sweep, lanes=8, backend=name)(SEEDS) for name in ("cpu", "xla")]
    bits = [evidence[name].tobytes() for evidence in found for name in sorted(evidence)]
    return hashlib.sha256(b"".join(bits)).hexdigest()


@pytest.mark.ci
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["gate"], marks=pytest.mark.lowest),
        pytest.param(["audit", "wide"], marks=pytest.mark.slow),
    ],
)
def test_bits_do_not_depend_on_the_number_of_devices_or_on_the_environment(names):
    devices = 1 if len(jax.local_devices()) == 3 else 3
    unusual = {
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_ENABLE_X64": "1",
        "JAX_NUM_CPU_DEVICES": str(devices),
    }
    code = DIGEST.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        env=os.environ | unusual,
        capture_output=True,
        text=True,
        check=True,
    )
    # This process has compiled them for the test above.
    assert done.stdout.split() == [str(devices), *(digest(SWEEPS[name]) for name in names)]


def test_a_row_of_the_kernel_is_the_trial_of_its_seed():
    sweep = SWEEPS["gate"]
    evidence = build_kernel(sweep, lanes=8)(SEEDS)
    alone = trial(sweep, 7)
    for name, values in evidence.items():
        np.testing.assert_allclose(values[7], alone[name], rtol=1e-4, atol=1e-6)


def test_seeds_around_the_borders_of_words_differ():
    near = [2**31, 2**32, 2**33, 2**63]
    seeds = [s + d for s in near for d in (-2, -1, 0, 1)] + [0, 1, 2, 2**64 - 1]
    kernel = build_kernel(
        Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=0), lanes=8
    )
    starts = kernel(np.array(seeds, np.uint64))["x"][:, 0]
    assert len(set(starts.tolist())) == len(seeds)


def test_a_million_keys_are_distinct():
    seeds = np.arange(10**6, dtype=np.uint64) * np.uint64(2**32 - 5)
    words = jnp.asarray(seed_bits(seeds))
    keys = jax.vmap(fold_in_seed, in_axes=(None, 0))(jax.random.key(0), words)
    bits = np.asarray(jax.random.key_data(keys), np.uint64)
    assert len(np.unique(bits[:, 0] << np.uint64(32) | bits[:, 1])) == 10**6


class Streams(Organism):
    """Show the start, and the sum of what training drew."""

    def init(self, key):
        return {"start": jax.random.uniform(key, (), jnp.float32), "drawn": jnp.zeros(())}

    def sample(self, key):
        return jax.random.uniform(key, (), jnp.float32)

    def loss(self, params, batch):
        return -params["drawn"] * batch

    def probe(self, key, params):
        return {**params, "probe": jax.random.uniform(key, (), jnp.float32)}


@pytest.mark.ci
@pytest.mark.parametrize(
    ("vary", "init_varies", "data_varies"),
    [("both", True, True), ("init", True, False), ("data", False, True)],
)
def test_vary_says_what_a_seed_changes(vary, init_varies, data_varies):
    sweep = Sweep(organism=Streams(), method=Gradient(learning_rate=1.0), num_steps=3, vary=vary)
    evidence = build_kernel(sweep, lanes=8)(SEEDS[:16])
    assert (len(set(evidence["start"][:, 0].tolist())) == 16) == init_varies
    assert (len(set(evidence["drawn"][:, 0].tolist())) == 16) == data_varies
    assert len(set(evidence["probe"][:, 0].tolist())) == 16


def test_a_root_gives_other_seeds():
    sweep = Sweep(organism=Streams(), method=Gradient(learning_rate=1.0), num_steps=1)
    kernels = [build_kernel(sweep.replace(root=root), lanes=8) for root in (0, 1, 2**32)]
    first = [kernel(SEEDS[:1])["start"].item() for kernel in kernels]
    assert len(set(first)) == 3


@pytest.mark.ci
def test_probing_on_the_way_does_not_change_the_end():
    sweep = SWEEPS["gate"]
    ends = [
        build_kernel(sweep.replace(save_at=at), lanes=8)(SEEDS)["margin"][:, -1]
        for at in ((), (1, 7, 30))
    ]
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-6)


class Fragile(Organism):
    """Diverge for about half of the seeds."""

    def init(self, key):
        return jax.random.normal(key, (), jnp.float32)

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return jnp.where(params > 0, jnp.exp(100 * params**2), params**2)

    def probe(self, key, params):
        return {"x": params}


def test_a_diverging_lane_leaves_its_neighbors_alone():
    sweep = Sweep(organism=Fragile(), method=Gradient(learning_rate=0.1), num_steps=20)
    kernel = build_kernel(sweep, lanes=8)
    together = kernel(SEEDS)["x"][:, 0]
    calm = np.isfinite(together)
    assert 0.3 < calm.mean() < 0.7
    assert np.array_equal(kernel(SEEDS[calm])["x"][:, 0], together[calm])


class Numb(Fragile):
    """Give finite evidence whatever the parameters are."""

    def probe(self, key, params):
        return {"x": jnp.argmax(jnp.stack([params, params])).astype(float)}


def test_parameters_that_are_not_finite_are_not_hidden_by_evidence_that_is():
    method = Gradient(learning_rate=0.1)
    kernels = [
        build_kernel(Sweep(organism=organism, method=method, num_steps=20), lanes=8)
        for organism in (Fragile(), Numb())
    ]
    calm, answered = (np.isfinite(kernel(SEEDS)["x"]) for kernel in kernels)
    assert 0 < calm.sum() < calm.size
    assert np.array_equal(calm, answered)


def test_floats_roots_steps_and_numbers_of_seeds_share_one_compilation():
    kernel = build_kernel(SWEEPS["gate"], lanes=8)
    kernel(SEEDS)
    changed = SWEEPS["gate"].replace(
        organism=Gate(scale=0.7, penalty=2.0),
        method=Gradient(optimizer="adam", learning_rate=0.01, noise=0.3),
        root=5,
        num_steps=40,
        save_at=(3, 5),
    )
    with jax.log_compiles(), pytest.MonkeyPatch.context() as patch:
        compiled = []
        patch.setattr(
            "jax._src.compiler.compile_or_get_cached",
            lambda *args, **kwargs: compiled.append(args),
        )
        build_kernel(changed, lanes=8)(SEEDS[:50])
    assert not compiled


def test_cells_share_lanes_and_keep_their_bits():
    cells = [
        SWEEPS["gate"].replace(organism=Gate(scale=scale), root=root)
        for scale, root in ((0.3, 0), (0.5, 1), (0.8, 2))
    ]
    which = np.arange(len(SEEDS)) % len(cells)
    for backend in ("cpu", "xla"):
        together = build_kernel(cells, lanes=8, backend=backend)(SEEDS, which)
        for n, cell in enumerate(cells):
            alone = build_kernel(cell, lanes=8, backend=backend)(SEEDS[which == n])
            for evidence, values in alone.items():
                assert np.array_equal(together[evidence][which == n], values)
    with pytest.raises(ValueError, match="differ in more than hyperparameters and roots"):
        build_kernel([cells[0], cells[0].replace(num_steps=51)], lanes=8)


@pytest.mark.ci
@pytest.mark.lowest
def test_float64_trains_the_same_seeds_in_float64():
    sweep = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=40)
    double = sweep.replace(precision="float64", save_at=(0,))
    x, end = build_kernel(double, lanes=8)(SEEDS)["x"].T
    assert np.array_equal(x, build_kernel(sweep.replace(num_steps=0), lanes=8)(SEEDS)["x"][:, 0])
    for _ in range(40):
        x = x - 0.1 * (x**3 - x - 0.2)
    np.testing.assert_allclose(end, x, rtol=1e-12)


def test_a_probe_that_is_no_scalar_is_refused():
    class Wide(Fragile):
        def probe(self, key, params):
            return {"x": jnp.zeros(3)}

    sweep = Sweep(organism=Wide(), method=Gradient(learning_rate=0.1), num_steps=1)
    with pytest.raises(ValueError, match=r"Wide.probe gives 'x' of shape \(3,\); allowed: scalars"):
        build_kernel(sweep, lanes=8)


@pytest.mark.slow
def test_a_thousand_seeds_are_the_first_of_a_hundred_thousand_in_chunks_of_any_size(
    tmp_path, monkeypatch
):
    few = run(SWEEPS["gate"], 1000, tmp_path / "few", lanes=8)
    monkeypatch.setattr("basin_jax.runs.chunk_size.CHUNK_SECONDS", 0.05)
    many = run(SWEEPS["gate"], 100_000, tmp_path / "many", lanes=8)
    assert len(few.store.chunks()) < len(many.store.chunks())
    assert few.history.equals(many.history.filter(pl.col("seed") < 1000))


@pytest.mark.ci
@pytest.mark.lowest
def test_bits_hold_in_optimized_programs(tmp_path):
    """Only those round by the lane: without optimization the tests below could not fail."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-m", "optimized", __file__]
    # A folder of its own, where no other program is cached.
    optimized = {"XLA_FLAGS": "", "CXX": "", "BASIN_JAX_TESTS": str(tmp_path)}
    done = subprocess.run(command, env=os.environ | optimized, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.optimized
@pytest.mark.parametrize("backend", ["cpu", "xla"])
def test_bits_do_not_depend_on_the_devices_where_rounding_hangs_on_the_lane(backend):
    # XLA rounds `Gate`'s steps otherwise in some lanes of 16 than in others: a seed's lane must
    # be the same whatever the number of devices.
    sweep = Sweep(organism=Gate(), method=Gradient(learning_rate=0.05, l2=0.02), num_steps=20)
    devices = tuple(jax.local_devices())
    seeds = np.arange(1000, dtype=np.uint64)
    one, two = (
        build_kernel(sweep, lanes=16, backend=backend, devices=some)(seeds)
        for some in (devices[:1], devices)
    )
    assert all(np.array_equal(two[name], values) for name, values in one.items())


@pytest.mark.optimized
@pytest.mark.parametrize("lanes", [1, 16, 31])
def test_bits_of_the_cpu_backend_do_not_depend_on_the_lane(lanes):
    sweep = Sweep(organism=Gate(), method=Gradient(learning_rate=0.05, l2=0.02), num_steps=20)
    seeds = np.arange(300, dtype=np.uint64)
    want = build_kernel(sweep, lanes=8, backend="cpu")(seeds)
    backwards = build_kernel(sweep, lanes=lanes, backend="cpu")(seeds[::-1])
    assert all(np.array_equal(backwards[name][::-1], values) for name, values in want.items())


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_blocks_lower_for_accelerators_that_are_not_here(platform):
    sweep = Sweep(
        organism=Audit(), method=Gradient(optimizer="adam", learning_rate=0.01), num_steps=5
    )
    shape, one = signature_of(sweep), jax.ShapeDtypeStruct((), jnp.int32)

    def call(stops, queue, count, stride, budget, refill, lanes):
        limits = {"stride": stride, "budget": budget, "refill": refill}
        return advance_queue(shape, XLA, stops, queue, count, lanes=lanes, **limits)

    with numerics(sweep.precision):
        stops, queue = abstract_inputs(shape, 64)
        given = (one, one, one, jax.ShapeDtypeStruct((), bool), shapes_of_lanes(shape, 16, 64, 1))
        exported = jax.export.export(jax.jit(call), platforms=[platform])(stops, queue, *given)
    # All that it asks for is of XLA's own language.
    assert exported.platforms == (platform,)
    assert "custom_call" not in exported.mlir_module()
