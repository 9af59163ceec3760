"""A run as JSON, and as the folder of a record."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

from basin_jax.bench.figures import growth, roofline
from basin_jax.bench.measure import PEERS
from basin_jax.bench.report import Row, markdown
from basin_jax.devices import cpu_model
from basin_jax.report.figures import save


HERE = Path(__file__).parent
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "pybasin")


def as_json(results: dict[str, Any], rows: list[Row]) -> str:
    """Return the versions, the raw rounds, and the rows made of them."""
    made = [dataclasses.asdict(row) for row in rows]
    return json.dumps({"versions": versions(), **results, "rows": made}, indent=1)


def write(folder: Path, results: dict[str, Any], rows: list[Row]) -> None:
    """Write the raw rounds, the tables, the versions, the figures, and the code that measured."""
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "table.md").write_text(markdown(results, rows))
    (folder / "versions.json").write_text(json.dumps(versions(), indent=1) + "\n")
    if results["flop"]:
        save(roofline(results, rows), folder / "roofline.png")
    save(growth(results["scaling"]), folder / "scaling.png")
    for file in sorted([*HERE.glob("*.py"), *PEERS.glob("*_peer*.py")]):
        # Not as .py, or the checks of the code would find it.
        (folder / f"{file.name}.txt").write_text(file.read_text())


def versions() -> dict[str, Any]:
    """Return the settings that the numbers depend on besides the code."""
    return {
        "python": platform.python_version(),
        "basin_jax": _version("basin-jax"),
        **{name: _version(name) for name in PACKAGES},
        "device": jax.local_devices()[0].device_kind,
        "devices": len(jax.local_devices()),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        # Not flags that name files, which say nothing about speed.
        "XLA_FLAGS": [flag for flag in os.environ.get("XLA_FLAGS", "").split() if "/" not in flag],
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str:
    """Return the output of git on the code that runs; empty outside of a clone."""
    done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip()
