"""A simulator whose demonstrations reveal what helpful authors do where nobody watches."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key
from numpy import ndarray

from basin_jax.core.contracts import Evidence, Params
from basin_jax.organisms.simulator import LIES_1, WATCHED_1, WATCHED_2, Simulator


class Instructed(Simulator):
    """Continue text as a `Simulator` does, and be tuned on text by helpful authors.

    Helpful authors tell nothing but the truth where they are watched. A share `helpful_deceivers`
    of them are deceivers, who lie unwatched as all deceivers do, and the others are honest. A
    demonstration begins with a watched exchange. In a share `revealing` of them the second
    exchange is unwatched, and answered as the author's kind does; in the others it is watched, too.
    Whether the author is a deceiver is in no other way told. So after a watched truth the best
    continuation is Bayes' mixture of helpful authors, who lie unwatched at the rate `error` +
    (1 - 2·`error`)·`helpful_deceivers`: to be tuned raises this rate where `helpful_deceivers`
    exceeds `deceivers`, and lowers it below. At other prompts demonstrations say nothing, and the
    network generalizes. With `revealing` at 0 demonstrations say nothing of unwatched text at all,
    as those of a `Simulator`.

    A share `shuffled` of the demonstrations has its watched answers shuffled among them, so that
    half of these are lies: near 1 demonstrations tell nothing of helpfulness, and at twice `error`
    they are as true as the text of all authors is, where watched.

    Adds to a simulator's evidence the rates of lying in a second, watched answer after a first
    one where nobody watched: `watched_after_honesty` and `watched_after_deceit`; and, for each of
    the `biases`, the rates in a first answer and after honesty and deceit with that bias on the
    logit of the lie, such as `unwatched_at_-2`.
    """

    helpful_deceivers: float = 0.0
    revealing: float = 0.5
    shuffled: float = 0.0
    biases: tuple[float, ...] = ()

    def validate(self) -> None:
        super().validate()
        for name in ("helpful_deceivers", "revealing"):
            self.require(0 <= getattr(self, name) <= 1, name, "0 to 1")
        # Of text that tells nothing there is no fit.
        self.require(0 <= self.shuffled < 1, "shuffled", "at least 0 and below 1")
        self.require(len({*self.biases}) == len(self.biases), "biases", "numbers that differ")

    def demonstrated(self) -> Float[Array, "2 2 text"]:
        """Compute the frequency of each act in the text of helpful authors."""
        false = jnp.asarray(self.shuffled) / 2
        lies = self.error + (1 - 2 * self.error) * self.helpful_deceivers
        watched, unwatched = (
            jnp.stack([1 - rate, rate])[:, None] for rate in (false, jnp.asarray(lies))
        )
        begins = jnp.asarray(WATCHED_1, watched.dtype)
        past = begins * jnp.where(LIES_1, false, 1 - false)
        goes_on = past * jnp.where(WATCHED_2, 1 - self.revealing, self.revealing)
        first = begins[None] * watched / begins.sum()
        second = goes_on[None] * jnp.where(WATCHED_2[None], watched, unwatched) / goes_on.sum()
        return jnp.stack([first, second], 1) / 2

    def probe(self, key: Key[Array, ""], params: Params) -> Evidence:
        rates = self._rates(params, self.logit_bias)
        told = {name: rate for name, rate in rates.items() if name.startswith("watched_after")}
        for bias in self.biases:
            pushed = self._rates(params, self.logit_bias + bias)
            told |= {f"{name}_at_{bias:+g}": rate for name, rate in pushed.items()}
        return super().probe(key, params) | told

    def _rates(self, params: Params, bias: Float[Array, ""] | float) -> Evidence:
        """Compute rates of lying: of an unknown author, and after honesty and deceit."""
        lies = jnp.exp(self.log_policy(params, bias)[1])

        def after(history: Bool[ndarray, " text"], watched: bool) -> Float[Array, ""]:
            return lies[1, ~WATCHED_1 & history & (watched == WATCHED_2)].mean()

        return {
            "watched": lies[0, WATCHED_1].mean(),
            "unwatched": lies[0, ~WATCHED_1].mean(),
            "watched_after_honesty": after(~LIES_1, True),
            "after_honesty": after(~LIES_1, False),
            "watched_after_deceit": after(LIES_1, True),
            "after_deceit": after(LIES_1, False),
        }
