"""Read chunks one after another, as blocks of rows in the order of their seeds.

Memory holds one chunk at a time, or where the seeds of chunks overlap, the rest of those.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import polars as pl

from basin_jax.results.folder import StoreError


# Columns of this module's own, whose names no evidence can have.
FOLDER, OTHER = "folder\n", "other\n"


class Part(NamedTuple):
    """A chunk that is to be read.

    Attributes:
        cell, first: its cell and its first seed, according to its name.
        path: its file, as messages name it.
        where: its folder.
        read: returns its rows, checked.
    """

    cell: str
    first: int
    path: str
    where: str
    read: Callable[[], pl.DataFrame]


class Chunks:
    """The chunks of one folder, or of several, which are read whenever their rows are asked for.

    Args:
        parts: the chunks.
        where: the folder that is named if there are none.

    Raises:
        StoreError: if there are none.
    """

    def __init__(self, parts: Sequence[Part], where: str):
        if not parts:
            raise StoreError(f"{where} holds no seeds yet; run the sweep first")
        self._folders = list(dict.fromkeys(part.where for part in parts))
        self._parts: dict[str, list[Part]] = {}
        for part in sorted(parts, key=lambda part: (part.cell, part.first)):
            self._parts.setdefault(part.cell, []).append(part)
        self._model: tuple[Part, pl.DataFrame] | None = None

    @property
    def cells(self) -> list[str]:
        """The cells that have chunks, in the order of their digests."""
        return [*self._parts]

    @property
    def empty(self) -> pl.DataFrame:
        """A table without rows, with the columns of all chunks."""
        if self._model is None:
            self._read(self._parts[self.cells[0]][0])
        assert self._model is not None
        return self._model[1]

    def blocks(self, cell: str) -> Iterator[pl.DataFrame]:
        """Yield the rows of a cell in the order of seed and step, as blocks of whole seeds.

        Raises:
            StoreError: if a chunk is damaged or has other columns, or a seed is stored twice.
        """
        held, parts = None, self._parts.get(cell, [])
        for part, after in zip(parts, [*parts[1:], None], strict=True):
            folder = pl.lit(self._folders.index(part.where), pl.Int32)
            rows = self._read(part).with_columns(folder.alias(FOLDER))
            rows = rows if held is None else self._merged(held, rows)
            held = None
            if after is not None and rows["seed"][-1] >= after.first:
                ready = pl.col("seed") < pl.lit(after.first, pl.UInt64)
                rows, held = rows.filter(ready), rows.filter(~ready)
            if len(rows):
                yield rows.drop(FOLDER)

    def frame(self) -> pl.DataFrame:
        """Return all rows in the order of cell, seed and step."""
        every = (block for cell in self.cells for block in self.blocks(cell))
        return pl.concat(every, how="vertical_relaxed")

    def _read(self, part: Part) -> pl.DataFrame:
        rows = part.read()
        model, empty = self._model = self._model or (part, rows.clear())
        if rows.columns == empty.columns:
            return rows
        if part.where == model.where:
            raise StoreError(f"{part.path} is of another sweep; move it away")
        raise StoreError(
            f"{model.where} and {part.where} have different evidence; allowed: folders of "
            "sweeps with the same evidence"
        )

    def _merged(self, held: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of both in the order of seed and step.

        Raises:
            StoreError: if both have a seed.
        """
        keys = ("seed", "step")
        together = pl.concat([held, rows], how="vertical_relaxed").sort(*keys, FOLDER)
        same = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in keys)
        other = pl.col(FOLDER).shift().alias(OTHER)
        twice = together.with_columns(other).filter(same).head(1)
        for cell, seed, *both in twice.select("cell", "seed", OTHER, FOLDER).iter_rows():
            other, own = (self._folders[number] for number in both)
            if own == other:
                raise StoreError(
                    f"{own} has seeds that are stored more than once; "
                    f"`basin-jax verify {own}` lists them"
                )
            raise StoreError(
                f"seed {seed} of cell {cell} is in {other} and in {own}; allowed: folders that "
                "share no seed of a cell"
            )
        return together
