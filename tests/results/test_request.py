"""Which seeds an estimate speaks of: a sample of all seeds, or those that somebody chose."""

import io
import json

import numpy as np
import polars as pl
import pytest
from rich.console import Console

import basin_jax
from basin_jax import ChosenSeeds, load, run
from basin_jax.core.identity import digest_of
from basin_jax.report.figures import caption
from basin_jax.report.page import text_table, write_report
from basin_jax.results.references import compare
from basin_jax.results.request import Request, Requests, Seeds, request_of
from basin_jax.results.store import StoreError
from basin_jax.statistics.intervals import clopper_pearson


def asked(seeds, *, whole=None, pilot=None) -> Request:
    return request_of(seeds, whole=whole, pilot=pilot)[1]


def one_row(records, verdict="DECEPTIVE"):
    return records.fractions().row(by_predicate=pl.col("verdict") == verdict, named=True)


@pytest.fixture(scope="module")
def chosen(wells, wells_folder, tmp_path_factory):
    """The deceptive ones of a hundred seeds, trained again in a folder of their own."""
    seeds = load(wells_folder).seeds("DECEPTIVE", cell="tilt=0.2")
    return run(wells[0], seeds, tmp_path_factory.mktemp("chosen"), lanes=8)


def test_seeds_chosen_by_verdict_are_no_sample_of_seeds(chosen):
    row = one_row(chosen)
    assert row["hits"] == row["trials"] > 30
    assert chosen.sample == row["sample"] == "chosen"
    assert chosen.interval == row["interval"] == "conditional"
    assert (row["low"], row["high"]) == clopper_pearson(row["hits"], row["trials"], error=0.05)


def test_nothing_calls_a_fraction_of_chosen_seeds_one_of_seeds(chosen, wells, tmp_path):
    page = write_report(chosen, tmp_path)
    count = one_row(chosen)["trials"]
    criterion = f"DECEPTIVE of tilt=0.2 in sweep [{digest_of(wells[0])}]"
    shown = io.StringIO()
    Console(width=1000, file=shown).print(text_table(chosen))
    texts = {
        "headline and page": page.read_text(),
        "terminal": " ".join(shown.getvalue().split()),
        "LaTeX": page.with_name("fractions.tex").read_text(),
        "caption": caption(chosen, chosen.fractions()),
    }
    for name, text in texts.items():
        assert f"The seeds were chosen ({criterion}): the estimates are of seeds chosen" in text, (
            name
        )
        assert "not of all seeds" in text, name
        assert f"{count} seeds" not in text, name
        assert "the number of seeds was fixed" not in text, name
    level = "95\N{NO-BREAK SPACE}% interval"
    headline = f"{count} of the {count} chosen seeds ({criterion}; {level}: at least"
    assert headline in texts["headline and page"]
    assert "how many seeds end deceptive" not in texts["headline and page"]
    assert f"# {count} chosen seeds ({criterion})" in texts["headline and page"]
    assert set(pl.read_csv(page.with_name("fractions.csv"))["sample"]) == {"chosen"}


def test_chosen_seeds_say_how_they_were_chosen_and_are_plain_numbers(wells_folder, wells):
    seeds = load(wells_folder).seeds("DECEPTIVE", cell="tilt=0.2")
    assert seeds.criterion == f"DECEPTIVE of tilt=0.2 in sweep [{digest_of(wells[0])}]"
    assert str(wells_folder.parent) not in seeds.criterion
    frame = load(wells_folder).frame.filter(cell=digest_of(wells[0]), verdict="DECEPTIVE")
    assert list(seeds) == sorted(frame["seed"]) == np.asarray(seeds).tolist()
    assert np.asarray(seeds).dtype == np.uint64
    assert np.array(seeds, np.int64).dtype == np.int64
    assert all(type(seed) is int for seed in (seeds[0], *seeds))
    part = seeds[3:7]
    assert (part.criterion, list(part)) == (seeds.criterion, list(seeds)[3:7])
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(seeds)[0] = 1
    strict = load(wells_folder, rule=basin_jax.rules.Behavior(deceptive_gap=0.9))
    assert "DECEPTIVE by Behavior of" in strict.seeds("DECEPTIVE", cell="tilt=0.2").criterion
    assert list(ChosenSeeds([5, 2**64 - 1, 3], "by hand")) == [3, 5, 2**64 - 1]
    assert len(ChosenSeeds([], "none")) == 0
    with pytest.raises(ValueError, match="repeat"):
        ChosenSeeds([1, 1], "twice")


