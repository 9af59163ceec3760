"""The notebooks: each runs to its end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.py"))


@pytest.mark.ci
@pytest.mark.parametrize(
    "notebook",
    [
        pytest.param(path, marks=[] if path.stem == "first_steps" else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs_to_its_end(notebook, tmp_path):
    environment = {**os.environ, "MPLBACKEND": "agg", "HOME": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, notebook],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert "Traceback" not in said.stderr
