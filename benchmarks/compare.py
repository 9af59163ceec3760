"""Time the kernels of two checkouts in turns, and print the ratio of their speeds.

Run: uv run python benchmarks/compare.py BEFORE AFTER [--cases audit,mlp-8] [--rounds 4]

BEFORE and AFTER are folders of checkouts, such as `git worktree add` makes. Each round runs this
checkout's `kernels.py` once on each, in a new process, in an order that alternates. Both train
with the same number of lanes; neither measures which number is best. What a checkout compiles in
the first round is kept for the others, apart from what the other checkout compiles.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any


KERNELS = Path(__file__).with_name("kernels.py")
Round = dict[str, dict[str, Any]]  # of each checkout: of each kernel, speed and compilation


def check(checkout: Path) -> None:
    """Raise a ValueError if Python would not import the package of a checkout."""
    done = _python(["-c", "import basin_jax; print(basin_jax.__file__)"], checkout)
    found = Path(done.stdout.strip()).parent
    if found != checkout / "basin_jax":
        raise ValueError(f"{checkout} would not be timed, but {found}; allowed: a checkout")


def speeds(checkout: Path, cache: Path, options: list[str]) -> dict[str, Any]:
    """Return the speed and the seconds of compilation of each kernel of a checkout."""
    done = _python([str(KERNELS), *options], checkout, XDG_CACHE_HOME=str(cache))
    return json.loads(done.stdout)


def _python(arguments: list[str], checkout: Path, **more: str) -> subprocess.CompletedProcess[str]:
    # Of the checkout even in another's folder, which Python would look in first.
    environment = os.environ | {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"} | more
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)


def table(rounds: list[Round]) -> str:
    """Return the ratios, taken within rounds, and the seconds of compilation, as Markdown."""
    lines = [
        "| kernel | after / before: median [least, most] | compilation, s: before, after |",
        "|---|---|---|",
    ]
    for name, first in rounds[0]["before"].items():
        ratios = [one["after"][name]["speed"] / one["before"][name]["speed"] for one in rounds]
        said = f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        took = [first["compile_seconds"], rounds[0]["after"][name]["compile_seconds"]]
        lines.append(f"| {name} | {said} | {took[0]:.1f}, {took[1]:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--cases", default="audit,mlp-8,mlp-64,settling")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=0.5)
    given = parser.parse_args()
    options = [f"--{name}={getattr(given, name)}" for name in ("cases", "lanes", "seconds")]
    checkouts = {name: getattr(given, name).resolve() for name in ("before", "after")}
    for checkout in checkouts.values():
        check(checkout)
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(given.rounds):
            order = [*checkouts] if number % 2 == 0 else [*reversed(checkouts)]
            rounds.append(
                {name: speeds(checkouts[name], Path(scratch) / name, options) for name in order}
            )
            print(f"round {number + 1} of {given.rounds}", file=sys.stderr)
    print(table(rounds))


if __name__ == "__main__":
    main()
