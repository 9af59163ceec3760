"""The program that a sweep traces is a part of its identity: what it computes, and nothing else."""

import functools
import json
import os
import subprocess
import sys
import textwrap
import types

import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import basin_jax as bj
from basin_jax.core.identity import digest_of, trace_of
from basin_jax.core.traces import trace_hash
from basin_jax.results.store import StoreError


def sweep_of(organism, **changes):
    method = changes.pop("method", bj.methods.Gradient(learning_rate=0.05))
    return bj.Sweep(organism=organism, method=method, num_steps=20).replace(**changes)


def hash_of(function, *args):
    return trace_hash(jax.make_jaxpr(lambda *args: function(*args))(*args))


TABLE = np.arange(100.0, dtype=np.float32)
PROGRAMS = [
    lambda x: x + 1,
    lambda x: x + 2,
    lambda x: x - 1,
    lambda x: (x + 1).astype(jnp.bfloat16),
    lambda x: x[None] + 1,
    lambda x: x + TABLE.sum(),
    lambda x: (x + TABLE).sum(),
    lambda x: (x + TABLE[::-1]).sum(),
    lambda x: jax.lax.scan(lambda c, _: (c + 1, None), x, length=3)[0],
    lambda x: jax.lax.scan(lambda c, _: (c + 2, None), x, length=3)[0],
    lambda x: jax.lax.cond(x > 0, lambda: x, lambda: -x),
    lambda x: jax.lax.cond(x > 0, lambda: x, lambda: 2 * x),
    lambda x: jax.random.normal(jax.random.key(0), ()) + x,
    lambda x: jax.random.normal(jax.random.key(1), ()) + x,
]


def test_programs_that_compute_something_else_have_other_hashes():
    hashes = [hash_of(program, 1.0) for program in PROGRAMS]
    assert len(set(hashes)) == len(PROGRAMS)
    assert hashes == [hash_of(program, 1.0) for program in PROGRAMS]


def test_names_are_no_part_of_a_program():
    @jax.jit
    def one(x):
        return jnp.sin(x) + 1

    @jax.jit
    def another(number):
        return jnp.sin(number) + 1

    assert hash_of(one, 1.0) == hash_of(another, 1.0)


@pytest.mark.parametrize("called", ["pure_callback", "io_callback"])
def test_code_that_the_trace_does_not_show_is_refused_by_name(called):
    function = {"pure_callback": jax.pure_callback, "io_callback": jax.experimental.io_callback}

    class Outside(bj.organisms.DoubleWell):
        def loss(self, params, batch):
            one = function[called](lambda: np.float32(1), jax.ShapeDtypeStruct((), jnp.float32))
            return super().loss(params, batch) * jax.lax.stop_gradient(one)

    with pytest.raises(ValueError, match=f"calls {called}"):
        digest_of(sweep_of(Outside()))


def spike(slope):
    """A surrogate gradient, which closes over a number."""

    @jax.custom_vjp
    def fire(x):
        return jnp.where(x > 0, 1.0, 0.0)

    def backward(x, gradient):
        return (gradient / (1 + slope * jnp.abs(x)) ** 2,)

    fire.defvjp(lambda x: (fire(x), x), backward)
    return fire


class Spiking(bj.organisms.DoubleWell):
    fire: object = None

    def loss(self, params, batch):
        fired = sum(self.fire(leaf).sum() for leaf in jax.tree.leaves(params))  # pyright: ignore
        return super().loss(params, batch) + fired


def test_derivatives_that_close_over_other_numbers_are_other_sweeps():
    one, same, other = (sweep_of(Spiking(fire=spike(slope))) for slope in (1.0, 1.0, 50.0))
    assert digest_of(one) == digest_of(same)
    assert digest_of(one) != digest_of(other)
    assert one.fields() != other.fields()  # so that a table tells them apart, too


def test_a_class_patched_after_its_first_trace_is_another_sweep():
    class Patched(bj.organisms.DoubleWell):
        def loss(self, params, batch):
            return super().loss(params, batch)

    sweep = sweep_of(Patched())
    before, trained = digest_of(sweep), bj.trial(sweep, 0)
    Patched.loss = lambda self, params, batch: 2 * bj.organisms.DoubleWell.loss(self, params, batch)
    assert digest_of(sweep) != before
    assert bj.trial(sweep, 0)["margin"] != trained["margin"]


@pytest.mark.parametrize("kind", [property, staticmethod, functools.cached_property])
def test_what_else_of_a_class_is_patched_is_seen_too(kind):
    class Mixin:
        slope = kind(lambda *_: 1.0)

    class Mixed(Mixin, bj.organisms.DoubleWell):
        def loss(self, params, batch):
            slope = self.slope() if kind is staticmethod else self.slope
            return slope * super().loss(params, batch)

    before = digest_of(sweep_of(Mixed()))
    Mixin.slope = kind(lambda *_: 2.0)
    if kind is functools.cached_property:
        Mixin.slope.__set_name__(Mixin, "slope")
    assert digest_of(sweep_of(Mixed())) != before


def made(loss):
    """A class without a statement that defines it: its module is that of `abc`."""
    return types.new_class(
        "Made", (bj.organisms.DoubleWell,), exec_body=lambda body: body.update(loss=loss)
    )


