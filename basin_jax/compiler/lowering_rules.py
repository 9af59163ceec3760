"""The lowering rules: from JAX's primitives to nodes of the graph.

A rule is a function of an equation and its arguments to the nodes of its results; it is registered
for its primitives by `lowers`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn
from numpy import ndarray

from basin_jax.compiler import ir


# C++ of the vectors {0}, {1}, ...
TEMPLATES = {
    "add": "{0} + {1}",
    "add_any": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "abs": "magnitude({0})",
    "sign": "sign({0})",
    "max": "maximum({0}, {1})",
    "min": "minimum({0}, {1})",
    "exp": "exponential({0})",
    "expm1": "exponential_less_one({0})",
    "log": "logarithm({0})",
    "log1p": "logarithm_one_plus({0})",
    "tanh": "hyperbolic_tangent({0})",
    "logistic": "logistic({0})",
    "erf": "error_function({0})",
    "erfc": "complementary_error_function({0})",
    "erf_inv": "inverse_error_function({0})",
    "exp2": "power_of_two_to({0})",
    "log2": "logarithm_to_base_two({0})",
    "lgamma": "logarithm_of_gamma({0})",
    "sin": "sine({0})",
    "cos": "cosine({0})",
    "tan": "tangent({0})",
    "asin": "arc_sine({0})",
    "acos": "arc_cosine({0})",
    "atan": "arc_tangent({0})",
    "sinh": "hyperbolic_sine({0})",
    "cosh": "hyperbolic_cosine({0})",
    "asinh": "inverse_hyperbolic_sine({0})",
    "acosh": "inverse_hyperbolic_cosine({0})",
    "atanh": "inverse_hyperbolic_tangent({0})",
    "atan2": "angle({0}, {1})",
    "sqrt": "square_root({0})",
    "rsqrt": "1 / square_root({0})",
    "cbrt": "cube_root({0})",
    "square": "{0} * {0}",
    "one_minus_square": "1 - {0} * {0}",  # the slope of tanh
    "floor": "floor_of({0})",
    "ceil": "ceiling({0})",
    "rem": "remainder_of({0}, {1})",
    "is_finite": "({0} - {0}) == {0} - {0}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "xor": "{0} ^ {1}",
    "not": "~{0}",
    "shift_left": "{0} << {1}",
    "shift_right_logical": "{0} >> {1}",
    "shift_right_arithmetic": "{0} >> {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "stop_gradient": "{0}",
    "copy": "{0}",
    "reshard": "{0}",  # JAX puts it where a constant of all devices meets a device's own
}
# Of truth values, which are 0 and -1.
BOOLEAN = {
    "max": "{0} | {1}",
    "min": "{0} & {1}",
    "lt": "~{0} & {1}",
    "le": "~{0} | {1}",
    "gt": "{0} & ~{1}",
    "ge": "{0} | ~{1}",
}
COMPARISONS = {"eq", "ne", "lt", "le", "gt", "ge", "is_finite"}
ROUNDING = {0: "nearest_away({0})", 1: "nearest_even({0})"}
# What `jax.default_matmul_precision` says with "tensorfloat32" and "bfloat16".
ROUNDED = {jax.lax.Precision.HIGH: "Tf32", jax.lax.Precision.DEFAULT: "Bf16"}
REDUCTIONS = {
    "reduce_sum": ("{0} + {1}", "0"),
    "reduce_prod": ("{0} * {1}", "1"),
    "reduce_max": ("maximum({0}, {1})", "low"),
    "reduce_min": ("minimum({0}, {1})", "high"),
    "reduce_and": ("{0} & {1}", "true"),
    "reduce_or": ("{0} | {1}", "false"),
}

Rule = Callable[[JaxprEqn, list[Any]], Sequence[Any]]
RULES: dict[str, Rule] = {}  # by the names of primitives


def lowers(*primitives: str) -> Callable[[Rule], Rule]:
    """Register a function as the lowering rule of some primitives."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(primitives, rule))
        return rule

    return register


