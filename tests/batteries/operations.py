"""The battery of operations: ordinary losses of research, each as the loss of a tiny organism."""

import itertools
import linecache
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batteries.losses import calculus, networks, objectives
from batteries.losses.given import Batch, Params

import basin_jax as bj
from basin_jax.compiler import steps_or_why_not
from basin_jax.compiler.cpu import compile_steps
from basin_jax.core.trial import numerics, signature_of
from basin_jax.engine.backends import step_of
from basin_jax.engine.kernel import build_kernel
from basin_jax.report.render import Group, Line, Table


RATE, STEPS, SEEDS = 0.005, 8, 4
TOGETHER = 12  # losses that are trained in one program, since most of the time is compilation
KINDS = {
    "objectives": objectives,
    "networks": networks,
    "control flow, derivatives, linear algebra, transforms": calculus,
}
# What XLA and the CPU's own program may differ by, where a step multiplies rounding.
TOLERANCE = 1e-3
# What need not go down: players pull against each other, and a code is stepped over.
STILL = {"generator_and_critic", "vector_quantization"}


def losses(kind: ModuleType) -> dict[str, Callable[[Params, Batch], jax.Array]]:
    """Find the losses of a module, by their names."""
    return {
        name: thing
        for name, thing in vars(kind).items()
        if getattr(thing, "__module__", "") == kind.__name__
    }


LOSSES = {name: loss for kind in KINDS.values() for name, loss in losses(kind).items()}


class Losing(bj.Organism):
    """Train a layer by each of some losses of the battery."""

    names: tuple[str, ...]

    def init(self, key):
        w, b, u = jax.random.split(key, 3)
        normal = jax.random.normal
        layer = Params(
            w=0.5 * normal(w, (4, 3), jnp.float32),
            b=0.5 + 0.1 * normal(b, (3,), jnp.float32),
            u=jnp.eye(3) + 0.2 * normal(u, (3, 3), jnp.float32),
        )
        return dict.fromkeys(self.names, layer)

    def sample(self, key):
        x = np.sin(np.arange(24, dtype=np.float32)).reshape(6, 4)
        y = np.cos(2 * np.arange(6, dtype=np.float32))
        return Batch(jnp.asarray(x), jnp.asarray(y), jnp.array([0, 1, 2, 1, 0, 2]), key)

    def losses(self, params, batch):
        return {name: LOSSES[name](params[name], batch) for name in self.names}

    def loss(self, params, batch):
        return jnp.stack([*self.losses(params, batch).values()]).sum()

    def probe(self, key, params):
        return self.losses(params, self.sample(key))


class Row(NamedTuple):
    """The result of trying a loss: the program that trains it on a CPU, and why it is XLA's."""

    kind: str
    name: str
    program: str  # "cpu" or "XLA"
    why: str
    line: str  # of the loss, to which the reason points


def sweep_of(*names: str) -> bj.Sweep:
    """Return the sweep that trains by some losses, each its own layer."""
    method = bj.methods.Gradient(learning_rate=RATE)
    return bj.Sweep(
        organism=Losing(names=names), method=method, num_steps=STEPS, save_at=(0,), root=5
    )


def uncompiled_refusal(sweep: bj.Sweep) -> str | None:
    """Return why there is no program of the CPU's own, without calling the C++ compiler."""
    signature = signature_of(sweep)
    with pytest.MonkeyPatch.context() as patch, numerics(sweep.precision):
        patch.setattr("basin_jax.compiler.cpu.build.operation", lambda source, headers: "")
        # As users have it: the tests refuse what broadcasts by itself.
        with jax.numpy_rank_promotion("allow"):
            found = steps_or_why_not(compile_steps, *step_of(signature))
    return found if isinstance(found, str) else None


def rows(*, train: bool) -> Iterator[Row]:
    """Try all losses; with `train`, train by each, with both programs where there are two."""
    found = [
        Row(kind, name, "XLA" if why else "cpu", *reason(why or ""))
        for kind, module in KINDS.items()
        for name in losses(module)
        for why in [uncompiled_refusal(sweep_of(name))]
    ]
    for program in ("cpu", "XLA") if train else ():
        names = [row.name for row in found if row.program == program]
        for some in itertools.batched(names, TOGETHER):
            expect_to_train(*some, own=program == "cpu")
    yield from found


def expect_to_train(*names: str, own: bool) -> None:
    """Check that training lowers losses, at finite numbers, and by the own program as by XLA's."""
    sweep, seeds = sweep_of(*names), np.arange(SEEDS, dtype=np.uint64)
    with jax.numpy_rank_promotion("allow"):
        expected = build_kernel(sweep, lanes=SEEDS, backend="xla")(seeds)
        found = build_kernel(sweep, lanes=SEEDS, backend="cpu")(seeds) if own else expected
    for name in names:
        before, after = np.asarray(found[name]).T
        assert np.isfinite(after).all(), (name, after)
        assert (after < before).all() or name in STILL, (name, before, after)
        np.testing.assert_allclose(
            found[name], expected[name], rtol=TOLERANCE, atol=TOLERANCE, err_msg=name
        )


def reason(why: str) -> tuple[str, str]:
    """Split a refusal into what it says and the line to which it points."""
    said = re.fullmatch(r"(.*) \((\w+\.py):(\d+):\d+ \(.*\)\)", why)
    if said is None:
        return why, ""
    files = {(kind.__file__ or "").rpartition("/")[2]: kind.__file__ for kind in KINDS.values()}
    path = files.get(said[2])
    return said[1], linecache.getline(path, int(said[3])).strip() if path else said[2]


def section(found: list[Row]) -> str:
    """Write the section of the page."""
    groups = [
        Group([Line(shown(row)) for row in found if row.kind == kind], title=kind) for kind in KINDS
    ]
    table = Table(head=("loss", "what the CPU lacks", "where", "program on a CPU"), groups=groups)
    own = sum(not row.why for row in found)
    return f"{INTRODUCTION.format(all=len(found), own=own)}\n\n{table.markdown()}\n"


def shown(row: Row) -> list[str]:
    words = row.name.replace("_", " ")
    return [words, row.why or "-", f"`{row.line}`" if row.line else "-", row.program]


INTRODUCTION = f"""## Operations

These are {{all}} losses of a few lines, as papers have them, each of a layer of a few weights
([tests/batteries/losses](../tests/batteries/losses)). All train: each has lowered its loss in
{STEPS} steps of gradient descent, but for {", ".join(sorted(STILL)).replace("_", " ")}. The CPU has
a program of its own for {{own}} of them, which trains to the same numbers as XLA's. XLA trains the
others: the table says what the CPU's compiler lacks, in which line of the loss, or in which file of
a library. A loss that calls back to Python by `jax.pure_callback` is refused, since a change of
what it calls would not be noticed."""
