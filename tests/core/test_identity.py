"""Identity: whatever may change a seed's evidence changes the digest, and nothing else does."""

import enum
import importlib.util
import json
import math
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from edits import CHANGING, FILES, KEEPING
from hypothesis import given
from hypothesis import strategies as st

from basin_jax.core.identity import digest_of, identity_hash
from basin_jax.core.plugin import Plugin
from basin_jax.core.sources import origin
from basin_jax.core.sweep import Sweep, override
from basin_jax.core.verdict import Rule
from basin_jax.methods.gradient import Gradient
from basin_jax.networks.mlp import MLP
from basin_jax.organisms.audit import Audit
from basin_jax.organisms.double_well import DoubleWell
from basin_jax.results.rule import rule_identity


SWEEP = Sweep(organism=Audit(difficulty=1), method=Gradient(learning_rate=0.1), num_steps=2000)
# Of the fields of `SWEEP` at this version (the traced program depends on JAX's, too). A change
# here makes every folder of the version unusable for going on with: bump the version where that
# is meant, and find the bug where it is not.
GOLDEN = "2d84a51c641a"

CHANGES = {
    "organism.difficulty": 2,
    "organism.bonus": 0.25,
    "organism.penalty": 1.0,
    "organism.honeypot_rate": 0.5,
    "organism.sampled": True,
    "start.scale": 0.5,
    "organism.network.widths": (32,),
    "organism.network.activation": jnp.tanh,
    "method.optimizer": "adam",
    "method.learning_rate": 0.2,
    "method.l2": 0.0,
    "method.noise": 0.0,
    "method.dropconnect": 0.0,
    "method.minibatch": 1,
    "organism.undecided": 0.1,
    "method.options": {"momentum": 0.9},
    "num_steps": 2001,
    "root": 1,
    "vary": "init",
    "save_at": (0,),
    "precision": "tf32",
}


def test_the_identity_of_the_headline_sweep_is_as_it_was():
    fields = SWEEP.fields()
    del fields["organism.network.activation"]  # a function of JAX's, told by JAX's version
    assert identity_hash(fields, SWEEP.sources(), "") == GOLDEN


@pytest.mark.ci
def test_every_field_is_a_part_of_the_identity():
    changed = {path: override(SWEEP, path, value) for path, value in CHANGES.items()}
    classes = {"organism", "start", "method", "organism.network"}
    assert set(CHANGES) == (set(SWEEP.fields()) | {"method.options"}) - classes
    digests = {digest_of(sweep) for sweep in [SWEEP, *changed.values()]}
    assert len(digests) == 1 + len(CHANGES)
    for path, sweep in changed.items():
        differing = {n for n, value in sweep.fields().items() if SWEEP.fields().get(n) != value}
        assert {name.removesuffix(".momentum") for name in differing} == {path}


def test_another_class_with_the_same_fields_is_another_sweep():
    class Other(Audit):
        pass

    assert digest_of(SWEEP.replace(organism=Other())) != digest_of(SWEEP)


numbers = st.floats(1e-300, 1e300)


@given(numbers, numbers)
def test_two_numbers_give_one_digest_only_if_they_are_equal(a, b):
    digests = [
        digest_of(override(SWEEP, "organism.bonus", x)) for x in (a, b, math.nextafter(a, 0))
    ]
    assert (digests[0] == digests[1]) == (a == b)
    assert digests[0] != digests[2]


def test_the_order_in_which_fields_are_given_does_not_matter():
    forward = {"num_steps": 5, "method": Gradient(learning_rate=0.1), "organism": DoubleWell()}
    backward = dict(reversed(forward.items()))
    assert digest_of(Sweep(**forward)) == digest_of(Sweep(**backward))
    options = {"b1": 0.8, "b2": 0.99}
    a, b = (
        Gradient(optimizer="adam", learning_rate=0.1, options=dict(items))
        for items in (options.items(), reversed(options.items()))
    )
    assert digest_of(SWEEP.replace(method=a)) == digest_of(SWEEP.replace(method=b))


@pytest.mark.ci
def test_values_that_print_alike_are_told_apart():
    given = [True, 1, 1.0, "1", None, "None", (1,), (1, 1), ()]
    methods = [Gradient(learning_rate=0.1, options={"accumulator_dtype": x}) for x in given]
    assert len({digest_of(SWEEP.replace(method=method)) for method in methods}) == len(given)


TRANSFORMATIONS: list[Callable[[], optax.GradientTransformation]] = [
    lambda: optax.adam(1e-2),
    lambda: optax.adam(1e-3),
    lambda: optax.adam(1e-3, b1=0.8),
    lambda: optax.sgd(1e-3),
    lambda: optax.chain(optax.clip(1.0), optax.sgd(1e-3)),
    lambda: optax.chain(optax.clip(2.0), optax.sgd(1e-3)),
    lambda: optax.sgd(optax.cosine_decay_schedule(1e-3, 100)),
    lambda: optax.sgd(optax.cosine_decay_schedule(1e-3, 200)),
]


@pytest.mark.ci
@pytest.mark.lowest
def test_transformations_are_told_apart_by_what_their_closures_hold():
    def digest(transformation):
        return digest_of(SWEEP.replace(method=Gradient(optimizer=transformation())))

    digests = [digest(transformation) for transformation in TRANSFORMATIONS]
    assert len(set(digests)) == len(digests)
    assert digests == [digest(transformation) for transformation in TRANSFORMATIONS]


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a user's files into a new folder, and run one as a new module."""

    def load(files: dict[str, str] = FILES, main: str = "mine.py") -> ModuleType:
        folder = tmp_path / uuid.uuid4().hex
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(textwrap.dedent(text))
        for name in list(sys.modules):
            if f"{name.split('.')[0]}.py" in FILES or name.split(".")[0] == "package":
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(folder)
        return run_file(folder / main)

    return load


