#!/usr/bin/env bash
# One run on a Cloud TPU slice: the same command on every machine of it.
#
#   TPU=my-v5e-16 ZONE=us-west4-a launch/tpu_vm.sh \
#     --config configs/imagenet_infomin.py:800 --workdir /mnt/runs/imagenet
#
# Every machine has infomin-jax[tpu] and the configs in its home folder, and
# mounts the same workdir and data set (gcsfuse, or a Filestore). Where the
# slice is made by a queued resource it comes back by itself when it was
# preempted; this script waits for it and starts the run again.
set -uo pipefail

: "${TPU:?name of the slice}" "${ZONE:?its zone}"
command=$(printf '%q ' infomin train "$@")

while true; do
  gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --worker=all \
    --command "$command"
  status=$?
  case $status in
    0 | 2) exit "$status" ;; # done, or a mistake that a rerun does not mend
  esac
  echo "status $status: again when $TPU is ready" >&2
  until [[ $(gcloud compute tpus tpu-vm describe "$TPU" --zone "$ZONE" \
    --format 'value(state)') == READY ]]; do
    sleep 60
  done
done
