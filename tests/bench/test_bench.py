"""The benchmark: what it says of numbers, the command, and a ratio that must not fall."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from basin_jax.bench import measure, peers, pendulum, report
from basin_jax.bench.cases import CASES, chosen, mlp
from basin_jax.bench.timing import Prepared
from basin_jax.bench.timing import measure as speed_of
from basin_jax.cli.bench import bench
from basin_jax.compiler.ir import Unsupported
from basin_jax.compiler.xla_ffi import compiler
from basin_jax.engine.kernel import build_kernel


# What a textbook writes broadcasts over ranks, which the tests of the package forbid.
TEXTBOOK = {"JAX_NUMPY_RANK_PROMOTION": "allow"}


def timed(case: str, peer: str, *speeds: float) -> dict:
    return {
        "case": case,
        "peer": peer,
        "note": "",
        "compile_seconds": None,
        "peak_bytes": None,
        "speeds": list(speeds),
    }


def results(*rows: dict, peers: bool = False) -> dict:
    return {
        "settings": {"peers": peers},
        "flop": {"audit": 10},
        "basins": [],
        "runs": [],
        "timed": [timed("ceiling", "JAX", 1e3, 1e4, 1e3), *rows],
    }


def row_of(found: list[report.Row], case: str, peer: str) -> report.Row:
    return next(row for row in found if (row.case, row.peer) == (case, peer))


def test_ratios_and_shares_are_taken_within_rounds():
    # Of medians taken apart, the ratio would be 3 and the share 0.3.
    ours, theirs = timed("audit", "basin_jax", 40, 30, 20), timed("audit", "slow", 40, 10, 10)
    found = report.summarize(results(ours, theirs))
    assert row_of(found, "audit", "slow").ratio == (2, 1, 3)
    assert row_of(found, "audit", "slow").speed == 10
    assert row_of(found, "audit", "basin_jax").share == pytest.approx(0.2)
    assert row_of(found, "audit", "basin_jax").ratio is None
    assert row_of(found, "ceiling", "JAX").speed == 1e-6


def test_a_peer_is_shown_at_its_best():
    rows = [timed("audit", "basin_jax", 9, 9, 9), timed("audit", "slow", 1, 1, 1)]
    found = report.summarize(results(*rows, timed("audit", "slow", 3, 3, 3)))
    assert [row.speed for row in found if row.peer == "slow"] == [3]


def test_peers_that_are_not_there_are_named_where_they_were_asked_for():
    rows = timed("audit", "basin_jax", 9, 9, 9), timed("pendulum", "basin_jax", 9, 9, 9)
    missing = report.summarize(results(*rows, peers=True))[-3:]
    assert [(row.case, row.peer, row.note) for row in missing] == [
        ("audit", "torch.func vmap", "not installed"),
        ("audit", "PyTorch loop", "not installed"),
        ("pendulum", "pybasin", "not installed"),
    ]
    assert all(row.note != "not installed" for row in report.summarize(results(*rows)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"names": ["mlp-9"]}, "cases = 'mlp-9'; allowed: .*mlp-32, mlp-64, mlp-8"),
        ({"rounds": 0}, "rounds = 0; allowed: at least 1"),
        ({"seconds": 0.0}, "seconds = 0.0; allowed: a number above 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(changed, said):
    settings = {"names": ["audit"], "rounds": 1, "seconds": 1.0} | changed
    flags = {"with_peers": False, "with_growth": False}
    with pytest.raises(ValueError, match=said):
        measure.run(settings.pop("names"), **settings, **flags, tell=print)


def test_peers_outside_of_a_clone_are_refused_with_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "PEERS", tmp_path)
    settings = {"rounds": 1, "seconds": 1.0, "with_growth": False, "tell": print}
    with pytest.raises(ValueError, match=r"outside of a clone .* benchmarks has the code"):
        measure.run(["audit"], with_peers=True, **settings)


def test_every_case_has_its_work():
    assert [case.name for case in chosen(list(CASES))] == [
        *("audit", "mlp-8 sgd", "mlp-8 adam", "mlp-32 sgd", "mlp-32 adam"),
        *("mlp-64 sgd", "mlp-64 adam"),
    ]
    sgd, adam = mlp(8, 32)
    # 16 to 8 to 8 to 2, on 32 examples: 208 products forward, 208 and 80 back.
    assert sgd.flop == adam.flop == 2 * 32 * (208 + 208 + 80)
    assert sgd.state_bytes == 2 * 4 * (208 + 18)
    assert adam.state_bytes == 3 * sgd.state_bytes


def test_the_short_form_for_a_device_times_two_cases_once(monkeypatch, capsys):
    given = []

    def run(names, *, rounds, **settings):
        given.append((tuple(names), rounds, settings["with_growth"]))
        return results(timed("audit", "basin_jax", 9, 9, 9))

    monkeypatch.setattr(measure, "run", run)
    bench(device=True)
    bench(device=True, cases="mlp-8", rounds=2)
    bench()
    assert given == [
        (("audit", "mlp-32"), 1, False),
        (("mlp-8",), 2, False),
        (tuple(CASES), 7, False),
    ]
    assert jax.local_devices()[0].device_kind in capsys.readouterr().err


def test_peers_try_more_seeds_where_they_are_not_on_a_cpu(monkeypatch):
    assert peers.sizes() == ((16, 64, 256, 1024), 8192)
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(platform="gpu")])
    counts, work = peers.sizes()
    assert max(counts) == 16_384
    assert work // max(counts) >= 100  # steps of a call


@pytest.mark.slow
def test_the_command_runs_to_its_end_and_prints_nothing_but_json(tmp_path):
    cache = tmp_path / "cache"
    line = "bench --rounds 1 --seconds 0.02 --cases audit --json --out record"
    done = subprocess.run(
        [sys.executable, "-m", "basin_jax", *line.split()],
        cwd=tmp_path,
        env=os.environ | TEXTBOOK | {"XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found.keys() == {
        *("versions", "settings", "flop", "state_bytes", "timed", "basins", "scaling", "runs"),
        "rows",
    }
    peers = [row["peer"] for row in found["rows"] if row["case"] == "audit"]
    assert peers == ["basin_jax", "plain vmap", "plain vmap, 1,024 seeds"]
    assert [row["unit"] for row in found["rows"][:3]] == ["GFLOP/s", "GFLOP/s", "GB/s"]
    assert all(row["speed"] > 0 for row in found["rows"])
    assert all(len(timed["speeds"]) == 1 for timed in found["timed"])
    assert {point["axis"] for point in found["scaling"]} == {"seeds", "lanes", "width", "devices"}
    written = {path.name for path in (tmp_path / "record").iterdir()}
    assert {"results.json", "table.md", "versions.json", "measure.py.txt"} <= written
    assert {"roofline.png", "scaling.png"} <= written
    assert not list(cache.rglob("tuning.json"))  # and so nothing was read from there


def test_checkouts_are_compared_by_ratios_within_rounds_and_nothing_else_is_timed(tmp_path):
    spec = importlib.util.spec_from_file_location(
        "compare", Path(__file__).parents[2] / "benchmarks" / "compare.py"
    )
    assert spec is not None
    assert spec.loader is not None
    compare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compare)
    compare.check(Path(__file__).parents[2])
    with pytest.raises(ValueError, match="would not be timed, but"):
        compare.check(tmp_path)
    rounds = [
        {
            which: {"audit": {"speed": speed, "compile_seconds": number}}
            for which, speed in (("before", before), ("after", after))
        }
        for number, (before, after) in enumerate([(10, 40), (10, 10), (30, 60)])
    ]
    # Of medians taken apart, the ratio would be 4.
    assert "| audit | 2.00 [1.00, 4.00] | 0.0, 0.0 |" in compare.table(rounds)


def test_the_pendulum_falls_into_the_basins_that_others_counted():
    kernel = build_kernel(pendulum.SWEEP, lanes=64)
    seeds = np.arange(2000, dtype=np.uint64)
    found = kernel(seeds)
    share = found["unwatched"].mean()
    published = pendulum.PUBLISHED / pendulum.TRIALS
    error = (published * (1 - published) * (1 / len(seeds) + 1 / pendulum.TRIALS)) ** 0.5
    assert abs(share - published) < 3.3 * error
    # Rest or whirl, and nothing in between.
    assert np.all((found["margin"] < -0.009) | (found["margin"] > 0.1))


@pytest.mark.slow
def test_the_cpu_backend_is_faster_than_xla_on_small_networks():
    """Guard a ratio of one run, in turns, at half of what it is: a machine's seconds do not."""
    try:
        compiler()
    except Unsupported as why:
        pytest.skip(str(why))
    sweep = mlp(8, 32)[0].sweep.replace(num_steps=100)
    seeds = np.arange(256, dtype=np.uint64)
    kernels = [build_kernel(sweep, lanes=32, backend=backend) for backend in ("cpu", "xla")]
    works = []
    for kernel in kernels:
        kernel.compile()
        works.append(Prepared(work=1, call=lambda kernel=kernel: kernel(seeds)))
    speeds = [[speed_of(work, 0.1) for work in works] for _ in range(5)]
    ours, xla = (max(turns) for turns in zip(*speeds, strict=True))
    assert ours > 1.5 * xla


