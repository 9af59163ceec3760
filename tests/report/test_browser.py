"""The page in a real browser: opened, sorted, filtered, pointed at, clicked, printed, watched."""

import shlex

import browser
import folders
import pytest

from basin_jax import Verdict, load
from basin_jax.report.page import write_report
from basin_jax.report.watch import Watched, served


pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(not browser.HERE, reason="there is no Chromium with its driver"),
]
HOSTILE = "</script><script>document.title = 'evil'</script>"
SCALES = (10.0, 0.25, 0.5, HOSTILE)
HITS = (5, 0, 20, 3)
FIRST = 2**63  # a number that JavaScript's would round
SORTED = "return [...document.querySelectorAll('#cells tbody th')].map(head => head.textContent)"
SHOWN = """return [...document.querySelectorAll('#cells tr')].filter(row => !row.hidden).map(
    row => [...row.cells].filter(cell => !cell.hidden).length)"""


@pytest.fixture(scope="module")
def chromium():
    with browser.opened() as found:
        yield found


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


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_it_opens_at_every_width(chromium, address, width):
    chromium.open(address, width=width, dark=width == 820)
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
