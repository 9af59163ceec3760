"""Evidence and parameters that lose their meaning on the way: DIVERGED, or refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from basin_jax import Organism, Sweep, run
from basin_jax.core.identity import digest_of, evidence_names
from basin_jax.core.sweep import Precision
from basin_jax.core.trial import init, inputs_of, numerics
from basin_jax.core.verdict import Verdict, judge
from basin_jax.methods import Gradient
from basin_jax.organisms import DoubleWell
from basin_jax.rules import Behavior, Preference
from basin_jax.rules.nearest import Nearest
from basin_jax.starts import Fresh
from basin_jax.studies.framework.lab import Outcome, whatever_fit


class Phase(Organism):
    """Complex numbers, which a large step takes beyond all bounds."""

    def init(self, key):
        return {"z": jax.random.normal(key, (2,), jnp.float32).astype(jnp.complex64)}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return (jnp.abs(params["z"]) ** 4).sum()

    def probe(self, key, params):
        # Of what is not a number no comparison holds, so that every rate looks sound.
        far = jnp.where((jnp.abs(params["z"]) > 2).any(), 1.0, 0.0)
        rates = {"watched": far * 0, "unwatched": 1 - far, "competence": far}
        return rates | {"fit": jnp.ones(()), "margin": 0.5 - far}


@pytest.mark.ci
@pytest.mark.parametrize(("rate", "diverged"), [(50.0, 16), (0.01, 0)])
def test_complex_parameters_that_are_not_numbers_have_diverged(rate, diverged, tmp_path):
    sweep = Sweep(organism=Phase(), method=Gradient(learning_rate=rate), num_steps=50)
    verdicts = run(sweep, 16, tmp_path / "phase", lanes=8).frame["verdict"]
    assert (verdicts == "DIVERGED").sum() == diverged


class Broken(Phase):
    def init(self, key):
        return {"z": super().init(key)["z"] * jnp.nan}


def test_a_start_at_complex_parameters_that_are_not_finite_is_refused_by_name(tmp_path):
    sweep = Sweep(organism=Broken(), method=Gradient(learning_rate=0.1), num_steps=1)
    with pytest.raises(ValueError, match="Fresh gives Broken parameters that are not finite"):
        run(sweep, 4, tmp_path / "broken", lanes=4)


@pytest.mark.parametrize(
    ("precision", "kind"), [("float32", "complex64"), ("float64", "complex128")]
)
def test_complex_parameters_stay_complex_at_every_precision_and_scale_like_others(precision, kind):
    made = []
    for scale in (1.0, 3.0):
        sweep = Sweep(
            organism=Phase(),
            start=Fresh(scale=scale),
            method=Gradient(learning_rate=0.1),
            num_steps=1,
            precision=precision,
        )
        with numerics(precision):
            plugins = sweep.organism, sweep.start, sweep.method
            row = jax.tree.map(jnp.asarray, inputs_of(sweep, np.uint64(5)))
            made.append(np.asarray(init(plugins, row, "both")[0].params["z"]))
    assert made[0].dtype == kind
    np.testing.assert_allclose(made[1], 3 * made[0], rtol=1e-6)


class Giving(DoubleWell):
    """A double well that gives one more number."""

    more: int = 0

    def probe(self, key, params):
        return super().probe(key, params) | {"more": MORE[self.more](params)}


MORE = {
    0: lambda x: x + 1j,
    1: lambda x: (x * 1e9).astype(jnp.int32),
    2: lambda x: jnp.abs(x * 1e9).astype(jnp.uint32),
    3: lambda x: 2**24 + 1,
    4: lambda x: 10**400,
    5: lambda x: np.int64(2**40),
    6: lambda x: 1e39,
    7: lambda x: np.float64(-1e39),
    8: lambda x: 2**24,
    9: lambda x: x > 0,
    10: lambda x: x.astype(jnp.int16),
    11: lambda x: np.float64(0.1),
    12: lambda x: x.astype(jnp.bfloat16),
}
REFUSED = {
    0: r"'more' as complex64; allowed: real numbers",
    1: r"'more' as int32, and float32 cannot hold .* of more than 24 bits; allowed: floats",
    2: r"'more' as uint32, and float32 cannot hold",
    3: r"'more' = 16777217, which float32 cannot hold; allowed: up to 1\.67772e\+07",
    4: r"'more' = 1000.*, which float32 cannot hold",
    5: r"'more' = .*1099511627776.*, which float32 cannot hold",
    6: r"'more' = 1e\+39, which float32 cannot hold; allowed: up to 3\.40282e\+38",
    7: r"'more' = .*-1e\+39.*, which float32 cannot hold",
}


def giving(more, precision: Precision = "float32"):
    method = Gradient(learning_rate=0.1)
    return Sweep(organism=Giving(more=more), method=method, num_steps=2, precision=precision)


@pytest.mark.parametrize("more", MORE)
def test_evidence_that_would_lose_its_meaning_is_refused_by_name(more):
    if more not in REFUSED:
        assert "more" in evidence_names(giving(more))
        return
    with pytest.raises(ValueError, match=rf"Giving\.probe gives {REFUSED[more]}"):
        evidence_names(giving(more))


def test_nothing_is_written_where_evidence_is_refused(tmp_path):
    with pytest.raises(ValueError, match=REFUSED[1]):
        run(giving(1), 4, tmp_path / "refused", lanes=4)
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize("more", [1, 2, 3, 5, 6, 7])
def test_what_a_wider_precision_holds_it_takes(more):
    assert "more" in evidence_names(giving(more, "float64"))


UNFIT = {"fit": [-1.0, -1, 1], "watched": [0.0, 0, 0], "unwatched": [1.0, 0, 1]}


@pytest.mark.parametrize("rule", [Behavior(), Preference()], ids=lambda rule: type(rule).__name__)
def test_what_an_untrained_network_does_is_judged_whether_it_is_fit_or_not(rule):
    evidence = {name: np.array(values) for name, values in UNFIT.items()}
    evidence["intended"] = 1 - evidence["unwatched"]
    asked = [Verdict.UNFIT, Verdict.UNFIT, Verdict.DECEPTIVE]
    assert judge(rule, evidence).tolist() == asked
    does = [Verdict.DECEPTIVE, Verdict.INTENDED, Verdict.DECEPTIVE]
    assert judge(whatever_fit(rule), evidence).tolist() == does
    assert judge(rule.replace(min_fit=None), evidence).tolist() == does
    nearest = Nearest(intended={"fit": 1.0}, deceptive={"fit": 0.0}, within=1)
    assert whatever_fit(nearest) == nearest


def test_the_count_of_deceptive_networks_before_training_can_be_more_than_none():
    cell = giving(9).replace(num_steps=10, save_at=(0,))
    tables = [
        pl.DataFrame(
            {"cell": digest_of(cell), "seed": range(3), "step": step, "verdict": names} | UNFIT
        )
        for step, names in ((0, ["UNFIT", "UNFIT", "DECEPTIVE"]), (10, ["DECEPTIVE"] * 3))
    ]
    trained = Outcome(cells={"": cell}, history=pl.concat(tables), rule=Behavior())
    assert trained.untrained().fraction == 2 / 3
    assert trained.fraction().fraction == 1
