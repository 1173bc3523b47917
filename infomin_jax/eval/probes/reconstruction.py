"""Reconstruction of images from features by a decoder, scored by SSIM."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax.encoders.decoder import Reconstructor
from infomin_jax.eval.probes.fit import (
  ADAM,
  BATCH,
  final,
  fit,
  in_tiles,
  init_key,
)
from infomin_jax.eval.probes.protocol import IMAGES, Protocol
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
  """Returns the similarity of test images and their reconstructions.

  A `Reconstructor` is trained by squared error on images in [-1, 1].

  Args:
    train_features: `[n, d]`.
    train_images: uint8 `[n, s, s, c]`.
    test_features: `[m, d]`.
    test_images: uint8 `[m, s, s, c]`.
    epochs: of Adam.
    seed: of initial parameters and the order of the rows.
    width: number of channels of the decoder's last hidden layer (published:
      64).

  Returns:
    Means over the test images, at most 1. `ssim (published as MS-SSIM)` has one
    scale and the constants of a range of 1. `ssim` has the constants of the
    true range of 2. `ms_ssim (s scales)` has as many scales as the images
    allow.

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
  values = similarities(decoded, test_images)
  return dict(zip(names, (float(x) for x in values.mean(0)), strict=True))


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
  """Returns the three similarities of each pair of images, `[m, 3]`.

  Args:
    decoded: in [-1, 1], `[m, h, w, c]`.
    images: uint8 `[m, h, w, c]`.
  """

  @jax.jit
  def compare(pairs):
    x, y = pairs[:, 0], pairs[:, 1]
    values = (
      published_ssim(x, y),
      ssim(x, y, data_range=2.0),
      ms_ssim(x, y, data_range=2.0),
    )
    return jnp.stack(values, axis=1)

  pairs = np.stack([decoded, np.asarray(spread(images))], axis=1)
  return in_tiles(compare, pairs, tile=128)


def spread(images: jax.Array | np.ndarray) -> jax.Array:
  """Converts uint8 pixels to float32 in [-1, 1]."""
  return jnp.asarray(images, jnp.float32) / 127.5 - 1


def protocol(options) -> Protocol:
  """Returns the probe that decodes images from features."""

  def run(case):
    scores = reconstruction_scores(
      *case.with_images(),
      epochs=options.epochs,
      seed=case.seed,
      width=options.decoder_width,
    )
    return {IMAGES: scores}

  name = (
    f"reconstruction (decoder of width {options.decoder_width}, squared error, "
    f"batch {BATCH}, {ADAM}, {options.epochs} epochs)"
  )
  return Protocol(name, run, frozenset({"images"}))
