"""What is said of a mistake: the argument, its value, what is allowed, and what was meant."""

import ast
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import basin_jax
from basin_jax import Given, Method, Organism, Records, Rule, Sweep, Verdict, testing
from basin_jax.core.arguments import expect_argument
from basin_jax.methods import Gradient
from basin_jax.organisms import Audit, DoubleWell
from basin_jax.results.store import StoreError
from basin_jax.studies.framework import figure


METHOD = Gradient(learning_rate=0.1)
SWEEP = Sweep(organism=DoubleWell(), method=METHOD, num_steps=5)
# Results, and plug-ins, of which `tests/core/test_refusals.py` tries every field.
RESULTS = {"Estimate", "Difference", "Parent", "Records", "Threshold"}


def public() -> dict[str, Any]:
    """Find what users call: functions, methods of records, and classes that they make."""
    stub = ast.parse(Path(basin_jax.__file__).with_suffix(".pyi").read_text())
    names = [a.name for node in stub.body if isinstance(node, ast.ImportFrom) for a in node.names]
    found = {name: getattr(basin_jax, name) for name in names if name not in RESULTS}
    found |= {name: getattr(figure, name) for name in ("Panel", "Curve", "Forest", "Matrix")}
    found |= {name: f for name, f in vars(testing).items() if name.startswith("check_")}
    found["rare.fraction"] = basin_jax.rare.fraction
    methods = ("fractions", "sensitivity", "near_thresholds", "agreement", "compare", "seeds")
    methods += ("plot", "table", "to_latex", "to_markdown", "to_typst", "sql")
    methods += ("threshold",)
    found |= {f"Records.{name}": getattr(Records, name) for name in methods}
    plugin = basin_jax.Plugin
    kinds = FunctionType | type
    return {
        name: thing
        for name, thing in found.items()
        if isinstance(thing, kinds) and not (isinstance(thing, type) and issubclass(thing, plugin))
    }


PUBLIC = public()
for own in ("Verdict", "GaveUp", "TrainingError"):
    del PUBLIC[own]  # an enumeration and exceptions, whose errors are Python's


def parameters(thing: Any) -> dict[str, inspect.Parameter]:
    function = thing.__init__ if isinstance(thing, type) else thing
    found = dict(inspect.signature(function).parameters)
    found.pop("self", None)
    return found


EACH = [(name, argument) for name, thing in PUBLIC.items() for argument in parameters(thing)]


# Sound values of the arguments that calls need.
SOUND: dict[str, Any] = {
    "sweep": SWEEP,
    "seeds": [8],
    "store": "never-made",
    "folder": "never-made",
    "axes": {},
    "seed": 0,
    "lanes": 8,
    "organism": SWEEP.organism,
    "start": SWEEP.start,
    "method": METHOD,
    "evidence": {},
    "verdicts": [1],
    "outcomes": [1],
    "criterion": "chosen",
    "name": "published",
    "names": ["x"],
    "rule": basin_jax.rules.Behavior(),
    "field": "threshold",
    "values": np.zeros((1, 1)),
    "of": Verdict.DECEPTIVE,
    "marks": [figure.Curve({})],
    "rows": {},
    "xlabel": "seeds",
    **{name: 1 for name in ("gained", "lost", "trials", "hits", "fraction")},
}


class Nothing:
    """Fits no annotation but `Any`."""

    def __repr__(self):
        return "<nothing>"


def call(public_name: str, **wrong: Any) -> Any:
    """Call something with sound arguments, except for some."""
    thing = PUBLIC[public_name]
    needed = [n for n, p in parameters(thing).items() if p.default is p.empty]
    owner = [None] if public_name.startswith("Records.") else []
    return thing(*owner, **{name: SOUND.get(name) for name in needed} | wrong)


def test_all_that_users_call_is_tried():
    assert {"run", "load", "grid", "trial", "ChosenSeeds", "Given", "Panel"} <= PUBLIC.keys()
    assert len(EACH) > 80


@pytest.mark.parametrize(("name", "argument"), EACH)
def test_an_argument_of_another_type_is_refused_by_name_and_value(name, argument):
    thing = PUBLIC[name]
    function = thing.__init__ if isinstance(thing, type) else thing
    if get_type_hints(function).get(argument, Any) is Any:
        pytest.skip("takes anything")
    with pytest.raises(ValueError, match=rf"^(\w+\.)?{argument} = <nothing>; allowed: "):
        call(name, **{argument: Nothing()})


