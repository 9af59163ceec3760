"""Workers as the tasks of a Slurm array.

Nothing but Slurm's own commands is needed. Slurm forgets tasks that ended; whether all seeds are
trained the folder says.
"""

import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from basin_jax.runs.engines.contract import Engine, Event, Reference, pause
from basin_jax.runs.shard import Shard


COMMANDS = ("sbatch", "squeue", "scontrol", "scancel")
# Options of sbatch that a user may not give: the engine gives them, or asks one cluster alone.
OURS = ("-a", "--array", "--parsable", "--wrap", "-M", "--clusters")
QUEUE_SECONDS = 5.0  # between two looks at the queue
RUNS = ("RUNNING", "COMPLETING")


class Task(NamedTuple):
    """A task as the queue has it."""

    state: str
    restarts: int


@dataclass(frozen=True)
class Slurm(Engine):
    """An array of tasks, each a worker.

    Attributes:
        options: further options of sbatch, such as --partition=gpu.
    """

    options: tuple[str, ...] = ()

    @property
    def prepares(self) -> bool:
        return False

    def __post_init__(self) -> None:
        for option in self.options:
            name = option.partition("=")[0]
            # Slurm takes the beginning of an option for it, where that is no beginning of another.
            short = name.startswith("--") and any(ours.startswith(name) for ours in OURS)
            if short or re.match("-[aM]", option):
                raise ValueError(
                    f"sbatch = {shlex.join(self.options)!r} with {name}; allowed: options of "
                    f"sbatch besides {', '.join(OURS)}"
                )

    def check(self, workers: int) -> None:
        if gone := [name for name in COMMANDS if shutil.which(name) is None]:
            raise ValueError(
                f"engine = slurm without {', '.join(gone)}; allowed: on a host where Slurm's "
                "commands are"
            )

    def script(self, reference: Reference, workers: int) -> str:
        """Return the batch script of an array, whose tasks know their shards by themselves."""
        command = shlex.join([sys.executable, *reference.arguments(None)])
        lines = [
            "#!/bin/sh",
            f"#SBATCH --job-name={re.sub('[^A-Za-z0-9_.-]', '_', reference.file.stem)}",
            f"#SBATCH --array=0-{workers - 1}",
            "#SBATCH --requeue",
            "#SBATCH --open-mode=append",
            "#SBATCH --signal=B:TERM@60",
            # Slurm's signals are for the script, which Python therefore replaces.
            f"exec {command}",
        ]
        return "\n".join([*lines, ""])

    def run(self, reference: Reference, shards: Sequence[Shard]) -> Generator[Event | None]:
        script = self.script(reference, len(shards))
        chdir = f"--chdir={reference.directory}"
        said = _call("sbatch", "--parsable", chdir, *self.options, stdin=script)
        if said.returncode:
            raise ValueError(f"sbatch refused the array: {' '.join(said.stderr.split())}")
        job = said.stdout.strip().partition(";")[0]
        states = dict.fromkeys(shards, Task("PENDING", 0))
        try:
            for shard in shards:
                yield Event(shard, "started", f"waits as task {job}_{shard.index}")
            while states:
                until = time.monotonic() + QUEUE_SECONDS
                while time.monotonic() < until:
                    yield from pause()
                queue = _queue(job)
                for shard, before in list(states.items()):
                    now = before if queue is None else queue.get(shard.index)
                    event = _end(job, shard) if now is None else _change(shard, before, now)
                    if now is None:
                        del states[shard]
                    else:
                        states[shard] = now
                    if event is not None:
                        yield event
        finally:
            if states:
                _stop(job)


def _change(shard: Shard, before: Task, now: Task) -> Event | None:
    """Return what became of a task between two looks at the queue."""
    if now.restarts > before.restarts:
        return Event(shard, "lost", f"was stopped by Slurm, and starts again ({now.state})")
    if before.state not in RUNS and now.state in RUNS:
        return Event(shard, "started", "started")
    return None


def _end(job: str, shard: Shard) -> Event:
    """Return the end of a task: with its exit code and its log, as long as Slurm knows them."""
    said = _call("scontrol", "--oneliner", "show", "job", f"{job}_{shard.index}").stdout
    found, log = re.search(r"\bExitCode=(\d+):(\d+)", said), re.search(r"\bStdOut=(\S+)", said)
    if found is None or log is None:
        return Event(shard, "ended", "ended")
    code, signum = int(found[1]), int(found[2])
    code = 128 + signum if signum else code
    return Event(shard, "ended", f"ended with code {code}; see {log[1]}" if code else "ended", code)


def _call(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    # In a session of its own, so that a keyboard's interrupt does not end it.
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, start_new_session=True
    )


def _queue(job: str) -> dict[int, Task] | None:
    """Return an array's tasks that have not ended; None if Slurm does not answer."""
    columns = "--Format=ArrayTaskID:16,State:32,RestartCnt:16"
    said = _call("squeue", "--noheader", "--array", f"--jobs={job}", columns)
    if said.returncode:
        return {} if "Invalid job id" in said.stderr else None
    rows = (line.split() for line in said.stdout.splitlines())
    return {int(task): Task(state, int(restarts)) for task, state, restarts in rows}


def _stop(job: str) -> None:
    """Cancel the tasks that wait, tell those that run to stop, and wait for them."""
    told = set[tuple[int, int]]()
    while (queue := _queue(job)) != {}:
        # Again and again, since a task that was requeued meanwhile waits, and then runs anew.
        _call("scancel", "--state=PENDING", job)
        for number, task in (queue or {}).items():
            start = number, task.restarts
            if task.state == "RUNNING" and start not in told:
                # `scancel` alone would add a kill, before a long block ends.
                said = _call("scancel", "--batch", "--signal=TERM", f"{job}_{number}")
                told |= {start} if not said.returncode else set()
        time.sleep(QUEUE_SECONDS)
