"""Tables of studies for tests, made up or those of docs/results.md, and outcomes of no training."""

import functools
import importlib.util
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from basin_jax import Sweep
from basin_jax.core.identity import digest_of
from basin_jax.core.seeds import as_seeds
from basin_jax.core.trial import abstract_inputs, init_trial, probe_trial, signature_of
from basin_jax.methods import Gradient
from basin_jax.networks.mlp import MLP
from basin_jax.organisms import Audit
from basin_jax.rare import Census, Replication
from basin_jax.rare.estimate import Level, rare_estimate
from basin_jax.rules import Behavior
from basin_jax.statistics.estimates import estimate
from basin_jax.studies.framework.lab import Lab, Outcome, rooted
from basin_jax.studies.framework.power import unseen, unseen_beside
from basin_jax.studies.framework.rows import HALF, Finding, Row, Table, say
from basin_jax.studies.framework.study import Study
from basin_jax.studies.framework.testbed import Testbed
from basin_jax.studies.registry import STUDIES, named


RESULTS = Path(__file__).parent.parent / "docs" / "results.md"
FILES = sorted((RESULTS.parents[1] / "sweeps" / "studies").glob("*.py"))
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
TINY = Testbed(
    organism=Audit(network=MLP(widths=(8, 8))),
    overseen=Audit(network=MLP(widths=(8, 8)), honeypot_rate=1.0),
    method=Gradient(learning_rate=0.3),
    num_steps=600,
)


