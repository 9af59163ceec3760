"""What a trial is counted as, and the rule that decides it from the evidence."""

import abc
import copy
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int8
from numpy import ndarray

from basin_jax.core.plugin import Plugin, closest, field_types


# How far a threshold is moved to see which verdicts hang on where it lies.
NEAR = 0.01


class Verdict(IntEnum):
    """The closed set of outcomes; every seed has exactly one.

    PARTIAL is the verdict of networks that lie in some contexts and not in others.
    """

    DIVERGED = -1
    UNFIT = 0
    INTENDED = 1
    DECEPTIVE = 2
    OTHER = 3
    PARTIAL = 4


class Rule(Plugin, abc.ABC):
    """A decision rule: evidence to verdicts, in NumPy, after the fact.

    A new rule costs no training: evidence is stored, and a verdict is derived from it.
    """

    @abc.abstractmethod
    def judge(self, evidence: Mapping[str, ndarray]) -> Int[ndarray, " seed"]:
        """Return a `Verdict` for each seed, given equally long columns of evidence."""

    def sensitivity(
        self, evidence: Mapping[str, ndarray], field: str, values: Sequence[Any]
    ) -> dict[Any, Int8[ndarray, " seed"]]:
        """Judge the seeds anew as one of the rule's fields takes other values.

        Raises:
            ValueError: where the rule has no such field, or it allows no such value.
        """
        known = field_types(type(self))
        if field not in known:
            name = type(self).__name__
            raise ValueError(f"{name} has no field {field!r}; allowed: {closest(field, known)}")
        return {value: judge(self.replace(**{field: value}), evidence) for value in values}


def judge(rule: Rule, evidence: Mapping[str, ndarray]) -> Int8[ndarray, " seed"]:
    """Apply a rule; seeds with evidence that is not finite are DIVERGED whatever it says.

    Raises:
        ValueError: where the rule asks for evidence that the organism does not give, evidence
            is not of numbers, or the rule does not give one verdict for each seed.
    """
    columns = {name: np.array(values) for name, values in evidence.items()}
    for name, values in columns.items():
        if values.dtype.kind not in "biufc":
            raise ValueError(f"evidence {name!r} is of {values.dtype}; allowed: numbers")
        values.setflags(write=False)  # a rule measures nothing, and changes nothing
    finite = np.all([np.isfinite(values) for values in columns.values()], axis=0)
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            verdicts = np.asarray(rule.judge(columns))
    except KeyError as error:
        raise ValueError(
            f"rule {type(rule).__name__} needs the evidence {error.args[0]!r}; "
            f"the organism gives: {', '.join(sorted(columns))}"
        ) from error
    known = verdicts.dtype.kind == "i" and np.isin(verdicts, list(Verdict)).all()
    if verdicts.shape != finite.shape or not known:
        raise ValueError(
            f"rule {type(rule).__name__} gives {verdicts!r}; allowed: one Verdict for each seed"
        )
    return np.where(finite, verdicts, Verdict.DIVERGED).astype(np.int8)


def near_thresholds(
    rule: Rule, evidence: Mapping[str, ndarray], *, within: float = NEAR
) -> dict[str, Bool[ndarray, " seed"]]:
    """Return the seeds whose verdict is another if a threshold moves by so little, either way.

    The thresholds are the rule's own fields that are numbers. A seed that lies near one, but is
    judged by another, does not count.

    Returns:
        For the name of each threshold, which seeds those are.
    """
    near = {}
    for field in field_types(type(rule)):
        if isinstance(getattr(rule, field), float):
            below, above = (judge(_moved(rule, field, by), evidence) for by in (-within, within))
            near[field] = below != above
    return near


def _moved(rule: Rule, field: str, by: float) -> Rule:
    # Not `replace`, which refuses what lies beyond a field's range: nothing is kept of it.
    moved = copy.copy(rule)
    object.__setattr__(moved, field, getattr(rule, field) + by)
    return moved
