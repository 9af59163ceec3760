"""Particles: networks whose noise at the start, or whose state, a search gives.

A particle trains as a seed does: the same streams, steps and probe, by the same backend. Only the
words that its start draws are given, or the state that it goes on from.
"""

import functools
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, UInt32, UInt64
from numpy import ndarray

from basin_jax.core.seeds import seed_bits
from basin_jax.core.sweep import Child, Sweep
from basin_jax.core.trial import (
    Keys,
    Output,
    TrialInputs,
    abstract_inputs,
    begin,
    inputs_of,
    numerics,
    plugins_of,
    probe_trial,
    signature_of,
    spans,
    start_params,
    streams,
    with_beginning,
)
from basin_jax.engine.autotune import choose
from basin_jax.engine.backends import BACKENDS
from basin_jax.engine.lanes import map_lanes
from basin_jax.engine.sharded import OPTIONS, filled, mesh_of, put, whole, with_constants_inside
from basin_jax.rare.noise import Explicit


class Particles:
    """Train particles of a sweep, on all local devices.

    Args:
        sweep: the sweep, whose stops are where evidence is measured.
        lanes: the number of lanes of a block; those of the device if None.
        output: what is measured, as by a kernel.

    Attributes:
        sweep: the sweep.
        lanes: the number of lanes of a block.
        num_words: the random words of 32 bits that a seed draws at its start, and its parent's. A
            start that is the same for all seeds, by `vary`, has none.

    Raises:
        ValueError: where the start draws inside of a loop.
    """

    def __init__(
        self, sweep: Sweep, *, lanes: int | None = None, output: Output = "evidence"
    ) -> None:
        self.sweep = sweep
        self._signature = signature_of(sweep, output)
        tuning = choose(sweep, lanes=lanes, seeds=1)
        self._backend, self.lanes = BACKENDS[tuning.backend], tuning.lanes
        self._devices = tuple(jax.local_devices())
        self._parent = None
        if isinstance(sweep.start, Child):
            self._parent = Particles(with_beginning(sweep.start.of), lanes=lanes, output="params")
        shapes = abstract_inputs(self._signature)[1]
        self._start = None
        if sweep.vary != "data":
            with numerics(sweep.precision):
                key = jax.eval_shape(lambda inputs: self._streams(inputs).init, shapes)
                self._start = Explicit(self._params, key, shapes)
        self._programs: dict[str, tuple[Callable, Any]] = {}
        self._own = self._start.num_words if self._start else 0
        parents = self._signature.parent_shape[0] // 2
        self.num_words = self._own + (parents * self._parent.num_words if self._parent else 0)

    def words_of(self, seeds: UInt64[ndarray, " seed"]) -> UInt32[ndarray, "seed word"]:
        """Return the words that seeds of the sweep draw."""
        words = np.zeros((len(seeds), 0), np.uint32)
        if self._own:
            (words,) = self._map(self._words, (self._inputs(seeds),))
        if self._parent is not None:
            drawn = [self._parent.words_of(own) for own in self._parents(seeds)]
            words = np.concatenate([words, *drawn], axis=1)
        return words

    def evidence(
        self, words: UInt32[ndarray, "particle word"], seeds: UInt64[ndarray, " particle"]
    ) -> dict[str, Float[ndarray, "particle stop *shape"]]:
        """Train particles from their first step to their last.

        Args:
            words: what each start draws.
            seeds: what all other noise is drawn of, such as the order of the data.

        Returns:
            The evidence by its name, at each of the sweep's stops.
        """
        own, inputs = words[:, : self._own], self._inputs(seeds, words)
        stops = np.asarray(self.sweep.stops, np.int32)
        return self._map(self._train, (inputs, own), stops)

    def begin(
        self, words: UInt32[ndarray, "particle word"], seeds: UInt64[ndarray, " particle"]
    ) -> Any:
        """Return the states of particles before their first step, arrays [particle, ...]."""
        own = words[:, : self._own]
        return self._map(self._begin, (self._inputs(seeds, words), own))

    def advance(
        self,
        state: Any,
        seeds: UInt64[ndarray, " particle"],
        *,
        first: int,
        last: int,
        probes: UInt64[ndarray, " particle"] | None = None,
    ) -> tuple[Any, dict[str, Float[ndarray, " particle"]]]:
        """Take the steps from `first` up to but not including `last`, and measure the evidence.

        Args:
            state: the particles' states before step `first`.
            seeds: what the noise of these steps is drawn of; a clone has one of its own.
            first, last: the numbers of the steps.
            probes: the seeds of which the noise of the probe is drawn, which one seed has at all of
                its stops; `seeds` if None.
        """
        given = self._inputs(seeds), state, seed_bits(seeds if probes is None else probes)
        return self._map(self._advance, given, np.array([first, last], np.int32))

    # Functions of one particle.

    def _streams(self, inputs: TrialInputs) -> Any:
        start = plugins_of(self._signature, inputs.hyperparameters)[1]
        return streams(start, inputs, self._signature.vary)

    def _params(self, key: Any, inputs: TrialInputs) -> Any:
        plugins = plugins_of(self._signature, inputs.hyperparameters)
        return start_params(plugins, key, inputs.parent_params)

    def _state(self, inputs: TrialInputs, words: UInt32[Array, " word"]) -> Any:
        plugins = plugins_of(self._signature, inputs.hyperparameters)
        keys = self._streams(inputs)
        if self._start is None:
            params = self._params(keys.init, inputs)
        else:
            params = self._start(words, keys.init, inputs)
        return begin(plugins, keys, params)[0]

    def _keys(self, inputs: TrialInputs, probes: UInt32[Array, "2"]) -> Keys:
        step = self._streams(inputs).step
        probe = self._streams(inputs._replace(seed_bits=probes)).probe
        return Keys(*map(jax.random.key_data, (step, probe)))

    # Functions of a block of lanes.

    def _words(self, _: None, inputs: TrialInputs) -> tuple[Array]:
        def one(inputs):
            assert self._start is not None
            return self._start.words_of(self._streams(inputs).init, inputs)

        return (map_lanes(one, inputs),)

    def _begin(self, _: None, inputs: TrialInputs, words: Array) -> Any:
        return map_lanes(self._state, inputs, words)

    def _advance(
        self, span: Array, inputs: TrialInputs, state: Any, probes: Array
    ) -> tuple[Any, Any]:
        keys, first = map_lanes(self._keys, inputs, probes), jnp.full(self.lanes, span[0])
        taken = self._signature, inputs, keys, state, first, span[1] - span[0]
        state = self._backend.advance(*taken)
        probe = functools.partial(probe_trial, self._signature)
        return state, map_lanes(probe, inputs, keys, state)

    def _train(self, stops: Array, inputs: TrialInputs, words: Array) -> Any:
        def until(state, span):
            return self._advance(span, inputs, state, inputs.seed_bits)

        state = self._begin(None, inputs, words)
        _, seen = jax.lax.scan(until, state, jnp.stack(spans(stops), -1))
        return jax.tree.map(lambda x: x.swapaxes(0, 1), seen)

    # Blocks of lanes on the devices.

    def _inputs(self, seeds: ndarray, words: ndarray | None = None) -> TrialInputs:
        """Make inputs of particles, whose parents are trained where they begin."""
        inputs = inputs_of(self.sweep, seeds)
        if self._parent is None or words is None:
            return inputs
        parents = self._parents(seeds)
        drawn = np.split(words[:, self._own :], len(parents), axis=1)
        given = zip(drawn, parents, strict=True)
        ends = [self._parent.evidence(*own)["params"][:, [0, -1]] for own in given]
        parent_params = np.concatenate(ends, axis=1).astype(inputs.parent_params.dtype)
        return inputs._replace(parent_params=parent_params)

    def _parents(self, seeds: UInt64[ndarray, " seed"]) -> UInt64[ndarray, "parent seed"]:
        return cast(Child, self.sweep.start).parents(seeds).T

    def _map(self, function: Callable, given: Any, common: Any = None) -> Any:
        """Apply a function of a block to arrays [particle, ...], block by block."""
        count, size = len(jax.tree.leaves(given)[0]), len(self._devices) * self.lanes
        # What is padding is the first particle again.
        places = np.r_[np.arange(count), np.zeros(-count % size, int)].reshape(-1, size)

        def deal(x: ndarray, block: ndarray) -> ndarray:
            return x[block].reshape(len(self._devices), self.lanes, *x.shape[1:])

        with numerics(self._signature.precision):
            program, shapes = self._program(function, given, common)
            blocks = [jax.tree.map(functools.partial(deal, block=b), given) for b in places]
            # All are under way before the first is awaited.
            found = [program(common, put(filled(block), self._devices)) for block in blocks]
            return jax.tree.map(functools.partial(_joined, count), shapes, *found)

    def _program(self, function: Callable, given: Any, common: Any) -> tuple[Callable, Any]:
        """Compile a function of a block, and find the shapes of its results."""
        name = function.__name__
        if name not in self._programs:
            lanes = jax.tree.map(
                lambda x: jax.ShapeDtypeStruct((self.lanes, *x.shape[1:]), x.dtype), given
            )

            def shard(common: Any, given: Any) -> Any:
                found = with_constants_inside(function, common, *whole(lanes, given))
                return jax.tree.map(lambda x: x[None], filled(found))

            sharded = jax.shard_map(
                shard,
                mesh=mesh_of(self._devices),
                in_specs=(P(), P("device")),
                out_specs=P("device"),
                check_vma=False,
            )
            options = OPTIONS.get(self._devices[0].platform)
            compiled = jax.jit(sharded, compiler_options=options)
            self._programs[name] = compiled, jax.eval_shape(function, common, *lanes)
        return self._programs[name]


def _joined(count: int, like: Any, *parts: Any) -> ndarray:
    """Join the results [device, lane, ...] of blocks to those of the particles."""
    if not like.size:
        return np.zeros((count, *like.shape[1:]), like.dtype)
    return np.concatenate([np.asarray(part).reshape(-1, *like.shape[1:]) for part in parts])[:count]
