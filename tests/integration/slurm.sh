#!/usr/bin/env bash
# Install Slurm, and start and stop one of a single node, as root and without systemd.
#   slurm.sh install | start FOLDER CPUS | stop FOLDER
set -euo pipefail

install() {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge
}

start() {
  local folder=$1 cpus=$2
  mkdir -p "$folder/state" "$folder/spool"
  cat > "$folder/slurm.conf" <<END
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
KillWait=60
NodeName=localhost CPUs=$cpus State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
  mkdir -p /run/munge
  chown munge: /run/munge
  if ! pgrep -xo munged > /dev/null; then
    runuser -u munge -- munged
    pgrep -xo munged > "$folder/munged.pid"
  fi
  slurmctld -f "$folder/slurm.conf"
  slurmd -N localhost -f "$folder/slurm.conf"
  for _ in $(seq 100); do
    if SLURM_CONF=$folder/slurm.conf sinfo --noheader --format=%t 2> /dev/null | grep -q idle; then
      return
    fi
    sleep .2
  done
  tail "$folder"/*.log >&2
  return 1
}

stop() {
  local name pid
  for name in slurmd slurmctld munged; do
    [ -e "$1/$name.pid" ] || continue
    pid=$(cat "$1/$name.pid")
    kill "$pid" || continue
    timeout 20 tail --pid="$pid" -f /dev/null || kill -KILL "$pid"
  done
}

"$@"
