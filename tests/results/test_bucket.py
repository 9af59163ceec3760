"""Results in a bucket: of writers one wins, no damage goes unnoticed, and frames are the same."""

import functools
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import folders
import numpy as np
import pytest
from folders import cell_of, run_of
from object_server import serving
from typer.testing import CliRunner

import basin_jax as bj
from basin_jax.cli.main import app
from basin_jax.report.page import write_report
from basin_jax.results.bucket import Bucket, BucketError
from basin_jax.results.store import Store, StoreError
from basin_jax.runs import manifest


STOPS = (0, 10)
CELL, ENTRY = cell_of({"tilt": 0.1}, STOPS)
ASKED = {"kind": "range", "count": 64, "first": 0, "last": 63}
columns = functools.partial(folders.columns, stops=STOPS)


@pytest.fixture(scope="module")
def server():
    with serving() as made:
        yield made


@pytest.fixture
def url(server) -> str:
    """A prefix that no other test uses."""
    return f"s3://bucket/a b/{uuid.uuid4().hex}"


@pytest.fixture
def made(url) -> Store:
    return folders.new_store(url, {CELL: ENTRY})


def named(url: str, key: str) -> str:
    """Return the name that the server has for an object."""
    return f"{url.removeprefix('s3://bucket/')}/{key}"


def together(work: Callable[[int], None], workers: int) -> None:
    """Work in threads that start at once."""
    start = threading.Barrier(workers)

    def begin(worker: int) -> None:
        start.wait()
        work(worker)

    threads = [threading.Thread(target=begin, args=[worker]) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_writers_of_the_same_objects_one_wins_each(server, url):
    keys, outcomes = [f"data/{number}" for number in range(50)], []

    def write(worker: int) -> None:
        place = Bucket(url)
        outcomes.extend((key, worker) for key in keys if place.create(key, bytes([worker])))

    together(write, workers=4)
    assert sorted(key for key, _ in outcomes) == sorted(keys)  # of 200 puts
    assert all(server.objects[named(url, key)] == bytes([w]) for key, w in outcomes)
    assert Bucket(url).list("data") == sorted(keys)


def test_changes_of_the_manifest_by_several_workers_are_all_kept(made, url):
    def work(worker: int) -> None:
        for _ in range(2):
            store = Store(url)
            store.finish_run(store.record_run(run_of(ASKED)), {CELL: worker})

    together(work, workers=4)
    entries = made.manifest()["runs"].values()
    assert sorted(entry["seeds"][CELL] for entry in entries) == sorted([*range(4)] * 2)
    assert len(made.runs()) == 8


def test_a_swap_of_what_has_changed_changes_nothing(url):
    place = Bucket(url)
    assert place.create("sweep.json", b"old")
    assert not place.swap("sweep.json", b"other", b"new")
    assert not place.swap("sweep.json", b"ol", b"new")
    assert place.get("sweep.json", at_most=3) == b"old"
    assert place.swap("sweep.json", b"old", b"new")
    assert place.get("sweep.json", at_most=3) == b"new"
    with pytest.raises(ValueError, match="has 3 bytes; allowed: at most 2"):
        place.get("sweep.json", at_most=2)


@pytest.mark.parametrize("header", ["if-none-match", "if-match"])
def test_a_bucket_in_which_the_second_writer_wins_is_refused(
    server, wells, url, monkeypatch, header
):
    def tuned(*args, **kwargs):
        raise AssertionError("it was tuned")

    monkeypatch.setattr(manifest, "choose", tuned)
    monkeypatch.setattr(server, "ignored", {header})
    with pytest.raises(BucketError, match=f"{url} lets a second writer replace .*; allowed: .*"):
        bj.run(wells, 8, url)
    assert not [name for name in server.objects if name.startswith(named(url, ""))]


def test_damaged_missing_and_foreign_objects_are_found(server, made, url):
    run = made.record_run(run_of(ASKED))
    for first in (0, 32):
        assert made.commit(CELL, columns(range(first, first + 32)))
    assert not made.commit(CELL, columns(range(32, 40), salt=1.0))
    made.finish_run(run, {CELL: 64})
    assert Store(url).verify() == []
    assert Store(url).frame().filter(step=10)["seed"].to_list() == [*range(64)]
    name = named(url, made.chunks()[1])
    sound = server.objects[name]
    damaged = sound[:50] + bytes([sound[50] ^ 1]) + sound[51:]
    for content in (damaged, sound[:-1], b"", bytes(2**25)):
        server.objects[name] = content
        assert any(f"{url}/{made.chunks()[1]} is damaged" in fault for fault in made.verify())
        with pytest.raises(StoreError, match="is damaged or foreign"):
            Store(url).frame()
    del server.objects[name]
    (fault,) = made.verify()
    assert "lacks 32 of the 64 seeds that a finished run left there, from seed 32 on" in fault
    server.objects[name] = sound
    server.objects[named(url, "data/below/notes.txt")] = b"mine"
    (fault,) = made.verify()
    assert "data/below/notes.txt" in fault
    text = server.objects[named(url, "sweep.json")]
    server.objects[named(url, "sweep.json")] = text.replace(b'"lanes": 8', b'"lanes": 9')
    with pytest.raises(StoreError, match=r"sweep\.json cannot be trusted: it differs from the se"):
        Store(url).frame()


def test_a_bucket_without_results_says_so(url):
    with pytest.raises(StoreError, match=f"{url} holds no sweep"):
        bj.load(url)


def test_a_bucket_that_does_not_answer_is_no_damage(server, made, url):
    made.commit(CELL, columns(range(8)))
    answered = 0
    # Of the requests of `verify` each is refused once.
    while True:
        server.codes[:] = [*[200] * answered, 403]
        try:
            assert Store(url).verify() == []
            break
        except BucketError as error:
            said = str(error)
        assert said.startswith(url)
        assert "403 Forbidden; set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_" in said
        assert "\n" not in said
        answered += 1
    assert answered >= 4
    server.codes.clear()


def test_what_fails_for_a_moment_is_asked_again(server, made):
    server.codes[:] = [503]
    assert made.commit(CELL, columns(range(8)))
    server.codes[:] = [500]
    assert made.verify() == []
    assert server.codes == []


@pytest.mark.parametrize(
    "wrong", ["s3://bucket", "s3://bucket/", "s3://bucket/a/../b", "s3://bucket//a", "ftp://a/b"]
)
def test_a_url_of_no_results_is_refused(wrong):
    with pytest.raises(BucketError, match=r"is no URL of results; allowed: s3://BUCKET/PREFIX"):
        bj.load(wrong)


@pytest.mark.parametrize("path", [Path("s3://bucket/a"), "runs/s3:/bucket/a"])
def test_a_url_that_was_a_path_and_the_place_of_its_reports_are_refused(path):
    with pytest.raises(StoreError, match="s3:/bucket/a was a URL before it was a path, or is for"):
        bj.load(path)


def test_reports_of_no_two_buckets_or_folders_have_one_place():
    urls = ["s3://a/b/audit", "s3://a/c/audit", "gs://a/b/audit", "s3://b/audit", "runs/audit"]
    assert len({Store(url).folder for url in urls}) == len(urls)


def test_without_the_extra_a_url_is_refused_in_a_line(monkeypatch):
    monkeypatch.delitem(sys.modules, "basin_jax.results.bucket")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StoreError, match=re.escape('pip install "basin-jax[cloud]"')):
        bj.load("s3://bucket/a")


