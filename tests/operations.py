"""Operations and arrays on which each backend of the compiler is tried."""

from collections.abc import Callable, Iterator
from typing import Any

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
    *(jnp.arcsinh, jnp.log2, jax.lax.erfc),
    *(jax.nn.sigmoid, jax.nn.silu, jax.nn.softplus, jnp.square, jnp.isfinite, jnp.reciprocal),
]


BINARY = [jnp.add, jnp.subtract, jnp.multiply, jnp.divide, jnp.maximum, jnp.minimum, jnp.arctan2]
BINARY += [jnp.less, jnp.equal, jnp.not_equal, jnp.greater_equal, jnp.logical_xor]


def places(a):
    """Return an index for each row, which its numbers decide."""
    return (a[:, 0] > 0).astype(jnp.int32) + 2 * (a[:, 1] > 0.5)


def recurrent(a, reverse=False):
    """Return a loss of a recurrent network, which reads a row and keeps one at each turn."""
    weights = jnp.asarray(OTHERS[0][:, :7]) / 4

    def turn(hidden, row):
        hidden = jnp.tanh(row @ weights + hidden @ weights.T)
        return hidden, (hidden.sum(), hidden)

    last, (sums, rows) = jax.lax.scan(
        turn, jnp.zeros((2, 7)), jnp.stack([a, -a], 1), reverse=reverse
    )
    return (last**2).sum() + (sums[1:] * sums[:-1]).sum() + rows[0].sum()


def optimized(a):
    """Return the losses along an optimizer inside a step."""

    def loss(weights):
        return ((a @ weights - a[:, 0]) ** 2).mean()

    def turn(weights, _):
        value, slope = jax.value_and_grad(loss)(weights)
        return weights - 0.05 * slope, value

    return jax.lax.scan(turn, jnp.zeros(7), None, length=4)[1].sum()


def rows_of_rows(a):
    """Return what a loop in a loop keeps."""

    def turn(carry, row):
        return jax.lax.scan(lambda c, x: (jnp.sin(c + x * row.sum()), c * x), carry, a)

    last, kept = jax.lax.scan(turn, a[0], a[:3])
    return kept.sum((0, 1)) + last


def drawn(a):
    """Return what keys draw that a loop reads and carries."""

    def turn(key, other):
        own = jax.random.uniform(key, (7,)) + jax.random.uniform(other)
        return jax.random.split(key)[0], own

    keys = jax.random.split(jax.random.key(3), 3)
    return jax.lax.scan(turn, jax.random.key(1), keys)[1] + a[:3]


def replaced(a):
    """Return an array of which a loop reads and sets the row that it counts."""
    return jax.lax.fori_loop(1, 5, lambda i, c: c.at[i].set(c[i - 1] * a[i, 1] + a[i]), a)


def pooled(image, window, strides, padding="VALID"):
    """Return the largest and the mean of each window."""
    size, steps = (1, *window, 1), (1, *strides, 1)
    most = jax.lax.reduce_window(image, -jnp.inf, jax.lax.max, size, steps, padding)
    return most, jax.lax.reduce_window(image, 0.0, jax.lax.add, size, steps, padding)


def convolved(image, kernel, strides=(1, 1), padding: Any = "SAME", **how):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        image, kernel, strides, padding, dimension_numbers=layout, **how
    )


def kernels(*shape):
    return jnp.asarray(np.random.default_rng(1).normal(size=shape)) / 3


def images(a):
    return jnp.stack([a, a**2])[..., None]


def convolutional(a):
    """Return the gradient of a convolutional network in its kernels."""

    def loss(first, second):
        hidden = pooled(jax.nn.relu(convolved(images(a), first)), (2, 2), (2, 2))[0]
        hidden = pooled(jnp.tanh(convolved(hidden, second)), (2, 2), (1, 1), "SAME")[1]
        return (hidden.mean((1, 2)) ** 2).sum()

    slopes = jax.grad(loss, (0, 1))(kernels(3, 2, 1, 4), kernels(3, 3, 4, 4))
    return jnp.concatenate([slope.ravel() for slope in slopes])


def dilated(a):
    """Return a loss of convolutions with strides, dilations and groups."""
    first = convolved(
        images(a), kernels(3, 2, 1, 4), (2, 1), ((1, 2), (-1, 3)), lhs_dilation=(1, 2)
    )
    kernel = kernels(2, 3, 2, 6) * a[0, 0]
    second = convolved(first, kernel, rhs_dilation=(1, 2), feature_group_count=2)
    return (jnp.tanh(second) ** 2).sum()


def around(a):
    """Return a loss of windows that overlap."""
    most, sums = pooled(images(a), (2, 3), (1, 2), "SAME")
    return (most**2 * sums).sum()


def definite(a):
    return a @ a.T + jnp.eye(5)