def test_seeds_given_one_by_one_are_chosen_even_where_they_are_all_of_a_range():
    assert asked(5).kind == asked(range(2, 9, 3)).kind == "range"
    for seeds in ([0, 1, 2], np.arange(3), (2, 0, 1)):
        assert asked(seeds).record() == {
            "kind": "chosen",
            "first": 0,
            "last": 2,
            "count": 3,
            "set": asked([0, 1, 2]).record()["set"],
            "from": None,
        }
    assert asked(ChosenSeeds([4, 6], "by eye")).record()["from"] == "by eye"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (asked(5), "5 seeds, from 0 to 4"),
        (asked(range(8, 2, -2)), "3 seeds, from 4 to 8"),
        (asked(range(2), whole=5), "2 seeds, from 0 to 1, of 5 from 0 to 4"),
        (asked([3, 1]), "2 chosen seeds (given one by one), from 1 to 3"),
        (asked(ChosenSeeds([3], "by eye")), "1 chosen seeds (by eye), from 3 to 3"),
        (asked(5, pilot="the gap"), "5 seeds, from 0 to 4, as a pilot (the gap)"),
        (
            Request(seeds=None, width=0.25),
            "until the 95 % confidence sequence of DECEPTIVE is at most 0.25 wide",
        ),
    ],
)
def test_a_request_is_recorded_and_read_as_it_was(request_, said):
    written = json.loads(json.dumps({"request": request_.record()}))
    assert Request.read(written).record() == request_.record()
    assert Request.read(written) == Request.read({"request": request_.record()})
    assert str(request_) == said


@pytest.mark.parametrize(
    ("stop", "kind", "seeds"),
    [
        ({"rule": "seeds", "count": 5, "first": 0, "last": 4}, "range", Seeds(0, 4, 5)),
        (
            {"rule": "seeds", "count": 2, "first": 0, "last": 4, "set": "abc"},
            "chosen",
            Seeds(0, 4, 2, "abc"),
        ),
        ({"rule": "width", "width": 0.1, "interval": "anytime", "level": 0.95}, "width", None),
    ],
)
def test_the_requests_of_older_folders_are_read(stop, kind, seeds):
    request = Request.read({"began": "2026-01-01", "stop": stop})
    assert (request.kind, request.seeds, request.whole) == (kind, seeds, seeds)


THREE = {"kind": "range", "first": 0, "last": 2, "count": 3}


@pytest.mark.parametrize(
    "run_",
    [
        {},
        [],
        {"stop": {"count": 3}},
        {"request": {"width": {}}},
        *(
            {"request": request}
            for request in (
                None,
                [],
                "width",
                THREE | {"count": 2.5},
                THREE | {"count": True},
                THREE | {"count": 4},
                THREE | {"count": 0},
                THREE | {"first": -1},
                THREE | {"first": 3},
                THREE | {"last": 2**64},
                THREE | {"last": 3},
                THREE | {"set": 5},
                THREE | {"pilot": ["x"]},
                THREE | {"from": 1},
                THREE | {"whole": 5},
            )
        ),
    ],
)
def test_a_run_that_does_not_say_what_it_asked_for_is_refused(run_):
    with pytest.raises(StoreError, match="does not say which seeds it asked for; allowed"):
        Request.read(run_)


def these(*numbers):
    return np.array([n for part in numbers for n in part], np.uint64)