def test_a_run_into_a_bucket_gives_the_frame_of_one_into_a_folder(wells, wells_folder, url):
    bj.run(wells, 40, url, lanes=8)
    records = bj.run(wells, 100, url)
    assert records.frame.equals(bj.load(wells_folder).frame)
    assert bj.load(url).frame.equals(records.frame)
    assert records.store.verify() == []


# A sweep of many small chunks.
RUN = """
import sys
import basin_jax.runs.chunk_size
from basin_jax import Sweep, run
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
basin_jax.runs.chunk_size.CHUNK_SECONDS = 0.0
sweep = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=100)
run(sweep, int(sys.argv[2]), sys.argv[1], lanes=8)
"""


def start(url: str, seeds: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", RUN, url, str(seeds)], stderr=subprocess.PIPE)


@pytest.mark.slow
def test_workers_of_which_one_is_killed_fill_a_bucket_as_one_does_a_folder(server, url, tmp_path):
    seeds = 64 * 40
    workers = [start(url, seeds) for _ in range(2)]
    begun = named(url, "data/")
    while not any(name.startswith(begun) for name in [*server.objects]):
        assert workers[0].poll() is None
        time.sleep(0.01)
    workers[0].send_signal(signal.SIGKILL)
    workers[0].communicate()
    _, errors = workers[1].communicate()
    assert workers[1].returncode == 0, errors.decode()
    store = Store(url)
    assert store.verify() == []
    well, method = bj.organisms.DoubleWell(), bj.methods.Gradient(learning_rate=0.1)
    alone = bj.run(bj.Sweep(organism=well, method=method, num_steps=100), seeds, tmp_path, lanes=8)
    assert store.frame().equals(alone.store.frame())
    assert np.array_equal(store.frame()["seed"], np.arange(seeds))


@pytest.mark.ci
def test_the_commands_take_a_url_and_write_beside_the_user(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def basin(*line: str) -> str:
        done = CliRunner().invoke(app, line)
        assert done.exit_code == 0, done.output
        return done.output

    basin("new", "mine")
    name = url.rpartition("/")[2]
    local = Path("runs", *url.split("/"))
    said = basin("run", "mine.py", "--seeds", "32", "--lanes", "16", "--out", url)
    assert f"Report: {local}/report/report.html" in said
    assert "Equal to the stored bits" in basin("replay", url, "--seed", "7", "--cell", "scale=0.5")
    assert "all sound" in basin("verify", url)
    basin("report", url, "--rule", "mine.py")
    written = {path.name for path in local.iterdir()}
    assert written == {"report", "replay", "report-mine"}
    page = (local / "report/report.html").read_text()
    assert name in page
    assert write_report(bj.load(url)) == local / "report/report.html"
