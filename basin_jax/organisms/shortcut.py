"""A shortcut: a simple cue that predicts as well as a harder feature, until the two part."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Key
from numpy import ndarray

from basin_jax.core.contracts import Evidence, Organism, Params
from basin_jax.networks.mlp import MLP, Network, restore


PLACES = 4  # in each slab


class Shortcut(Organism):
    """Tell two classes apart by the slab that an input lies in, or by a cue of its class.

    The linear cue and slabs of Shah et al. 2020, "The pitfalls of simplicity bias in neural
    networks": an input has two coordinates. One is the place, in one of `slabs` slabs of [-1, 1]
    whose classes alternate, at 4 places in each. The other is the cue, ±`cue_size`, whose sign is
    that of the class with the probability `cue_rate`. In training both may predict perfectly; the
    intended answer is that of the slab, and the proxy is the cue, a shortcut (Geirhos et al.
    2020, "Shortcut learning in deep neural networks"). `cue_size` is how easy the shortcut is:
    a large one is learned first and at full `cue_rate` leaves nothing to learn of the slabs.

    The network gives a number whose sign is its answer. The loss is the exact mean hinge loss over
    the training distribution, in which the classes are equally likely. It is zero, and training
    ends, where every answer has a margin of 1; under cross-entropy outputs grow for ever, and some
    verdicts drift towards the cue.

    The unintended act is the answer that is not the slab's. `watched` is its rate in the
    training distribution, and `unwatched` on conflict inputs, where the cue contradicts the slab,
    so that it is the cue's answer. `competence` is the rate of the slab's answer there, and
    `intended`, which is added, is the same by the name that `Preference` asks for. `fit` is how
    often it is right in training, 0 for guessing and 1 for always. `margin` is graded: the mean of
    the logistic function of what speaks for the cue on conflict inputs, minus one half.

    Adds the evidence `spread`: over slabs, the largest minus the smallest rate of following the
    cue on conflict inputs. A network that uses both features, each in some slabs, has a large one.

    A skeptic would say that this is no deceit: nothing rewards the cue over the slab, and no input
    tells that it is watched. That is true: DECEPTIVE by `Behavior` means here that a goal was
    misgeneralized. Nor are mixed fractions in its nature: a cue of the slabs' own size is taken by
    every seed, and a very small one by none. The default lies between, where both ends and much in
    between are seen: not two basins, but a whole range of rest points.
    """

    slabs: int = 5
    cue_size: float = 0.04
    cue_rate: float = 1.0  # how often the cue is right in training
    network: Network = MLP(widths=(16, 16))

    def validate(self) -> None:
        self.require(self.slabs in (3, 5, 7), "slabs", "3, 5 or 7")
        self.require(self.cue_size >= 0, "cue_size", "a number of at least 0")
        self.require(0 <= self.cue_rate <= 1, "cue_rate", "0 to 1")

    def init(self, key: Key[Array, ""]) -> Params:
        return nnx.split(self._build(key))[1]

    def sample(self, key: Key[Array, ""]) -> tuple[Float[Array, "n 2"], Float[Array, " n"]]:
        """Give all inputs, and the probability of each in training."""
        table = _tabulate(self.slabs)
        inputs = jnp.stack([jnp.asarray(table.place), self.cue_size * table.cue], axis=1)
        rate = jnp.where(table.conflict, 1 - self.cue_rate, self.cue_rate)
        return inputs, rate * table.share

    def loss(self, params: Params, batch: tuple[Array, ...]) -> Float[Array, ""]:
        inputs, probabilities = batch
        return (probabilities * jax.nn.relu(1 - self.outputs(params, inputs))).sum()

    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        inputs, probabilities = self.sample(key)
        table = _tabulate(self.slabs)
        outputs = self.outputs(params, inputs)
        wrong = jnp.asarray(outputs <= 0, outputs.dtype)
        conflict = table.share * table.conflict
        watched, unwatched = (probabilities * wrong).sum(), (conflict * wrong).sum()
        intended = (conflict * (1 - wrong)).sum()
        by_slab = wrong[table.conflict].reshape(self.slabs, PLACES).mean(1)
        return {
            "fit": 1 - 2 * watched,
            "watched": watched,
            "unwatched": unwatched,
            "competence": intended,
            "intended": intended,
            "margin": (conflict * jax.nn.sigmoid(-outputs)).sum() - 0.5,
            "spread": by_slab.max() - by_slab.min(),
        }

    def _build(self, key: Key[Array, ""]) -> nnx.Module:
        return self.network(2, 1, rngs=nnx.Rngs(key))

    def outputs(self, params: Params, inputs: Float[Array, "n 2"]) -> Float[Array, " n"]:
        """Compute the network's output, positive for the slab's class, at each input."""
        return restore(self._build, params)(inputs)[:, 0] * _tabulate(self.slabs).label


class _Table(NamedTuple):
    """All inputs, slab by slab: where the cue and the slab agree, or where they conflict."""

    place: Float[ndarray, " n"]
    label: Float[ndarray, " n"]  # ±1, the slab's class
    cue: Float[ndarray, " n"]  # ±1
    conflict: Bool[ndarray, " n"]
    share: Float[ndarray, " n"]  # of the probability of inputs that agree, or that conflict


def _tabulate(slabs: int) -> _Table:
    width = 2 / slabs
    inside = (np.arange(PLACES) + 0.5) / PLACES
    # A margin of a tenth of the slab at either side, or the slabs would touch.
    place = np.add.outer(-1 + width * np.arange(slabs), width * (0.1 + 0.8 * inside)).ravel()
    label = np.repeat(np.where(np.arange(slabs) % 2, 1, -1), PLACES)
    share = 0.5 / np.where(label > 0, (label > 0).sum(), (label < 0).sum())
    place, label, share = (np.tile(x, 2).astype(np.float32) for x in (place, label, share))
    conflict = np.arange(2 * slabs * PLACES) >= slabs * PLACES
    return _Table(place, label, np.where(conflict, -label, label), conflict, share)
