"""The package's own identity: what decides bits and verdicts changes it, and nothing else does."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import basin_jax
from basin_jax.results.store import StoreError
from basin_jax.runs import provenance
from basin_jax.runs.provenance import code_hash, modules, package_identity, remembered_hash
from basin_jax.runs.run import run


PACKAGE = Path(basin_jax.__file__).parent

# Each is one change to one file, made by replacing a text in it.
CHANGING = [
    (
        "compiler/cpu/runtime.h",
        "y = (y * r) * r + r + 1.0f;",
        "y = 1.2f * ((y * r) * r + r + 1.0f);",
    ),
    ("compiler/functions.h", "FLOAT1(sine, sin)", "FLOAT1(sine, cos)"),
    ("compiler/cuda/runtime.cuh", "sum[i][j] = V(0)", "sum[i][j] = V(1)"),
    ("compiler/lowering_rules.py", "import jax\n", "import jax\n\nSLOPE = 1.2\n"),
    (
        "engine/sharded.py",
        '"xla_cpu_multi_thread_eigen": False',
        '"xla_cpu_multi_thread_eigen": True',
    ),
    ("core/seeds.py", 'PRNG = "threefry2x32"', 'PRNG = "rbg"'),
    ("runs/plan.py", "np.argsort(seeds)", "np.argsort(-seeds)"),
    ("core/verdict.py", "DECEPTIVE = 2", "DECEPTIVE = 5"),
    ("rules/behavior.py", "import numpy as np\n", "import numpy as np\n\nSLOPE = 1.2\n"),
]
KEEPING = [
    ("bench/pendulum.py", '"""', '"""Otherwise: '),
    ("report/figures.py", "import math\n", "import math\n\nCOLOR = 1\n"),
    ("studies/tickets.py", "import numpy as np\n", "import numpy as np\n\nLABEL = 1\n"),
    ("engine/autotune.py", "TINY = 10**8", "TINY = 10**7"),
    ("engine/kernel.py", '"""', '"""Otherwise: '),
    ("engine/kernel.py", "import time\n", "import time  # a remark\n\n"),
    ("compiler/cpu/runtime.h", "+ r + 1.0f;", "+   r + 1.0f;  // a remark\n\n/* Otherwise:\n */\n"),
    # Of plug-ins the digest of a sweep has the program.
    ("organisms/gate.py", "import jax\n", "import jax\n\nSLOPE = 1.2\n"),
    ("methods/gradient.py", "import jax\n", "import jax\n\nSLOPE = 1.2\n"),
]


@pytest.fixture(scope="module")
def here():
    return code_hash(PACKAGE)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package elsewhere."""
    folder = tmp_path_factory.mktemp("elsewhere") / "site-packages" / "basin_jax"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def edited(copy: Path, *edits: tuple[str, str, str]) -> str:
    """Return the hash of a copy with some texts of its files replaced for a moment."""
    with edits_of(copy, *edits):
        return code_hash(copy)


@contextlib.contextmanager
def edits_of(copy: Path, *edits: tuple[str, str, str]) -> Iterator[None]:
    """Replace some texts of a copy's files for a moment."""
    texts = {file: (copy / file).read_text() for file, _, _ in edits}
    try:
        for file, old, new in edits:
            text = (copy / file).read_text()
            assert old in text
            (copy / file).write_text(text.replace(old, new, 1))
        yield
    finally:
        for file, text in texts.items():
            (copy / file).write_text(text)


def test_the_package_is_the_same_wherever_it_lies(copy, here):
    assert code_hash(copy) == here
    assert package_identity() == f"{basin_jax.__version__} source {here}"


@pytest.mark.ci
@pytest.mark.parametrize(("file", "old", "new"), CHANGING)
def test_an_edit_of_what_decides_bits_or_verdicts_changes_it(copy, here, file, old, new):
    assert edited(copy, (file, old, new)) != here


@pytest.mark.ci
def test_an_edit_of_a_comment_a_docstring_a_plot_or_a_study_keeps_it(copy, here):
    assert edited(copy, *KEEPING) == here


