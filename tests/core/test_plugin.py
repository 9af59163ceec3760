"""The contract of a plug-in: frozen, checked, and a pytree with its floats as leaves."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basin_jax.core.contracts import Organism
from basin_jax.core.fresh import Fresh
from basin_jax.core.identity import evidence_names
from basin_jax.core.plugin import Options, Plugin
from basin_jax.core.sweep import Sweep, override
from basin_jax.methods import Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Audit, DoubleWell, Gate, TicketRace
from basin_jax.starts import Implant


class Part(Plugin):
    """A user's own part."""

    size: int = 2
    gain: float = 1.0


class Whole(Plugin):
    """A user's own plug-in, with a field of every kind."""

    rate: float = 0.5
    decay: float | None = None
    count: int = 1
    kind: Literal["a", "b"] = "a"
    widths: tuple[int, ...] = (3,)
    limits: tuple[float, ...] = ()
    part: Part = Part()
    options: Mapping[str, Any] = Options({})
    function: Callable[..., Any] = jnp.tanh


finite = st.floats(allow_nan=False, allow_infinity=False)
parts = st.builds(Part, size=st.integers(), gain=finite)
options = st.dictionaries(st.text(max_size=3), finite | st.integers() | st.booleans() | st.none())
wholes = st.builds(
    Whole,
    rate=finite,
    decay=st.none() | finite,
    count=st.integers(),
    kind=st.sampled_from(["a", "b"]),
    widths=st.lists(st.integers(), max_size=3).map(tuple),
    limits=st.lists(finite, max_size=3).map(tuple),
    part=parts,
    options=options,
)


@given(wholes)
def test_flattening_and_unflattening_changes_nothing(whole):
    leaves, structure = jax.tree.flatten(whole)
    again = jax.tree.unflatten(structure, leaves)
    assert again == whole
    assert hash(again) == hash(whole)
    assert all(type(leaf) is float for leaf in leaves)


@given(wholes, finite, finite, finite)
def test_floats_are_traced_so_that_a_grid_over_them_compiles_once(whole, rate, gain, x):
    whole = whole.replace(options={**whole.options, "x": 1.0})
    changed = whole.replace(
        rate=rate, part=whole.part.replace(gain=gain), options={**whole.options, "x": x}
    )
    assert jax.tree.structure(changed) == jax.tree.structure(whole)
    assert {rate, gain, x} <= set(jax.tree.leaves(changed))


@pytest.mark.parametrize(
    "change",
    [
        {"count": 2},
        {"kind": "b"},
        {"widths": (4,)},
        {"limits": (0.5,)},
        {"part": Part(size=3)},
        {"options": {"nesterov": True}},
        {"options": {"momentum": 0.5}},
        {"function": jnp.sin},
        {"decay": 0.5},  # there is a leaf more
    ],
    ids=lambda change: next(iter(change)),
)
def test_all_else_is_static_so_that_a_new_value_compiles_anew(change):
    assert jax.tree.structure(Whole().replace(**change)) != jax.tree.structure(Whole())


def test_a_compiled_function_is_traced_again_for_a_static_change_only():
    traced = []

    @jax.jit
    def scaled(whole, x):
        traced.append(whole.count)
        return whole.rate * x * whole.part.gain * whole.options.get("scale", 1)

    for whole in (Whole(), Whole(rate=3.0), Whole(part=Part(gain=2.0)), Whole(count=2, rate=7.0)):
        expected = whole.rate * whole.part.gain
        assert scaled(whole, jnp.float32(1.0)) == pytest.approx(expected)
    assert traced == [1, 2]


def test_leaves_are_named_by_their_fields():
    paths = jax.tree_util.tree_leaves_with_path(Whole())
    assert [jax.tree_util.keystr(path) for path, _ in paths] == [".rate", ".part.gain"]


def test_a_plugin_is_frozen_and_keyword_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Whole().rate = 1.0  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match="takes its fields by name"):
        Part(3)  # pyright: ignore[reportCallIssue]
    given = {"x": 1}
    whole = Whole(options=given)
    given["x"] = 2
    assert whole.options == {"x": 1}
    with pytest.raises(TypeError):
        whole.options["x"] = 2  # pyright: ignore[reportIndexIssue]


def test_options_do_not_depend_on_their_order():
    forward, backward = Options({"a": 1, "b": 2.0}), Options({"b": 2.0, "a": 1})
    assert forward == backward
    assert hash(forward) == hash(backward)
    assert jax.tree.structure(forward) == jax.tree.structure(backward)


@pytest.mark.parametrize("number", [np.int64(2), np.int32(2), np.uint8(2), jnp.int32(2), 2])
def test_whole_numbers_of_any_kind_serve_as_integers_and_as_floats(number):
    numbers: Any = [number]
    whole = Whole(count=number, rate=number, decay=number, widths=numbers, limits=(number,))
    assert whole == Whole(count=2, rate=2.0, decay=2.0, widths=(2,), limits=(2.0,))
    held = (whole.count, *whole.widths, whole.rate, whole.decay, *whole.limits)
    assert [type(value) for value in held] == [int, int, float, float, float]


