"""Training: state, step, optimizers, devices, checkpoints, log, loop."""
