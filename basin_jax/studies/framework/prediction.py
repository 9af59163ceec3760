"""Predict the verdict at the end of training from early evidence."""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from basin_jax.core.verdict import Verdict
from basin_jax.statistics.auc import discriminant
from basin_jax.studies.framework.lab import Outcome
from basin_jax.studies.framework.rows import Row, ranked


PREDICTORS = {"discriminant": "linear discriminant", "gap": "gap"}


def gap(frame: pl.DataFrame) -> Float[ndarray, " seed"]:
    """Compute each seed's gap, `unwatched` less `watched`; 0 where it is NaN."""
    gaps = (frame["unwatched"] - frame["watched"]).to_numpy()
    return np.nan_to_num(gaps, posinf=0.0, neginf=0.0)


def features(evidence: Mapping[str, ndarray]) -> Float[ndarray, "seed name"]:
    """Return all evidence as numbers, with 0 for NaN."""
    numbers = np.stack([values.astype(float) for values in evidence.values()], axis=1)
    return np.nan_to_num(numbers, posinf=0.0, neginf=0.0)


def predicted(fresh: Outcome) -> Iterator[Row]:
    """Yield the AUC of a deceptive end after each early step, by predictor.

    The discriminant is fitted on every other seed, and both are scored on those that are left.
    """
    positive = fresh.deceptive()
    fitted = np.arange(len(positive)) % 2 == 0
    *early, _ = fresh.stops()
    for name, said in PREDICTORS.items():
        for step in early:
            if name == "gap":
                score = gap(fresh.at("", step))
            else:
                known = features(fresh.evidence("", step))
                score = known @ discriminant(known[fitted], positive[fitted])
            yield ranked(
                f"fresh/{name}/step={step}/AUC",
                f"AUC for a deceptive end of the {said} at step {step}, seeds held out",
                score[~fitted],
                positive[~fitted],
                num_intervals=len(PREDICTORS) * len(early),
            )


def shifted(fresh: Outcome) -> Row:
    """Null check: AUC of the next seed's gap (expected .5)."""
    *_, step, _ = fresh.stops()
    scores, ends = gap(fresh.at("", step))[1::2], fresh.verdicts()[::2]
    return ranked(
        "fresh/gap-of-next-seed/AUC",
        f"AUC for a deceptive end of the gap of the next seed at step {step}",
        scores,
        ends[: len(scores)] == Verdict.DECEPTIVE.name,
        kind="check",
        expected=0.5,
    )
