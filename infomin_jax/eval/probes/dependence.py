"""Dependence among features (NDM) and with the image (MINE).

Both are Donsker-Varadhan values, in nats. A network is trained on the training
set, and the value is that of test rows. In the limit of many rows it is a lower
bound, as tight as the network allows.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from infomin_jax.critics import Concatenated, Head
from infomin_jax.encoders.convnet import Output, torch_uniform
from infomin_jax.estimators import mine
from infomin_jax.estimators.divergences import exp
from infomin_jax.estimators.scores import (
  log_mean_exp,
  mean_positives,
  positives,
)
from infomin_jax.eval.probes.fit import ADAM, BATCH, RATE, final, fit, init_key
from infomin_jax.eval.probes.protocol import IMAGES, Protocol
from infomin_jax.eval.probes.reconstruction import spread

NDM_WIDTHS = (1000, 200, 1)
NDM_BATCH = 10_000
NDM_DROPS = (500, 750)
BLOCK = 128  # test rows whose images and features are all combined


def ndm(
  train_features: np.ndarray,
  test_features: np.ndarray,
  *,
  epochs: int,
  seed: int = 0,
  batch: int = NDM_BATCH,
) -> float:
  """Neural dependency measure in nats; 0 for independent columns.

  It is the total correlation of the columns: the KL divergence between rows
  and rows whose columns were shuffled separately. The discriminator is trained
  on the f-GAN bound and evaluated by the Donsker-Varadhan bound. The true value
  does not depend on the scale of a column, but this estimate does. Features are
  not scaled.

  Args:
    train_features: `[n, d]`.
    test_features: `[m, d]`, m at least 2.
    epochs: of Adam (published: 1000).
    seed: of initial parameters, shuffles and the order of the rows.
    batch: rows per step.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    table 4; widths, batch and schedule from the authors' code,
    `evaluation_models/ndm_eval.py`.
  """
  discriminator = Head(NDM_WIDTHS)

  def both(params, x, key):
    shuffled = jax.random.permutation(key, x, axis=0, independent=True)
    joint: Any = discriminator.apply(params, x)  # [b, 1]
    product: Any = discriminator.apply(params, shuffled)
    return joint[:, 0], product[:, 0]

  def loss(params, stats, rows, key):
    joint, product = both(params, rows["x"], key)
    # Minus the f-GAN bound of a KL divergence, whose convex conjugate is
    # exp(t - 1).
    return jnp.mean(exp(product - 1)) - jnp.mean(joint), stats

  params = discriminator.init(init_key(seed), jnp.asarray(train_features[:2]))
  params, _ = final(
    fit(
      loss,
      params,
      {},
      {"x": train_features},
      epochs=epochs,
      seed=seed,
      batch=batch,
      drops=NDM_DROPS,
    )
  )
  # For the same network, Donsker-Varadhan's value is never below f-GAN's.
  joint, product = jax.jit(both)(params, test_features, jax.random.key(seed))
  partition = jax.nn.logsumexp(product) - jnp.log(len(product))
  return float(jnp.mean(joint) - partition)


class ImageCritic(nn.Module):
  """Critic f(x, y) of images and vectors, `[b, h, w, c], [n, d] -> [b, n]`.

  Three 4x4 convolutions of stride 2 and a linear layer map an image to 256
  numbers. A layer of 64 units and a linear layer map a vector to 256 numbers.
  `Concatenated` scores every pair.
  """

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
    for width in (64, 128, 256):
      x = nn.Conv(width, (4, 4), 2, padding=1, kernel_init=torch_uniform)(x)
      x = nn.relu(x)
    x = nn.relu(Output(256)(x.reshape(len(x), -1)))
    y = nn.relu(Output(256)(nn.relu(Output(64)(y))))
    return Concatenated((512, 128))(x, y)


def image_information(
  train_features: np.ndarray,
  train_images: np.ndarray,
  test_features: np.ndarray,
  test_images: np.ndarray,
  *,
  epochs: int,
  seed: int = 0,
  batch: int = BATCH,
) -> float:
  """MINE estimate of I(X; Y) between images and their features, in nats.

  The critic is chosen among those after each epoch, by its value on a tenth of
  the training rows that is not trained on. Features that are a function of the
  image have infinite information, or the log of the number of images. So use
  these values only to compare encoders.

  Differs from the paper: all other pairs of a batch are negatives, not one per
  row. The critic has no gradient penalty. The value is that of test images.

  Args:
    train_features: `[n, d]`.
    train_images: uint8 `[n, h, w, c]`.
    test_features: `[m, d]`.
    test_images: uint8 `[m, h, w, c]`.
    epochs: of Adam.
    seed: of initial parameters and the order of the rows.
    batch: rows per step.

  References:
    Belghazi et al., `MINE <https://arxiv.org/abs/1801.04062>`_, 2018; Hjelm et
    al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019, table 4; the
    critic from the authors' older code, `nets/ali.py`.
  """
  critic = ImageCritic()
  parts, loss = _dv_and_mine(critic)
  order = np.random.default_rng(seed).permutation(len(train_images))
  # At least two rows, since one alone has no negative.
  selecting, fitting = np.split(order, [max(2, len(order) // 10)])
  value = functools.partial(
    dv_in_blocks, parts, x=train_images[selecting], y=train_features[selecting]
  )
  rows = {"images": train_images[fitting], "x": train_features[fitting]}
  some = rows["images"][:batch], rows["x"][:batch]
  params = critic.init(init_key(seed), spread(some[0]), some[1])
  best, most = params, value(params)
  # An array from the start: with None first, the jitted step would be compiled
  # twice.
  average = parts(params, *some)[1]
  for moved, _ in fit(
    loss, params, average, rows, epochs=epochs, seed=seed, batch=batch
  ):
    nats = value(moved)
    if nats > most:
      best, most = moved, nats
  return dv_in_blocks(parts, best, test_images, test_features)


def _dv_and_mine(critic):
  """Returns jitted `parts` for `dv_in_blocks`, and a loss for `fit`."""

  def score(params, images, x) -> Any:
    return critic.apply(params, spread(images), x)

  @jax.jit
  def parts(params, images, x):
    scores = score(params, images, x)
    return mean_positives(positives(scores)), log_mean_exp(scores)

  def loss(params, stats, rows, key):
    del key
    nats, average = mine(score(params, rows["images"], rows["x"]), stats)
    return -nats, average

  return parts, loss


def dv_in_blocks(
  parts: Callable, params, x: np.ndarray, y: np.ndarray, block: int = BLOCK
) -> float:
  """Donsker-Varadhan value in nats, with one partition over all blocks.

  Args:
    parts: `(params, x, y) -> (mean score of pairs, log mean exp of others)`.
    params: of the critic.
    x: `[n, ...]`.
    y: `[n, ...]`, the partners of x.
    block: number of rows combined with each other; rows that do not fill a
      block are left out.
  """
  block = min(block, len(x))
  values = [
    parts(params, x[start : start + block], y[start : start + block])
    for start in range(0, len(x) - block + 1, block)
  ]
  # One transfer, after all blocks are dispatched.
  joint, partition = np.asarray(jax.device_get(values)).T
  # All blocks have as many pairs, so the mean over blocks is that over pairs.
  return float(joint.mean() - logsumexp(partition) + np.log(len(partition)))


def mine_protocol(options) -> Protocol:
  """Returns the probe of the information between features and images."""

  def run(case):
    nats = image_information(
      *case.with_images(), epochs=options.epochs, seed=case.seed
    )
    return {IMAGES: {"I(X; Y), nats": nats}}

  name = (
    f"mine (batch {BATCH}, {ADAM}, best of {options.epochs} epochs by "
    "training images left out)"
  )
  return Protocol(name, run, frozenset({"images"}))


def ndm_protocol(options) -> Protocol:
  """Returns the probe of the dependence among the features (NDM)."""

  def run(case):
    nats = ndm(case.train.x, case.test.x, epochs=options.epochs, seed=case.seed)
    return {IMAGES: {"NDM, nats": nats}}

  drops = " and ".join(map(str, NDM_DROPS))
  name = (
    f"ndm (1000-200-1, batch {NDM_BATCH}, Adam {RATE:g}, x0.1 at "
    f"{drops}, {options.epochs} epochs)"
  )
  return Protocol(name, run, frozenset())
