"""Read the searches of a folder: their estimates, from committed replications alone."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from basin_jax.core.arguments import checked
from basin_jax.core.labels import labels_of
from basin_jax.core.sources import short_hash
from basin_jax.rare.estimate import RareEstimate, Replication, rare_estimate
from basin_jax.rare.store import FOLDER, read_record, replication_of
from basin_jax.results.folder import StoreError
from basin_jax.results.place import place_of
from basin_jax.results.reading import Stored
from basin_jax.results.store import Store
from basin_jax.schema import text_of
from basin_jax.statistics.estimates import estimate


RECORD = re.compile(rf"{FOLDER}/([0-9a-f]{{12}})-(score|\d{{1,9}}(-\d{{1,9}})?)\.json", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class StoredSearch:
    """A search that a folder holds, with its estimate as soon as it has ended.

    Attributes:
        name: what its records begin with.
        label: the short name of its cell, as that of the folder's cells.
        of: the verdict that it searches for.
        method, score: what searches, and what guides it, with their fields; the score is None
            until it is chosen.
        root: what its random numbers are drawn of.
        replications: how many of them are committed.
        wanted: how many it takes.
        estimate: the estimate of all replications; None before the last one is committed.
        fields: the fields of its sweep.
        rule: those of its rule.
        machine: the kind of machine that it trains on, and versions.
    """

    name: str
    label: str
    of: str
    method: Mapping[str, Any]
    score: Mapping[str, Any] | None
    root: int
    replications: int
    wanted: int
    estimate: RareEstimate | None
    fields: Mapping[str, Any]
    rule: Mapping[str, Any]
    machine: Mapping[str, str]

    def row(self) -> dict[str, Any]:
        """Return the search as columns of a table: its estimate, and the bracket by brute force."""
        found = self.estimate
        names = "fraction", "low", "high", "level", "trainings", "pilot", "trusted"
        estimated = {name: found and getattr(found, name) for name in names}
        names = "hits", "trials", "low", "high"
        bracket = {f"bracket_{name}": found and getattr(found.bracket, name) for name in names}
        return {
            "search": self.name,
            "label": self.label,
            "of": self.of,
            "method": written(self.method),
            "score": self.score and written(self.score),
            "root": self.root,
            "replications": self.replications,
            "wanted": self.wanted,
            **estimated,
            "warnings": found and "; ".join(found.warnings),
            **bracket,
        }


def count_searches(keys: Iterable[str]) -> int:
    """Count the searches that have records among keys of a folder."""
    return len({found[1] for key in keys if (found := RECORD.fullmatch(key))})


@checked
def load(folder: str | PathLike[str], *, level: float = 0.95) -> tuple[StoredSearch, ...]:
    """Read the searches that a folder holds; nothing is trained, and no code of it runs.

    Args:
        folder: the folder of a run, or its URL.
        level: the nominal coverage of the intervals.

    Returns:
        The searches, by their cells.

    Raises:
        StoreError: if a record is damaged.
    """
    place = place_of(folder)
    keys: dict[str, list[str]] = {}
    for key in place.list(FOLDER):
        if found := RECORD.fullmatch(key):
            keys.setdefault(found[1], []).append(key)
    read = {name: _Records(place, own) for name, own in keys.items()}
    labels = _labels({name: one.search for name, one in read.items()}, Store(folder))
    order = sorted(read, key=lambda name: _place_of(read[name].search, name))
    return tuple(read[name].stored(name, labels[name], level) for name in order)


def verify(folder: str | PathLike[str]) -> tuple[int, list[str]]:
    """Check the records of a folder's searches: return their number, and what is wrong with them.

    Raises:
        StoreError: if the folder cannot be read.
    """
    place, faults = place_of(folder), list[str]()
    keys = [key for key in place.list(FOLDER) if RECORD.fullmatch(key)]
    for key in keys:
        try:
            read_record(place, key, _kind(key))
        except StoreError as error:
            faults.append(str(error))
    return len(keys), faults


def _kind(key: str) -> str:
    if key.endswith("-score.json"):
        return "audition"
    return "scores" if key.count("-") == 2 else "replication"


class _Records:
    """The records of one search."""

    def __init__(self, place: Any, keys: list[str]):
        self.search: dict[str, Any] = {}
        self.score: dict[str, Any] | None = None
        self.pilot, self.found = 0, dict[int, Replication]()
        for key in keys:
            part = key.rpartition("-")[2].removesuffix(".json")
            kind = _kind(key)
            content = read_record(place, key, kind)
            self.search = content["search"]
            if kind == "replication":
                self.found[int(part)] = replication_of(content[kind])
            elif kind == "audition":
                self.score = content[kind]["chosen"]
                self.pilot = content[kind]["trainings"]

    def stored(self, name: str, label: str, level: float) -> StoredSearch:
        search, method = self.search, self.search["method"]
        score = search["score"] or self.score
        found = [self.found[number] for number in sorted(self.found)]
        ended = len(found) >= method["replications"]
        return StoredSearch(
            name=name,
            label=label,
            of=search["of"],
            method=method,
            score=score,
            root=search["root"],
            replications=len(found),
            wanted=method["replications"],
            estimate=self._estimate(found, score, level) if score and ended else None,
            fields=search["fields"],
            rule=search["rule"]["fields"],
            machine=search["machine"],
        )

    def _estimate(
        self, found: list[Replication], score: Mapping[str, Any], level: float
    ) -> RareEstimate:
        hits, fresh = sum(one.hits for one in found), sum(one.fresh for one in found)
        return rare_estimate(
            found,
            bracket=estimate(hits, fresh, level=level),
            method=written(self.search["method"]),
            score=written(score),
            pilot=self.pilot,
            level=level,
        )


def written(plugin: Mapping[str, Any]) -> str:
    """Return a search or a score from its record as it shows itself."""
    fields = ", ".join(f"{name}={value!r}" for name, value in plugin.items() if name != "class")
    return f"{plugin['class']}({fields})"


def _labels(searches: Mapping[str, Mapping[str, Any]], store: Store) -> dict[str, str]:
    """Name searches by their cells: as the folder names these, or by what tells them apart."""
    cells, cell_of = dict[str, dict[str, Any]](), dict[str, str]()
    for name, search in searches.items():
        cell_of[name] = short_hash(text_of([search["sweep"], search["rule"]]))
        rule = {f"rule.{path}": value for path, value in search["rule"]["fields"].items()}
        cells[cell_of[name]] = _without_stops(search["fields"]) | rule
    labels = labels_of(cells)
    if store.exists():
        stored = Stored(store.where)
        own = {text_of(_without_stops(f)): stored.labels[cell] for cell, f in stored.cells.items()}
        named = {
            cell: text_of(_without_stops(searches[n]["fields"])) for n, cell in cell_of.items()
        }
        labels = labels_of(cells, {c: own[text] for c, text in named.items() if text in own})
    return {name: labels[cell] for name, cell in cell_of.items()}


def _without_stops(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without the stops, which a search may add."""
    return {path: value for path, value in fields.items() if path != "save_at"}


def _place_of(search: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    """Return what searches are sorted by: the values of fields, numbers by their size."""
    fields = [*search["fields"].values(), *search["rule"]["fields"].values()]
    numbers = [(v, "") if isinstance(v, int | float) else (0.0, str(v)) for v in fields]
    return numbers, search["of"], written(search["method"]), name
