"""Read a sweep's folder: the verdict of each seed, and which seeds the runs asked for.

Chunks are read one after another, and of each the verdicts are kept, a byte for each seed and stop.
A table of all rows is made where it is asked for.
"""

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import UInt64
from numpy import ndarray

from basin_jax.core.arguments import checked
from basin_jax.core.labels import check_names, labels_of, varied
from basin_jax.core.plugin import closest
from basin_jax.core.verdict import Rule, Verdict, judge_again
from basin_jax.results import several
from basin_jax.results.blocks import Chunks
from basin_jax.results.chunk import KEYS, LABEL
from basin_jax.results.layout import machines_of, stops_of
from basin_jax.results.request import UNKNOWN, ChosenSeeds, Request, Requests, Sample
from basin_jax.results.rule import own_rule
from basin_jax.results.seed_set import SeedSet, are_among
from basin_jax.results.store import Store
from basin_jax.results.verdicts import CellVerdicts, Judged
from basin_jax.statistics.estimates import as_verdict
from basin_jax.statistics.rows import Basis


VERDICTS = pl.Enum([verdict.name for verdict in Verdict])
Counter = Callable[[str, pl.DataFrame], None]


class Stored:
    """The content of a sweep's folder, or of several, read without running any of their code.

    Attributes:
        stores: the folders.
        store: the first of them, where reports are written.
        manifest: its manifest, with the cells of all.
        rule: the rule that judges the evidence in place of the folder's own.
        cells: the fields of each cell, by its digest.
        varied: the paths of the fields that differ between cells.
        labels: the short name of each cell, by its digest.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        rule: Rule | None = None,
        labels: Mapping[str, str] | None = None,
    ):
        given = [folder] if isinstance(folder, str | os.PathLike) else folder
        if not given:
            raise ValueError("folder is empty; allowed: at least one folder")
        self.stores = [Store(one) for one in given]
        self.store, self.rule = self.stores[0], rule
        self.manifest = several.manifest_of(self.stores, judged_anew=rule is not None)
        self.cells: dict[str, dict[str, Any]] = {
            digest: cell["fields"] for digest, cell in self.manifest["cells"].items()
        }
        self.varied = varied(list(self.cells.values()))
        entries = self.manifest["cells"].items()
        names = {digest: cell["name"] for digest, cell in entries if "name" in cell}
        self.labels = labels_of(self.cells, names)
        if labels is not None:
            check_names(list(labels.values()))
            given = {self.digest(cell, "labels"): name for cell, name in labels.items()}
            self.labels = labels_of(self.cells, {**names, **given})

    @functools.cached_property
    def judged_by(self) -> Rule | None:
        """The rule of the verdicts; None if it is from the user's own file, or another version."""
        return self.rule or own_rule(self.manifest["rule"])

    @property
    def evidence_names(self) -> tuple[str, ...]:
        """The names of the evidence."""
        return tuple(n for n in self._chunks.empty.columns if n not in (*KEYS, *self.varied))

    @functools.cached_property
    def _chunks(self) -> Chunks:
        parts = [part for store in self.stores for part in store.parts()]
        return Chunks(parts, self.store.where)

    @functools.cached_property
    def machine(self) -> dict[str, str]:
        """The versions and the kinds of device that trained, those of all folders."""
        machines = [one for store in self.stores for one in machines_of(store.manifest())]
        names = dict.fromkeys(name for machine in machines for name in machine)
        return {
            name: "; ".join(dict.fromkeys(m[name] for m in machines if name in m)) for name in names
        }

    def evidence(self, frame: pl.DataFrame) -> dict[str, ndarray]:
        """Return the evidence of some rows by name."""
        columns = frame.select(pl.exclude(*KEYS, LABEL, *self.varied)).to_dict()
        return {name: column.to_numpy() for name, column in columns.items()}

    @functools.cached_property
    def history(self) -> pl.DataFrame:
        """A row for each cell, seed and stop; see `frame` for the memory that it takes."""
        return self._table(rows for cell in self._chunks.cells for rows in self._blocks(cell))

    def rows(self, cell: str, seeds: UInt64[ndarray, " seed"] | None = None) -> pl.DataFrame:
        """Return the rows of `history` of a cell, or of some of its seeds, which rise."""
        blocks = self._blocks(cell)
        if seeds is None:
            return self._table(blocks)
        return self._table(
            rows.filter(are_among(rows["seed"].to_numpy(), seeds)) for rows in blocks
        )

    def _table(self, blocks: Iterable[pl.DataFrame]) -> pl.DataFrame:
        names = {int(verdict): verdict.name for verdict in Verdict}
        verdict = pl.col("verdict").replace_strict(names, return_dtype=VERDICTS)
        first = (*KEYS[:1], LABEL, *self.varied)
        every = (
            rows.with_columns(verdict) for rows in itertools.chain([self._chunks.empty], blocks)
        )
        return (
            pl.concat(every, how="vertical_relaxed")
            .join(self._fields(self.varied), on="cell", maintain_order="left")
            .select(*first, *KEYS[1:], pl.exclude(*first, *KEYS[1:]))
        )

    @functools.cached_property
    def frame(self) -> pl.DataFrame:
        """A row for each cell and seed: varied fields, verdict and evidence at the last stop.

        It is read into memory when it is asked for: some 140 bytes a row of `history` with six
        names of evidence. Estimates, tables and figures do without it.
        """
        last = pl.col("step") == pl.col("step").max().over("cell")
        return self.history.filter(last).drop("step")

    def _blocks(self, cell: str) -> Iterator[pl.DataFrame]:
        """Yield the rows of a cell, judged, in the order of seed and stop."""
        for rows in self._chunks.blocks(cell):
            if self.rule is None:
                yield rows
            else:
                before = rows["verdict"].to_numpy()
                judged = judge_again(self.rule, self.evidence(rows), before)
                yield rows.with_columns(verdict=judged)

    def stops(self, cell: str) -> list[int]:
        """Return the steps after which a cell's seeds were probed."""
        return stops_of(self.manifest["cells"][cell])

    def read(self, count: Counter) -> None:
        """Read all chunks, one after another.

        Args:
            count: is called with a cell and some rows of it: those of counted seeds at the last
                stop, in the order of the seeds.
        """
        known = "verdicts" in vars(self)
        verdicts = {cell: CellVerdicts() for cell in self.cells}
        for cell in self._chunks.cells:
            for rows in self._blocks(cell):
                if cell not in self.cells:  # another worker has added it since
                    continue
                num_stops = len(self.stops(cell))
                seeds = rows["seed"].to_numpy()[::num_stops]
                if not known:  # or they would be held twice
                    verdicts[cell].add(seeds, rows["verdict"].to_numpy().reshape(-1, num_stops))
                last = rows[num_stops - 1 :: num_stops]
                counted = last.filter(~self.requests.are_pilots(seeds))
                if len(counted):
                    count(cell, counted)
        if not known:
            self.verdicts = verdicts

    @functools.cached_property
    def verdicts(self) -> dict[str, CellVerdicts]:
        """The verdicts of each cell, a column for each stop."""
        self.read(lambda _cell, _rows: None)
        return vars(self)["verdicts"]

    def counted(self, cell: str) -> Iterator[Judged]:
        """Yield the seeds of a cell that estimates count, and their verdicts, block by block.

        They are all but those of pilots.
        """
        for seeds, verdicts in self.verdicts[cell]:
            counted = ~self.requests.are_pilots(seeds)
            if counted.all():
                yield seeds, verdicts
            elif counted.any():
                yield seeds[counted], verdicts[counted]

    @functools.cached_property
    def left_out(self) -> int:
        """The number of seeds that estimates do not count, since they were a pilot's."""
        found = SeedSet()
        for seeds in itertools.chain(*self._stored) if self.requests.pilots else ():
            pilots = seeds[self.requests.are_pilots(seeds)]
            found.add(pilots[~found.has(pilots)])
        return found.count

    @functools.cached_property
    def requests(self) -> Requests:
        """The seeds that the runs asked for."""
        return Requests(tuple(map(Request.read, self.runs)))

    @functools.cached_property
    def runs(self) -> list[dict[str, Any]]:
        """The records of all runs, the oldest first."""
        return several.runs_of(self.stores)

    @functools.cached_property
    def sample(self) -> Sample:
        """ "range" if the seeds are a sample of all seeds, "chosen" if somebody chose them.

        They are a sample if every run asked for a number or a range of seeds. If some run asked
        for chosen seeds, they are one only if the folder has all seeds that the other runs asked
        for, and no others. The seeds of a folder without a record of its runs count as chosen.
        """
        return self.requests.sample(self._stored)

    @functools.cached_property
    def interval(self) -> Basis:
        """The kind of interval that holds: "fixed", "conditional" or "anytime".

        "fixed" if the number of seeds was fixed beforehand: all runs asked for the same seeds, or
        for parts of the same `whole`, and all of these are stored. "conditional" if the same is
        true of chosen seeds: the intervals are of seeds chosen in the same way. "anytime"
        otherwise, since the number of seeds may depend on results.
        """
        if not self.requests.is_whole(self._stored):
            return "anytime"
        return "fixed" if self.sample == "range" else "conditional"

    @property
    def _stored(self) -> list[Iterator[UInt64[ndarray, " _"]]]:
        return [(seeds for seeds, _ in self.verdicts[cell]) for cell in self.cells]

    @property
    def criterion(self) -> str:
        """The criterion of the chosen seeds, if it is known."""
        chosen = (one for one in self.requests.counted if one.kind == "chosen")
        return "; ".join(dict.fromkeys(one.criterion or UNKNOWN for one in chosen)) or UNKNOWN

    def label(self, cell: str) -> str:
        """Return a cell's short name: its own, or the fields that distinguish it."""
        return self.labels[cell]

    @checked
    def seeds(self, of: Verdict | str | int, *, cell: str | None = None) -> ChosenSeeds:
        """Return the seeds of a verdict, to train them further (see `basin_jax.starts.Trained`).

        A run that trains them records how they were chosen.

        Args:
            of: the verdict.
            cell: the digest or the label of the cell; the only one if None.

        Raises:
            ValueError: if there is no such verdict or cell, or if `cell` is None and there are
                several.
        """
        digest, verdict = self.digest(cell), as_verdict(of)
        chosen = [seeds[judged[:, -1] == verdict] for seeds, judged in self.verdicts[digest]]
        folder = self.store.folder.resolve().name
        by = f" by {type(self.rule).__name__}" if self.rule else ""
        criterion = f"{verdict.name}{by} of {self.label(digest)} in {folder} [{digest}]"
        return ChosenSeeds(np.concatenate([np.zeros(0, np.uint64), *chosen]), criterion)

    def digest(self, cell: str | None, argument: str = "cell") -> str:
        """Find the digest of a cell, given its digest or label; of the only one if None.

        Raises:
            ValueError: if there is no such cell, or if `cell` is None and there are several.
        """
        labels = {label: digest for digest, label in self.labels.items()}
        if cell is None and len(self.cells) == 1:
            return next(iter(self.cells))
        if cell not in (*self.cells, *labels):
            raise ValueError(f"{argument} = {cell!r}; allowed: {closest(cell or '', labels)}")
        return labels.get(cell, cell)

    def _fields(self, paths: Sequence[str]) -> pl.DataFrame:
        def plain(value: Any) -> Any:
            return str(value) if isinstance(value, list) else value

        columns = {path: [plain(c.get(path)) for c in self.cells.values()] for path in paths}
        frame = pl.DataFrame({"cell": list(self.cells), **columns}, strict=False)
        labels = pl.Series(LABEL, list(self.labels.values()), pl.Enum(self.labels.values()))
        return frame.insert_column(1, labels)
