"""Many shapes and many cells: what is kept of each stays bounded."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import basin_jax as bj
from basin_jax.core.sweep import override
from basin_jax.engine.unread import unread_fields
from basin_jax.runs.progress import Progress


class Deaf(bj.organisms.DoubleWell):
    """A double well with fields that it does not read."""

    volume: float = 1.0
    name: str = "a"
    depth: float = 1.0

    def loss(self, params, batch):
        return self.depth * super().loss(params, batch)


class Told(Progress):
    def __init__(self):
        self.lines = []

    def tell(self, line):
        self.lines.append(line)


METHOD = bj.methods.Gradient(learning_rate=0.1)


@pytest.mark.ci
def test_a_run_tells_the_varied_fields_that_no_code_reads(tmp_path, recwarn):
    sweep = bj.Sweep(organism=Deaf(), method=METHOD, num_steps=2)
    unread = {"organism.volume": (1.0, 2.0), "organism.name": ("a", "b")}
    cells = bj.grid(sweep, {"organism.depth": (1.0, 2.0), **unread, "root": (0, 1)})
    bj.run(cells, 8, tmp_path, lanes=8, progress=(told := Told()))
    said = " is varied, but no code reads it: cells that differ in it alone are alike"
    assert {*told.lines[:2]} == {path + said for path in unread}
    assert not recwarn.list


@pytest.mark.ci
def test_fields_that_are_read_are_not_told(wells):
    child = wells[0].replace(start=bj.starts.Trained(of=wells[0]))
    others = {
        "organism.tilt": 0.1,
        "method.learning_rate": 0.1,
        "method.optimizer": "adam",
        "start.of.organism.tilt": 0.1,
        "start.of.num_steps": 4,
        "num_steps": 3,
        "vary": "init",
        "save_at": (1,),
    }
    cells = [child, *(override(child, path, value) for path, value in others.items())]
    assert unread_fields(cells, list(others)) == []


EVIDENCE = ("fit", "watched", "unwatched", "competence", "margin")


class Wide(bj.Organism):
    """Roll to the origin of a space: the least that has a width."""

    width: int

    def init(self, key):
        return jax.random.normal(key, (self.width,), jnp.float32)

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return params @ params

    def probe(self, key, params):
        return {name: params.sum() for name in EVIDENCE}


def wide(width):
    return bj.Sweep(organism=Wide(width=width), method=METHOD, num_steps=2)


def maps():
    return len(Path("/proc/self/maps").read_text().splitlines())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells the memory maps")
def test_the_memory_maps_of_many_shapes_stay_bounded(tmp_path, monkeypatch):
    counts = []
    for width in range(2, 5):
        bj.run(wide(width), 8, tmp_path / str(width), lanes=8)
        counts.append(maps())
    # Each shape keeps its own C++ mapped, in some ten maps, and no program of XLA, in hundreds.
    assert counts[-1] - counts[1] < 25
    monkeypatch.setattr("basin_jax.runs.training.TOGETHER", 1)
    bj.run([wide(width) for width in range(5, 7)], 8, tmp_path / "grid", lanes=8)
    assert maps() - counts[-1] < 2 * 25
