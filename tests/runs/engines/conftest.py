"""Fixtures for the tests of engines: a fake of Slurm's commands that the engine calls.

A folder of files is the queue. Tasks run here, and one that is killed runs again.
"""

import os

import pytest

from basin_jax.runs.engines import slurm


COMMANDS = {
    "sbatch": """
cat > $FAKE/script
cd ${2#--chdir=}
echo "$@" > $FAKE/options
export SLURM_ARRAY_TASK_COUNT=2
for task in 0 1; do
  export SLURM_ARRAY_TASK_ID=$task
  echo 0 > $FAKE/$task.restarts
  (
    while :; do
      sh -c "echo \\$\\$ > $FAKE/$task.pid; exec sh $FAKE/script"
      code=$?
      [ $code = 137 ] || break
      echo 1 > $FAKE/$task.restarts
    done
    echo $code > $FAKE/$task.code
  ) > $FAKE/$task.log 2>&1 &
done
echo "17;cluster"
""",
    "squeue": """
for task in 0 1; do
  [ -e $FAKE/$task.code ] || echo "$task RUNNING $(cat $FAKE/$task.restarts)"
done
""",
    "scontrol": """
echo "JobId=17 ExitCode=$(cat $FAKE/${4#17_}.code):0 StdOut=$FAKE/${4#17_}.log"
""",
    "scancel": """
[ $1 != --batch ] || kill -TERM $(cat $FAKE/${3#17_}.pid)
""",
}


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Return the folder of the queue, which has the commands, too."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in COMMANDS.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "QUEUE_SECONDS", 0.5)
    return folder
