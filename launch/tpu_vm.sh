#!/usr/bin/env bash
# One run on a Cloud TPU slice: the same command on every machine.
#
#   TPU=my-v5e-16 ZONE=us-west4-a launch/tpu_vm.sh \
#     --config configs/imagenet_infomin.py:800 --workdir /mnt/runs/imagenet
#
# Every machine needs infomin-jax[tpu] and the configs in its home folder, and
# must mount the same workdir and data set (gcsfuse or Filestore). A slice of a
# queued resource is created again after a preemption. This script waits until
# it is ready and restarts the run.
set -uo pipefail

: "${TPU:?name of the slice}" "${ZONE:?its zone}"
command=$(printf '%q ' infomin train "$@")

while true; do
  gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --worker=all \
    --command "$command"
  status=$?
  case $status in
    0 | 2) exit "$status" ;; # done, or an error of the user that would recur
  esac
  echo "status $status: restarting when $TPU is ready" >&2
  until [[ $(gcloud compute tpus tpu-vm describe "$TPU" --zone "$ZONE" \
    --format 'value(state)') == READY ]]; do
    sleep 60
  done
done
