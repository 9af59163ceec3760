"""The engines of the command that runs sweeps: which options fit together."""

import pytest

from basin_jax.cli.engines import check_options


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
