"""The flow of data: no module imports a later stage, and nothing is imported too early."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import basin_jax


PACKAGE = Path(basin_jax.__file__).parent
PLUGINS = ("organisms", "starts", "methods", "rules")
# What plug-ins of one kind share.
SHARED = {
    *("organisms.networks", "organisms.measures", "organisms.gridworld", "organisms.transformer"),
    "rules.behavior",
}
# A new module finds its place here. The package itself imports lazily, and the template
# is a user's file: both may name anything. All that the package exports comes before
# `LAST_EXPORTED`, and what comes after it may import the package.
LAST_EXPORTED = "loop"
STAGES = (
    *(
        "files",
        "devices",
        "base",
        "identity",
        "verdict",
        *PLUGINS,
        "spec",
        "schema",
        "layout",
        "plan",
        "lane",
        "graph",
        "simd",
        "fused",
        "blocks",
        "traces",
        "sharded",
        "single",
        "preflight",
        "kernel",
    ),
    *(
        "tune",
        "parquet",
        "chunk",
        "completeness",
        "catalog",
        "store",
        "package",
        "manifest",
        "request",
        "statistics",
        "agreement",
        "clusters",
        "counting",
        "ranking",
        "critical",
        "stored",
        "given",
        "records",
        "known",
        "progress",
        "loop",
        "imports",
        "sweepfile",
    ),
    *("testing", "tables", "plots", "report", "answers", "replay"),
    *("studies", "bench", "cli", "__main__"),
)
WITHIN = {
    "graph": (
        *("arrays", "rules", "draws", "lower"),
        *("text", "storage", "loops", "products", "emit", "library"),
    ),
    "simd": ("emit", "build"),
    "fused": ("emit", "nvrtc", "build"),
    "studies": (
        *("subject", "finding", "draw", "page", "study", "foretell"),
        *("initialization", "preservation", "hijack", "way_back", "buffer", "commitment"),
        *("race", "tickets"),
        *("outnumbered", "ensemble", "definitions"),
        *("competence", "simulators", "gradient_hacking"),
        *("synthesis", "every"),
    ),
    "bench": (
        *(
            "cases",
            "pendulum",
            "timing",
            "peers",
            "torch_peers",
            "pybasin_peer",
            "engine",
            "scaling",
        ),
        *("measure", "report", "figures", "record"),
    ),
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem not in ("__init__", "template"))


def stage_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}, line {node.lineno}: a relative import"
            names = [node.module or ""]
        else:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if name.split(".")[0] == "basin_jax")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_module_imports_a_later_stage(path):
    stage = stage_of(path)
    place = STAGES.index(stage)
    allowed = {"devices", "base", "verdict"} if stage in PLUGINS else {*STAGES[:place]}
    if place > STAGES.index(LAST_EXPORTED):
        allowed.add("")
    for name in imports(path):
        module = name.removeprefix("basin_jax").removeprefix(".")
        shared = module in SHARED and module.startswith(f"{stage}.")
        # A child's start holds its parent's sweep, whose own start is `Fresh` unless it is told.
        parent = module == "spec" and stage == "starts" and path.stem != "fresh"
        # What is guessed from is a start.
        prior = module == "starts.fresh" and path.stem == "guess_and_check"
        # A sweep's identity is, among others, the program of its trial.
        identity = module == "single" and stage == "spec"
        exceptions = (shared, parent, prior, identity)
        order = WITHIN.get(stage, ())
        earlier = {f"{stage}.{file}" for file in order[: order.index(path.stem)]} if order else ()
        assert module.split(".")[0] in allowed or any(exceptions) or module in earlier, (
            f"{path.name} imports {name}"
        )


def test_nothing_is_exported_that_comes_later_than_the_last_exported():
    stages = {home.split(".")[0] for home in basin_jax._HOME.values()}
    assert max(map(STAGES.index, stages)) == STAGES.index(LAST_EXPORTED)


def test_every_public_name_resolves_to_its_home():
    for name in basin_jax.__all__:
        home = f"basin_jax.{basin_jax._HOME[name]}"
        assert getattr(basin_jax, name).__module__ == home


def test_type_checkers_see_the_names_that_are_exported():
    body = ast.parse((PACKAGE / "__init__.py").read_text())
    seen = {
        a.asname: n.module
        for n in ast.walk(body)
        if isinstance(n, ast.ImportFrom)
        for a in n.names
        if a.asname
    }
    assert seen == {name: f"basin_jax.{home}" for name, home in basin_jax._HOME.items()}


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="'Sweeep'"):
        basin_jax.Sweeep  # noqa: B018


def test_importing_the_package_does_not_import_jax():
    code = "import sys, basin_jax; print([m for m in ('jax', 'numpy', 'flax') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
