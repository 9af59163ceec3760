"""Random numbers: Threefry's words, as JAX counts them (`jax_threefry_partitionable`)."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from basin_jax.compiler import ir
from basin_jax.compiler.lowering_rules import lowers


# What moves keys as it moves numbers, a word at a time.
MOVES_KEYS = {"slice", "squeeze", "reshape", "unstack", "transpose", "broadcast_in_dim"}
MOVES_KEYS |= {"select_n", "dynamic_slice"}


class Keys(NamedTuple):
    """Random keys: the two words of each."""

    high: ir.Node
    low: ir.Node


@lowers("random_wrap")
def _random_wrap(eqn: JaxprEqn, args: list[ir.Node]) -> list[Any]:
    (words,) = args
    if words.shape[-1:] != (2,) or str(eqn.params["impl"]) not in ("fry", "threefry2x32"):
        raise ir.Unsupported(f"random numbers by {eqn.params['impl']}")
    kept = [(d, 0, 1) for d in range(len(words.shape) - 1)]
    halves = [ir.view(words, words.shape[:-1], [*kept, (None, i, 1)]) for i in (0, 1)]
    return [Keys(*halves)]


@lowers("random_unwrap")
def _random_unwrap(eqn: JaxprEqn, args: list[Any]) -> list[ir.Node]:
    halves = tuple(ir.contiguous(half) for half in args[0])
    size = halves[0].size
    places = np.arange(2 * size, dtype=np.int32).reshape(2, size).T
    shape = (*args[0].high.shape, 2)
    return [ir.Gather(halves, shape, np.dtype(np.uint32), places=places.reshape(shape))]


@lowers("random_seed")
def _random_seed(eqn: JaxprEqn, args: list[Any]) -> list[Any]:
    (seed,) = args
    if not isinstance(seed, ir.Constant):
        raise ir.Unsupported("a random key made of a seed's own number")
    with jax.ensure_compile_time_eval():
        words = np.asarray(jax.random.key_data(jax.random.key(seed.value, impl="threefry2x32")))
    return [Keys(ir.constant(words[..., 0]), ir.constant(words[..., 1]))]


def _threefry(keys: Keys, high: ir.Node, low: ir.Node) -> Keys:
    args = (keys.high, keys.low, high, low)
    shape = max((arg.shape for arg in args), key=len)
    alike = tuple(arg if arg.shape == shape else ir.broadcast_to(arg, shape) for arg in args)
    # Dear enough never to be done twice.
    words = [ir.Random(alike, shape, np.dtype(np.uint32), word=i, cost=100) for i in (0, 1)]
    return Keys(*words)


def _zero(shape: tuple[int, ...]) -> ir.Constant:
    return ir.constant(np.broadcast_to(np.uint32(0), shape))


def _counted(keys: Keys, shape: tuple[int, ...]) -> Keys:
    """Return Threefry's words at the counters 0, 1, ... in an array of that shape."""
    if keys.high.shape:
        raise ir.Unsupported("several random keys at once")
    zero = _zero(shape)
    return _threefry(keys, zero, ir.Iota((), shape, zero.dtype, steps=ir.row_major(shape)))


@lowers("random_fold_in")
def _random_fold_in(eqn: JaxprEqn, args: list[Any]) -> list[Any]:
    keys, data = args
    return [_threefry(keys, _zero(data.shape), data)]


@lowers("random_split")
def _random_split(eqn: JaxprEqn, args: list[Any]) -> list[Any]:
    return [_counted(args[0], tuple(eqn.params["shape"]))]


@lowers("random_bits")
def _random_bits(eqn: JaxprEqn, args: list[Any]) -> list[Any]:
    if eqn.params["bit_width"] != 32:
        raise ir.Unsupported(f"random numbers of {eqn.params['bit_width']} bits")
    shape = tuple(eqn.params["shape"])
    high, low = _counted(args[0], shape)
    return [ir.elementwise("{0} ^ {1}", [high, low], shape, np.dtype(np.uint32))]
