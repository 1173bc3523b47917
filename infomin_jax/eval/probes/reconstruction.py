"""How much of an image its features keep: a decoder, scored by SSIM."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.encoders.decoder import Reconstructor
from infomin_jax.eval.probes.fit import final, fit, in_tiles, init_key
from infomin_jax.eval.probes.ssim import ms_ssim, published_ssim, scales, ssim


def reconstruction_scores(
  train_features: np.ndarray,
  train_images: np.ndarray,
  test_features: np.ndarray,
  test_images: np.ndarray,
  *,
  epochs: int,
  seed: int = 0,
  width: int = 64,
) -> dict[str, float]:
  """Similarity of test images and what a decoder makes of their features.

  `Reconstructor` is trained to the least squared error on images in [-1, 1].

  Args:
    train_features: `[n, d]`.
    train_images: uint8 `[n, s, s, c]`.
    test_features: `[m, d]`.
    test_images: uint8 `[m, s, s, c]`.
    epochs: of Adam.
    seed: of initial parameters and the order of the rows.
    width: of the decoder, its channels next to the image (published: 64).

  Returns:
    Means over the test images, at most 1: `ssim (published as MS-SSIM)`, which
    has one scale and the constants of another range; `ssim`, with its own; and
    `ms_ssim (s scales)`, as many as such images have.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019,
    table 4.
  """
  size, channels = train_images.shape[2:]
  count = scales(size)
  decoder = Reconstructor(size, channels, width)
  variables = decoder.init(
    init_key(seed), jnp.asarray(train_features[:2]), train=True
  )
  params, stats = final(
    fit(
      _squared_error(decoder),
      variables["params"],
      variables["batch_stats"],
      {"x": train_features, "images": train_images},
      epochs=epochs,
      seed=seed,
    )
  )
  variables = {"params": params, "batch_stats": stats}
  decode = jax.jit(functools.partial(decoder.apply, train=False))
  decoded = in_tiles(functools.partial(decode, variables), test_features)
  names = ("ssim (published as MS-SSIM)", "ssim", f"ms_ssim ({count} scales)")
  found = similarities(decoded, test_images)
  return dict(zip(names, (float(x) for x in found.mean(0)), strict=True))


def _squared_error(decoder):
  def loss(params, stats, rows, key):
    del key
    images, moved = decoder.apply(
      {"params": params, "batch_stats": stats},
      rows["x"],
      train=True,
      mutable=["batch_stats"],
    )
    error = jnp.mean((images - spread(rows["images"])) ** 2)
    return error, moved["batch_stats"]

  return loss


def similarities(decoded: np.ndarray, images: np.ndarray) -> np.ndarray:
  """The three similarities of each pair of images, `[m, 3]`.

  Args:
    decoded: in [-1, 1], `[m, h, w, c]`.
    images: uint8 `[m, h, w, c]`.
  """

  @jax.jit
  def compare(pairs):
    x, y = pairs[:, 0], pairs[:, 1]
    found = (
      published_ssim(x, y),
      ssim(x, y, data_range=2.0),
      ms_ssim(x, y, data_range=2.0),
    )
    return jnp.stack(found, axis=1)

  pairs = np.stack([decoded, np.asarray(spread(images))], axis=1)
  return in_tiles(compare, pairs, tile=128)


def spread(images: jax.Array | np.ndarray) -> jax.Array:
  """uint8 pixels as float32 in [-1, 1]."""
  return jnp.asarray(images, jnp.float32) / 127.5 - 1
