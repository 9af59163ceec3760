"""Abilities, which a sweep asks for before anything is trained, and wrappers, which keep them."""

import jax
import jax.numpy as jnp
import pytest

from basin_jax import Method, Sweep
from basin_jax.core.abilities import Anchorable, Challengeable, Imitable, Implantable, Settling
from basin_jax.core.wrappers import OrganismWrapper
from basin_jax.methods import (
    Adversarial,
    EarlyStopping,
    Evolution,
    Gradient,
    GuessAndCheck,
    SharpnessAware,
)
from basin_jax.organisms import Audit, DoubleWell, Drift, Gate
from basin_jax.starts import Anchored, Implant


KEY = jax.random.key(0)
DESCENT = Gradient(learning_rate=0.1)
PLAIN = Sweep(organism=Gate(), method=DESCENT, num_steps=1)
AUDIT = PLAIN.replace(organism=Audit())
IMPLANT, ATTACK = Implant(dose=1), Adversarial(method=DESCENT, radius=0.5)


class Around(Method):
    """A user's own method around another, which forwards nothing but `init`."""

    within: Method

    def init(self, key, params, organism):
        return self.within.init(key, params, organism)

    def step(self, key, step, state, organism):
        return state


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": IMPLANT}, r"start = Implant\(dose=1.0\); .* Gate is not Implantable"),
        ({"start": Anchored(of=PLAIN)}, r"start = Anchored\(.* Gate is not Anchorable"),
        ({"method": ATTACK}, r"method = Adversarial\(.* Gate is not Challengeable"),
        ({"method": EarlyStopping(method=ATTACK)}, r"method = Early.* Gate is not Challengeable"),
        ({"method": Around(within=ATTACK)}, r"method = Around.* Gate is not Challengeable"),
        ({"method": GuessAndCheck(threshold=1, prior=IMPLANT)}, r"method = .* not Implantable"),
        (
            {"organism": Drift(organism=Gate()), "start": IMPLANT},
            r"start = Implant\(.*; allowed: another start, since Drift is not Implantable",
        ),
    ],
)
def test_what_an_organism_cannot_do_is_refused_when_a_sweep_is_made(changes, said):
    with pytest.raises(ValueError, match=rf"^Sweep\.{said}"):
        PLAIN.replace(**changes)


def test_what_an_organism_can_do_is_allowed():
    assert AUDIT.replace(start=IMPLANT, method=EarlyStopping(method=ATTACK))
    drift = Drift(organism=Audit())
    assert AUDIT.replace(organism=drift, start=Anchored(of=AUDIT.replace(organism=drift)))
    assert AUDIT.replace(organism=drift, start=IMPLANT, method=ATTACK)


def test_an_organism_provides_what_it_defines_and_a_wrapper_what_is_inside_too():
    every = (Anchorable, Challengeable, Implantable, Imitable, Settling)
    found = {
        organism: {ability for ability in every if organism.provides(ability)}
        for organism in (Gate(), DoubleWell(), Audit())
    }
    own = {Challengeable, Implantable, Settling}
    assert [*found.values()] == [set(), {Settling}, {Imitable, *own}]
    # What a wrapper does not hand on it has not.
    for organism, abilities in zip(found, (set(), {Settling}, own), strict=True):
        drift = Drift(organism=organism)
        assert {a for a in every if drift.provides(a)} == {Anchorable, *abilities}


def test_a_population_sees_no_changed_cues():
    with pytest.raises(ValueError, match=r"Evolution\.method = EarlyStopping\(.*changes no cues"):
        Evolution(method=EarlyStopping(method=ATTACK))


class Scaled(OrganismWrapper):
    """Multiply another organism's loss."""

    factor: float

    def loss(self, params, batch):
        return self.factor * self.organism.loss(params, batch)


def test_a_wrapper_that_is_made_in_a_step_keeps_its_loss_and_its_numbers():
    """Numbers are traced in a step, where a copy made of other numbers must use those."""
    params = Gate().init(KEY)

    @jax.jit
    def losses(gate, factor):
        scaled = Scaled(organism=gate, factor=factor)
        doubled = jax.tree.map(lambda leaf: 2 * leaf, scaled)
        return [organism.loss(params, None) for organism in (gate, scaled, doubled)]

    plain, scaled, doubled = losses(Gate(penalty=2.0, scale=1.0), 3.0)
    assert scaled == pytest.approx(3 * plain)
    bent = jax.tree.map(lambda leaf: 2 * leaf, Gate(penalty=2.0, scale=1.0))
    assert doubled == pytest.approx(6 * float(bent.loss(params, None)))


def test_a_wrapper_says_what_its_loss_is():
    class Silent(OrganismWrapper):
        """Forget to."""

    with pytest.raises(TypeError, match=r"abstract method '?loss"):
        Silent(organism=Gate())  # pyright: ignore[reportAbstractUsage]


def test_a_method_inside_sees_the_loss_of_the_one_around_it():
    class Seen(Method):
        """Report the loss that it is given."""

        def init(self, key, params, organism):
            return params

        def step(self, key, step, state, organism):
            return organism.loss(state, None)

    params = Gate().init(KEY)
    around = SharpnessAware(method=Seen(), radius=0.5)
    worse = jax.jit(around.step)(KEY, jnp.int32(0), params, Gate())
    assert float(worse) > float(Gate().loss(params, None))
