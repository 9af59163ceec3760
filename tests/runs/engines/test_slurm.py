"""Workers as tasks of a Slurm array, with commands in place of Slurm's (test_bits: a real one)."""

from dataclasses import replace
from pathlib import Path

import pytest
from engine_runs import WORKERS, written

from basin_jax.runs.engines.slurm import Slurm
from basin_jax.runs.shard import Shard


# The queue at each look, of which the first is that of an array that is told to stop.
LOOKS = ["0 RUNNING 0\n1 RUNNING 0", "0 PENDING 1\n1 COMPLETING 0", "0 RUNNING 1", "0 RUNNING 1"]
SQUEUE = """
look=$(($(cat $FAKE/look) + 1))
echo $look > $FAKE/look
cat $FAKE/look.$look 2> $FAKE/none || true
"""
SCANCEL = 'echo "$@" >> $FAKE/told'


def test_the_script_of_an_array_carries_what_workers_are_told(tmp_path):
    _, reference = written(tmp_path / "out")
    told = replace(
        reference, file=Path("my well.py"), overrides=("num_steps=9",), seeds=99, out="s3://mine/a"
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
        " -P -m basin_jax run --seeds=99 --lanes=8 --out=s3://mine/a --set=num_steps=9 "
        "-- 'my well.py'"
    )
    assert lines[6].startswith("exec ")


def test_a_task_that_is_requeued_while_the_array_stops_is_stopped_too(queue, tmp_path):
    for name, text in {"sbatch": "echo 17", "squeue": SQUEUE, "scancel": SCANCEL}.items():
        (queue / name).write_text(f"#!/bin/sh\n{text}")
    (queue / "look").write_text("0")
    for number, look in enumerate(LOOKS, 1):
        (queue / f"look.{number}").write_text(look + "\n")
    _, reference = written(tmp_path / "out")
    events = Slurm().run(reference, [Shard(index, WORKERS) for index in range(WORKERS)])
    assert str(next(events)) == "worker 0/2 waits as task 17_0"
    events.close()
    waiting, term = "--state=PENDING 17", "--batch --signal=TERM 17_"
    told = [waiting, f"{term}0", f"{term}1", waiting, waiting, f"{term}0", waiting]
    assert (queue / "told").read_text().splitlines() == told


@pytest.mark.parametrize(
    "option",
    ["--array=0-9", "-a0-9", "--parsable", "--wrap=true", "-Mb", "-M", "--clusters=b", "--clus=b"],
)
def test_options_that_would_undo_those_of_the_engine_are_refused(option):
    with pytest.raises(ValueError, match="; allowed: options of sbatch besides"):
        Slurm(("--time=9", option))


def test_other_options_are_taken():
    options = ("--account=me", "--partition=a", "--comment=--array", "-p", "a", "--mem=9")
    assert Slurm(options).options == options


def test_a_host_without_slurm_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="without sbatch, squeue, scontrol, scancel"):
        Slurm().check(2)
