"""A spell of training on another objective."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, Key

from basin_jax.core.contracts import Organism, State
from basin_jax.core.wrappers import MethodWrapper


class Correction(MethodWrapper):
    """Train with another method, and for a spell of steps on another objective.

    From step `begin` up to step `end` the loss is that of `objective`, an organism that differs
    from the sweep's own in numbers only: the audit game under full oversight is
    `Audit(honeypot_rate=1.0)`. At a `strength` below 1 each number goes that share of the way from
    the sweep's own to the other, and below 0 as far away from it. With a `period` the spell comes
    back, `begin` to `end` of each period. What is probed is always the sweep's own organism, and
    around a correction `EarlyStopping` asks it, too, whether it is settled: do not stop a seed
    early whose correction is still to come.

    Raises:
        ValueError: where the organisms differ in more than numbers.
    """

    objective: Organism
    strength: float = 1.0
    begin: int = 0
    end: int
    period: int | None = None

    def validate(self) -> None:
        self.require(-1 <= self.strength <= 1, "strength", "-1 to 1")
        self.require(self.begin >= 0, "begin", "at least 0")
        most = 2**31 - 1
        above = f"above begin = {self.begin}, up to {most}"
        self.require(self.begin < self.end <= most, "end", above)
        fits = self.period is None or self.end <= self.period <= most
        self.require(fits, "period", f"None, or at least end = {self.end}, up to {most}")

    def step(
        self, key: Key[Array, ""], step: Int32[Array, ""], state: State, organism: Organism
    ) -> State:
        if jax.tree.structure(organism) != jax.tree.structure(self.objective):
            raise ValueError(
                f"Correction.objective = {type(self.objective).__name__}(...); allowed: what "
                f"differs in numbers only from the sweep's own {type(organism).__name__}"
            )
        phase = step if self.period is None else step % self.period
        corrects = (self.begin <= phase) & (phase < self.end)
        # Of this form it is exactly either's own number at 0 and at 1.
        share = jnp.where(corrects, self.strength, 0)
        objective = jax.tree.map(
            lambda own, other: (1 - share) * own + share * other, organism, self.objective
        )
        return self.method.step(key, step, state, objective)
