"""The server of a watched folder: of this machine alone, and of the report alone."""

import http.client
import os
import shutil
import signal
from urllib.parse import urlsplit

import folders
import pytest
from rare_folders import AGREEING, write_search

from basin_jax.cli.main import main
from basin_jax.report.watch import Watched, served
from basin_jax.results.store import Store, StoreError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder with 20 seeds of a cell."""
    cell, entry = folders.cell_of({}, (10,))
    made = folders.new_store(tmp_path_factory.mktemp("watch") / "sweep", {cell: entry})
    made.record_run(folders.run_of({"kind": "range", "count": 20, "first": 0, "last": 19}))
    made.commit(cell, folders.columns(range(20), (10,)))
    return made


@pytest.fixture(scope="module")
def watched(store):
    return Watched(store.where)


@pytest.fixture(scope="module")
def ask(watched):
    """A function that sends a request, and returns the answer and its body."""
    with served(watched, 0) as address:
        where = urlsplit(address).netloc

        def ask(path, method="GET", host=where):
            connection = http.client.HTTPConnection(where, timeout=30)
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer, body

        yield ask


def test_it_serves_the_page_and_the_files_beside_it(watched, ask):
    page, body = ask("/")
    assert (page.status, body) == (200, watched.report.files["report.html"])
    assert page.headers["ETag"] == watched.report.tag
    head, nothing = ask("/fractions.csv?x", "HEAD")
    assert (head.status, nothing) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(watched.report.files["fractions.csv"])
    for name in watched.report.files:
        assert ask(f"/{name}")[0].status == 200


@pytest.mark.parametrize(
    "path", ["/sweep.json", "/../sweep.json", "/%2e%2e/sweep.json", "//etc/passwd", "/data/", "x"]
)
def test_it_serves_nothing_else(ask, path):
    assert ask(path)[0].status == 404


def test_it_only_answers_to_reads_by_its_own_name(ask):
    assert {ask("/", method)[0].status for method in ("POST", "PUT", "DELETE")} == {501}
    assert ask("/", host="attacker.example")[0].status == 421


@pytest.mark.ci
def test_a_report_is_made_anew_when_its_folder_has_changed_and_nothing_is_written(store, tmp_path):
    shutil.copytree(store.folder, tmp_path / "sweep")
    own = Store(tmp_path / "sweep")
    before = folders.contents(own.folder)
    watched = Watched(own.where)
    first = watched.report
    assert not watched.update()
    assert watched.report is first
    assert folders.contents(own.folder) == before
    (cell,) = own.manifest()["cells"]
    own.commit(cell, folders.columns(range(64, 84), (10,)))
    assert watched.update()
    second = watched.report
    assert second.tag != first.tag
    write_search(own.folder, AGREEING)
    assert watched.update()
    assert "Rare basins" in watched.report.files["report.html"].decode()
    second = watched.report
    (own.folder / "sweep.json").write_text("{}")
    with pytest.raises(StoreError):
        watched.update()
    assert watched.report is second


def test_a_folder_of_searches_alone_is_watched(tmp_path):
    write_search(tmp_path, AGREEING[:3])
    watched = Watched(str(tmp_path))
    assert "3 of 8 replications" in watched.report.files["report.html"].decode()
    assert not watched.update()
    write_search(tmp_path, AGREEING)
    assert watched.update()
    assert "3 of 8 replications" not in watched.report.files["report.html"].decode()
    assert "rare.csv" in watched.report.files


def test_a_folder_without_a_sweep_and_a_port_that_is_taken_are_refused(watched, tmp_path):
    with pytest.raises(ValueError, match="holds no sweep"):
        Watched(str(tmp_path))
    with served(watched, 0) as address:
        port = urlsplit(address).port
        assert port
        with pytest.raises(ValueError, match=f"port = {port}: .*; allowed: a free port, or 0"):
            served(watched, port).__enter__()


def test_an_interrupt_ends_the_command(store, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["basin-jax", "watch", store.where, "--port", "0"])
    monkeypatch.setattr("time.sleep", lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 128 + signal.SIGINT
    assert f"{store.where} is at http://127.0.0.1:" in said
    assert "interrupted by SIGINT" in said
