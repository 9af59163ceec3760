"""Spots are where figures have drawn what they tell of."""

import base64
import re

import folders
import pytest

from basin_jax import load
from basin_jax.report.cells import cells_of
from basin_jax.report.panels import Selection
from basin_jax.report.picture import picture
from basin_jax.report.spots import of_fractions


@pytest.mark.parametrize("layout", ["narrow", "wide"])
def test_the_spots_of_curves_are_their_markers_in_both_layouts(tmp_path, layout):
    cells = dict(folders.cell_of({"organism.tilt": tilt}, (4,)) for tilt in (0.2, 0.0))
    store = folders.new_store(tmp_path, cells)
    for salt, digest in enumerate(cells):
        store.commit(digest, folders.columns(range(20), (4,), salt))
    selection = Selection(load(tmp_path))
    told = cells_of(selection.records, selection.frame, selection.verdicts)
    figure = selection.records.plot()
    drawn = picture(figure, list(of_fractions(figure, selection, told)))
    svg = base64.b64decode(drawn.narrow if layout == "narrow" else drawn.svg).decode()
    width, height = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', svg)[0])
    (box,) = drawn.spots[layout]
    found = [(x * width, y * height) for x, y in box[-1]]
    markers = re.findall(r'<use xlink:href="#\w+" x="(\S+)" y="(\S+)" style="fill', svg)
    assert len(found) == 2 * len(selection.verdicts)
    for place in found:
        assert any(pytest.approx(place, abs=0.1) == tuple(map(float, one)) for one in markers)
