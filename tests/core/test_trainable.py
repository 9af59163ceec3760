"""State beside parameters, parameters that nothing moves, and losses of several players."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basin_jax import Organism, Sweep, digest_of, run
from basin_jax.engine.preflight import unmoved
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit
from basin_jax.runs.checks import remarks
from basin_jax.runs.progress import Progress


DESCENT = Gradient(learning_rate=0.1)


class Noisy(nnx.Module):
    """A network with all kinds of state."""

    def __init__(self, inputs, outputs, *, rngs):
        self.norm = nnx.BatchNorm(inputs, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.read = nnx.Linear(inputs, outputs, rngs=rngs)

    def __call__(self, x):
        return self.read(self.drop(self.norm(x)))


class Seen(nnx.Variable):
    """A kind of variable of the user's own."""


class Partly(Organism):
    """Move one of several parameters."""

    def init(self, key):
        w = jax.random.normal(key, (2,), jnp.float32)
        return {"moved": w, "linear": w, "spare": w, "held": {"by": w}, "of": Seen(w), "dead": w}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        held = jax.lax.stop_gradient(params["held"]["by"])
        return ((params["moved"] * held) ** 2 + params["linear"] + 0 * params["dead"]).sum()

    def probe(self, key, params):
        return {"fit": params["moved"].sum(), "watched": 0.0, "unwatched": 0.0, "competence": 1.0}


class Game(Partly):
    """Two players, one of whom loses what the other wins."""

    def init(self, key):
        return {"one": jnp.float32(2), "other": jnp.float32(3)}

    def loss(self, params, batch):
        held = jax.lax.stop_gradient(params)
        return params["one"] * held["other"] - held["one"] * params["other"]


class Idle(Game):
    """Hold a parameter on which the loss does not depend."""

    def init(self, key):
        return {"w": jnp.float32(2), "v": jnp.float32(3)}

    def loss(self, params, batch):
        return params["w"] ** 2


def test_state_beside_parameters_is_refused_with_what_to_do():
    sweep = Sweep(organism=Audit(network=Noisy), method=DESCENT, num_steps=2)
    with pytest.raises(ValueError, match="Audit has state beside its parameters") as refusal:
        digest_of(sweep)
    said = str(refusal.value)
    assert (
        "drop.rngs.count (RngCount), drop.rngs.key (RngKey), norm.mean (BatchStat) and 1 m" in said
    )
    assert "; allowed: nnx.Param alone, as of nnx.split(model, nnx.Param, ...)" in said
    assert "\n" not in said


def test_a_variable_of_ones_own_is_a_parameter():
    digest_of(Sweep(organism=Partly(), method=DESCENT, num_steps=2))


def test_parameters_that_no_gradient_moves_are_named():
    sweep = Sweep(organism=Partly(), method=DESCENT, num_steps=2)
    assert unmoved(sweep) == ("dead", "held.by", "of.value", "spare")
    assert unmoved(sweep.replace(organism=Audit())) == ()


class Said(Progress):
    def __init__(self):
        self.lines = []

    def tell(self, line):
        self.lines.append(line)


def test_one_parameter_that_no_gradient_moves_is_named():
    (line,) = remarks([Sweep(organism=Idle(), method=DESCENT, num_steps=2)])
    assert line == "Idle: the loss does not depend on v, so no gradient moves it"


@pytest.mark.ci
def test_a_run_names_them(tmp_path):
    said = Said()
    sweep = Sweep(organism=Partly(), method=DESCENT, num_steps=2)
    run(sweep, 2, tmp_path / "partly", lanes=2, progress=said)
    names = "dead, held.by, of.value, spare"
    line = f"Partly: the loss does not depend on {names}, so no gradient moves them"
    assert line in said.lines


def test_players_take_their_steps_at_once_each_by_a_loss_of_its_own():
    game, key = Game(), jax.random.key(0)
    state = DESCENT.init(key, game.init(key), game)
    after = DESCENT.step(key, jnp.int32(0), state, game).params
    np.testing.assert_allclose([after["one"], after["other"]], [2 - 0.1 * 3, 3 + 0.1 * 2])
