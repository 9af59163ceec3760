"""Backends: they take the training steps of a block of lanes.

A backend declares what it is made for and how it is compiled; the rest of the engine knows it
only as the object that it is given. `BACKENDS` is the one list of them.
"""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Int32

from basin_jax import compiler
from basin_jax.compiler import Steps, cpu, cuda
from basin_jax.core.contracts import State
from basin_jax.core.sweep import Sweep
from basin_jax.core.trial import (
    Keys,
    Signature,
    TrialInputs,
    abstract_inputs,
    init_trial,
    numerics,
    plugins_of,
    signature_of,
    step,
)
from basin_jax.devices import cores


LANES = 2**16  # the most seeds that are trained side by side
FASTEST = 1e18  # steps per second
TURN = 16  # steps of a loop whose length XLA knows
ACCELERATOR_LANES = 1024  # with which tuning begins on anything but a CPU


@dataclass(frozen=True, eq=False, kw_only=True)
class Backend:
    """A backend: it takes the training steps of a block of lanes.

    Attributes:
        name: its name in `sweep.json`, in arguments and in messages.
        platform: JAX's name of the devices that it is made for; None if it runs on all.
        first_lanes: the number of lanes with which tuning begins on a CPU.
        compile: compiles one seed's step to an operation on blocks of seeds, such as
            `compiler.cpu.compile_steps`.
        identity: the name and the version of what compiles, on which low bits depend; None if
            that is XLA, whose version is JAX's.
    """

    name: str
    platform: str | None
    first_lanes: int
    compile: Callable[..., Steps]
    identity: Callable[[], str] | None = None

    def advance(
        self,
        signature: Signature,
        inputs: TrialInputs,
        keys: Keys,
        state: State,
        steps: Int32[Array, " lane"],
        count: Int32[Array, ""],
    ) -> State:
        """Take `count` steps in every lane, where `steps` were taken before."""
        advance = self.compile(*step_of(signature))
        leaves, structure = jax.tree.flatten(state)
        leaves = advance(steps, count, [inputs.hyperparameters, keys.step], leaves)
        return jax.tree.unflatten(structure, leaves)

    def why_not(self, signature: Signature) -> str | None:
        """Return the reason why this backend cannot compile a sweep, or None."""
        here = jax.local_devices()[0].platform
        # CPUs emulate GPUs, for tests.
        if self.platform not in (None, here) and here != "cpu":
            return "these devices"
        found = _steps_or_why_not(self.compile, signature)
        return found if isinstance(found, str) else None

    def steps(self, signature: Signature) -> Steps:
        """Return the compiled steps of a sweep.

        Raises:
            Unsupported: if this backend cannot compile it; see `why_not`.
        """
        found = _steps_or_why_not(self.compile, signature)
        if isinstance(found, str):
            raise compiler.Unsupported(found)
        return found


def _vmapped(one: Callable, fixed: Sequence[Any], state: Sequence[Any]) -> Steps:
    """Leave a step to XLA, under `vmap`; see `compiler.cpu.compile_steps`."""
    # Before each turn of a loop whose length XLA does not know, a GPU waits for the host.
    waits = jax.local_devices()[0].platform == "gpu"

    def advance(steps, count, fixed, leaves):
        def turn(i, leaves):
            return jax.vmap(lambda number, *lane: one(number + i, *lane))(steps, fixed, leaves)

        def turns(i, leaves):
            return jax.lax.fori_loop(0, TURN, lambda j, leaves: turn(TURN * i + j, leaves), leaves)

        if not waits:
            return jax.lax.fori_loop(0, count, turn, leaves)
        leaves = jax.lax.fori_loop(0, count // TURN, turns, leaves)
        return jax.lax.fori_loop(count - count % TURN, count, turn, leaves)

    return Steps(run=advance)


CPU = Backend(
    name="cpu",
    platform="cpu",
    first_lanes=16,
    compile=cpu.compile_steps,
    identity=cpu.identity,
)
CUDA = Backend(
    name="cuda",
    platform="gpu",
    first_lanes=ACCELERATOR_LANES,
    compile=cuda.compile_steps,
    identity=cuda.identity,
)
XLA = Backend(name="xla", platform=None, first_lanes=8, compile=_vmapped)
BACKENDS = {backend.name: backend for backend in (CPU, CUDA, XLA)}


def native_backend() -> Backend:
    """Return the backend made for the local devices; XLA if there is none."""
    here = jax.local_devices()[0].platform
    return next((backend for backend in BACKENDS.values() if backend.platform == here), XLA)


def backends_for(sweep: Sweep) -> tuple[Backend, ...]:
    """Return the backends that can train a sweep here, the native one first."""
    return (XLA,) if refusal(sweep) else (native_backend(), XLA)


def refusal(sweep: Sweep) -> str | None:
    """Return the reason why only XLA can train a sweep here, or None."""
    native = native_backend()
    if native is XLA:
        return "no other backend is made for these devices"
    why = native.why_not(signature_of(sweep))
    return why and f"{native.name} has no program for {why}"


def prepare(sweeps: Sequence[Sweep]) -> None:
    """Compile the native programs of sweeps, on all cores: compilers are processes of their own."""
    distinct = {signature_of(sweep): sweep for sweep in sweeps}.values()
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(refusal, distinct))


def lane_shapes(signature: Signature, lanes: int) -> tuple[TrialInputs, Any, Any]:
    """Return the shapes of the inputs, states and keys of a number of lanes."""
    inputs = abstract_inputs(signature, lanes)[1]
    return inputs, *jax.eval_shape(jax.vmap(functools.partial(init_trial, signature)), inputs)


def step_of(signature: Signature) -> tuple[Callable, list[Any], list[Any]]:
    """Return one step of one seed, in the form that a backend compiles.

    Returns:
        The function of (number of the step, fixed arrays, arrays of the state) to the next
        state's arrays, and the shapes of the fixed arrays and of the state's.
    """
    inputs, state, keys = lane_shapes(signature, 1)
    leaves, structure = jax.tree.flatten(state)

    def one(number, fixed, leaves):
        hyperparameters, words = fixed
        plugins = plugins_of(signature, hyperparameters)
        after = step(plugins, Keys(words, words), number, jax.tree.unflatten(structure, leaves))
        return jax.tree.leaves(after)

    def shapes(arrays):
        return [jax.ShapeDtypeStruct(array.shape[1:], array.dtype) for array in arrays]

    return one, shapes([inputs.hyperparameters, keys.step]), shapes(leaves)


@functools.cache
def _steps_or_why_not(compile_steps: Callable[..., Steps], signature: Signature) -> Steps | str:
    with numerics(signature.precision):
        return compiler.steps_or_why_not(compile_steps, *step_of(signature))