def concretely(eqn: JaxprEqn, values: Sequence[ndarray]) -> list[ndarray]:
    """Apply a primitive to numbers."""
    with jax.ensure_compile_time_eval():
        results = eqn.primitive.bind(*map(jnp.asarray, values), **eqn.params)
        results = results if eqn.primitive.multiple_results else [results]
        return [np.asarray(result) for result in results]


def out_of(eqn: JaxprEqn) -> tuple[tuple[int, ...], Any]:
    aval: Any = eqn.outvars[0].aval
    return aval.shape, aval.dtype


@lowers(*TEMPLATES)
def _elementwise(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    shape, dtype = out_of(eqn)
    name, template = eqn.primitive.name, TEMPLATES[eqn.primitive.name]
    template = BOOLEAN.get(name, template) if args[0].type == "b32" else template
    if name.startswith("shift_") and not _is_sound_shift(name, args):
        raise ir.Unsupported("a shift by other than a few constant bits, or of the other sign")
    if name == "div" and np.dtype(dtype).kind in "iu":
        template = "quotient({0}, {1})"
    if name in COMPARISONS and np.dtype(args[0].dtype).itemsize == 8:
        template = f"cast<b32>({template})"
    return [ir.elementwise(template, args, shape, dtype)]


def _is_sound_shift(name: str, args: list[ir.Node]) -> bool:
    """Return True if C++ shifts as JAX does."""
    number, amount = args
    bits = 8 * np.dtype(number.dtype).itemsize
    few = isinstance(amount, ir.Constant) and amount.is_splat and 0 <= amount.scalar < bits
    sign = {"shift_right_logical": "u", "shift_right_arithmetic": "i"}
    return bool(few) and np.dtype(number.dtype).kind in sign.get(name, "iu")


@lowers("integer_pow")
def _integer_pow(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    shape, dtype = out_of(eqn)
    power = eqn.params["y"]
    if power == 0:
        return [ir.constant(np.broadcast_to(np.ones((), dtype), shape))]
    text = " * ".join(["{0}"] * abs(power))
    return [ir.elementwise(f"1 / ({text})" if power < 0 else text, args, shape, dtype)]


@lowers("pow")
def _pow(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    shape, dtype = out_of(eqn)
    text = "power({0}, {1})"
    if args[1].type != ir.type_of(dtype):  # a whole exponent
        text = f"power({{0}}, cast<{ir.type_of(dtype)}>({{1}}))"
    return [ir.elementwise(text, args, shape, dtype)]


@lowers("round")
def _round(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    return [ir.elementwise(ROUNDING[int(eqn.params["rounding_method"])], args, *out_of(eqn))]


@lowers("clamp")
def _clamp(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    low, value, high = args
    if value.type == "b32":
        raise ir.Unsupported("truth values between others")
    return [ir.elementwise("minimum(maximum({0}, {1}), {2})", [value, low, high], *out_of(eqn))]


@lowers("select_n")
def _select_n(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    which, *cases = args
    shape, _ = out_of(eqn)  # of keys, whose words are chosen alike
    if np.dtype(which.dtype) == bool:
        off, on = cases
        return [ir.elementwise("select({0}, {1}, {2})", [which, on, off], shape, on.dtype)]
    return [chosen_of(which, cases, shape)]


def chosen_of(which: ir.Node, cases: Sequence[ir.Node], shape: tuple[int, ...]) -> ir.Node:
    """Return one of several arrays by its number; beyond the ends it is the first or the last."""
    chosen = cases[-1]
    for i, case in reversed(list(enumerate(cases[:-1]))):
        here = ir.constant(np.asarray(i, which.dtype))
        found = ir.elementwise("{0} <= {1}", [which, here], which.shape, np.dtype(bool))
        chosen = ir.elementwise("select({0}, {1}, {2})", [found, case, chosen], shape, case.dtype)
    return chosen


@lowers("polynomial")
def _polynomial(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    text = f"{{{len(args) - 1}}}"
    for i in reversed(range(1, len(args) - 1)):
        text = f"({text}) * {{0}} + {{{i}}}"
    return [ir.elementwise(text, args, *out_of(eqn), cost=len(args))]


@lowers("convert_element_type")
def _convert_element_type(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    return [converted(args[0], out_of(eqn)[1])]


def converted(arg: ir.Node, dtype: Any) -> ir.Node:
    """Return an array as one of another type."""
    to, old = ir.type_of(dtype), arg.type
    if to == old:
        return arg
    template = f"cast<{to}>({{0}})"
    if old == "b32":
        template = f"from_truth<{to}>({{0}})"
    elif to == "b32":
        template = "truth({0})"
    elif old[0] == "f" != to[0]:
        template = f"whole<{to}>({{0}})"
    return ir.elementwise(template, [arg], arg.shape, np.dtype(dtype))


@lowers("bitcast_convert_type")
def _bitcast_convert_type(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    shape, dtype = out_of(eqn)
    if shape != args[0].shape:
        raise ir.Unsupported("a bit cast between sizes")
    return [ir.elementwise(f"bits<{ir.type_of(dtype)}>({{0}})", args, shape, dtype, cost=0)]


@lowers("broadcast_in_dim")
def _broadcast_in_dim(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    shape, dims = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    if isinstance(args[0], ir.Constant) and args[0].is_splat:
        return [ir.constant(np.broadcast_to(np.asarray(args[0].scalar), shape))]
    axes = [(d if n > 1 else None, 0, 1) for d, n in zip(dims, args[0].shape, strict=True)]
    return [ir.view(args[0], shape, axes)]


@lowers("transpose")
def _transpose(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    order = eqn.params["permutation"]
    axes = [(order.index(d), 0, 1) for d in range(len(order))]
    return [ir.view(args[0], out_of(eqn)[0], axes)]


@lowers("slice")
def _slice(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    starts, steps = eqn.params["start_indices"], eqn.params["strides"]
    steps = steps or (1,) * len(starts)
    axes = [(d, start, step) for d, (start, step) in enumerate(zip(starts, steps, strict=True))]
    return [ir.view(args[0], out_of(eqn)[0], axes)]


@lowers("rev")
def _rev(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    turned = eqn.params["dimensions"]
    axes = [(d, n - 1, -1) if d in turned else (d, 0, 1) for d, n in enumerate(args[0].shape)]
    return [ir.view(args[0], args[0].shape, axes)]


@lowers("reshape", "squeeze", "expand_dims")
def _reshape(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    (arg,) = args
    # Of a key only the axes of the keys are known here, and they come in `_out`.
    shape, order = eqn.params.get("new_sizes", out_of(eqn)[0]), eqn.params.get("dimensions")
    if eqn.primitive.name == "reshape" and order is not None:
        axes = [(order.index(d), 0, 1) for d in range(len(order))]
        arg = ir.view(arg, [arg.shape[d] for d in order], axes)
    return [ir.reshape(arg, tuple(shape))]


@lowers("unstack")
def _unstack(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    (arg,), axis = args, eqn.params["axis"]
    shape = arg.shape[:axis] + arg.shape[axis + 1 :]
    before, behind = ([(d, 0, 1) for d in part] for part in (range(axis), range(axis, len(shape))))
    rows = range(arg.shape[axis])
    return [ir.view(arg, shape, [*before, (None, i, 1), *behind]) for i in rows]


@lowers("iota")
def _iota(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    shape, dtype = out_of(eqn)
    steps = tuple(int(d == eqn.params["dimension"]) for d in range(len(shape)))
    return [ir.Iota((), shape, dtype, steps=steps)]


@lowers("empty2")
def _empty(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    """Return zeros for what no one reads, as a branch leaves it that another's slope needs."""
    shape, dtype = out_of(eqn)
    return [ir.constant(np.broadcast_to(np.zeros((), dtype), shape))]


@lowers("platform_index")
def _platform_index(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    """Choose what a function does by default, or on a CPU where it has no default."""
    of = enumerate(eqn.params["platforms"])  # the default, None, is the last
    found = [i for i, platforms in of if platforms is None or "cpu" in platforms]
    if not found:
        raise ir.Unsupported("what only accelerators compute")
    return [ir.constant(np.asarray(found[-1], np.int32))]


@lowers(*REDUCTIONS)
def _reduce(eqn: JaxprEqn, args: list[ir.Node]) -> list[ir.Node]:
    name = eqn.primitive.name
    if args[0].type == "b32":
        name = {"reduce_max": "reduce_or", "reduce_min": "reduce_and"}.get(name, name)
    elif name in ("reduce_and", "reduce_or"):
        raise ir.Unsupported("a conjunction of other than truth values")
    return [reduction(name, args[0], out_of(eqn)[0], tuple(map(int, eqn.params["axes"])))]


def reduction(name: str, arg: ir.Node, shape: tuple[int, ...], axes: tuple[int, ...]) -> ir.Node:
    """Return a sum, an extreme or a conjunction along axes, by the name of its primitive."""
    template, start = REDUCTIONS[name]
    return ir.Reduce((arg,), shape, arg.dtype, template=template, start=start, axes=axes)


def end_of(name: str, dtype: Any) -> Any:
    """Return the value that changes nothing in a reduction, by the name of its primitive."""
    _, start = REDUCTIONS[name]
    kind = np.dtype(dtype)
    if start not in ("low", "high"):
        return {"0": 0, "1": 1, "true": True, "false": False}[start]
    if kind.kind == "f":
        return -np.inf if start == "low" else np.inf
    if kind.kind not in "iu":
        raise ir.Unsupported("extremes of truth values")
    return np.iinfo(kind).min if start == "low" else np.iinfo(kind).max


@lowers("dot_general")
def _dot_general(eqn: JaxprEqn, args: list[ir.Node]) -> Sequence[ir.Node]:
    contract, batch = eqn.params["dimension_numbers"]
    shape, dtype = out_of(eqn)
    args = [converted(arg, dtype) for arg in args]
    contract, batch = _pair(contract), _pair(batch)
    if len(contract[0]) != 1:
        args, contract, batch = _one_contracted(args, contract, batch)
    # Arguments have to be stored, or be views of stored arrays.
    factors = tuple(map(ir.readable, args))
    precision = eqn.params["precision"] or (jax.lax.Precision.HIGHEST,)
    rounded = ROUNDED.get(precision[0], "") if ir.type_of(dtype) == "f32" else ""
    return [ir.Product(factors, shape, dtype, contract=contract, batch=batch, rounded=rounded)]


def _pair(axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    left, right = axes
    return tuple(left), tuple(right)


def _one_contracted(args: list[ir.Node], contract, batch) -> tuple[list[ir.Node], Any, Any]:
    """Make the contracted axes one, the last."""
    merged = []
    for arg, summed, apart in zip(args, contract, batch, strict=True):
        free = [d for d in range(len(arg.shape)) if d not in (*summed, *apart)]
        order = [*apart, *free, *summed]
        axes = [(order.index(d), 0, 1) for d in range(len(order))]
        turned = ir.view(arg, [arg.shape[d] for d in order], axes)
        kept = turned.shape[: len(order) - len(summed)]
        merged.append(ir.reshape(turned, (*kept, int(np.prod([arg.shape[d] for d in summed])))))
    last = tuple((len(arg.shape) - 1,) for arg in merged)
    return merged, last, tuple(tuple(range(len(apart))) for apart in batch)


# The arguments whose elements are moved, where others say to which places.
MOVED = {"dynamic_slice": (0,), "gather": (0,), "pad": (0, 1), "scatter": (0, 2)}


@lowers("concatenate", "stack", "pad")
def move(eqn: JaxprEqn, args: list[Any]) -> list[ir.Node]:
    """Move elements to places that no seed decides, by moving their numbers."""
    name = eqn.primitive.name
    moved = MOVED.get(name, range(len(args)))
    places = [i for i in range(len(args)) if i not in moved]
    if not all(isinstance(args[i], ir.Constant) for i in places):
        raise ir.Unsupported(f"the primitive {name} at places of a seed's own")
    numbers, first = [], 0
    for i, arg in enumerate(args):
        if i in places:
            numbers.append(arg.value)
        else:
            numbers.append(np.arange(first, first + arg.size, dtype=np.int32).reshape(arg.shape))
            first += arg.size
    (result,) = concretely(eqn, numbers)
    some = tuple(ir.contiguous(args[i]) for i in moved if args[i].size)
    return [ir.Gather(some, out_of(eqn)[0], some[0].dtype, places=result)]