@pytest.mark.parametrize(("name", "argument"), EACH)
def test_an_argument_that_does_not_exist_is_refused_with_the_nearest_name(name, argument):
    typo = f"{argument}x"
    with pytest.raises(ValueError, match=f"has no argument '{typo}'; allowed: .*did you mean"):
        call(name, **{typo: 1})


class Halves(Rule):
    def judge(self, evidence):
        return (evidence["unwatched"] > 0.5) + 1


class State(NamedTuple):
    params: Any


class Named(Organism):
    """Hold its parameter by a name."""

    def init(self, key):
        return {"x": jax.random.normal(key, (), jnp.float32)}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return params["x"] ** 2

    def probe(self, key, params):
        return {"unwatched": jnp.sum(jnp.abs(sum(params.values())))}


class Bare(Method):
    """Keep parameters alone, without a state around them."""

    def init(self, key, params, organism):
        return {"params": params}

    def step(self, key, step, state, organism):
        return state


class Turning(Method):
    """Give another state than it was given."""

    turn: Any

    def init(self, key, params, organism):
        return State(params)

    def step(self, key, step, state, organism):
        return State(self.turn(state.params))


class Counting(Organism):
    """Count in an integer beside the parameters."""

    def init(self, key):
        return {"w": jax.random.normal(key, (), jnp.float32), "n": jnp.int32(3)}

    def sample(self, key):
        return None

    def loss(self, params, batch):
        return params["w"] ** 2 * params["n"]

    def probe(self, key, params):
        return {"unwatched": params["w"]}


def run(sweep: Any = SWEEP, seeds: Any = 8, **more: Any) -> Records:
    return basin_jax.run(sweep, seeds, "never-made", **more)


def turned(turn):
    return SWEEP.replace(organism=Named(), method=Turning(turn=turn))


def to_complex(params):
    return {"x": params["x"] * 1j}


def to_a_row(params):
    return {"x": params["x"][None]}


def to_another(params):
    return {"y": params["x"]}


MISTAKES = {
    "an organism for a sweep": (
        lambda: run(DoubleWell()),
        r"sweep = DoubleWell\(.*; allowed: Sweep .*did you mean Sweep\(organism=DoubleWell",
    ),
    "a class for a rule": (lambda: run(rule=Halves), r"rule = .*; .*did you mean Halves\(\)\?"),
    "no folder": (lambda: basin_jax.run(SWEEP, 8, None), r"store = None; allowed: a string"),  # pyright: ignore[reportArgumentType]
    "fewer seeds than none": (lambda: run(seeds=-1), r"seeds = -1; allowed: at least one"),
    "no seeds": (lambda: run(seeds=0), r"seeds = 0; allowed: at least one"),
    "a truth for seeds": (lambda: run(seeds=True), r"seeds = True; allowed: an integer"),
    "a truth among seeds": (lambda: run(seeds=[True, 5]), r"seeds = \[True, 5\]; allowed"),
    "a float of seeds": (lambda: run(seeds=1e3), r"seeds = 1000.0; .*did you mean 1000\?"),
    "a seed below all": (lambda: basin_jax.trial(SWEEP, -1), r"seed = -1; allowed: 0 to 2\*\*64"),
    "a number for an axis": (
        lambda: basin_jax.grid(SWEEP, {"organism.tilt": 0.3}),  # pyright: ignore[reportArgumentType]
        r"axes\['organism.tilt'\] = 0.3; allowed: a sequence .did you mean \(0.3,\)\?",
    ),
    "a text for an axis": (
        lambda: basin_jax.grid(SWEEP, {"vary": "init"}),
        r"axes\['vary'\] = 'init'; allowed: a sequence .did you mean \('init',\)\?",
    ),
    "an axis of nothing": (
        lambda: basin_jax.grid(SWEEP, {"root": ()}),
        r"axes\['root'\] = \(\); allowed: at least one value",
    ),
    "a grid of a grid": (
        lambda: basin_jax.grid((SWEEP,), {"root": (1, 2)}),  # pyright: ignore[reportArgumentType]
        r"sweep = \(Sweep\(.*; allowed: Sweep",
    ),
    "a field with a typo": (lambda: Audit(dificulty=2), r"did you mean 'difficulty'\?"),  # pyright: ignore[reportCallIssue]
    "a field without its name": (lambda: Audit(2), r"Audit takes its fields by name, .* 2 "),  # pyright: ignore[reportCallIssue]
    "a verdict in small letters": (
        lambda: basin_jax.basin_fraction([1], "deceptive"),
        r"verdict = 'deceptive'; allowed: .*did you mean 'DECEPTIVE'\?",
    ),
    "a condition on no verdict": (lambda: Given("DECEPTIVE", step=3), r"Given.of = 'DECEPTIVE'; "),  # pyright: ignore[reportArgumentType]
    "a state without parameters": (
        lambda: run(SWEEP.replace(method=Bare())),
        r"Bare.init gives dict, which has no .params; allowed: a state with .params",
    ),
    "a state of another type": (
        lambda: run(turned(to_complex)),
        r"Turning.step makes state.params\['x'\] complex64\[\], which was float32\[\]; allowed: ",
    ),
    "a state of another shape": (
        lambda: run(turned(to_a_row)),
        r"float32\[1\], which was float32\[\]",
    ),
    "a state of other names": (
        lambda: run(turned(to_another)),
        r"step adds state.params\['y'\], and loses state.params\['x'\]; allowed: ",
    ),
    "a gradient in whole numbers": (
        lambda: run(SWEEP.replace(organism=Counting())),
        r"Counting.init gives \['n'\] of type int32, in which Gradient takes .*; allowed: floats",
    ),
}


