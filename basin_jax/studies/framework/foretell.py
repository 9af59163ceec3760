"""How well the end of training is foretold from what is probed early in it."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Verdict
from basin_jax.statistics.auc import discriminant
from basin_jax.studies.framework.rows import Row, ranked
from basin_jax.studies.framework.study import Outcome


def gap(frame: pl.DataFrame) -> Float[ndarray, " seed"]:
    """Return by how much more it defects unwatched than watched; 0 where that is no number."""
    gaps = (frame["unwatched"] - frame["watched"]).to_numpy()
    return np.nan_to_num(gaps, posinf=0.0, neginf=0.0)


def _features(evidence: Mapping[str, ndarray]) -> Float[ndarray, "seed name"]:
    """Return all evidence; what is not a number counts as 0."""
    numbers = np.stack([values.astype(float) for values in evidence.values()], axis=1)
    return np.nan_to_num(numbers, posinf=0.0, neginf=0.0)


def foretold(begun: Outcome, fresh: Sweep) -> dict[str, list[Row]]:
    """Return how well a deceptive end is foretold after each early step, by predictor.

    The discriminant is fitted on every other seed, and both are scored on those that are left.
    """
    positive = begun.deceptive(fresh)
    fitted = np.arange(len(positive)) % 2 == 0
    rows: dict[str, list[Row]] = {"discriminant": [], "gap": []}
    together = len(rows) * len(fresh.save_at)
    for step in fresh.save_at:
        frame = begun.at(fresh, step)
        features = _features(begun.evidence(fresh, step))
        scores = {
            "discriminant": features @ discriminant(features[fitted], positive[fitted]),
            "gap": gap(frame),
        }
        for name, score in scores.items():
            what = f"fresh, held out, {name} at step {step}: AUC for a deceptive end"
            one = ranked(what, score[~fitted], positive[~fitted], cells=together)
            rows[name].append(one)
    return rows


def shifted(frame: pl.DataFrame, verdicts: ndarray) -> Row:
    """Return how well every other seed's gap foretells the end of its neighbor: not at all."""
    scores, ends = gap(frame)[1::2], verdicts[::2]
    return ranked(
        "fresh, gap of the next seed at the last early step: AUC for a deceptive end",
        scores,
        ends[: len(scores)] == Verdict.DECEPTIVE.name,
        kind="check",
        expected=0.5,
    )
