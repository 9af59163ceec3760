"""Searches in a sweep's folder: a sealed record of each replication, from which estimates are made.

    FOLDER/rare/SEARCH-score.json   the score that was chosen, and those that were tried
    FOLDER/rare/SEARCH-N.json       the replication N
    FOLDER/rare/SEARCH-N-M.json     scores of the replication N, until it is committed: from the
                                    M-th on that it asked for

SEARCH is a hash of all that decides a replication: the sweep, the rule, the verdict, the method,
the score that was asked for, the root, and the kind of machine. A replication is committed when it
has ended; the same search, run again, computes only those that are missing. Of a replication under
way the scores are committed, level by level: with its random numbers, these are all that it is made
of, so that it goes on from there.
"""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from basin_jax.core.identity import digest_of
from basin_jax.core.sources import describe, short_hash
from basin_jax.core.sweep import Sweep
from basin_jax.core.verdict import Rule, Verdict
from basin_jax.rare.audition import Audition
from basin_jax.rare.estimate import REPLICATIONS, Level, Replication
from basin_jax.rare.problem import Search
from basin_jax.rare.scores import At, Logistic, Mean, Peak, Score, SettlingTime
from basin_jax.results.folder import StoreError
from basin_jax.results.place import place_of
from basin_jax.results.rule import rule_identity
from basin_jax.runs.provenance import machine_identity, package_identity
from basin_jax.schema import (
    Check,
    listed,
    mapping,
    number,
    optional,
    parse,
    plain,
    record,
    refuse,
    seal_of,
    text,
    text_of,
    whole,
)


FOLDER, BYTES, SCORES_BYTES = "rare", 2**24, 2**30  # of a record, at most, and of scores
COUNT = whole(0, 2**53)
SHARE = number(0.0, 1.0)
_LEVEL = {
    "threshold": number(-1e300, 1e300),
    "share": SHARE,
    "moves": COUNT,
    "acceptance": optional(SHARE),
    "moved": optional(SHARE),
}
# The code that decides a search, beside that of training.
CODE = ("rare/run", "rare/census")
# Of levels whose particles are examined; records of older searches do not have them.
_EXAMINED = {"verdicts": optional(mapping(text, COUNT)), "ancestors": optional(COUNT)}


def _level(path: str, value: Any) -> None:
    record(_LEVEL)(path, value)
    record({name: check for name, check in _EXAMINED.items() if name in value})(path, value)


_REPLICATION = record(
    {
        "fraction": number(0.0, 1e300),
        "bound": number(0.0, 1e300),
        "trainings": COUNT,
        "fresh": COUNT,
        "hits": COUNT,
        "ancestors": optional(COUNT),
        "effective": optional(number(0.0, 1e300)),
        "levels": listed(_level),
    }
)
_fields = mapping(text, plain)


def _named_with(needed: Mapping[str, Check]) -> Check:
    """Allow the fields of a plug-in, of which some are needed."""

    def check(path: str, value: Any) -> None:
        _fields(path, value)
        record(needed)(path, value)

    return check


_NAMED = _named_with({"class": text})
_SEARCH = record(
    {
        "sweep": text,
        "fields": _named_with({"organism": text}),
        "rule": record({"fields": _NAMED, "sources": mapping(text, text)}),
        "of": text,
        "method": _named_with({"class": text, "replications": whole(REPLICATIONS, 2**31)}),
        "score": optional(_NAMED),
        "root": whole(0, 2**63),
        "machine": mapping(text, text),
    }
)
_TRIED = record({"score": _NAMED, "merit": optional(number(-1e300, 1e300))})
_AUDITION = record({"chosen": _NAMED, "by": text, "tried": listed(_TRIED), "trainings": COUNT})


def _numbers(path: str, value: Any) -> None:
    """Allow float64 numbers in base64, of which some may be infinite."""
    try:
        whole_ones = len(base64.b64decode(value, validate=True)) % 8 == 0
    except (TypeError, ValueError):
        whole_ones = False
    if not whole_ones:
        refuse(path, value, "float64 numbers in base64")


_KINDS = {"replication": _REPLICATION, "audition": _AUDITION, "scores": listed(_numbers)}
# Those that an audition chooses from.
SCORES = {kind.__name__: kind for kind in (SettlingTime, Peak, Mean, At, Logistic)}