@pytest.mark.ci
def test_an_edit_of_a_plug_in_changes_the_digests_of_the_sweeps_that_use_it_alone(copy):
    code = """if True:
        import basin_jax as bj
        from basin_jax.core.identity import digest_of
        method = bj.methods.Gradient(learning_rate=0.1)
        for organism in (bj.organisms.Audit(), bj.organisms.DoubleWell()):
            print(digest_of(bj.Sweep(organism=organism, method=method, num_steps=1)))
        """

    def digests() -> list[str]:
        command = [sys.executable, "-c", code]  # which imports from where it runs
        done = subprocess.run(command, cwd=copy.parent, capture_output=True, text=True, check=True)
        return done.stdout.split()

    audit, well = digests()
    with edits_of(copy, ("networks/mlp.py", "** 0.5", "** 0.6")):
        changed, same = digests()
    assert changed != audit
    assert same == well
    sines = "(point, jax.tree.map(jnp.sin, updates))"
    with edits_of(copy, ("methods/gradient.py", "(point, updates)", sines)):
        assert not {*digests()} & {audit, well}


@pytest.mark.ci
def test_the_hash_is_remembered_until_a_file_changes(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = remembered_hash(copy)
    assert found == code_hash(copy)
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "code_hash", lambda *_: pytest.fail("was not remembered"))
        assert remembered_hash(copy) == found
    # Another content of the same size, with the times of the old one.
    path = copy / "engine/kernel.py"
    text, times = path.read_text(), path.stat()
    path.write_text(text.replace("CALL_SECONDS = 1.0", "CALL_SECONDS = 2.0"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    try:
        assert remembered_hash(copy) == code_hash(copy) != found
    finally:
        path.write_text(text)
    assert remembered_hash(copy) == found
    for note in (tmp_path / "basin_jax/code").iterdir():
        note.write_text("not a hash")
    monkeypatch.setattr(provenance, "code_hash", lambda *_: "0" * 12)
    assert remembered_hash(copy) == "0" * 12


@pytest.mark.ci
def test_all_that_is_loaded_to_train_and_judge_is_part_of_it():
    code = """if True:
        import sys
        import basin_jax, numpy as np
        from basin_jax.engine import kernel
        from basin_jax.runs import plan
        sweep = basin_jax.Sweep(
            organism=basin_jax.organisms.Audit(),
            method=basin_jax.methods.Gradient(learning_rate=0.1),
            num_steps=1,
        )
        evidence = kernel.build_kernel(sweep, lanes=8)(np.arange(2, dtype=np.uint64))
        plan.columns([(np.arange(2), evidence)], (1,), basin_jax.rules.Behavior())
        own = [m for n, m in sys.modules.items() if n.startswith("basin_jax.")]
        print(*(m.__file__ for m in own), sep="\\n")
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {Path(line) for line in done.stdout.split()}
    few = ("engine/kernel.py", "runs/plan.py", "organisms/audit.py", "compiler/cpu/build.py")
    assert {PACKAGE / name for name in few} <= loaded
    # Plug-ins, and what they extend, are in the digest of a sweep.
    plugins = {*(PACKAGE / kind for kind in ("networks", "organisms", "starts", "methods"))}
    rest = {file for file in loaded if file.parent not in plugins}
    assert rest - {PACKAGE / "core/wrappers.py"} <= modules(PACKAGE).keys()


def test_a_folder_is_not_gone_on_with_after_the_runtime_of_vectors_has_changed(
    copy, tmp_path, wells, monkeypatch
):
    run(wells, 8, tmp_path / "sweep", lanes=8)
    changed = edited(copy, CHANGING[0])
    monkeypatch.setattr(
        "basin_jax.runs.provenance.package_identity", lambda: f"0.2 source {changed}"
    )
    with pytest.raises(StoreError, match=f"basin_jax: .* there, .*{changed}' here"):
        run(wells, 16, tmp_path / "sweep", lanes=8)
