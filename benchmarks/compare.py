"""Time two checkouts in turns, and print the ratio of their speeds.

Run: uv run python benchmarks/compare.py BEFORE AFTER [--cases audit,mlp-8] [--rounds 4]

BEFORE and AFTER are folders of checkouts, such as `git worktree add` makes. Each round runs
`basin-jax bench --json` once in each, in a new process, in an order that alternates, so that both
choose their lanes and compile anew.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median


OURS = "basin_jax"


def speeds(checkout: Path, cases: str, seconds: float) -> dict[str, tuple[float, float]]:
    """Return the speed and the seconds of compilation of each case in a checkout."""
    command = [sys.executable, "-m", "basin_jax", "bench", "--json", "--rounds", "1"]
    command += ["--cases", cases, "--seconds", str(seconds)]
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["rows"]
    return {
        f"{row['case']}, {row['peer']}": (row["speed"], row["compile_seconds"] or 0.0)
        for row in rows
        if row["peer"].startswith(OURS)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--cases", default="audit,mlp-8,mlp-64,settling,grid,run")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.5)
    given = parser.parse_args()
    rounds = []
    for number in range(given.rounds):
        order = ("before", "after") if number % 2 == 0 else ("after", "before")
        measured = {
            name: speeds(getattr(given, name), given.cases, given.seconds) for name in order
        }
        rounds.append(measured)
        print(f"round {number + 1} of {given.rounds}", file=sys.stderr)
    print("| case | after / before: median [least, most] | compilation, s: before, after |")
    print("|---|---|---|")
    for case in rounds[0]["before"]:
        pairs = [(one["before"][case], one["after"][case]) for one in rounds]
        ratios = [after[0] / before[0] for before, after in pairs]
        took = [median(pair[i][1] for pair in pairs) for i in (0, 1)]
        said = f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        print(f"| {case} | {said} | {took[0]:.1f}, {took[1]:.1f} |")


if __name__ == "__main__":
    main()
