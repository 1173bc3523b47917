"""Estimates the mutual information of two arrays with a known true value.

python examples/estimate.py
"""

import numpy as np

from infomin_jax import estimate

rng = np.random.default_rng(0)
x = rng.normal(size=(2_000, 2))
y = x + rng.normal(size=(2_000, 2))  # truth: log 2 = 0.693 nats

found = estimate(x, y)
low, high = found.interval
print(f"{found.nats:.3f} nats, 95 % in {low:.3f} to {high:.3f}; truth 0.693")
for sentence in found.advice:
  print("!", sentence)
