"""Thresholds, provenance and sources of results, for a paper."""

import inspect
import re
import sys
from pathlib import Path

import folders
import numpy as np
import pytest

import basin_jax as bj
from basin_jax import Verdict
from basin_jax.cli.catalog import FOLDERS, plugins
from basin_jax.core.plugin import field_types
from basin_jax.results.citation import AUTHOR, TITLE, YEAR, literature


RANGE = {"kind": "range", "count": 40, "first": 0, "last": 39}


def made(path, hits, *, seeds=40, request=RANGE, lacking=0):
    """Return records of cells whose first seeds are hits, by their fields; one cell lacks some."""
    cells = [folders.cell_of(dict(fields), (10,)) for fields in hits]
    store = folders.new_store(path, dict(cells))
    store.record_run(folders.run_of(request))
    for number, ((digest, _), count) in enumerate(zip(cells, hits.values(), strict=True)):
        own = range(lacking if number == 1 else 0, seeds)
        rows = folders.columns(own, (10,))
        deceptive = rows["seed"] < count
        rows["verdict"] = np.where(deceptive, Verdict.DECEPTIVE, Verdict.INTENDED).astype(np.int8)
        assert store.commit(digest, rows)
    return bj.load(path)


def fields(**given):
    return tuple(given.items())


TILTS = {
    fields(**{"organism.tilt": tilt, "organism.size": size}): count
    for size, counts in ((1, (4, 16, 36)), (2, (36, 16, 4)))
    for tilt, count in zip((0.1, 0.2, 0.4), counts, strict=True)
}


def test_a_threshold_is_that_of_the_cells_where_the_other_fields_are_fixed(tmp_path):
    records = made(tmp_path / "sweep", TILTS)
    one = records.threshold("tilt", where={"size": 1})
    assert (one.field, one.of, one.at) == ("organism.tilt", Verdict.DECEPTIVE, 0.5)
    assert (one.doses, one.fractions) == ((0.1, 0.2, 0.4), (0.1, 0.4, 0.9))
    assert one.value == pytest.approx(0.2 + 0.2 * 0.1 / 0.5)
    assert (one.trials, one.interval, one.sample) == (40, "fixed", "range")
    other = records.threshold("organism.tilt", where={"organism.size": 2}, of="INTENDED")
    assert other.value == pytest.approx(0.1 + 0.1 * 0.4 / 0.5)
    assert records.threshold("tilt", where={"size": 2}).direction == "falling"


def test_seeds_that_a_cell_lacks_are_left_out(tmp_path):
    counts = {fields(**{"organism.tilt": tilt}): n for tilt, n in ((0.1, 4), (0.2, 16), (0.4, 36))}
    one = made(tmp_path / "sweep", counts, lacking=10).threshold("tilt")
    assert (one.trials, one.fractions) == (30, (0, 6 / 30, 26 / 30))
    assert one.interval == "anytime"


def test_children_are_counted_in_families(tmp_path):
    counts = {
        fields(**{"start": "Fork", "start.children": 4, "organism.tilt": tilt}): n
        for tilt, n in ((0.1, 4), (0.2, 16), (0.4, 36))
    }
    ours = made(tmp_path / "families", counts).threshold("tilt")
    alone = {pairs[2:]: n for pairs, n in counts.items()}
    assert ours.low < made(tmp_path / "seeds", alone).threshold("tilt").low


@pytest.mark.parametrize(
    ("field", "given", "message"),
    [
        ("tilt", {}, "where = {}, and organism.size vary; allowed: a value for each field"),
        ("tlt", {}, "field = 'tlt' is no field of the sweep; allowed: .*tilt"),
        ("tilt", {"where": {"siz": 1}}, "where = 'siz' is no field of the sweep"),
        ("tilt", {"where": {"size": 3}}, "where = {'size': 3}; allowed: values of a cell: tilt"),
        ("size", {"where": {"tilt": 0.1, "size": 1}}, "size = .*; allowed: two or more values"),
        ("num_steps", {"where": {"tilt": 0.1, "size": 1}}, "allowed: two or more values"),
        ("organism", {"where": {"tilt": 0.1, "size": 1}}, "organism = 'Mine'; allowed: a field"),
        ("tilt", {"where": {"size": 1}, "of": "DECEPTIV"}, "verdict = 'DECEPTIV'"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(tmp_path_factory, field, given, message):
    records = made(tmp_path_factory.mktemp("quoted") / "sweep", TILTS)
    with pytest.raises(ValueError, match=message):
        records.threshold(field, **given)


ROOT = Path(__file__).parents[2]
OWN = {cls.__name__: cls for folder in FOLDERS for cls in plugins(folder)}


def entries(text):
    return re.findall(r"^@\w+\{(\w+),$", text, re.MULTILINE)


def test_the_package_is_cited_as_its_citation_file_says():
    said = (ROOT / "CITATION.cff").read_text()
    assert f'title: "{TITLE}"' in said
    assert f"- name: {AUTHOR}" in said
    assert f"version: {bj.__version__}" in said
    assert f"date-released: {YEAR}-" in said


def test_what_is_cited_is_what_the_results_use(tmp_path):
    used = {
        "organism": "Audit",
        "organism.sampled": True,
        "method": "Gradient",
        "method.optimizer": "adam",
        "method.noise": None,
        "start": "Ticket",
    }
    cells = {fields(**used): 3, fields(**used, **{"method.dropconnect": 0.1}): 3}
    records = made(tmp_path / "sweep", cells)
    cells = records.store.manifest()["cells"]

    def trained_by(source):
        """As `run` writes it of plug-ins whose code is from there."""
        own = {"organism": "basin_jax", "method": "basin_jax", "start": source}
        records.manifest["cells"] = {name: {**cell, "sources": own} for name, cell in cells.items()}

    trained_by("source 0123456789ab")  # a user's own, whatever its name
    assert entries(records.cite()) == ["basin_jax", "kingma2015", "wan2013", "williams1992"]
    trained_by("basin_jax")
    assert entries(records.cite()) == [
        *("basin_jax", "frankle2019", "kingma2015", "wan2013", "williams1992", "zhou2019")
    ]
    other = bj.load(tmp_path / "sweep", rule=bj.rules.Represents())
    assert entries(other.cite()) == [*("basin_jax", "alain2017", "turner2023", "williams1992")]
    assert r"title = {{basin\_jax: the fraction" in records.cite()
    assert "note = {Trained with version 0}" in records.cite()
    assert "keywords" not in records.cite()


def test_the_literature_is_what_the_docstrings_of_plug_ins_name():
    for entry, keys in literature():
        author, year = (
            re.search(f"  {name} = {{(.*)}},?$", entry, re.MULTILINE) for name in ("author", "year")
        )
        assert author is not None
        assert year is not None
        surname = author[1].partition(",")[0]
        for key in keys:
            plugin, _, field = key.partition(".")
            field, _, value = field.partition("=")
            assert not field or field in field_types(OWN[plugin])
            if value in ("", "True"):
                text = " ".join(inspect.getsource(sys.modules[OWN[plugin].__module__]).split())
                assert surname in text, key
                assert year[1] in text, key


def test_the_provenance_says_what_decides_the_evidence(wells_folder):
    records = bj.load(wells_folder)
    found = records.provenance()
    assert found["identity of the cells"] == list(records.cells)
    assert found["platform"] == ["cpu"]
    assert found["code of method"] == ["basin_jax"]
    (run,) = (values for name, values in found.items() if name.startswith("run of "))
    assert run[0].startswith("100 seeds, from 0 to 99; Python 3.")