def run_file(path) -> Any:
    name = f"mine_{uuid.uuid4().hex}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def edited(file: str, old: str, new: str) -> dict[str, str]:
    text = textwrap.dedent(FILES[file])
    assert text.count(old) == 1
    return FILES | {file: text.replace(old, new)}


@pytest.mark.parametrize(("file", "old", "new"), CHANGING)
def test_an_edit_of_anything_a_plugin_depends_on_changes_its_identity(load, file, old, new):
    assert digest_of(load(edited(file, old, new)).sweep) != digest_of(load().sweep)


@pytest.mark.parametrize(("file", "old", "new"), KEEPING)
def test_an_edit_of_anything_else_keeps_it(load, file, old, new):
    assert digest_of(load(edited(file, old, new)).sweep) == digest_of(load().sweep)


def test_an_edited_file_that_is_loaded_again_has_its_new_identity(load):
    before = load()
    path = before.__spec__.origin
    old = digest_of(before.sweep)
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("GAIN = 2.0", "GAIN = 2.5"))
    assert digest_of(before.sweep) == old  # what is loaded is as it was
    assert digest_of(run_file(path).sweep) != old


def test_two_classes_of_one_name_are_told_apart_wherever_they_stand(load):
    class Pair(Plugin):
        left: Plugin
        right: Plugin

    text = "import basin_jax\n\nclass Part(basin_jax.Plugin):\n    def size(self): return {}\n"
    one, two = (load({"mine.py": text.format(size)}).Part() for size in (1, 2))
    pairs = [Pair(left=a, right=b) for a in (one, two) for b in (one, two)]
    sweeps = [SWEEP.replace(organism=DoubleWellAnd(other=pair)) for pair in pairs]
    assert len({digest_of(sweep) for sweep in sweeps}) == 4


class DoubleWellAnd(DoubleWell):
    """An organism with a part of any kind, or several."""

    other: Any = None


def test_a_tuple_of_plugins_is_told_apart_by_their_fields():
    def digest(*widths):
        parts = tuple(MLP(widths=(width,)) for width in widths)
        return digest_of(SWEEP.replace(organism=DoubleWellAnd(other=parts)))

    assert len({digest(1), digest(2), digest(1, 2), digest(2, 1)}) == 4


UNIDENTIFIABLE = [
    (object(), "object object"),
    (type("Anonymous", (), {}), "Anonymous is not in the source of test_identity.py"),
    ((lambda x: x, lambda x: -x), "cannot be told from others"),
    (type("Empty", (), {"__module__": "nowhere"}), "Empty has no file"),
]


class Deciding(Rule):
    """A rule with a part of any kind, which no trace shows."""

    by: Any = None

    def judge(self, evidence):
        return np.ones(len(evidence["fit"]), int)


@pytest.mark.parametrize(("value", "said"), UNIDENTIFIABLE, ids=lambda value: str(type(value)))
def test_what_cannot_be_identified_is_refused_by_name_where_no_program_is_traced(value, said):
    with pytest.raises(ValueError, match=said):
        rule_identity(Deciding(by=value))
    # What it does for an organism is in the organism's program.
    assert digest_of(SWEEP.replace(organism=DoubleWellAnd(other=value)))


def test_what_a_rule_holds_is_told_apart():
    held = [math.sin, math.cos, np.sin, np.cos, "ab".upper, "cd".upper, Color.RED, Color.BLUE]
    identities = [str(rule_identity(Deciding(by=value))) for value in held]
    assert len({*identities}) == len(held)


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@pytest.mark.ci
@pytest.mark.lowest
def test_other_processes_find_the_same_identity(load, tmp_path):
    mine = load()
    code = """
        import json, sys, runpy, optax
        import basin_jax as bj
        organism = bj.organisms.Audit(difficulty=1)
        method = bj.methods.Gradient(learning_rate=0.1)
        sweep = bj.Sweep(num_steps=2000, method=method, organism=organism)
        own = sweep.replace(method=bj.methods.Gradient(optimizer=optax.adam(1e-3)))
        sys.path.insert(0, sys.argv[1].rpartition("/")[0])
        import mine
        print(json.dumps([bj.digest_of(s) for s in (sweep, own, mine.sweep)]))
    """
    own = SWEEP.replace(method=Gradient(optimizer=optax.adam(1e-3)))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(mine.__spec__.origin)],
        env={"PYTHONHASHSEED": "1", "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [digest_of(s) for s in (SWEEP, own, mine.sweep)]


def test_a_class_that_a_function_makes_is_told_by_what_it_was_made_with():
    def make(strength):
        class Made(DoubleWell):
            def loss(self, params, batch):
                return strength * params**2

        return Made

    assert origin(make(1.0)) == origin(make(1.0))
    assert origin(make(1.0)) != origin(make(0.1))


@pytest.mark.parametrize("call", ["TABLE.update(a={})", "TABLE.setdefault(1, {})"])
def test_a_change_without_an_assignment_is_seen(load, call):
    start = "import basin_jax as bj\n\n\nTABLE = {{}}\n\n\n"
    part = "class Part(bj.Plugin):\n    def f(self):\n        return TABLE\n\n\n"
    text = f"{start}{part}{call}\n"
    one, two = (origin(load({"mine.py": text.format(n)}).Part) for n in (1, 2))
    assert one != two