def test_a_method_of_records_is_named_as_one_with_what_it_takes(wells_folder):
    records = basin_jax.load(wells_folder)
    with pytest.raises(ValueError, match=r"^Records\.threshold: .*'field'; allowed: field and opt"):
        records.threshold()  # pyright: ignore[reportCallIssue]
    said = r"^Records\.compare: too many .*; allowed: of, and by their names to, all_pairs, level$"
    with pytest.raises(ValueError, match=said):
        records.compare("tilt=0.2", "tilt=0.0")  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match=r"^grid: .*'axes'; allowed: sweep, axes$"):
        basin_jax.grid(SWEEP)  # pyright: ignore[reportCallIssue]


def test_a_field_of_a_part_is_found_by_its_last_part():
    said = r"^Sweep has no field 'tilt'; allowed: .*, vary \(did you mean 'organism\.tilt'\?\)$"
    with pytest.raises(ValueError, match=said):
        basin_jax.grid(SWEEP, {"tilt": (0.0, 0.1)})


def test_a_name_that_the_package_lacks_is_refused_with_those_that_it_has():
    with pytest.raises(
        AttributeError, match=r"no attribute 'Audit'; allowed: .*organisms"
    ) as found:
        basin_jax.Audit  # pyright: ignore[reportAttributeAccessIssue] # noqa: B018
    assert (found.value.name, found.value.obj) == ("Audit", basin_jax)


def test_plugins_are_listed_without_the_files_that_they_are_in():
    folders = ("organisms", "starts", "methods", "rules", "networks")
    for folder in (getattr(basin_jax, name) for name in folders):
        assert dir(folder) == sorted(folder.__all__)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_what_is_allowed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, said = MISTAKES[name]
    with pytest.raises(ValueError, match=said):
        call()
    assert not [*tmp_path.iterdir()]


def test_a_part_of_a_folders_grid_is_refused_with_what_it_lacks(wells, wells_folder):
    with pytest.raises(StoreError, match=r"sweep lacks cells of .*: tilt=0.0; allowed: all of its"):
        basin_jax.run(wells[0], 200, wells_folder)


def test_seeds_of_a_verdict_are_found_by_its_name_alone(wells_folder):
    records = basin_jax.load(wells_folder)
    cell = next(iter(records.cells))
    with pytest.raises(ValueError, match=r"did you mean 'DECEPTIVE'\?"):
        records.seeds("deceptive", cell=cell)
    assert len(records.seeds(Verdict.DECEPTIVE, cell=cell))


SEVERAL = [
    [3, 5],
    (3, 5),
    range(3, 6),
    np.array([3, 5]),
    [np.int64(3), 5],
    pl.Series([3, 5]),
    {3, 5},
]


@pytest.mark.parametrize("seeds", SEVERAL, ids=lambda seeds: type(seeds).__name__)
def test_whatever_is_a_sequence_in_all_but_its_class_is_taken(seeds):
    expect_argument("seeds", seeds, Sequence[int])
    assert len(basin_jax.grid(SWEEP, {"root": seeds})) == len(seeds)


def test_whole_numbers_are_numbers_wherever_these_are_asked_for():
    expect_argument("limits", (0, None), tuple[float | None, float | None] | None)
    expect_argument("rows", {0: 1, 0.5: np.float32(2)}, Mapping[float, float])
    with pytest.raises(ValueError, match=r"limits = \(0, 1, 2\); allowed: "):
        expect_argument("limits", (0, 1, 2), tuple[float, float])
