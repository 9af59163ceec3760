"""The engines of the command that runs sweeps: which options fit together, and the report."""

import json

import pytest

from basin_jax import run
from basin_jax.cli import sweeps
from basin_jax.cli.engines import check_options


FILE = """
from basin_jax import Sweep
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell

sweep = Sweep(organism=DoubleWell(), method=Gradient(learning_rate=0.1), num_steps=10)
"""
NONE = {"workers": None, "shard": None, "address": None, "sbatch": None}


@pytest.mark.parametrize(
    ("engine", "options", "said"),
    [
        (None, {"workers": 2}, "--workers 2; allowed: with --engine"),
        ("local", {}, "--engine local; allowed: with --workers N, at least 1"),
        ("ray", {"workers": 0}, "--engine ray, and --workers 0; allowed: with --workers N"),
        ("local", {"workers": 2, "shard": "0/2"}, "--shard 0/2 with --engine; allowed: one"),
        ("slurm", {"workers": 2, "address": "x"}, "--address 'x'; allowed: with --engine ray"),
        (None, {"sbatch": "-p x"}, "--sbatch '-p x'; allowed: with --engine slurm"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(engine, options, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        check_options(engine, **(NONE | options))


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        (None, {"shard": "0/2"}),
        ("local", {"workers": 1}),
        ("ray", {"workers": 2, "address": "auto"}),
        ("slurm", {"workers": 2, "sbatch": "--time=9"}),
    ],
)
def test_options_that_fit_together_are_taken(engine, options):
    check_options(engine, **(NONE | options))


@pytest.mark.ci
def test_an_engine_reports_beside_a_worker_that_died_elsewhere(tmp_path, monkeypatch, capsys):
    file, folder = tmp_path / "well.py", tmp_path / "out"
    file.write_text(FILE)

    def trained(name, source, told, **given):
        records = run(source.cells, 8, told["out"], lanes=8, progress=False)
        dead = {"host": "elsewhere", "process": 7, "shard": "0/2", "asked": "8", "began": 0.0}
        records.store.place.replace("workers/dead.json", json.dumps(dead).encode())
        return records

    monkeypatch.setattr(sweeps, "train_by_engine", trained)
    sweeps.run(file, engine="local", workers=2, out=str(folder))
    assert "Final fractions" in capsys.readouterr().err
    assert (folder / "report").exists()
