"""Trains an encoder on two views of each image, in your own training loop.

  python examples/simclr.py
  python examples/simclr.py --steps 500

Views, encoder, critic and estimator come from infomin_jax. Parameters, batch
statistics, optimizer and loop are yours. The images are digits on photographs,
made without a download.
"""

import argparse

import jax
import jax.numpy as jnp
import optax

from infomin_jax import CRITICS, ENCODERS, data, infonce, make_views

STATISTICS = "batch_stats"  # of batch normalization

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=100)
parser.add_argument("--batch", type=int, default=64)
options = parser.parse_args()

source = data.load({"name": "colorful_digits"}, "train")
views = make_views(
  {"name": "crop", "size": 32, "count": 2, "crop_scale": (0.5, 1.0)},
  source.image_shape,
)
encoder = ENCODERS["convnet"](widths=(16, 32, 64), strides=(2, 2, 2))
critic = CRITICS["inner_product"](temperature=0.2, normalize=True)
optimizer = optax.adamw(1e-3)


def loss(params, stats, key, batch):
  """Returns minus the bound in nats, and the new batch statistics."""
  features = []
  for images in views(key, batch):
    images = (images - 0.5) / 0.5  # views are in [0, 1]
    output, updated = encoder.apply(
      {"params": params, STATISTICS: stats}, images, True, mutable=[STATISTICS]
    )
    stats = updated[STATISTICS]
    features.append(output.global_)
  return -infonce(critic.apply({}, *features)), stats


@jax.jit
def step(params, stats, opt_state, key, batch):
  """Returns the updated parameters and states, and the bound in nats."""
  gradient = jax.value_and_grad(loss, has_aux=True)
  (value, stats), grads = gradient(params, stats, key, batch)
  updates, opt_state = optimizer.update(grads, opt_state, params)
  return optax.apply_updates(params, updates), stats, opt_state, -value


start = encoder.init(jax.random.key(0), jnp.zeros((2, 32, 32, 3)), True)
params, stats = start["params"], start[STATISTICS]
opt_state = optimizer.init(params)
stream = data.stream(source, seed=0, batch_size=options.batch)
for i in range(options.steps):
  batch = next(stream)
  key = jax.random.fold_in(jax.random.key(1), i)
  params, stats, opt_state, nats = step(params, stats, opt_state, key, batch)
  if (i + 1) % 10 == 0:
    most = jnp.log(options.batch)
    print(f"step {i + 1}: {nats:.2f} nats of at most {most:.2f}")
