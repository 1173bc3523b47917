"""Of features: how far from independent they are, what they say of the image.

Both are Donsker-Varadhan values, in nats, of a network that was trained on the
training set, measured on the test set: lower bounds in the limit of many rows,
as good as the network.
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
from infomin_jax.eval.probes.fit import BATCH, final, fit, init_key
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
  """Neural dependency measure in nats: 0 for independent columns.

  The KL divergence between rows and rows whose columns were each shuffled: how
  much the features say of each other, their total correlation. Trained on the
  f-GAN bound, read as Donsker-Varadhan's. Its true value does not depend on the
  scale of a column; this estimate does, and features are taken as they are.

  Args:
    train_features: `[n, d]`.
    test_features: `[m, d]`, m at least 2.
    epochs: of Adam (published: 1000).
    seed: of initial parameters, shuffles and the order of the rows.
    batch: rows a step.

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
  joint, product = jax.jit(both)(params, test_features, jax.random.key(seed))
  partition = jax.nn.logsumexp(product) - jnp.log(len(product))
  return float(jnp.mean(joint) - partition)


class ImageCritic(nn.Module):
  """f(x, y) of images and vectors, `[b, h, w, c], [n, d] -> [b, n]`.

  Three 4x4 convolutions of stride 2 lead from the image to 256 numbers, 64
  units from the vector to 256; `Concatenated` scores every pair of them.
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
  """MINE's I(X; Y) of images and their features, in nats.

  Of the critics after each epoch the one is taken that is best on a tenth of
  the training rows, which it was not trained on. The true value of features
  that are a function of the image is infinite or the log of the number of
  images, so these numbers compare encoders and nothing else.

  Differs from the paper: all combinations of a batch are negatives, not one a
  row; the critic has no gradient penalty; the value is that of test images.

  Args:
    train_features: `[n, d]`.
    train_images: uint8 `[n, h, w, c]`.
    test_features: `[m, d]`.
    test_images: uint8 `[m, h, w, c]`.
    epochs: of Adam.
    seed: of initial parameters and the order of the rows.
    batch: rows a step.

  References:
    Belghazi et al., `MINE <https://arxiv.org/abs/1801.04062>`_, 2018; Hjelm et
    al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019, table 4; the
    critic from the authors' older code, `nets/ali.py`.
  """
  critic = ImageCritic()
  parts, loss = _dv_and_mine(critic)
  order = np.random.default_rng(seed).permutation(len(train_images))
  held, fitting = np.split(order, [max(2, len(order) // 10)])
  value = functools.partial(
    dv_in_blocks, parts, x=train_images[held], y=train_features[held]
  )
  rows = {"images": train_images[fitting], "x": train_features[fitting]}
  some = rows["images"][:batch], rows["x"][:batch]
  params = critic.init(init_key(seed), spread(some[0]), some[1])
  best, most = params, value(params)
  average = parts(params, *some)[1]
  for moved, _ in fit(
    loss, params, average, rows, epochs=epochs, seed=seed, batch=batch
  ):
    nats = value(moved)
    if nats > most:
      best, most = moved, nats
  return dv_in_blocks(parts, best, test_images, test_features)


def _dv_and_mine(critic):
  """`dv_in_blocks`'s parts, jitted, and `fit`'s loss."""

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
  """Donsker-Varadhan in nats, with one partition over all blocks of rows.

  Args:
    parts: `(params, x, y) -> (mean score of pairs, log mean exp of others)`.
    params: of the critic.
    x: `[n, ...]`.
    y: `[n, ...]`, x's partners.
    block: rows that are combined with each other; what does not fill one is
      left out.
  """
  block = min(block, len(x))
  found = [
    parts(params, x[start : start + block], y[start : start + block])
    for start in range(0, len(x) - block + 1, block)
  ]
  joint, partition = np.asarray(jax.device_get(found)).T
  return float(joint.mean() - logsumexp(partition) + np.log(len(partition)))