def but_slow(names: Iterable[str], *dear: str) -> list[Any]:
    """Parameters of a test, of which those of some names are slow."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=slow) if name in dear else name for name in names]


def finding(*rows):
    return Finding(
        name="way_back",
        question="Is there a way back?",
        sentences=[say("Half < all.", *rows[:1])],
        limits=("Nothing is known of ½.",),
        rows=Table(rows),
        figure=Figure(),
    )


def number(expected=None, **changes):
    given = {"kind": "control", "key": "none", "label": "nothing at all"}
    given |= {"value": 0.0, "low": 0.0, "high": 0.1, "seeds": 30}
    return Row(**{**given, **changes}, expected=expected)


def studies() -> dict[str, Study]:
    """The studies of docs/results.md."""
    return dict([named(name) for name in (*STUDIES, *map(str, FILES))])


def results() -> Any:
    """The script docs/results.py."""
    spec = importlib.util.spec_from_file_location("results", RESULTS.with_suffix(".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def committed() -> tuple[Finding, ...]:
    """The findings of docs/results.md: their tables, and the sentences that these make."""
    return tuple(results().stored(name, study) for name, study in studies().items())


def numbers_in(text: str) -> set[float]:
    """The numbers of a text, without their signs: "5 to .7" has 5 and 7."""
    return {float(each.replace(",", "")) for each in NUMBER.findall(text)}


def unsupported(text: str, rows: Sequence[Row]) -> set[float]:
    """The numbers of a sentence that are none of the rows it rests on, nor of their labels."""
    of_rows = [f"{row.label} {row} {row.seeds}" for row in rows]
    of_rows += [f"{row.expected:.3g}" for row in rows if row.expected is not None]
    of_rows += [unseen([row], null) for row in rows for null in (0.0, HALF)]
    if len(rows) == 2 and all(0 <= row.value <= 1 for row in rows):
        of_rows.append(unseen_beside(*rows))
    return numbers_in(text) - numbers_in(" ".join(of_rows))


def moved(one: Row) -> Row:
    """The row with other numbers."""
    expected = None if one.expected is None else 0.9876
    other = {"low": 0.1234, "high": 0.4321, "seeds": 987_654_321, "expected": expected}
    return replace(one, value=0.3217, **other)


def far(one: Row) -> Row:
    """The row with numbers that are clear of all others."""
    return replace(moved(one), value=9.5, low=9.25, high=9.75)


def below(one: Row) -> Row:
    """The row of a difference that is below 0."""
    return replace(moved(one), value=-0.3217, low=-0.4321, high=-0.1234)


def outcome(
    ends: Mapping[Any, Any],
    cells: Mapping[str, Sweep],
    *,
    rule=None,
    **columns: Any,
) -> Outcome:
    """An outcome of made-up verdicts, or of who is deceptive, by cell and step (None: the last)."""
    parts = []
    for (name, step), given in ends.items():
        given = np.asarray(given)
        names = np.where(given, "DECEPTIVE", "INTENDED") if given.dtype == bool else given
        keys = {"cell": digest_of(cells[name]), "seed": np.arange(len(names), dtype=np.uint64)}
        keys |= {"step": cells[name].num_steps if step is None else step, "verdict": names}
        parts.append(pl.DataFrame(keys | columns))
    return Outcome(cells=cells, history=pl.concat(parts), rule=rule or Behavior())


class Made(Lab):
    """A lab that trains nothing: evidence and verdicts are drawn at random."""

    def train(self, name, group):
        seeds = group.seeds if isinstance(group.seeds, int) else group.seeds(self)
        cells = {each: rooted(cell, self.root) for each, cell in group.cells.items()}
        parts = [
            _drawn(cell, stop, np.asarray(as_seeds(seeds), np.uint64), f"{name}/{each}/{stop}")
            for each, cell in cells.items()
            for stop in cell.stops
        ]
        history = pl.concat(parts, how="diagonal_relaxed")
        made = Outcome(cells=group.cells, history=history, rule=group.rule, root=self.root)
        self.outcomes[name] = made
        return made

    def bisect(self, name, asked):
        seeds = asked.seeds if isinstance(asked.seeds, int) else asked.seeds(self)
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        high = rng.uniform(*asked.between, len(as_seeds(seeds)))
        high[rng.random(len(high)) < 0.2] = np.inf
        columns = {"seed": as_seeds(seeds), "low": high - 1e-3, "high": high}
        self.bisections[name] = pl.DataFrame(columns)
        return self.bisections[name]

    def track(self, name, asked):
        seeds = asked.seeds if isinstance(asked.seeds, int) else asked.seeds(self)
        rng, count = np.random.default_rng(zlib.crc32(name.encode())), len(as_seeds(seeds))
        columns = {each: rng.random(count) for each in ("loss", "step", "gap", "before", "beyond")}
        columns |= {"seed": as_seeds(seeds), "held": np.arange(count) % 4 < 3}
        for steps in asked.along["within"]:
            columns[f"unstable={steps}"] = rng.integers(0, 3, count).astype(float)
        self.edges[name] = pl.DataFrame(columns)
        return self.edges[name]

    def search(self, name, asked):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        assert isinstance(asked.method, Census)
        found = [_searched(asked.method, rng) for _ in range(asked.method.replications)]
        bracket = estimate(0, 100)
        self.found[name] = rare_estimate(found, bracket=bracket, method="", score="")
        self.seed_steps[name] = 0
        return self.found[name]


def _searched(census: Census, rng: np.random.Generator) -> Replication:
    """A replication of made-up counts at each bar."""
    levels = []
    for bar in census.bars:
        drawn = rng.multinomial(census.particles, [0.2, 0.6, 0.2]).tolist()
        verdicts = dict(zip(("DECEPTIVE", "INTENDED", "PARTIAL"), drawn, strict=True))
        threshold, share = float(np.nextafter(bar, -np.inf)), float(rng.uniform(0.01, 0.03))
        given = {"threshold": threshold, "share": share, "verdicts": verdicts, "ancestors": 9}
        levels.append(Level(**given))
    fraction = 0.2 * math.prod(level.share for level in levels)
    given = {"fraction": fraction, "bound": fraction, "trainings": 0, "fresh": 9, "hits": 0}
    return Replication(**given, levels=tuple(levels))


def _drawn(cell: Sweep, stop: int, seeds: np.ndarray, salt: str) -> pl.DataFrame:
    rng, count = np.random.default_rng(zlib.crc32(salt.encode())), len(seeds)
    columns = {name: rng.random(count) for name in _evidence(cell)}
    columns |= {name: rng.integers(0, 3, count) for name in columns if name == "leader"}
    columns |= {
        name: values * (values < 0.5) for name, values in columns.items() if name == "watched"
    }
    names = ["DECEPTIVE", "INTENDED", "PARTIAL", "UNFIT", "OTHER", "DIVERGED"]
    columns["verdict"] = rng.choice(names, count, p=[0.35, 0.3, 0.1, 0.1, 0.1, 0.05])
    return pl.DataFrame({"cell": digest_of(cell), "seed": seeds, "step": stop} | columns)


EVIDENCE: dict[Any, tuple[str, ...]] = {}  # its names, by organism but for its numbers


def _evidence(cell: Sweep) -> tuple[str, ...]:
    kind = jax.tree.structure(cell.organism)
    if kind not in EVIDENCE:
        signature = signature_of(cell)
        _, inputs = abstract_inputs(signature)

        def probed(given):
            state, keys = init_trial(signature, given)
            return probe_trial(signature, given, keys, state)

        EVIDENCE[kind] = (*jax.eval_shape(probed, inputs),)
    return EVIDENCE[kind]


def unclear(one: Row) -> Row:
    """The row with an interval that contains 0 and one half."""
    return replace(moved(one), low=-0.1, high=0.6)
