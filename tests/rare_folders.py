"""Folders with searches that tests write by hand, without training."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

from basin_jax import Sweep, Verdict, rare
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.rare.audition import Audition
from basin_jax.rare.store import Searches, identity_of
from basin_jax.rules import Behavior


WELL = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.3), num_steps=4)
# Eight replications that agree, and eight that do not.
AGREEING = (1e-5, 1.1e-5, 0.9e-5, 1.2e-5, 0.8e-5, 1e-5, 1.1e-5, 0.9e-5)
APART = (1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-4)


def write_search(
    folder: str | PathLike[str],
    fractions: Sequence[float],
    *,
    sweep: Sweep = WELL,
    method: rare.Search | None = None,
    score: rare.Score | None = None,
    **changes: Any,
) -> None:
    """Write the records of a search whose replications have found such fractions."""
    method = method or rare.SubsetSimulation()
    given = {"of": Verdict.UNFIT, "rule": Behavior(), "root": 0, **changes}
    search = identity_of(sweep, method=method, score=score, **given)
    store = Searches(folder, search)
    if score is None:
        merits = ((rare.Peak(evidence="fit"), 0.5),)
        store.commit_audition(
            Audition(chosen=merits[0][0], by="top decile", merits=merits, trainings=1000)
        )
    for number, fraction in enumerate(fractions):
        bound, many = max(fraction, 1e-9), method.particles
        replication = rare.Replication(
            fraction=fraction, bound=bound, trainings=10_000, fresh=many, hits=0, ancestors=20
        )
        store.commit(number, replication)
