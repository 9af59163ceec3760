"""The random words that a start draws, made explicit, so that chains can move them.

A start is a function of a random key. Its trace shows where it draws random bits; with those bits
as inputs it is a function of words, which are uniform over 32 bits and independent of each other:
the start's prior is the uniform distribution over words, whatever distribution it makes of them.
"""

import abc
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import eval_jaxpr
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jaxtyping import Array, UInt32

from basin_jax.compiler.lowering import INLINED


class Explicit:
    """A function of a random key, and the same function of the words that it draws.

    Draws that do not come from the key, such as those of a fixed data set, stay as they are. Draws
    of the same key are the same words, as they are the same bits in JAX.

    Args:
        function: a function of a key and of other arguments.
        key: the key's shape, as `jax.eval_shape` takes it.
        others: the shapes of the other arguments.

    Raises:
        ValueError: where it draws inside a loop or a condition.
    """

    def __init__(self, function: Callable[..., Any], key: Any, *others: Any):
        self._program, shapes = jax.make_jaxpr(function, return_shape=True)(key, *others)
        self._structure = jax.tree.structure(shapes)
        counting = _Counter()
        jax.eval_shape(lambda *args: self._value(counting, *args), key, *others)
        self._first, self.num_words = counting.layout()

    def __call__(self, words: UInt32[Array, " word"], key: Any, *others: Any) -> Any:
        """Return the function's value where it draws these words, whatever the key is."""
        return self._value(_Given(words, self._first), key, *others)

    def words_of(self, key: Any, *others: Any) -> UInt32[Array, " word"]:
        """Return the words that the function draws of a key."""
        recording = _Recorder(self._first, self.num_words)
        self._value(recording, key, *others)
        return recording.words

    def _value(self, source: "_Source", key: Any, *others: Any) -> Any:
        leaves = jax.tree.leaves((key, *others))
        return jax.tree.unflatten(self._structure, _evaluate(self._program, leaves, source))


# Which draw: the key's derivation, as numbers of equal expressions, and the width of its words.
_Draw = tuple[int, int]


class _Source(abc.ABC):
    """Where the bits of a draw come from."""

    @abc.abstractmethod
    def bits(self, draw: _Draw, in_jax: Callable[[], Array]) -> Array:
        """Return the bits of a draw; `in_jax` draws them as JAX does."""


class _Counter(_Source):
    """Counts the words of each draw."""

    def __init__(self):
        self._sizes: dict[_Draw, int] = {}

    def bits(self, draw: _Draw, in_jax: Callable[[], Array]) -> Array:
        bits = in_jax()
        # Keys that are used twice draw the same words, as far as both draws go.
        self._sizes[draw] = max(bits.size * _words_each(bits), self._sizes.get(draw, 0))
        return bits

    def layout(self) -> tuple[dict[_Draw, int], int]:
        """Return the place of each draw's first word, and the number of words."""
        first, total = {}, 0
        for draw, size in self._sizes.items():
            first[draw] = total
            total += size
        return first, total


class _Given(_Source):
    """Takes bits from given words."""

    def __init__(self, words: UInt32[Array, " word"], first: dict[_Draw, int]):
        self._words, self._first = words, first

    def bits(self, draw: _Draw, in_jax: Callable[[], Array]) -> Array:
        like, first = jax.eval_shape(in_jax), self._first[draw]
        words = self._words[first : first + math.prod(like.shape) * _words_each(like)]
        if _words_each(like) == 2:
            high, low = words.reshape(-1, 2).astype(like.dtype).T
            return (high << 32 | low).reshape(like.shape)
        # The high bits, which a small move leaves as they are.
        return (words >> _spare(like)).astype(like.dtype).reshape(like.shape)


class _Recorder(_Source):
    """Draws bits as JAX does, and records them as words."""

    def __init__(self, first: dict[_Draw, int], num_words: int):
        self._first, self.words = first, jnp.zeros(num_words, jnp.uint32)

    def bits(self, draw: _Draw, in_jax: Callable[[], Array]) -> Array:
        bits = in_jax()
        words = bits.ravel()
        if _words_each(bits) == 2:
            words = jnp.stack([words >> 32, words & 0xFFFFFFFF], -1).ravel()
        words = words.astype(jnp.uint32) << _spare(bits)
        first = self._first[draw]
        self.words = self.words.at[first : first + words.size].set(words)
        return bits


def _spare(bits: Any) -> int:
    """Return the bits of a word that a draw leaves unused."""
    return max(32 - 8 * bits.dtype.itemsize, 0)