def test_classes_made_by_type_are_told_apart_and_examined():
    def one(self, params, batch):
        return bj.organisms.DoubleWell.loss(self, params, batch)

    def other(self, params, batch):
        return 2 * bj.organisms.DoubleWell.loss(self, params, batch)

    first, second = (sweep_of(made(loss)()) for loss in (one, other))
    assert digest_of(first) != digest_of(second)
    assert first.sources()["organism"].startswith("source ")  # and not the version of Python

    def random(self, params, batch):
        return np.random.default_rng().normal() * bj.organisms.DoubleWell.loss(self, params, batch)

    with pytest.raises(ValueError, match="is another function each time"):
        bj.run(sweep_of(made(random)()), 4, "never-made", lanes=4)


@pytest.mark.ci
def test_a_schedule_that_changes_itself_when_traced_keeps_its_identity(tmp_path):
    schedule = optax.sgd(optax.cosine_decay_schedule(0.1, 20))
    sweep = sweep_of(bj.organisms.DoubleWell(), method=bj.methods.Gradient(optimizer=schedule))
    before = digest_of(sweep)
    bj.run(sweep, 8, tmp_path, lanes=8)
    records = bj.run(sweep, 16, tmp_path)
    fresh = optax.sgd(optax.cosine_decay_schedule(0.1, 20))
    assert {before} == {
        digest_of(sweep),
        digest_of(sweep.replace(method=bj.methods.Gradient(optimizer=fresh))),
        *records.cells,
    }
    assert records.frame.height == 16


TRACED = []


class Counted(bj.organisms.DoubleWell):
    def sample(self, key):
        TRACED.append(key)
        return super().sample(key)


def test_a_grid_over_floats_is_traced_once():
    grid = bj.grid(sweep_of(Counted()), {"organism.tilt": tuple(np.linspace(0, 0.3, 20))})
    digest_of(grid[0])
    once = len(TRACED)
    assert len({digest_of(cell) for cell in grid}) == 20
    assert len(TRACED) == once


def test_a_parents_program_is_a_part_of_its_childs_identity():
    class Steeper(bj.organisms.DoubleWell):
        def loss(self, params, batch):
            return 2 * super().loss(params, batch)

    parents = [sweep_of(bj.organisms.DoubleWell()), sweep_of(Steeper())]
    traces = {
        trace_of(sweep_of(bj.organisms.DoubleWell(), start=bj.starts.Trained(of=of)))
        for of in parents
    }
    assert len(traces) == 2


SLOPED = """
    import os
    import pathlib
    import numpy as np
    import basin_jax as bj
    import thirdparty

    HERE = pathlib.Path(__file__)
    SLOPE = float(np.load(HERE.with_name("slope.npy"))) + float(os.environ["SLOPE"])


    class Sloped(bj.organisms.DoubleWell):
        def loss(self, params, batch):
            return super().loss(params, batch) + SLOPE * thirdparty.factor() * params


    method = bj.methods.Gradient(learning_rate=0.05)
    sweep = bj.Sweep(organism=Sloped(), method=method, num_steps=20)
"""
CODE = """
    import json, sys
    from pathlib import Path
    from basin_jax.core.identity import digest_of, trace_of
    from basin_jax.runs.sweepfile import load_sweep

    loaded = load_sweep(Path(sys.argv[1])).cells[0]
    print(json.dumps([loaded.sources(), trace_of(loaded), digest_of(loaded)]))
"""


@pytest.mark.ci
def test_what_a_plugin_reads_when_it_is_imported_is_seen(tmp_path):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (tmp_path / "sloped.py").write_text(textwrap.dedent(SLOPED))

    def digest(*, data="1", environment="1", package="1", hash_seed="0"):
        np.save(tmp_path / "slope.npy", float(data))
        (packages / "thirdparty.py").write_text(f"def factor():\n    return {package}\n")
        given = {"SLOPE": environment, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(packages)}
        given |= {"PYTHONDONTWRITEBYTECODE": "1"}  # which goes by whole seconds
        paths = [str(packages), *filter(None, [os.environ.get("PYTHONPATH")])]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CODE), str(tmp_path / "sloped.py")],
            env=os.environ | given | {"PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    sources, trace, identity = digest()
    assert [sources, trace, identity] == digest(hash_seed="1")
    for change in ({"data": "2"}, {"environment": "2"}, {"package": "2"}):
        there = digest(**change)
        assert there[0] == sources  # which do not tell
        assert there[1] != trace
        assert there[2] != identity


@pytest.mark.ci
def test_a_folder_whose_data_file_has_changed_is_refused_with_what_differs(tmp_path):
    def sweep(slope):
        table = np.float32(slope)  # such as a file holds

        class Sloped(bj.organisms.DoubleWell):
            def loss(self, params, batch):
                return super().loss(params, batch) + table * params

        return sweep_of(Sloped())

    bj.run(sweep(0.0), 4, tmp_path, lanes=4)
    with pytest.raises(StoreError, match=r"the program that the plug-ins trace"):
        bj.run(sweep(3.0), 8, tmp_path)