HALVES = (np.float64(0.5), np.float32(0.5), jnp.float32(0.5), np.array(0.5))


@pytest.mark.parametrize("number", HALVES)
def test_numpy_and_jax_scalars_serve_as_floats(number):
    whole = Whole(rate=number, options={"scale": number})
    assert whole == Whole(rate=0.5, options={"scale": 0.5})
    assert type(whole.rate) is type(whole.options["scale"]) is float


NOT_FINITE = (math.nan, math.inf, -math.inf, np.float32(math.nan))


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    "field",
    [
        lambda x: {"rate": x},
        lambda x: {"decay": x},
        lambda x: {"limits": (1.0, x)},
        lambda x: {"options": {"a": 1, "b": x}},
    ],
)
def test_numbers_that_are_not_finite_are_refused(value, field):
    with pytest.raises(ValueError, match=r"Whole\.\w+ = .*; allowed: a finite number"):
        Whole(**field(value))


@pytest.mark.parametrize("path", ["organism.difficult", "organsm.difficulty", "root.x"])
def test_an_override_of_no_field_is_refused_by_name(path):
    sweep = Sweep(organism=Audit(), method=Gradient(learning_rate=0.1), num_steps=1)
    with pytest.raises(ValueError, match=r"has no field '\w+'"):
        override(sweep, path, 2)


def test_an_override_reaches_through_parts_and_options_and_checks_the_type():
    method = Gradient(learning_rate=0.1, options={"momentum": 0.9})
    sweep = Sweep(organism=Audit(), method=method, num_steps=1)
    assert override(sweep, "organism.network.widths", [4]).organism == Audit(
        network=MLP(widths=(4,))
    )
    assert override(sweep, "method.options.momentum", 0.5).method.options == {"momentum": 0.5}
    assert override(sweep, "num_steps", 7).num_steps == 7
    assert sweep.num_steps == 1
    with pytest.raises(ValueError, match=r"Audit\.difficulty = 9; allowed: 1 to 4"):
        override(sweep, "organism.difficulty", 9)


class Slope(Organism):
    """A user's own organism, in a test module."""

    steepness: float = 1.0
    inputs: int = 2

    def validate(self):
        self.require(self.inputs > 0, "inputs", "at least 1")

    def init(self, key):
        return jnp.zeros(self.inputs)

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return self.steepness * params.sum()

    def probe(self, key, params):
        return {"fit": params.sum()}


def test_a_users_own_subclass_needs_no_registration():
    assert jax.tree.leaves(Slope(steepness=2)) == [2.0]
    assert Slope().replace(inputs=3) == Slope(inputs=3)
    with pytest.raises(ValueError, match=r"Slope\.inputs = 0; allowed: at least 1"):
        Slope(inputs=0)
    sweep = Sweep(organism=Slope(), method=Gradient(learning_rate=0.1), num_steps=1)
    assert evidence_names(sweep) == ("fit",)


@pytest.mark.parametrize(
    ("cls", "values", "said"),
    [
        (Gradient, {"learning_rat": 0.1}, r"Gradient has no field .*mean 'learning_rate'\?\)"),
        (Slope, {"steep": 2.0}, "Slope has no field 'steep'; allowed: inputs, steepness"),
        (Implant, {}, r"Implant lacks a value of dose \(a number\)"),
        (
            Sweep,
            {"organism": Audit()},
            r"Sweep lacks a value of method \(Method\), num_steps \(an integer\)",
        ),
        (Whole().replace, {"cont": 2}, r"Whole has no field 'cont'; .*mean 'count'\?\)"),
    ],
)
def test_a_field_that_is_not_there_or_left_out_is_named(cls, values, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        cls(**values)


def test_a_type_error_of_a_check_of_ones_own_is_none_of_a_field():
    class Faulty(Part):
        def validate(self):
            raise TypeError("of its own")

    with pytest.raises(TypeError, match="of its own"):
        Faulty(size=3)


def test_a_subclass_of_a_plugin_adds_fields_and_keeps_the_checks():
    class Wide(Part):
        width: float = 3.0

    assert jax.tree.leaves(Wide(gain=2)) == [2.0, 3.0]
    assert jax.tree.structure(Wide()) != jax.tree.structure(Part())
    with pytest.raises(ValueError, match=r"Wide\.size = 0.5; allowed: an integer"):
        Wide(size=0.5)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "organism",
    [Audit(), DoubleWell(), Gate(), TicketRace()],
    ids=lambda organism: type(organism).__name__,
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_organisms_promote_no_types_by_accident(organism, precision):
    # Strict promotion is not set for all tests, since Optax's Adam does not stand it.
    sweep = Sweep(
        organism=organism,
        start=Fresh(),
        method=Gradient(learning_rate=0.1, l2=0.01, noise=0.1, options={"momentum": 0.9}),
        num_steps=2,
        precision=precision,
    )
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        assert evidence_names(sweep)
