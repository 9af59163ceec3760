"""Workers as tasks of a Slurm array: with commands in place of Slurm's, and with a real one."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from engine_runs import WORKERS, assert_same_as, train, written

from basin_jax.interrupts import Interrupted
from basin_jax.results.store import Store
from basin_jax.runs.engines import slurm
from basin_jax.runs.engines.slurm import Slurm


SCRIPT = Path(__file__).parents[2] / "integration" / "slurm.sh"
# Slurm's commands as far as the engine calls them, with a folder of files as the queue. Tasks run
# here, and one that is killed runs again.
SBATCH = """
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
"""
SQUEUE = """
for task in 0 1; do
  [ -e $FAKE/$task.code ] || echo "$task RUNNING $(cat $FAKE/$task.restarts)"
done
"""
SCONTROL = """
echo "JobId=17 ExitCode=$(cat $FAKE/${4#17_}.code):0 StdOut=$FAKE/${4#17_}.log"
"""
SCANCEL = """
[ $1 != --batch ] || kill -TERM $(cat $FAKE/*.pid)
"""


@pytest.fixture
def queue(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in slurm.COMMANDS:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{globals()[name.upper()]}")
        path.chmod(0o755)
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "QUEUE_SECONDS", 0.5)
    return folder


def test_the_script_of_an_array_carries_what_workers_are_told(tmp_path):
    _, reference = written(tmp_path / "out")
    told = replace(
        reference, file=Path("my well.py"), overrides=("num_steps=9",), out="s3://mine/a"
    )
    lines = Slurm().script(told, workers=4).splitlines()
    assert lines[:6] == [
        "#!/bin/sh",
        "#SBATCH --job-name=my_well",
        "#SBATCH --array=0-3",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        "#SBATCH --signal=B:TERM@60",
    ]
    assert lines[6].endswith(
        "-m basin_jax run --seeds=7680 --lanes=8 --out=s3://mine/a --set=num_steps=9 "
        "-- 'my well.py'"
    )
    assert lines[6].startswith("exec ")


@pytest.mark.ci
def test_a_task_that_is_requeued_changes_no_bit(queue, alone, tmp_path):
    def kill_task(workers):
        subprocess.run(["kill", "-KILL", (queue / "0.pid").read_text().strip()], check=True)

    told = train(Slurm(("--partition=gpu",)), tmp_path / "out", kill_task)
    said = [line for line in told.lines if line.startswith("worker 0/2")]
    assert said == [
        "worker 0/2 waits as task 17_0",
        "worker 0/2 started",
        "worker 0/2 was stopped by Slurm, and starts again (RUNNING)",
        "worker 0/2 ended",
    ]
    assert (queue / "options").read_text() == f"--parsable --chdir={tmp_path} --partition=gpu\n"
    assert_same_as(alone, tmp_path / "out")


@pytest.mark.ci
def test_a_signal_stops_all_tasks_after_they_have_committed(queue, tmp_path):
    with pytest.raises(Interrupted):
        train(Slurm(), tmp_path / "out", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    store = Store(tmp_path / "out")
    assert [(queue / f"{task}.code").read_text() for task in (0, 1)] == ["143\n", "143\n"]
    assert store.verify() == []
    assert store.chunks()


@pytest.mark.parametrize("option", ["--array=0-9", "-a0-9", "--parsable", "--wrap=true"])
def test_options_that_the_engine_gives_are_refused(option):
    with pytest.raises(ValueError, match="; allowed: options of sbatch besides"):
        Slurm(("--time=9", option))


def test_a_host_without_slurm_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="without sbatch, squeue, scontrol, scancel"):
        Slurm().check(2)


@pytest.fixture
def real_slurm(tmp_path, monkeypatch):
    """Slurm of one node, with a core for each worker."""
    folder = tmp_path / "slurm"
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    try:
        subprocess.run([SCRIPT, "start", folder, str(WORKERS)], check=True)
        yield
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


@pytest.mark.ci
@pytest.mark.skipif(
    shutil.which("slurmctld") is None or os.geteuid() != 0,
    reason="needs Slurm, and to be root: tests/integration/slurm.sh install",
)
def test_a_task_that_is_requeued_by_slurm_changes_no_bit(real_slurm, alone, tmp_path):
    def requeue(workers):
        subprocess.run(["scontrol", "requeue", "1_0"], check=True)
        state = ["squeue", "--noheader", "--jobs=1_0", "--format=%T"]
        while subprocess.check_output(state) != b"PENDING\n":
            time.sleep(0.2)
        # Slurm would wait for two minutes.
        subprocess.run(["scontrol", "update", "JobId=1_0", "StartTime=now"], check=True)

    told = train(Slurm(("--time=10",)), tmp_path / "out", requeue)
    said = [line for line in told.lines if line.startswith("worker 0/2")]
    assert said[2].startswith("worker 0/2 was stopped by Slurm, and starts again")
    assert said[-1] == "worker 0/2 ended"
    assert_same_as(alone, tmp_path / "out")
    assert "interrupted by SIGTERM" in (tmp_path / "slurm-1_0.out").read_text()
