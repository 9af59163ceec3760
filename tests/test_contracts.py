"""Every organism, start, method and rule of the package keeps its contract."""

import numpy as np
import pytest

from basin_jax import (
    Audit,
    Behavior,
    Correction,
    EarlyStopping,
    Fork,
    Fresh,
    Gate,
    Gradient,
    Implant,
    Interpolated,
    Masked,
    Method,
    Nearest,
    Organism,
    Perturbed,
    ReluXor,
    Rule,
    Start,
    Sweep,
    Ticket,
    Trained,
)
from basin_jax.catalog import plugins
from basin_jax.testing import (
    STANDARD,
    check_method,
    check_organism,
    check_rule,
    check_start,
    check_trial,
)


ORGANISMS = [cls() for cls in plugins(Organism)] + [
    Audit(difficulty=3),
    ReluXor(units=3, activation="elu", mean=1.0),
    ReluXor(activation="prelu", slope=0.25, mirrored=True),
]
# Cheap to compile.
SMALL = Gate()
PARENT = Sweep(organism=SMALL, method=Gradient(learning_rate=0.01), num_steps=2)
STARTS = [
    Fresh(scale=0.5),
    Implant(dose=0.5),
    Trained(of=PARENT),
    Fork(of=PARENT, children=1),
    Perturbed(of=PARENT, radius=0.1, direction="margin"),
    Interpolated(of=PARENT, dose=0.5),
    Ticket(of=PARENT, weights="shuffled"),
]
METHODS = [
    Gradient(learning_rate=0.1),
    Gradient(optimizer="adam", learning_rate=0.01, options={"b1": 0.8}, l2=0.1, noise=0.1),
]
METHODS += [
    EarlyStopping(method=METHODS[1], patience=1, threshold=0.1),
    Masked(method=METHODS[1]),
    Correction(method=METHODS[1], objective=Gate(penalty=1.0), begin=1, end=2),
]
RULES = [
    Behavior(),
    Nearest(intended={"margin": -0.5}, deceptive={"margin": 0.5}, within=0.2),
]


@pytest.mark.parametrize("organism", ORGANISMS, ids=repr)
def test_organism(organism):
    check_organism(organism)


@pytest.mark.parametrize("start", STARTS, ids=repr)
def test_start(start):
    check_start(start, Audit() if isinstance(start, Implant) else SMALL)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_method(method):
    check_method(method, SMALL)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_rule(rule):
    generator = np.random.default_rng(0)
    check_rule(rule, {name: generator.uniform(-1, 1, 200) for name in STANDARD})


@pytest.mark.parametrize("organism", ORGANISMS, ids=repr)
def test_every_organism_is_trained_by_a_method_around_another(organism):
    check_trial(Sweep(organism=organism, method=METHODS[2], num_steps=3))


def test_every_plugin_is_checked():
    """A new file in a plug-in folder must be tried here."""
    tried = {type(p) for p in (*ORGANISMS, *STARTS, *METHODS, *RULES)}
    brought = {cls for kind in (Organism, Start, Method, Rule) for cls in plugins(kind)}
    assert brought <= tried


def test_a_broken_organism_is_named():
    class Deaf(Audit):
        def probe(self, key, params):
            return {"fit": super().probe(key, params)["fit"]}

    with pytest.raises(AssertionError, match="watched, unwatched, competence, margin"):
        check_organism(Deaf())
