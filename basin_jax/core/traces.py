"""Hash a traced program: its operations and its constants, without names.

Two programs of one hash give the same values. Names, addresses and source lines are left out, so
that every process finds the same hash.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, Literal, Var


# Operations whose values come from code that the trace does not show.
OPAQUE = {"pure_callback", "io_callback", "ffi_call"}
# Parameters that hold names or places in the source.
NAMES = {"name", "debug_info"}
ADDRESS = re.compile(r"\b0x[0-9a-f]+")


def stable[T](trace: Callable[[], T]) -> T | None:
    """Trace until two traces in a row are equal; return None if the first three all differ.

    Some functions change when they are first traced, such as Optax's schedules; training uses them
    as they are from then on.
    """
    first, second = trace(), trace()
    return second if first == second or second == trace() else None


def reached(program: Jaxpr, inputs: Iterable[Var]) -> set[Var]:
    """Find the variables of a program that depend on some of its inputs."""
    found = set(inputs)
    for equation in program.eqns:
        if not found.isdisjoint(atom for atom in equation.invars if isinstance(atom, Var)):
            found.update(equation.outvars)
    return found


def trace_hash(program: Any) -> str:
    """Hash a program, as `jax.make_jaxpr` gives it, to 12 hexadecimal digits.

    Raises:
        ValueError: where the program calls code that the trace does not show.
    """
    return _digest(program, {})[:12]


def _digest(program: Any, known: dict[int, str]) -> str:
    """Hash a program; a program inside it that occurs several times is hashed once."""
    if id(program) not in known:
        text = hashlib.sha256()
        for word in _words(program, known):
            text.update(word.encode() + b"\0")
        known[id(program)] = text.hexdigest()
    return known[id(program)]


def _words(program: Any, known: dict[int, str]) -> Iterator[str]:
    """Yield a program's operations and constants, in order, as text."""
    for constant in getattr(program, "consts", ()):
        yield _array(constant)
    program = getattr(program, "jaxpr", program)
    numbers: dict[Var, int] = {}

    def atom(of: Any) -> str:
        if isinstance(of, Literal):
            return f"{of.aval} {_array(of.val)}"
        return f"#{numbers.setdefault(of, len(numbers))} {of.aval}"

    yield from map(atom, [*program.constvars, *program.invars])
    for equation in program.eqns:
        primitive = equation.primitive.name
        if primitive in OPAQUE:
            raise ValueError(
                f"a plug-in calls {primitive}, whose code is no part of the program that JAX "
                "traces, so that a change of it would not be noticed; allowed: JAX's operations"
            )
        yield primitive
        for name in sorted(set(equation.params) - NAMES):
            yield f"{name}={_value(equation.params[name], known)}"
        yield from map(atom, [*equation.invars, *equation.outvars])
    yield from map(atom, program.outvars)


def _value(value: Any, known: dict[int, str]) -> str:
    """Write a parameter of an operation as text."""
    if isinstance(getattr(value, "jaxpr", value), Jaxpr):
        return _digest(value, known)
    if isinstance(value, tuple | list):
        return f"({','.join(_value(item, known) for item in value)})"
    if isinstance(value, Mapping):
        return str(sorted((str(key), _value(item, known)) for key, item in value.items()))
    if isinstance(value, set | frozenset):
        return str(sorted(_value(item, known) for item in value))
    if isinstance(value, np.ndarray | jax.Array):
        return _array(value)
    if isinstance(value, np.generic):
        value = value.item()  # JAX keeps whichever of 0 and np.int64(0) it has met first
    if callable(value) and not isinstance(value, type):
        return "function"  # what it was traced to stands in the program
    return ADDRESS.sub("", repr(value))


def _array(value: Any) -> str:
    """Write an array's type, its shape and a hash of its content as text."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return f"{value.dtype}{_array(jax.random.key_data(value))}"
    array = np.asarray(value)
    content = hashlib.sha256(array.tobytes()).hexdigest()
    return f"{array.dtype}{array.shape}{content}"
