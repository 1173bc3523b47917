"""Trained encoders: those of runs, and checkpoints of other libraries.

load           the encoder of a run, without its data: `infomin_jax.load`
read           checkpoints of other libraries; no code in a file is run
pickles        the pickles in PyTorch's files
"""