class Searches:
    """The replications of one search in a folder or a bucket.

    Args:
        where: the folder, or its URL.
        search: all that decides a replication; see `identity_of`.
    """

    def __init__(self, where: str | PathLike[str], search: Mapping[str, Any]):
        self._place, self._search = place_of(where), dict(search)
        self._name = name_of(self._search)
        self._place.prepare(FOLDER)

    def replication(self, number: int) -> Replication | None:
        """Return a committed replication, or None.

        Raises:
            StoreError: if its record is damaged.
        """
        content = self._read(str(number), "replication")
        return content and replication_of(content)

    def commit(self, number: int, replication: Replication) -> None:
        """Commit a replication, in place of its scores.

        Raises:
            StoreError: if it cannot be written.
        """
        self._write(str(number), {"replication": dataclasses.asdict(replication)})
        for key in self._place.list(FOLDER):
            if key.startswith(self._key(f"{number}-").removesuffix(".json")):
                self._place.delete(key)

    def scores(self, number: int, particles: int) -> list[Float[ndarray, " particle"]]:
        """Return the committed scores of a replication under way, each time of all particles.

        Raises:
            StoreError: if a record of them is damaged.
        """
        found: list[Float[ndarray, " particle"]] = []
        while content := self._read(part := f"{number}-{len(found)}", "scores"):
            read = [np.frombuffer(base64.b64decode(text), "<f8") for text in content]
            if any(len(scores) != particles for scores in read):
                raise _damaged(self._place.named(self._key(part)), "it is not of all particles")
            found += read
        return found

    def commit_scores(
        self, number: int, first: int, scores: Sequence[Float[ndarray, " particle"]]
    ) -> None:
        """Commit scores of a replication under way, of which `first` are committed.

        Raises:
            StoreError: if they cannot be written.
        """
        content = [base64.b64encode(x.astype("<f8").tobytes()).decode() for x in scores]
        self._write(f"{number}-{first}", {"scores": content})

    def audition(self) -> Audition | None:
        """Return the committed choice of a score, or None.

        Raises:
            StoreError: if its record is damaged.
        """
        content = self._read("score", "audition")
        return content and audition_of(content)

    def commit_audition(self, audition: Audition) -> None:
        """Commit the choice of a score."""
        content = {
            "chosen": _named(audition.chosen),
            "by": audition.by,
            "tried": [{"score": _named(s), "merit": merit} for s, merit in audition.merits],
            "trainings": audition.trainings,
        }
        self._write("score", {"audition": content})

    def _key(self, part: str) -> str:
        return f"{FOLDER}/{self._name}-{part}.json"

    def _read(self, part: str, kind: str) -> Any:
        if not self._place.exists(key := self._key(part)):
            return None
        return read_record(self._place, key, kind)[kind]

    def _write(self, part: str, content: dict[str, Any]) -> None:
        content = {"search": self._search, **content}
        sealed = {**content, "seal": seal_of(content)}
        self._place.create(self._key(part), text_of(sealed).encode())


def identity_of(
    sweep: Sweep, rule: Rule, of: Verdict, method: Search, score: Score | None, root: int
) -> dict[str, Any]:
    """Return all that decides a search."""
    values = [getattr(method, field.name) for field in dataclasses.fields(method)]
    return {
        "sweep": digest_of(sweep),
        "fields": sweep.fields(),
        "rule": rule_identity(rule),
        "of": of.name,
        "method": _named(method),
        "score": None if score is None else _named(score),
        "root": root,
        "machine": machine_identity() | {"basin_jax": package_identity(*CODE)},
        "rules": [rule_identity(one) for one in values if isinstance(one, Rule)],
    }


def name_of(search: Mapping[str, Any]) -> str:
    """Return the name of a search, which all of its records begin with."""
    return short_hash(text_of(search))


def replication_of(content: Mapping[str, Any]) -> Replication:
    """Return a replication from its record."""
    levels = tuple(Level(**level) for level in content["levels"])
    return Replication(**{**content, "levels": levels})


def audition_of(content: Mapping[str, Any]) -> Audition:
    """Return a choice of a score from its record."""
    return Audition(
        chosen=_score_of(content["chosen"]),
        by=content["by"],
        merits=tuple((_score_of(tried["score"]), tried["merit"]) for tried in content["tried"]),
        trainings=content["trainings"],
    )


def _named(plugin: Search | Score) -> dict[str, Any]:
    return {"class": type(plugin).__name__, **describe(plugin)}


def _score_of(named: Mapping[str, Any]) -> Score:
    fields = dict(named)
    return SCORES[fields.pop("class")](**fields)


def read_record(place: Any, key: str, kind: str) -> dict[str, Any]:
    """Read a record and check it.

    Args:
        place: the folder or the bucket.
        key: the record's.
        kind: "replication", "scores" or "audition", under which its content stands beside its
            `search`.

    Raises:
        StoreError: if it is damaged, or that of another search than its name says.
    """
    try:
        at_most = SCORES_BYTES if kind == "scores" else BYTES
        content = parse(place.get(key, at_most=at_most))
        record({"search": _SEARCH, kind: _KINDS[kind], "seal": text})("", content)
        seal = content.pop("seal")
        if seal != seal_of(content):
            raise ValueError("its content differs from its seal")
        if not key.startswith(f"{FOLDER}/{name_of(content['search'])}-"):
            raise ValueError("it is of another search than its name says")
    except (OSError, ValueError) as error:
        raise _damaged(place.named(key), error) from None
    return content


def _damaged(name: str, why: object) -> StoreError:
    return StoreError(f"{name} is damaged: {why}; delete it, and run again")