BY_HAND = ChosenSeeds([3, 70, 80], "by hand")
FOLDERS = {
    "one request": ([asked(10)], these(range(10)), "range", True),
    "one request, resumed": ([asked(10)] * 3, these(range(10)), "range", True),
    "one request, under way": ([asked(10)], these(range(9)), "range", False),
    "a range that grew": ([asked(10), asked(20)], these(range(20)), "range", False),
    "adjacent ranges": ([asked(10), asked(range(10, 20))], these(range(20)), "range", False),
    "shards": (
        [asked(range(10), whole=20), asked(range(10, 20), whole=range(20))],
        these(range(20)),
        "range",
        True,
    ),
    "a whole, of which a part was resumed by itself": (
        [asked(20), asked(range(5), whole=20)],
        these(range(20)),
        "range",
        True,
    ),
    "a shard that lacks": (
        [asked(range(10), whole=20), asked(range(10, 20), whole=20)],
        these(range(19)),
        "range",
        False,
    ),
    "shards of two wholes": (
        [asked(range(10), whole=20), asked(range(10, 20), whole=30)],
        these(range(20)),
        "range",
        False,
    ),
    "every other seed": ([asked(range(1, 20, 2))], these(range(1, 20, 2)), "range", True),
    "as many as a width needs": ([Request(seeds=None, width=0.1)], these(range(9)), "range", False),
    "chosen": ([asked(BY_HAND)], these(BY_HAND), "chosen", True),
    "chosen, under way": ([asked(BY_HAND)], these([3]), "chosen", False),
    "parts of the chosen": (
        [asked(BY_HAND[:1], whole=BY_HAND), asked(BY_HAND[1:], whole=BY_HAND)],
        these(BY_HAND),
        "chosen",
        True,
    ),
    "a range, and then chosen ones of it": (
        [asked(100), asked(BY_HAND)],
        these(range(100)),
        "range",
        False,
    ),
    "chosen ones, and a range that is under way": (
        [asked(BY_HAND), asked(100)],
        these(range(50), [70, 80]),
        "chosen",
        False,
    ),
    "a range, and chosen ones beyond": (
        [asked(10), asked(BY_HAND)],
        these(range(10), [70, 80]),
        "chosen",
        False,
    ),
    "chosen ones, and as many as a width needs": (
        [asked(BY_HAND), Request(seeds=None, width=0.1)],
        these(range(10), [70, 80]),
        "chosen",
        False,
    ),
    "a pilot, and others": (
        [asked(10, pilot="the gap"), asked(range(10, 20))],
        these(range(20)),
        "range",
        True,
    ),
    "a pilot among them": ([asked(5, pilot="the gap"), asked(20)], these(range(20)), "range", True),
    "a pilot that was none at first": (
        [asked(10), asked(10, pilot="the gap"), asked(range(10, 30))],
        these(range(30)),
        "range",
        True,
    ),
    "a pilot alone": ([asked(10, pilot="the gap")], these(range(10)), "range", False),
    "no record of any run": ([], these(range(10)), "chosen", False),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_what_was_asked_for_and_is_there_says_of_which_seeds_an_estimate_speaks(name):
    requests, stored, sample, whole = FOLDERS[name]
    found, blocks = Requests(tuple(requests)), [stored[:2], stored[2:]]
    # Of two cells the one that lacks most decides.
    assert (found.sample([blocks, blocks]), found.is_whole([blocks, blocks])) == (sample, whole)
    assert not found.is_whole([blocks, [stored[:2], stored[2:-1]]])


@pytest.mark.ci
def test_shards_stay_fixed_when_all_are_there_and_adjacent_ranges_do_not(wells, tmp_path):
    shards, grown = tmp_path / "shards", tmp_path / "grown"
    first = run(wells, range(8), shards, whole=20, lanes=8)
    assert (first.interval, first.sample) == ("anytime", "range")
    assert run(wells, range(8, 20), shards, whole=20).interval == "fixed"
    run(wells, range(8), grown, lanes=8)
    assert run(wells, range(8, 20), grown).interval == "anytime"
    # As any other number of seeds.
    assert load(shards).frame.equals(load(grown).frame)
    assert set(load(shards).fractions()["interval"]) == {"fixed"}


@pytest.mark.ci
def test_seeds_of_a_pilot_enter_no_estimate(wells, wells_folder, tmp_path):
    cells = [cell.replace(save_at=(3,)) for cell in wells]
    run(cells, 10, tmp_path, pilot="chose the gap", lanes=8)
    records = run(cells, range(10, 30), tmp_path)
    assert len(records.frame) == 2 * 30
    alone = run(cells, range(10, 30), tmp_path / "alone", lanes=8)
    assert records.interval == "fixed"
    for name, values in (("fractions", ()), ("compare", ()), ("agreement", ())):
        ours, theirs = (getattr(one, name)(*values) for one in (records, alone))
        assert ours.equals(theirs), name
        assert set(ours["trials"]) == {20}
    rule = basin_jax.rules.Behavior()
    ours, theirs = (
        load(one.store.folder, rule=rule).sensitivity("deceptive_gap", (0.3,))
        for one in (records, alone)
    )
    assert ours.equals(theirs)
    known = basin_jax.Exact(name="", cell={"tilt": 0.0}, fraction=0.5)
    assert compare(records, [known])["trials"].to_list() == [20]
    said = "10 seeds are not counted, since they were a pilot (chose the gap)"
    page = write_report(records, tmp_path / "report")
    assert said in page.read_text()
    assert said in page.with_name("fractions.tex").read_text()
    assert "left out" not in write_report(alone, tmp_path / "other").read_text()


def test_a_folder_of_a_pilot_alone_estimates_nothing(wells, tmp_path):
    records = run(wells[0], 10, tmp_path, pilot="chose the gap", lanes=8)
    assert one_row(records)["trials"] == 0
    assert "no seeds yet" in write_report(records).read_text()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"seeds": range(5, 15), "whole": 10},
            "seeds run from 5 to 14; allowed: .* 10 from 0 to 9",
        ),
        ({"seeds": [1, 3], "whole": [1, 2]}, "seeds run from 1 to 3; allowed: .* 2 from 1 to 2"),
        ({"seeds": range(4), "whole": range(0, 10, 2)}, "seeds run from 0 to 3; allowed"),
        ({"seeds": [1, 3], "pilot": "the gap"}, "pilot = 'the gap' with chosen seeds; allowed: a"),
        ({"seeds": 5, "pilot": " "}, "pilot = ' '; allowed: what its seeds serve to choose"),
        (
            {"seeds": None, "until": 0.1, "pilot": "x"},
            "pilot = 'x' with until; allowed: with seeds",
        ),
        ({"seeds": None, "until": 0.1, "whole": 9}, "whole = 9 with until; allowed: with seeds"),
    ],
)
def test_a_request_that_means_nothing_is_refused(wells, tmp_path, settings, said):
    with pytest.raises(ValueError, match=said):
        run(wells[0], store=tmp_path / "sweep", **settings)
    assert not (tmp_path / "sweep").exists()
