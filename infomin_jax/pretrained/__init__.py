"""Encoders that are trained already.

load           the encoder of a run, without its data: `infomin_jax.load`
read           checkpoints of other libraries (pickles, as data only)
"""
