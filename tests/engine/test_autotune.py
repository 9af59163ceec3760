"""The tuner: what it chooses on a busy machine, what it measures, and what it leaves behind."""

import gc
import random
from dataclasses import replace
from pathlib import Path

import pytest

import basin_jax as bj
from basin_jax.compiler import Steps
from basin_jax.engine import autotune
from basin_jax.engine.backends import CUDA, XLA, backends_for
from basin_jax.engine.timed import TimedSteps
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit, DoubleWell


SHORT = bj.Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.3), num_steps=40)
LONG = bj.Sweep(organism=Audit(), method=Gradient(learning_rate=0.1), num_steps=2000)


class Machine:
    """A machine with known speeds, whose measurements others disturb."""

    def __init__(self, speeds, noise):
        self.speeds, self.noise, self.order = speeds, noise, []

    def timed(self, sweep, backend, lanes):
        return Timed(self, backend, lanes)


class Timed(TimedSteps):
    def __init__(self, machine, backend, lanes):
        self.machine, self.name, self.lanes = machine, backend.name, lanes

    def speed(self):
        self.machine.order.append((self.name, self.lanes))
        true = self.machine.speeds.get((self.name, self.lanes), self.machine.speeds[self.name])
        return true * self.machine.noise()


@pytest.fixture
def tune(monkeypatch, tmp_path):
    """Return a function that tunes a sweep on a machine, with nothing remembered."""

    def on(machine, sweep=LONG, **named):
        (tmp_path / "basin_jax" / "tuning.json").unlink(missing_ok=True)
        monkeypatch.setattr(autotune, "TimedSteps", machine.timed)
        return autotune.choose(sweep, **named)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return on


def quiet():
    return 1.0


@pytest.mark.parametrize("seed", range(40))
def test_a_busy_moment_does_not_make_it_leave_the_own_backend(tune, seed):
    draw = random.Random(seed)
    # Each measurement may be slowed to a tenth: a slower backend then often seems faster.
    machine = Machine({"cpu": 147e3, "xla": 100e3}, lambda: draw.choice([1, 1, 0.5, 0.1]))
    assert tune(machine).backend == "cpu"


def test_it_takes_xla_where_that_is_faster_in_every_turn(tune):
    draw = random.Random(0)
    machine = Machine({"cpu": 100e3, "xla": 150e3}, lambda: draw.uniform(0.95, 1.05))
    assert tune(machine).backend == "xla"


def test_candidates_are_measured_in_turns(tune):
    machine = Machine({"cpu": 100e3, "xla": 90e3, ("xla", 32): 80e3}, quiet)
    assert tune(machine).backend == "cpu"
    pairs = machine.order[-2 * autotune.TURNS :]
    assert {*pairs} == {("cpu", 16), ("xla", 8)}
    assert all({*pairs[i : i + 2]} == {*pairs} for i in range(0, len(pairs), 2))


def test_lanes_grow_while_that_helps(tune):
    speeds = {"cpu": 100e3, "xla": 90e3, ("xla", 32): 200e3, ("xla", 128): 300e3}
    assert tune(Machine(speeds, quiet))[:2] == ("xla", 128)


def test_few_candidates_are_measured(tune):
    machine = Machine({"cpu": 147e3, "xla": 40e3}, quiet)
    tune(machine)
    assert {*machine.order} == {("cpu", 16), ("xla", 8)}


def test_a_short_training_is_not_measured_against_others(tune):
    machine = Machine({"cpu": 147e3, "xla": 400e3}, quiet)
    assert tune(machine, seeds=1024)[:2] == ("cpu", 16)
    assert machine.order == [("cpu", 16)]
    assert tune(machine, seeds=10**6).backend == "xla"


class Card:
    """A GPU that is not here."""

    platform, device_kind, core_count = "gpu", "H200", 132


class Unknown:
    """A GPU of which nobody says how many multiprocessors it has."""

    platform, device_kind = "gpu", "another"


@pytest.mark.parametrize(
    ("card", "at_once", "lanes"), [(Card, 2, 1056), (Card, 13, 1716), (Unknown, 2, 4096)]
)
def test_on_a_gpu_lanes_are_whole_waves_and_each_backend_is_measured_once(
    tune, monkeypatch, card, at_once, lanes
):
    steps = Steps(run=lambda *arguments: None, kernel="fragments", at_once=at_once)
    cuda = replace(CUDA, compile=lambda *step: steps)
    monkeypatch.setattr(autotune.jax, "local_devices", lambda: [card()])
    monkeypatch.setattr(autotune, "backends_for", lambda sweep: (cuda, XLA))
    machine = Machine({"cuda": 1e6, "xla": 0.9e6}, quiet)
    assert tune(machine)[:2] == ("cuda", lanes)
    assert {*machine.order} == {("cuda", lanes), ("xla", 4096)}


def test_a_tiny_training_is_not_measured(tune):
    machine = Machine({"cpu": 1.0, "xla": 1e9}, quiet)
    assert tune(machine, SHORT, seeds=100_000) == ("cpu", 64, 0.0)
    assert tune(machine, LONG, lanes=8) == ("cpu", 8, 0.0)
    assert not machine.order


@pytest.mark.parametrize("changed", ["version", "compiler"])
def test_what_was_measured_with_other_versions_is_measured_anew(tune, monkeypatch, changed):
    machine = Machine({"cpu": 147e3, "xla": 40e3}, quiet)
    monkeypatch.setattr(autotune, "TimedSteps", machine.timed)
    for _ in range(2):
        autotune.choose(LONG)
    count = len(machine.order)
    assert machine.order.count(("xla", 8)) == 1
    if changed == "version":
        monkeypatch.setattr(autotune, "__version__", "another")
    else:
        named = [replace(backend, identity=lambda: "another") for backend in backends_for(LONG)]
        monkeypatch.setattr(autotune, "backends_for", lambda sweep: named)
    autotune.choose(LONG)
    assert len(machine.order) > count


def test_a_measurement_leaves_no_memory_maps_behind(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def tuned():
        (tmp_path / "basin_jax" / "tuning.json").unlink(missing_ok=True)
        autotune.choose(SHORT)
        return len(Path("/proc/self/maps").read_text().splitlines())

    first = tuned()
    gc.collect()
    gc.disable()
    try:
        assert max(tuned() for _ in range(3)) < first + 20
    finally:
        gc.enable()
