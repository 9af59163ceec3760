"""Let each file operation of a run fail in turn; a test starts this with `failing.c` loaded.

    python tests/failing.py FOLDER STEP

It prints how many of the operations were let fail, every STEP-th of a run and of its report, and
what was wrong after each of them.
"""

import ctypes
import errno
import sys
from pathlib import Path

import victims

from basin_jax import load, run
from basin_jax.files import FolderError
from basin_jax.report.page import write_report
from basin_jax.results.store import Store


CODES = (errno.EIO, errno.ENOSPC)
SEEDS = 128


def train_and_report(folder: Path) -> None:
    """Do what is to be disturbed."""
    run(victims.sweep(), SEEDS, folder, lanes=8, progress=False)
    write_report(load(folder))


def main(place: Path, step: int) -> None:
    """Disturb every `step`-th operation in turn, with each error."""
    fail_at = ctypes.CDLL(None).fail_at
    whole, tried, wrong = place / "whole", 0, []
    fail_at(0, 0, bytes(whole))
    train_and_report(whole)
    operations = fail_at(0, 0, b"")
    expected = load(whole).frame
    for number in range(1, operations + 1, step):
        for code in CODES:
            folder, tried = place / f"{number}-{code}", tried + 1
            fail_at(number, code, bytes(folder))
            try:
                train_and_report(folder)
            except (FolderError, OSError) as error:
                if "\n" in str(error):
                    wrong.append(f"{number}: {error}")
            except Exception as error:  # noqa: BLE001 (each other one is a fault)
                wrong.append(f"{number}: {type(error).__name__}: {error}")
            fail_at(0, 0, b"")
            if Store(folder).exists():
                wrong += [f"{number}: {fault}" for fault in Store(folder).verify()]
            train_and_report(folder)
            if not load(folder).frame.equals(expected) or Store(folder).verify():
                wrong.append(f"{number}: other rows")
    print(operations, tried, *wrong, sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
