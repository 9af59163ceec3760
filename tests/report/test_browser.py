"""The page in a real browser: opened, sorted, filtered, pointed at, clicked, printed, watched."""

import base64
import os
import re
import shlex
from pathlib import Path

import browser
import folders
import numpy as np
import pytest

from basin_jax import Verdict, load
from basin_jax.report import panels
from basin_jax.report.page import write_report
from basin_jax.report.watch import Watched, served


pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(not browser.HERE, reason="there is no Chromium with its driver"),
]
HOSTILE = "</script><script>document.title = 'evil'</script>"
SCALES = (10.0, 0.25, 0.5, HOSTILE)
HITS = (5, 0, 20, 3)
WIDTHS = (390, 820, 1280)
FIRST = 2**63  # a number that JavaScript's would round
SORTED = "return [...document.querySelectorAll('#cells tbody th')].map(head => head.textContent)"
SHOWN = """return [...document.querySelectorAll('#cells tr')].filter(row => !row.hidden).map(
    row => [...row.cells].filter(cell => !cell.hidden).length)"""


@pytest.fixture(scope="module")
def chromium():
    with browser.opened() as found:
        yield found


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    """The folder in which a person finds what the browser showed."""
    kept = os.environ.get("BASIN_JAX_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder with four cells of 20 seeds, one of which has a hostile label."""
    cells = dict(folders.cell_of({"organism.scale": scale}, (10,)) for scale in SCALES)
    made = folders.new_store(tmp_path_factory.mktemp("page") / "sweep", cells)
    asked = {"kind": "range", "count": 20, "first": FIRST, "last": FIRST + 19}
    made.record_run(folders.run_of(asked))
    for cell, hits in zip(cells, HITS, strict=True):
        commit(made, cell, FIRST, hits)
    return made


def commit(store, cell, first, hits):
    rows = folders.columns(range(first, first + 20), (10,))
    rows["verdict"][:] = Verdict.INTENDED
    rows["verdict"][:hits] = Verdict.DECEPTIVE
    store.commit(cell, rows)


@pytest.fixture(scope="module")
def address(store):
    return write_report(load(store.folder)).as_uri()


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_at_every_width(chromium, address, screenshots, width):
    chromium.open(address, width=width, dark=width == 820)
    chromium.picture(screenshots / f"rows-{width}.png", whole=True)
    across, title, top, bottom = chromium.run(
        "const at = document.querySelector('img').getBoundingClientRect();"
        "return [document.documentElement.scrollWidth, document.title, at.top, at.bottom]"
    )
    assert across == width
    assert title == "sweep: how many seeds end deceptive"
    assert 0 < top < bottom
    assert bottom < 800 or width < 1280  # the answer is on the first screen
    assert chromium.complaints() == []


def test_a_click_on_a_heading_sorts_by_numbers(chromium, address):
    chromium.open(address)
    given = chromium.run(SORTED)
    by_name, by_hits = "#cells th:nth-child(1) button", "#cells th:nth-child(3) button"
    chromium.point(by_name, click=True)
    assert chromium.run(SORTED)[:3] == ["scale=0.25", "scale=0.5", "scale=10.0"]
    chromium.point(by_hits, click=True)
    chromium.point(by_hits, click=True)
    assert [*map(given.index, chromium.run(SORTED))] == [2, 0, 3, 1]  # by falling hits
    chromium.point(by_hits, click=True)
    assert chromium.run(SORTED) == given


def test_the_table_is_filtered_by_text_and_by_verdict_also_when_loaded_anew(chromium, address):
    chromium.open(address)
    chromium.type(".controls input", "SCALE=0.")
    assert chromium.run(SHOWN) == [4, 4, 4]
    chromium.type(".controls select", "DECEPTIVE")
    assert chromium.run(SHOWN) == [3, 3]
    chromium.run("location.reload()")
    assert chromium.run(SHOWN) == [3, 3]
    assert chromium.run("return document.querySelector('output').value") == "1 of 4 cells"


def test_hovering_shows_the_numbers(chromium, address):
    chromium.open(address)
    chromium.point("#cells tbody tr:nth-child(2) td:nth-child(3)")
    told = chromium.run("return document.getElementById('tip').innerText")
    # 1 - 0.025 ** (1 / 20), and at the level of all 28 rows 1 - (0.025 / 28) ** (1 / 20)
    assert told.splitlines() == [
        "DECEPTIVE: 0 of 20, fraction 0;",
        "95 % interval, this row alone: 0 to 0.168;",
        "all rows at once: 0 to 0.296",
    ]
    chromium.point("h1")
    assert chromium.run("return document.getElementById('tip').hidden")


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The page of a grid that is a heat map, 2 x 3 cells of 20 seeds with a gap of 0 or 1.

    Cell [row, column] has 6 row + 2 column seeds that are deceptive.
    """
    cells = {
        (row, column): folders.cell_of({"organism.a": row, "organism.b": column}, (10,))
        for row in range(2)
        for column in range(3)
    }
    made = folders.new_store(tmp_path_factory.mktemp("grid") / "sweep", dict(cells.values()))
    made.record_run(folders.run_of({"kind": "range", "count": 20, "first": 0, "last": 19}))
    for (row, column), (digest, _) in cells.items():
        lost = np.arange(20) < 6 * row + 2 * column
        rows = folders.columns(range(20), (10,))
        rows["verdict"] = np.where(lost, Verdict.DECEPTIVE, Verdict.INTENDED).astype(np.int8)
        rows |= {"watched": np.zeros_like(rows["x"]), "unwatched": lost.astype(np.float32)}
        made.commit(digest, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "ROWS", 5)
        return write_report(load(made.folder)).as_uri()


def place_in(chromium, figure, panel, across, up):
    """Find a place in a panel, told by shares of its width and height, as shares of the figure."""
    script = "return document.querySelector(arguments[0]).src.split(',')[1]"
    drawn = base64.b64decode(chromium.run(script, figure)).decode()
    width, height = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', drawn)[0])
    corners = (
        r'id="axes_%d">\s*<g id="patch_\d+">\s*<path d="M (\S+) (\S+)\s+L (\S+) \S+\s+L \S+ (\S+)'
    )
    left, bottom, right, top = map(float, re.findall(corners % panel, drawn)[0])
    return (left + across * (right - left)) / width, (bottom - up * (bottom - top)) / height


def tip(chromium):
    """Return the lines of the tip; none if it is hidden."""
    hidden, text = chromium.run(
        "const tip = document.getElementById('tip'); return [tip.hidden, tip.innerText]"
    )
    return [] if hidden else text.splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_pointing_at_a_heat_map_tells_the_numbers_of_a_cell(chromium, grid, screenshots, width):
    chromium.open(grid, width=width)
    figure = "[data-figure=fractions]"
    places = [*np.ndindex(2, 3)]
    told = []
    for row, column in places:
        place = place_in(chromium, figure, 1, (column + 0.3) / 3, (row + 0.7) / 2)
        chromium.point(figure, at=place)
        told.append(tip(chromium))
    assert [lines[0] for lines in told] == [f"a={row}, b={column}" for row, column in places]
    assert [lines[1] for lines in told] == [
        f"DECEPTIVE: {hits} of 20, fraction {share};"
        for hits, share in zip(
            range(0, 12, 2), ("0", "0.100", "0.200", "0.300", "0.400", "0.500"), strict=True
        )
    ]
    assert told[-1][2:] == [
        "95 % interval, this row alone: 0.272 to 0.728;",  # of Clopper and Pearson
        "all rows at once: 0.167 to 0.833",  # of 42
        "such as seeds 0, 1, 2",
    ]
    chromium.picture(screenshots / f"heat-map-{width}.png")
    chromium.point(figure, at=(0.5, 0.97))  # between the color bars
    assert tip(chromium) == []
    assert chromium.complaints() == []


def test_pointing_at_a_histogram_tells_the_numbers_of_a_bar(chromium, grid, screenshots):
    chromium.open(grid)
    figure, told = "[data-figure=gap]", []
    for gap in (0, 0.5, 0.98):
        chromium.point(figure, at=place_in(chromium, figure, 4, (gap + 1.02) / 2.04, 0.9))
        told.append(tip(chromium))
    chromium.picture(screenshots / "histogram.png")
    assert [lines[0] for lines in told] == ["a=1, b=0"] * 3
    assert told[1][2:] == ["none of 20"]
    lost = [
        "gap 0.95 to 1.00",
        "DECEPTIVE: 6 of 20, fraction 0.300;",
        "95 % interval, this bar alone: 0.119 to 0.543",
        "such as seed 0",
    ]
    assert told[2][1:] == lost
    assert told[0][1:3] == ["gap -0.02 to 0.02", "INTENDED: 14 of 20, fraction 0.700;"]


def test_a_click_on_a_cell_shows_how_to_replay_its_seeds(chromium, address):
    chromium.open(address, width=390)
    chromium.point("#cells tbody tr:nth-child(4) th", click=True)
    told = chromium.run(
        "return [...document.querySelectorAll('.seeds code')].map(c => c.innerText)"
    )
    words = [shlex.split(line) for line in told]
    seeds = [FIRST, FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 4, FIRST + 5]
    assert [line[4] for line in words] == [*map(str, seeds)]
    assert words[0][:4] == ["basin-jax", "replay", "DIR", "--seed"]
    assert words[0][5:] == ["--cell", f"scale={HOSTILE}"]
    chromium.point(".seeds button", click=True)
    assert chromium.run("return getSelection().toString()") == told[0]
    chromium.point("#cells tbody tr:nth-child(4) th", click=True)
    assert chromium.run("return document.querySelectorAll('.seeds').length") == 0
    assert chromium.complaints() == []


def test_it_prints_whole_and_without_controls(chromium, address):
    chromium.open(address, width=680)  # A4 less its margins
    chromium.point("#cells tbody tr:nth-child(1) th", click=True)
    assert chromium.pdf().startswith(b"%PDF")
    chromium.chrome("Emulation.setEmulatedMedia", media="print")
    hidden = (
        "return [...document.querySelectorAll('.controls, .detail, nav')].map(e => e.offsetHeight)"
    )
    assert chromium.run(hidden) == [0, 0, 0]
    cut = """return [...document.querySelectorAll('.wide')].filter(one =>
        one.scrollWidth > one.offsetWidth || getComputedStyle(one).overflow !== 'visible').length"""
    assert chromium.run(cut) == 0
    chromium.chrome("Emulation.setEmulatedMedia", media="")


def test_a_watched_page_is_loaded_anew_only_when_its_folder_has_changed(chromium, store):
    watched = Watched(str(store.folder))
    with served(watched, 0) as address:
        chromium.open(address)
        chromium.until("document.getElementById('watched').innerText.startsWith('Watched')")
        chromium.run("window.mark = true")
        watched.update()
        chromium.until("performance.getEntriesByType('resource').length >= 2")  # asked twice
        assert chromium.run("return window.mark")
        commit(store, load(store.folder).digest("scale=0.25"), FIRST + 64, 20)
        watched.update()
        chromium.until("window.mark === undefined && document.readyState === 'complete'")
        cell = chromium.run(
            "return document.querySelector('#cells tbody tr:nth-child(2)').innerText"
        )
        assert cell.split()[:2] == ["scale=0.25", "40"]
        assert chromium.complaints() == []
