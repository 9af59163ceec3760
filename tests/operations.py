"""Operations and arrays on which each backend of the compiler is tried."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy import ndarray


SEEDS = 21  # no multiple of any number of lanes


RANDOM = np.random.default_rng(0)


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e38, 3e-5, -3e-5, 0.9999999, -88.0]


NUMBERS = np.concatenate(
    [RANDOM.normal(size=(8, 12)), 20 * RANDOM.normal(size=(12, 12)), [SPECIAL]]
).astype(np.float32)


MATRICES = RANDOM.normal(size=(SEEDS, 5, 7)).astype(np.float32)


OTHERS = RANDOM.normal(size=(SEEDS, 7, 9)).astype(np.float32)


WORDS = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(0), SEEDS)))


POINTWISE = [
    *(jnp.exp, jnp.log, jnp.log1p, jnp.expm1, jnp.tanh, jnp.sqrt, jnp.abs, jnp.sign, jnp.floor),
    *(jnp.ceil, jnp.round, jnp.sin, jnp.cos, jnp.cbrt, jax.lax.erf, jax.lax.rsqrt, jax.nn.relu),
    *(jax.nn.sigmoid, jax.nn.silu, jax.nn.softplus, jnp.square, jnp.isfinite, jnp.reciprocal),
]


BINARY = [jnp.add, jnp.subtract, jnp.multiply, jnp.divide, jnp.maximum, jnp.minimum, jnp.arctan2]
BINARY += [jnp.less, jnp.equal, jnp.not_equal, jnp.greater_equal, jnp.logical_xor]


def places(a):
    """Return an index for each row, which its numbers decide."""
    return (a[:, 0] > 0).astype(jnp.int32) + 2 * (a[:, 1] > 0.5)


ARRAYS = {
    "sum": lambda a: a.sum(0),
    "sum of all": lambda a: a.sum(),
    "max": lambda a: a.max(1),
    "min": lambda a: a.min(),
    "product": lambda a: jnp.prod(a[0, 1:]),
    "any": lambda a: jnp.asarray((a > 0.5).any(0), jnp.float32),
    "all": lambda a: jnp.asarray((a > -0.5).all(0), jnp.float32),
    "softmax": lambda a: jax.nn.softmax(a),
    "log softmax": lambda a: jax.nn.log_softmax(a, axis=0),
    "transposed": lambda a: a.T * jnp.arange(7.0)[:, None],
    "slice": lambda a: a[1:4:2, ::-1],
    "reshape": lambda a: jnp.where(a > 0, a, 2 * a).reshape(-1)[3:30:2],
    "reshape of a view": lambda a: a.T.reshape(5, 7),
    "concatenate": lambda a: jnp.concatenate([a, 2 * a[:, :3]], 1),
    "stack": lambda a: jnp.stack([a[0], 2 * a[1]]),
    "pad": lambda a: jnp.pad(a, 1),
    "set": lambda a: a.at[:, 2].set(a[0, 0]),
    "look-up": lambda a: a[jnp.array([3, 0, 3])],
    "one hot": lambda a: jax.nn.one_hot((a[0] > 0).astype(int), 3),
    "where": lambda a: jnp.where(a.sum() > 0, a, 0),
    "clip": lambda a: jnp.clip(a, -0.5, 0.5),
    "powers": lambda a: a**2 + a**-3 + jnp.abs(a) ** 0.3,
    "bits": lambda a: (a > 0).astype(jnp.uint32).astype(jnp.float32) - (a < 1),
    "choice": lambda a: jax.lax.cond(a[0, 0] > 0, lambda a: 2 * a, lambda a: a - 1, a),
    "while": lambda a: jax.lax.while_loop(
        lambda c: c[0] < 10 * a[0, 0], lambda c: (c[0] + 1, 1.1 * c[1] + a), (0.0, a)
    )[1],
    "slope of tanh": lambda a: jax.vjp(jnp.tanh, a)[1](a)[0],
    "loop": lambda a: jax.lax.fori_loop(0, 5, lambda i, c: jnp.tanh(c @ c.T @ c) + i, a),
    "swap": lambda a: jnp.stack(
        jax.lax.fori_loop(0, 3, lambda i, c: (c[1], 2 * c[0]), (a[0], a[1]))
    ),
    "loop in a loop": lambda a: jax.lax.fori_loop(
        0,
        3,
        lambda i, c: 0.5 * jax.lax.while_loop(lambda d: d.sum() < 9 * i, lambda d: d + 1, c),
        a,
    ),
    "rows": lambda a: jax.lax.scan(lambda c, x: (0.5 * c + x, None), a[0], a)[0],
    "rows backward": lambda a: jax.lax.scan(
        lambda c, x: (0.5 * c + x, None), a[0], a, reverse=True
    )[0],
    "split": lambda a: jnp.split(a, [2, 3], axis=1)[2],
    "gradient of concatenate": jax.grad(lambda a: (jnp.concatenate([a, a**2]) ** 2).sum()),
    "gradient of roll": jax.grad(lambda a: (jnp.roll(a, 2, 1) * a**2).sum()),
    "place of the most": lambda a: jnp.argmax(a, 1).astype(jnp.float32),
    "place of the least": lambda a: jnp.argmin(a, 0).astype(jnp.float32),
    "running sum": lambda a: jnp.cumsum(a, 1),
    "running sum backward": lambda a: jax.lax.cumsum(a, 0, reverse=True),
    "running product": lambda a: jnp.cumprod(a, 0),
    "rows by own indices": lambda a: a[places(a)],
    "gradient of rows by own indices": jax.grad(lambda a: (a[places(a)] ** 2).sum()),
    "elements by own indices": lambda a: jnp.take_along_axis(a, places(a)[:, None], 1),
    "pairs of own indices": lambda a: a[jnp.arange(len(a)), places(a)],
    "what is not there": lambda a: jnp.take_along_axis(a, places(a)[:, None] + 5, 1, mode="fill"),
    "integer labels": jax.grad(
        lambda a: optax.softmax_cross_entropy_with_integer_labels(a, places(a)).sum()
    ),
    "added at places": lambda a: jnp.zeros(8).at[places(a)].add(a[:, 0]),
    "gradient": jax.grad(lambda a: (jax.nn.relu(a @ OTHERS[0]) ** 2).sum()),
}


def all_at_once(
    compile_steps: Callable, functions: list[Callable], *arrays: ndarray
) -> Iterator[tuple[Callable, ndarray, ndarray]]:
    """Yield many functions, what a compiled step that computes all gives of each, and vmap."""
    given = [jnp.asarray(array) for array in arrays]
    shapes = [jax.ShapeDtypeStruct(array.shape[1:], array.dtype) for array in given]

    def step(number, fixed, state):
        return [jnp.asarray(function(*fixed), jnp.float32) for function in functions]

    outs = jax.eval_shape(step, 0, shapes, [])
    steps = compile_steps(step, shapes, outs)
    seeds = len(given[0])
    zeros = [jnp.zeros((seeds, *out.shape)) for out in outs]
    found = steps(jnp.zeros(seeds, jnp.int32), jnp.ones((), jnp.int32), given, zeros)
    expected = jax.vmap(lambda *each: step(0, each, []))(*given)
    yield from zip(functions, map(np.asarray, found), map(np.asarray, expected), strict=True)
