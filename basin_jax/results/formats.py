"""Convert records for other libraries: pandas, xarray and DuckDB, of the extra `data`."""

import importlib
from typing import Any

import numpy as np
import polars as pl

from basin_jax.core.labels import texts_of
from basin_jax.core.verdict import Verdict
from basin_jax.results.reading import Stored


CODES = {verdict.name: int(verdict) for verdict in Verdict}
ABSENT = -128  # the verdict in an array of a seed that a cell lacks


def library(name: str) -> Any:
    """Import a library of the extra `data`.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != name:
            raise
        raise ImportError(
            f'{name} is not installed; install it: pip install "basin-jax[data]"', name=name
        ) from None


def to_pandas(records: Stored) -> Any:
    """Return `Records.frame` as a frame of pandas."""
    library("pandas")
    library("pyarrow")
    return records.frame.to_pandas()


def to_xarray(records: Stored) -> Any:
    """Return all evidence as arrays over cell, seed and step; see `Records.to_xarray`."""
    xarray = library("xarray")
    rows, names = {cell: records.rows(cell) for cell in records.cells}, records.evidence_names
    every = pl.concat([own.select("seed", "step") for own in rows.values()])
    seeds, steps = (every[name].unique().sort().to_numpy() for name in ("seed", "step"))
    shape = len(rows), len(seeds), len(steps)
    kinds = {name: own[name].to_numpy().dtype for own in rows.values() for name in names}
    arrays = {name: np.full(shape, np.nan, kind) for name, kind in kinds.items()}
    verdicts = np.full(shape, ABSENT, np.int8)
    for number, own in enumerate(rows.values()):
        where = (
            np.full(len(own), number),
            np.searchsorted(seeds, own["seed"].to_numpy()),
            np.searchsorted(steps, own["step"].to_numpy()),
        )
        verdicts[where] = own["verdict"].replace_strict(CODES, return_dtype=pl.Int8)
        for name in names:
            arrays[name][where] = own[name].to_numpy()
    dims = ("cell", "seed", "step")
    made = xarray.Dataset(
        {name: (dims, array) for name, array in {"verdict": verdicts, **arrays}.items()},
        {"cell": [*rows], "seed": seeds, "step": steps, **_coordinates(records)},
        {"sample": records.sample, "interval": records.interval},
    )
    made["verdict"].attrs = {
        "flag_values": np.array([ABSENT, *CODES.values()], np.int8),
        "flag_meanings": " ".join(["ABSENT", *CODES]),
    }
    return made


def _coordinates(records: Stored) -> dict[str, Any]:
    """Return the labels and the varied fields along the cells."""
    found: dict[str, Any] = {"label": [*records.labels.values()]}
    for path in records.varied:
        values = [fields.get(path) for fields in records.cells.values()]
        plain = all(isinstance(value, bool | int | float | str) for value in values)
        found[path] = values if plain else texts_of(values)
    return {name: ("cell", values) for name, values in found.items()}


def sql(records: Stored, query: str) -> pl.DataFrame:
    """Answer a query on the table `seeds`; see `Records.sql`."""
    duckdb = library("duckdb")
    library("pyarrow")
    # A query reads this table, and no files or addresses.
    with duckdb.connect(config={"enable_external_access": False}) as connection:
        connection.register("seeds", records.frame)
        try:
            answer = connection.sql(query)
            rows = None if answer is None else answer.pl()
        except duckdb.Error as error:
            raise ValueError(
                f"query = {query!r}: {error}; allowed: SQL on the table seeds, with the columns "
                f"{', '.join(records.frame.columns)}"
            ) from None
    if rows is None:
        raise ValueError(f"query = {query!r} has no rows to return; allowed: such as select ...")
    return rows
