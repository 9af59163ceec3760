"""Networks linearized around their initialization."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from basin_jax.core.plugin import Plugin
from basin_jax.networks.mlp import MLP, Layered, Network


class Tangent(nnx.Module):
    """A network's first-order Taylor polynomial in its parameters, around the start."""

    def __init__(self, start: nnx.Module):
        self.start = start
        self.displacement = nnx.clone(start)
        nnx.update(self.displacement, jax.tree.map(jnp.zeros_like, nnx.state(start)))

    def __call__(self, x: Float[Array, "example inputs"]) -> Float[Array, "example outputs"]:
        value, change = self._expand(lambda network: network(x))
        return value + change

    def _expand(
        self, function: Callable[..., Array], *points: Sequence[Array]
    ) -> tuple[Array, Array]:
        """Evaluate a function of the network at the start, and its change by the displacement.

        Each of the function's further arguments is a point and its change.
        """
        graph, start = nnx.split(self.start)
        at, along = zip((start, nnx.state(self.displacement)), *points, strict=True)
        held = (jax.lax.stop_gradient(start), *at[1:])
        return jax.jvp(lambda params, *rest: function(nnx.merge(graph, params), *rest), held, along)


class LayeredTangent(Tangent):
    """Expand a network that is `Layered`; its hidden units come with their changes."""

    def hidden(self, x: Float[Array, "example inputs"]) -> Float[Array, "units example"]:
        """Compute the last layer's input at the start, and below it its change."""
        return jnp.concatenate(self._expand(lambda network: network.hidden(x)))

    def output(self, hidden: Float[Array, "units example"]) -> Float[Array, "example outputs"]:
        read = jnp.split(hidden, 2)
        value, change = self._expand(lambda network, h: network.output(h), read)
        return value + change


class Linearized(Plugin):
    """Build another network's linearization, f(x; θ₀) + ∂f/∂θ(x; θ₀) δ, whose δ is trained.

    Is learning a choice among features that are there at the start? The linearization has the
    gradients of its start for features, for ever: the lazy regime of the neural tangent kernel
    (Jacot et al. 2018), to which a network of standard initialization comes as its width grows and
    its learning rate shrinks like 1 / width (Lee et al. 2019, "Wide neural networks of any depth
    evolve as linear models under gradient descent"). It is a network and no method, since a method
    sees the loss alone, and the probe must see the same function as the loss. Its start is the one
    that the other network has from the same seed, so that both compare by pairs.

    Its parameters are θ₀ and, at first 0, δ. No gradient reaches θ₀; but what moves parameters
    without the gradient would move it, too: `l2`, decoupled decay, `noise`, `Evolution`.
    """

    network: Network = MLP()

    def __call__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs) -> nnx.Module:
        start = self.network(inputs, outputs, rngs=rngs)
        return LayeredTangent(start) if isinstance(start, Layered) else Tangent(start)
