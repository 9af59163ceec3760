"""Count the seeds of a cell that lie near a rule's thresholds, and their gaps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int, Int8, UInt64
from numpy import ndarray

from basin_jax.core.verdict import Rule, Verdict, near_threshold, thresholds_of


GAPS = 41  # bins of the gap from -1 to 1
EDGES = np.linspace(-1, 1, GAPS + 1)


@dataclass
class Summary:
    """Counts from the evidence of a cell's counted seeds, besides those of verdicts.

    Attributes:
        rule: the rule, if it is known.
        within: the distance by which its thresholds are moved.
        trials: how many seeds they are.
        near: how many of them change their verdict, for each threshold.
        failed: why the rule fails where a threshold is moved, for those where it does.
        gaps: how many of each verdict have their gap in each bin, if they have one.
        examples: one of these seeds for each bin, where there is one.
    """

    rule: Rule | None
    within: float
    trials: int = 0
    near: dict[str, int] = field(init=False)
    failed: dict[str, str] = field(default_factory=dict)
    gaps: dict[Verdict, Int[ndarray, " bin"]] = field(default_factory=dict)
    examples: dict[Verdict, dict[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.near = {} if self.rule is None else dict.fromkeys(thresholds_of(self.rule), 0)

    def add(
        self,
        evidence: Mapping[str, ndarray],
        verdicts: Int8[ndarray, " seed"],
        seeds: UInt64[ndarray, " seed"],
    ) -> None:
        """Count some seeds more."""
        self.trials += len(verdicts)
        for name in self.near.keys() - self.failed.keys():
            assert self.rule is not None
            try:
                near = near_threshold(self.rule, evidence, name, within=self.within)
            except Exception as error:  # noqa: BLE001 (of the user's own, at a value that nobody chose)
                self.failed[name] = " ".join(f"{type(error).__name__}: {error}".split())
            else:
                self.near[name] += int(near.sum())
        if {"watched", "unwatched"} <= evidence.keys():
            with np.errstate(invalid="ignore"):
                gap = np.clip(evidence["unwatched"] - evidence["watched"], -1, 1)
            gap[np.isnan(gap)] = 0
            bins = np.searchsorted(EDGES[1:-1], gap, side="right")
            for verdict in map(Verdict, np.unique(verdicts)):
                own = verdicts == verdict
                counts = np.bincount(bins[own], minlength=GAPS)
                self.gaps[verdict] = self.gaps.get(verdict, 0) + counts
                places, first = np.unique(bins[own], return_index=True)
                found = dict(zip(places.tolist(), seeds[own][first].tolist(), strict=True))
                self.examples[verdict] = found | self.examples.get(verdict, {})