def test_the_time_of_a_whole_run_on_a_gpu_is_that_until_its_report_is_written(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    gpu = importlib.import_module("gpu")
    now = 0.0

    def trained(sweep, seeds, folder):
        nonlocal now
        now += 40.0
        return folder

    def reported(records):
        nonlocal now
        assert records.parent.is_dir()
        now += 3.0

    monkeypatch.setattr(importlib.import_module("gpu_rows"), "ON_CARD", True)
    monkeypatch.setattr(gpu, "run", trained)
    monkeypatch.setattr(gpu, "write_report", reported, raising=False)
    monkeypatch.setattr(gpu.time, "perf_counter", lambda: now)
    assert [row.value for row in gpu.whole_run(gpu.SMALL)] == [43.0, 43.0]


def test_no_row_for_a_gpu_starts_when_its_time_is_over(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    gpu, now = importlib.import_module("gpu"), 0.0

    def rows():
        nonlocal now
        for number in range(4):
            now += 10.0
            yield gpu.Row(case="part", what=str(number), found="")

    monkeypatch.setattr(gpu.time, "perf_counter", lambda: now)
    assert len(list(gpu._in_time("part", rows(), 15.0))) == 4
    monkeypatch.setattr(gpu, "ON_CARD", True)
    now = 0.0
    found = list(gpu._in_time("part", rows(), 15.0))
    assert [row.what for row in found] == ["0", "1", "and what follows"]


@pytest.mark.slow
def test_the_script_for_gpus_runs_to_its_end_without_one_and_claims_nothing(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
    command = [sys.executable, str(script), "--out", str(tmp_path / "record")]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    rows = json.loads((tmp_path / "record" / "results.json").read_text())
    timed = [
        row
        for row in rows
        if row["case"] in ("audit", "mlp-64 adam")
        and row["what"].endswith((", 2 lanes", "2 seeds", "command buffer"))
    ]
    # Backends and plain vmap in three precisions, plain vmap of our organism; a command buffer; a
    # step, a start and a probe.
    assert len(timed) == 2 * (3 * 3 + 1) + 1 + 2 * 3 * 3
    assert {row["found"] for row in timed} == {"not measured"}
    # Nothing says lanes of a peer, which has seeds.
    assert not [row for row in rows if "vmap" in row["what"] and "lanes" in row["what"]]
    torch = [row["found"] for row in rows if row["what"].startswith("torch.func vmap")]
    assert len(torch) == 4
    assert all(found.startswith("not measured: PyTorch") for found in torch)
    assert all(row["value"] is None for row in timed)
    # What needs no card is checked all the same.
    checked = [row for row in rows if "same bits" in row["what"]]
    assert len(checked) == 6
    assert {row["value"] for row in checked} == {1.0}
    assert "failed" not in done.stdout
    assert done.stdout.endswith((tmp_path / "record" / "table.md").read_text())