def _words_each(bits: Any) -> int:
    return 2 if bits.dtype.itemsize == 8 else 1


def _evaluate(program: Any, args: Sequence[Any], source: _Source) -> list[Any]:
    """Evaluate a program whose first argument is the key, with another source of bits."""
    numbers = _Numbers()
    traced = [_Value(arg, numbers.of("argument", i), i == 0) for i, arg in enumerate(args)]
    return [value.array for value in _Interpreter(source, numbers).run(program, traced)]


class _Numbers:
    """Numbers of expressions: equal expressions have equal numbers."""

    def __init__(self):
        self._numbers: dict[tuple[Any, ...], int] = {}

    def of(self, *expression: Any) -> int:
        return self._numbers.setdefault(expression, len(self._numbers))


class _Value:
    """An array, the number of its expression, and whether it comes from the start's key."""

    def __init__(self, array: Any, number: int, from_key: bool):
        self.array, self.number, self.from_key = array, number, from_key


class _Interpreter:
    """Evaluates a program, except for the bits that it draws of the start's key."""

    def __init__(self, source: _Source, numbers: _Numbers):
        self._source, self._numbers = source, numbers

    def run(self, program: Any, args: Sequence[_Value]) -> list[_Value]:
        jaxpr: Jaxpr = getattr(program, "jaxpr", program)
        values: dict[Var, _Value] = {}

        def read(atom: Any) -> _Value:
            if isinstance(atom, Literal):
                number = self._numbers.of("literal", str(atom.aval), repr(atom.val))
                return _Value(atom.val, number, False)
            return values[atom]

        consts = [
            _Value(const, self._numbers.of("constant", id(const)), False)
            for const in getattr(program, "consts", ())
        ]
        values |= zip(jaxpr.constvars, consts, strict=True)
        values |= zip(jaxpr.invars, args, strict=True)
        for equation in jaxpr.eqns:
            found = self._apply(jaxpr, equation, [read(atom) for atom in equation.invars])
            values |= zip(equation.outvars, found, strict=True)
        return [read(atom) for atom in jaxpr.outvars]

    def _apply(self, program: Jaxpr, equation: JaxprEqn, args: list[_Value]) -> list[_Value]:
        name, params = equation.primitive.name, equation.params
        if name in INLINED:
            return self.run(params[INLINED[name]], args)
        from_key = any(arg.from_key for arg in args)
        number = self._numbers.of(name, _text(params), *(arg.number for arg in args))
        if name == "random_bits" and from_key:
            draw = args[0].number, params["bit_width"]
            bits = self._source.bits(draw, lambda: _bind(program, equation, args)[0])
            return [_Value(bits, number, False)]
        if from_key and any(_draws(inner) for inner in _programs(params)):
            raise ValueError(
                f"the start draws random numbers inside of {name!r}, whose number is not known "
                "beforehand; allowed: draws outside of loops and conditions"
            )
        return [
            _Value(array, self._numbers.of(number, place), from_key)
            for place, array in enumerate(_bind(program, equation, args))
        ]


def _bind(program: Jaxpr, equation: JaxprEqn, args: Sequence[_Value]) -> list[Any]:
    """Apply an operation to values."""
    given = {
        atom: arg.array
        for atom, arg in zip(equation.invars, args, strict=True)
        if isinstance(atom, Var)
    }
    # JAX's own evaluation: how an operation is applied differs between its versions.
    said = {"arg_names": ("",) * len(given), "result_paths": ("",) * len(equation.outvars)}
    alone = program.replace(
        constvars=[],
        invars=list(given),
        outvars=equation.outvars,
        eqns=[equation],
        debug_info=program.debug_info._replace(**said),
    )
    return eval_jaxpr(alone, (), *given.values())


def _text(params: dict[str, Any]) -> str:
    return repr(sorted((name, str(value)) for name, value in params.items()))


def _programs(params: dict[str, Any]) -> Iterator[Jaxpr]:
    for value in jax.tree.leaves(list(params.values()), is_leaf=_is_program):
        if _is_program(value):
            yield getattr(value, "jaxpr", value)


def _is_program(value: Any) -> bool:
    return isinstance(getattr(value, "jaxpr", value), Jaxpr)


def _draws(program: Jaxpr) -> bool:
    return any(
        equation.primitive.name == "random_bits" or any(map(_draws, _programs(equation.params)))
        for equation in program.eqns
    )
