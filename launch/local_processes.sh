#!/usr/bin/env bash
# One run as several processes on this machine; started again if one is lost.
#
#   PROCESSES=4 RESTARTS=3 launch/local_processes.sh \
#     --config configs/fashion_mnist.py --workdir runs/fm
#
# With GPUs give each its own: JAX_LOCAL_DEVICE_IDS is the process's number if
# GPUS=1. Every line of every process comes to this terminal; only process 0
# reports. TERM and INT save the run and end it.
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

# Waits for a process, also when a signal interrupts the waiting.
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
    # 2 is a mistake, which starting again does not mend.
    ((worst == 2 || code == 0)) || worst=$code
  done
  if ((worst == 0 || worst == 2)) || [[ -n $stopping ]]; then
    exit "$worst"
  fi
  if ((try >= restarts)); then
    echo "lost $((try + 1)) times, the last with status $worst" >&2
    exit "$worst"
  fi
  echo "a process ended with status $worst: starting all again" >&2
done