def rooted(a):
    """Return solutions of systems, one at each turn of a loop."""

    def turn(total, x):
        system = x @ x.T + jnp.eye(3)
        return total + jnp.linalg.cholesky(system).sum(), jnp.linalg.solve(system, x[:, 0])

    rows = jnp.stack([a[:3, :3], a[2:5, 1:4], a[1:4, 2:5]])
    total, found = jax.lax.scan(turn, 0.0, rows)
    return total * found


def unvaried(a):
    """Return sums at places, and by numbers, that are computed from constants."""
    order = jnp.argsort(jnp.asarray([3.0, -1.0, jnp.nan, 2.0, 0.0]))
    step = jnp.nextafter(jnp.float32(-2), jnp.inf) + jax.scipy.special.digamma(jnp.arange(1.0, 5))
    known = jax.lax.platform_dependent(a, cpu=jnp.sin, default=jnp.sin)
    return known[order][jnp.triu_indices(5, 1)] * step.sum()


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
    "what is filled": lambda a: jnp.take_along_axis(
        a, places(a)[:, None] + 5, 1, mode="fill", fill_value=2.0
    ),
    "constants that are not there": lambda a: a.at[jnp.array([0, 9, 4])].get(
        mode="fill", fill_value=3.0
    ),
    "integer labels": jax.grad(
        lambda a: optax.softmax_cross_entropy_with_integer_labels(a, places(a)).sum()
    ),
    "added at places": lambda a: jnp.zeros(8).at[places(a)].add(a[:, 0]),
    "gradient": jax.grad(lambda a: (jax.nn.relu(a @ OTHERS[0]) ** 2).sum()),
}


PROGRAMS = {
    "gradient of turns": jax.grad(recurrent),
    "gradient of turns backward": jax.grad(lambda a: recurrent(a, reverse=True)),
    "gradient of an optimizer": jax.grad(optimized),
    "rows of rows": rows_of_rows,
    "keys of turns": drawn,
    "gradient of rows set": jax.grad(lambda a: (replaced(a) ** 2).sum()),
    "convolutions": convolutional,
    "gradient of dilated convolutions": jax.grad(dilated),
    "gradient of windows": jax.grad(around),
    "running extremes": lambda a: jax.lax.cummax(a, 1) + jax.lax.cumlogsumexp(9 * a, 0),
    "sorted, by two keys": lambda a: jax.lax.sort((a > 0, a, 2 * a), dimension=1, num_keys=2)[2],
    "no numbers sorted": lambda a: jnp.sort(jnp.log(a), 1),
    "order": lambda a: jnp.argsort(jnp.round(a), 1, descending=True).astype(jnp.float32),
    "gradient of a median": jax.grad(lambda a: (jnp.median(a, 1) ** 2).sum()),
    "gradient of the largest": jax.grad(lambda a: (jax.lax.top_k(a, 3)[0] ** 2).sum()),
    "gradient of a solution": jax.grad(
        lambda a: (jnp.linalg.solve(definite(a)[:3, :3], a[:3, :2]) ** 2).sum()
    ),
    "inverses": lambda a: jnp.linalg.inv(jnp.stack([definite(a)[:3, :3], a[:3, :3]])),
    "gradient of a root": jax.grad(
        lambda a: (jnp.linalg.cholesky(definite(a)) ** 2 @ jnp.arange(5.0)).sum()
    ),
    "systems in a loop": rooted,
    "no root": lambda a: jnp.linalg.cholesky(-definite(a)),
    "places in order": lambda a: jnp.searchsorted(jnp.sort(a[0]), a[1:]).astype(jnp.float32),
    "gradient of own slices": jax.grad(
        lambda a: jax.lax.dynamic_update_slice(
            a, jax.lax.dynamic_slice(a, (places(a)[0], 1), (2, 3)) ** 2, (places(a)[1], 2)
        ).prod()
    ),
    "gradient of elements set": jax.grad(
        lambda a: (a.at[places(a), 1].set(a[:, 2]).at[places(a)].max(a[::-1]) ** 2).sum()
    ),
    "a choice among three": lambda a: jax.lax.switch(
        places(a)[0] % 3, [jnp.sin, jnp.cos, lambda a: a], a
    ),
    "slope of the error function": jax.grad(lambda a: jax.nn.gelu(a, approximate=False).sum()),
    "computed again": jax.grad(lambda a: jax.checkpoint(lambda a: jnp.sin(a @ a.T).sum())(a)),
    "what no seed decides": unvaried,
    "gradient of a choice": jax.grad(
        lambda a: jax.lax.cond(a[0, 0] > 0, jnp.sum, lambda a: (jnp.tile(a, (2, 1)) ** 2).sum(), a)
    ),
}
# The time of a C++ compiler grows faster than a program.
TOGETHER = 6


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
    expected = jax.jit(jax.vmap(lambda *each: step(0, each, [])))(*given)
    yield from zip(functions, map(np.asarray, found), map(np.asarray, expected), strict=True)
