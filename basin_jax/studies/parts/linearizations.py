"""Linearizations: how well networks with the features of the start predict verdicts."""

from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from basin_jax.networks.linearized import Linearized
from basin_jax.studies.framework.lab import Outcome
from basin_jax.studies.framework.power import unseen
from basin_jax.studies.framework.rows import HALF, Row, Sentence, agreement, say, share
from basin_jax.studies.framework.testbed import Testbed


Labels: TypeAlias = Bool[ndarray, " seed"]


def name_of(testbed: Testbed, width: int) -> str:
    """Return the name of a testbed's network of a width."""
    return f"{testbed.name}_{width}"


def written(name: str) -> str:
    """Write a network's name as in sentences."""
    return name.replace("_", " ")


def linearized(testbed: Testbed) -> Testbed:
    """Linearize a testbed's network around its initialization."""
    return testbed.with_network(Linearized(network=cast(Any, testbed.organism).network))


def above(
    values: Float[ndarray, " seed"], labels: Labels
) -> tuple[Bool[ndarray, " half"], Bool[ndarray, " half"]]:
    """Predict labels by values above a bar; return the predicted and the true labels.

    The bar has as many of the first half of the seeds above it as have the label; the second half
    is predicted.
    """
    half = len(values) // 2
    ordered = np.concatenate([[-np.inf], np.sort(values[:half])])
    bar = ordered[half - int(labels[:half].sum())]
    return values[half:] > bar, labels[half:]


def strangers(own: Outcome, name: str) -> Row:
    """Null check: kappa of other seeds' linearizations with the verdicts (expected 0)."""
    linear, full = own.deceptive("linearized"), own.deceptive("full")
    half = len(full) // 2
    return agreement(
        f"{name}/linearized-other-seeds/kappa",
        f"{written(name)}, linearizations of other seeds, with the verdict: kappa",
        (linear[:half], full[half : 2 * half]),
        kind="check",
        expected=0.0,
    )


def reading(kappa: Row) -> str:
    """Return the reading that a kappa supports: above or below one half, or undecided."""
    if kappa.undefined:
        return "not known (no kappa)"
    if kappa.low > HALF:
        return "there at the start (kappa above one half)"
    if kappa.high < HALF:
        return "made by training, as far as kappa tells (below one half)"
    return "not decided (the interval of kappa contains one half)"


def readings(kappas: dict[str, Row]) -> list[Sentence]:
    """List the kappas by the reading that they support, and those not above 0."""
    groups: dict[str, dict[str, Row]] = {}
    for name, kappa in kappas.items():
        groups.setdefault(reading(kappa), {})[name] = kappa
    said = []
    for supported, found in groups.items():
        listed = "; ".join(f"{name}: kappa {one}" for name, one in found.items())
        told = unseen(found.values(), HALF)
        said.append(say(f"What ends deceptive is {supported} in: {listed}{told}.", *found.values()))
    blind = {name: one for name, one in kappas.items() if not one.low > 0}
    if blind:
        text = f"Not shown to predict beyond chance what ends deceptive: {'; '.join(blind)}"
        text = f"{text}{unseen(blind.values())}."
        said.append(say(text, *blind.values()))
    return said


def given(trained: Outcome, name: str, *, num_intervals: int) -> Iterator[Row]:
    """Yield how often a network ends deceptive where its linearization does, and where not."""
    ends, linear = (trained.deceptive(kind) for kind in ("full", "linearized"))
    for key, said, among in (
        ("given-deceptive", "deceptive", linear),
        ("given-other", "not deceptive", ~linear),
    ):
        yield share(
            f"{name}/{key}/deceptive",
            f"{written(name)}, of those whose linearization is {said}: deceptive",
            ends[among],
            num_intervals=num_intervals,
        )
