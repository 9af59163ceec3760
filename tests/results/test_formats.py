"""Records in the formats of other libraries, and what is said where these are missing."""

import sys

import folders
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from basin_jax import Verdict, load


TILT = "organism.tilt"


@pytest.fixture(scope="module")
def records(wells_folder):
    return load(wells_folder)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """The records of two cells that share some seeds and some stops."""
    stops = {0.0: (2, 5, 9), 0.2: (5, 9)}
    entries = {tilt: folders.cell_of({TILT: tilt}, own) for tilt, own in stops.items()}
    store = folders.new_store(tmp_path_factory.mktemp("uneven"), dict(entries.values()))
    for tilt, seeds in ((0.0, [0, 1, 2]), (0.2, [1, 2, 2**64 - 1])):
        store.commit(entries[tilt][0], folders.columns(seeds, stops[tilt], salt=tilt))
    return load(store.folder)


def test_a_frame_of_pandas_has_the_rows_of_the_frame(records):
    found = records.to_pandas()
    assert [*found.columns] == records.frame.columns
    text = {"label": pl.String, "verdict": pl.String}
    assert_frame_equal(pl.from_pandas(found).cast(text), records.frame.cast(text))
    assert [*found["verdict"].cat.categories] == [verdict.name for verdict in Verdict]


def test_an_array_has_a_place_for_every_cell_seed_and_step(uneven):
    found = uneven.to_xarray()
    assert found["verdict"].dims == ("cell", "seed", "step")
    assert found["seed"].values.tolist() == [0, 1, 2, 2**64 - 1]
    assert found["step"].values.tolist() == [2, 5, 9]
    assert found["label"].values.tolist() == [*uneven.labels.values()]
    assert found[TILT].values.tolist() == [0.0, 0.2]
    rows = {(row["cell"], row["seed"], row["step"]): row for row in uneven.history.to_dicts()}
    flags = found["verdict"].attrs
    meant = dict(zip(flags["flag_values"].tolist(), flags["flag_meanings"].split(), strict=True))
    assert meant == {-128: "ABSENT"} | {int(verdict): verdict.name for verdict in Verdict}
    for cell in uneven.cells:
        for seed in found["seed"].values.tolist():
            for step in found["step"].values.tolist():
                one = found.sel(cell=cell, seed=np.uint64(seed), step=step)
                row = rows.get((cell, seed, step), {"verdict": "ABSENT", "x": np.nan})
                assert meant[int(one["verdict"])] == row["verdict"]
                assert np.array_equal(float(one["x"]), row["x"], equal_nan=True)
    assert (found.attrs["sample"], found.attrs["interval"]) == ("chosen", "anytime")


def test_fields_that_are_no_plain_values_are_text(tmp_path):
    cells = [folders.cell_of({"organism.layers": layers}, (5,)) for layers in ([2, 3], None)]
    store = folders.new_store(tmp_path, dict(cells))
    for cell, _ in cells:
        store.commit(cell, folders.columns([0], (5,)))
    assert load(tmp_path).to_xarray()["organism.layers"].values.tolist() == ["[2, 3]", "None"]


def test_a_query_counts_what_the_estimates_count(records):
    query = f'select cell, "{TILT}", verdict, count(*) as hits from seeds group by all'
    expected = records.fractions().filter(pl.col("hits") > 0)
    expected = expected.select("cell", TILT, "verdict", "hits")
    found = records.sql(query)
    assert_frame_equal(found, expected, check_row_order=False, check_dtypes=False)


def test_a_query_that_is_refused_names_the_columns_and_reads_no_file(records, tmp_path):
    with pytest.raises(ValueError, match=r"(?s)query = 'select sed .*; allowed: .* cell, label, "):
        records.sql("select sed from seeds")
    (tmp_path / "other.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"(?s)query = .*other\.csv"):
        records.sql(f"select * from '{tmp_path / 'other.csv'}'")
    with pytest.raises(ValueError, match=r"query = '' has no rows to return; allowed: such as"):
        records.sql("")


@pytest.mark.parametrize(
    ("method", "arguments", "library"),
    [
        ("to_pandas", (), "pandas"),
        ("to_pandas", (), "pyarrow"),
        ("to_xarray", (), "xarray"),
        ("sql", ("select 1",), "duckdb"),
    ],
)
def test_a_library_that_is_missing_is_named_with_the_extra(
    records, monkeypatch, method, arguments, library
):
    monkeypatch.setitem(sys.modules, library, None)
    message = rf'^{library} is not installed; install it: pip install "basin-jax\[data\]"$'
    with pytest.raises(ImportError, match=message):
        getattr(records, method)(*arguments)
