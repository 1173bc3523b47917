#!/usr/bin/env bash
# One run as several processes on this machine. If one ends, all restart.
#
#   PROCESSES=4 RESTARTS=3 launch/local_processes.sh \
#     --config configs/fashion_mnist.py --workdir runs/fm
#
# GPUS=1 gives each process its own GPU: JAX_LOCAL_DEVICE_IDS becomes the number
# of the process. All processes print to this terminal, but only process 0
# reports progress. SIGTERM and SIGINT save the run and end it.
set -uo pipefail

processes=${PROCESSES:-2}
restarts=${RESTARTS:-3}
pids=()
stopping=""

stop() {
  stopping=yes
  kill -TERM "${pids[@]}" 2>/dev/null
}
trap stop TERM INT

# Waits for a process. A trapped signal interrupts `wait`, hence the loop.
status_of() {
  local code
  while true; do
    wait "$1"
    code=$?
    kill -0 "$1" 2>/dev/null || return "$code"
  done
}

for ((try = 0; ; try++)); do
  export JAX_NUM_PROCESSES=$processes
  export JAX_COORDINATOR_ADDRESS=127.0.0.1:$((20000 + RANDOM % 12000))
  pids=()
  for ((i = 0; i < processes; i++)); do
    [[ -n ${GPUS:-} ]] && export JAX_LOCAL_DEVICE_IDS=$i
    JAX_PROCESS_ID=$i infomin train "$@" &
    pids+=($!)
  done
  worst=0
  for pid in "${pids[@]}"; do
    status_of "$pid"
    code=$?
    # 2 is an error of the user: a restart would fail in the same way.
    ((worst == 2 || code == 0)) || worst=$code
  done
  if ((worst == 0 || worst == 2)) || [[ -n $stopping ]]; then
    exit "$worst"
  fi
  if ((try >= restarts)); then
    echo "failed $((try + 1)) times, the last time with status $worst" >&2
    exit "$worst"
  fi
  echo "a process ended with status $worst: starting all again" >&2
done
