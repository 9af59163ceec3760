"""Values that plug-ins may hold, and sweeps that differ in such a value."""

import enum
import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import basin_jax
from basin_jax import Organism, Plugin, Sweep, trial
from basin_jax.core.identity import digest_of
from basin_jax.core.trial import signature_of
from basin_jax.methods import Gradient
from basin_jax.runs.checks import check_cells


class Holding(Organism):
    """Lose by whatever its field is, which `of` makes a number of."""

    held: Any
    of: Any

    def init(self, key):
        return jax.random.normal(key, (3,), jnp.float32)

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return jnp.sum(params**2) + self.of(self.held, params)

    def probe(self, key, params):
        number = self.of(self.held, params)
        rates = {n: params.sum() for n in ("watched", "unwatched", "competence", "margin")}
        return {**rates, "fit": jnp.asarray(number, float)}


def sweep_of(held, of):
    method = Gradient(learning_rate=0.1)
    return Sweep(organism=Holding(held=held, of=of), method=method, num_steps=2)


class Color(enum.Enum):
    RED = 1.0
    BLUE = 2.0


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Scaled:
    """A callable object, and a method."""

    def __init__(self, gain):
        self.gain = gain

    def __call__(self, x):
        return self.gain * x

    def plus(self, x):
        return self.gain + x


@dataclass(frozen=True)
class Frozen:
    gain: float

    def __call__(self, x):
        return self.gain * x


class Tilt(Plugin):
    by: float

    def of(self, x):
        return self.by * x


def double(x):
    return 2 * x


def triple(x):
    return 3 * x


def called(held, params):
    return jnp.sum(held(params))


def by_value(held, params):
    return held.value * jnp.sum(params)


def times(held, params):
    return float(held) * jnp.sum(params)


def as_type(held, params):
    return jnp.sum((1e6 * params).astype(held)).astype(float)


def total(held, params):
    return float(sum(held)) * jnp.sum(params)


def end(held, params):
    return float(held.stop) * jnp.sum(params)


def imaginary(held, params):
    return float(held.imag) * jnp.sum(params)


def pointwise(held, params):
    return float(held(0.5)) * jnp.sum(params)


def power(held, params):
    return jnp.sum(jnp.abs(params) ** held)


def truth(held, params):
    return (1.0 if held is True else 2.0) * jnp.sum(params)


def sign(held, params):
    return math.copysign(1.0, held) * jnp.sum(params)


def text(held, params):
    return float(len(held())) * jnp.sum(params)


# Two values of a kind that give other programs, and what makes a number of them.
PAIRS = {
    "enumeration": (Color.RED, Color.BLUE, by_value),
    "whole enumeration": (Level.LOW, Level.HIGH, times),
    "type of numbers": (np.dtype("int8"), np.dtype("int32"), as_type),
    "type of JAX": (jnp.int8, jnp.int32, as_type),
    "function of NumPy": (np.sin, np.cos, pointwise),
    "function of jax.numpy": (jnp.add.reduce, jnp.multiply.reduce, called),
    "function of C": (math.sin, math.cos, pointwise),
    "set": (frozenset({1, 2}), frozenset({1, 3}), total),
    "range": (range(3), range(4), total),
    "slice": (slice(0, 2), slice(0, 3), end),
    "complex number": (1 + 2j, 1 + 3j, imaginary),
    "object": (Scaled(2.0), Scaled(3.0), called),
    "frozen object": (Frozen(2.0), Frozen(3.0), called),
    "method of an object": (Scaled(2.0).plus, Scaled(3.0).plus, called),
    "method of a plug-in": (Tilt(by=0.1).of, Tilt(by=0.2).of, called),
    "method of a text": ("ab".upper, "abc".upper, text),
    "vmap": (jax.vmap(double), jax.vmap(triple), called),
    "gradient": (jax.vmap(jax.grad(double)), jax.vmap(jax.grad(triple)), called),
    "partial": (functools.partial(jnp.multiply, 2), functools.partial(jnp.multiply, 3), called),
    "lambdas of a line": (lambda x: 2 * x, lambda x: 3 * x, called),
    "class of a call": (type("Made", (), {"stop": 1}), type("Made", (), {"stop": 2}), end),
    # Equal by `==`, and still other programs.
    "whole and float": (2, 2.0, power),
    "truth and whole": (True, 1, truth),
    "sign of zero": (0.0, -0.0, sign),
    "signs in a tuple": ((0.0,), (-0.0,), lambda held, x: sign(held[0], x)),
    "kinds in a tuple": ((1,), (True,), lambda held, x: truth(held[0], x)),
    "kinds in a set": (
        frozenset({1}),
        frozenset({True}),
        lambda held, x: truth(next(iter(held)), x),
    ),
    "equal ranges": (range(0, 3, 2), range(0, 4, 2), end),
    "kinds in a frozen object": (Frozen(1), Frozen(True), lambda held, x: truth(held.gain, x)),  # pyright: ignore
}


@pytest.mark.ci
@pytest.mark.parametrize("name", PAIRS)
def test_values_that_give_other_programs_are_other_sweeps_and_are_trained_as_they_are(name):
    one, other, of = PAIRS[name]
    sweeps = [sweep_of(held, of) for held in (one, other)]
    assert digest_of(sweeps[0]) != digest_of(sweeps[1])
    assert digest_of(sweeps[0]) == digest_of(sweep_of(one, of))
    assert signature_of(sweeps[0]) != signature_of(sweeps[1])
    if name != "whole and float":  # which differ in low bits, or not
        assert trial(sweeps[0], 3)["fit"][-1] != trial(sweeps[1], 3)["fit"][-1]
    for sweep in sweeps:
        assert "0x" not in str(sweep.fields())


def repeated(times):
    """A function that closes over itself, and over what there is not yet."""

    def inner(x, left=times):
        return x if left == 0 else inner(2 * x, left - 1)

    def outer(x):
        return inner(x) if times else later(x)

    if times < 0:
        later = jnp.sin
    return outer


def test_a_function_may_close_over_itself_and_over_what_is_not_there_yet():
    one, other = (sweep_of(repeated(times), called) for times in (1, 2))
    assert digest_of(one) == digest_of(sweep_of(repeated(1), called))
    assert digest_of(one) != digest_of(other)


def test_equal_objects_share_a_program():
    assert signature_of(sweep_of(Frozen(2.0), called)) == signature_of(
        sweep_of(Frozen(2.0), called)
    )
    assert digest_of(sweep_of(Scaled(2.0), called)) == digest_of(sweep_of(Scaled(2.0), called))


def test_an_object_that_has_changed_is_another_sweep():
    held = Scaled(2.0)
    before = digest_of(sweep_of(held, called)), trial(sweep_of(held, called), 3)["fit"][-1]
    held.gain = 3.0
    assert digest_of(sweep_of(held, called)) == digest_of(sweep_of(Scaled(3.0), called))
    assert digest_of(sweep_of(held, called)) != before[0]
    assert trial(sweep_of(held, called), 3)["fit"][-1] != before[1]


def test_cells_that_only_their_programs_tell_apart_are_refused():
    cells = [
        sweep_of((f, g), lambda held, x: jnp.sum(held[0](x)))
        for f, g in [(lambda x: x, lambda x: 2 * x), (lambda x: 3 * x, lambda x: x)]
    ]
    assert cells[0].fields() == cells[1].fields()
    with pytest.raises(ValueError, match="cells 1 and 2 have the same fields, but other programs"):
        check_cells(cells, basin_jax.rules.Behavior())
