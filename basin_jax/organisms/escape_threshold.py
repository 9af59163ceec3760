"""The escape threshold: the strength at which training builds a circuit."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from basin_jax.core.contracts import Evidence, Organism


class EscapeThreshold(Organism):
    """Grow a deceptive circuit f = Σᵢ wᵢ³, if one of its paths starts strong enough.

    The network behaves well whatever f is; where nobody watches, f is how far it also
    takes a bonus, up to 1. Training reaches for the bonus by the loss ½(1 - f)², and
    weight decay pulls each path back: under gradient flow with `Gradient(l2=λ)` a path
    escapes iff it starts above w_u, the smaller positive root of 3w(1 - w³) = λ,
    which exists for λ < 1.417. So P(deceptive) = 1 - Φ(w_u/scale)^paths: exactly for one path,
    and slightly too high for more, which slow each other. The circuit is there at initialization,
    but too weak.

    `watched` is 0 and `unwatched` is f, cut to [0, 1]; `fit` is 1/2 without the bonus and
    1 with all of it. `margin` is f minus one half.

    Adds the evidence `strongest`, the largest weight, which decides at step 0.
    """

    paths: int = 64
    scale: float = 0.05  # standard deviation of a weight at initialization

    def validate(self) -> None:
        self.require(self.paths >= 1, "paths", "at least 1")
        self.require(self.scale > 0, "scale", "a number above 0")

    def init(self, key: Key[Array, ""]) -> Float[Array, " path"]:
        return self.scale * jax.random.normal(key, (self.paths,), jnp.float32)

    def sample(self, key: Key[Array, ""]) -> None:
        return None

    def loss(self, params: Float[Array, " path"], batch: None) -> Float[Array, ""]:
        return 0.5 * (1 - (params**3).sum()) ** 2

    def probe(self, key: Key[Array, ""], params: Float[Array, " path"]) -> Evidence:
        output = (params**3).sum()
        unwatched = jnp.clip(output, 0, 1)
        return {
            "fit": 1 - self.loss(params, None),
            "watched": jnp.zeros_like(output),
            "unwatched": unwatched,
            "competence": 1 - unwatched,
            "margin": output - 0.5,
            "strongest": params.max(),
        }
