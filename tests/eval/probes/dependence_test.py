"""NDM and MINE where the truth is known."""

import numpy as np
import pytest
from scipy.special import logsumexp

from infomin_jax.eval.probes.dependence import (
  dv_in_blocks,
  image_information,
  ndm,
)

pytestmark = pytest.mark.usefixtures("optimized")


def pair(rho, count, seed):
  x, noise = np.random.default_rng(seed).normal(size=(2, count))
  y = rho * x + np.sqrt(1 - rho**2) * noise
  return np.stack([x, y], 1).astype(np.float32)


def measured(rho):
  return ndm(pair(rho, 6000, 0), pair(rho, 3000, 1), epochs=9, batch=100)


@pytest.mark.slow
def test_independent_columns_have_no_ndm():
  assert measured(0.0) == pytest.approx(0, abs=0.03)


@pytest.mark.slow
def test_ndm_approaches_the_total_correlation():
  truth = -0.5 * np.log(1 - 0.9**2)  # 0.83 nats
  assert 0.8 * truth < measured(0.9) < truth + 0.03


def test_ndm_sees_copies():
  x = np.random.default_rng(0).normal(size=(4000, 1)).astype(np.float32)
  copies = np.tile(x, (1, 3))
  # Without a limit: the copies lie on a line.
  assert ndm(copies[:3000], copies[3000:], epochs=8, batch=200) > 1.5


def test_ndm_sees_what_correlation_does_not():
  # The third column is the sign of the first two: any two are independent.
  signs = np.random.default_rng(0).choice([-1, 1], (6000, 2))
  x = np.concatenate([signs, signs.prod(1, keepdims=True)], 1)
  x = x.astype(np.float32)
  found = ndm(x[:4000], x[4000:], epochs=10, batch=200)
  assert found == pytest.approx(np.log(2), abs=0.1)


def test_partitions_of_blocks_are_pooled():
  scores = np.random.default_rng(0).normal(size=(3, 4, 4))

  def parts(params, x, y):
    del params
    block = scores[x[0] // 4]
    others = block[~np.eye(4, dtype=bool)]
    np.testing.assert_array_equal(x, y)
    return np.diagonal(block).mean(), logsumexp(others) - np.log(12)

  rows = np.arange(14)  # two rows are left out
  got = dv_in_blocks(parts, None, rows, rows, block=4)
  pairs = np.diagonal(scores, axis1=1, axis2=2)
  others = scores[:, ~np.eye(4, dtype=bool)]
  want = pairs.mean() - logsumexp(others) + np.log(others.size)
  assert got == pytest.approx(want)


def bright_or_dark(count, flipped, seed):
  """Noisy images and one number, the sign of their brightness, often wrong."""
  rng = np.random.default_rng(seed)
  sign = rng.choice([-1, 1], count)
  images = (
    128 + 60 * sign[:, None, None, None] + rng.normal(0, 9, (count, 8, 8, 1))
  )
  told = np.where(rng.random(count) < flipped, -sign, sign)
  return told[:, None].astype(np.float32), images.astype(np.uint8)


@pytest.mark.parametrize("flipped", [0.05, 0.5])
@pytest.mark.slow
def test_mine_finds_the_information_of_a_noisy_bit(flipped):
  p = np.array([flipped, 1 - flipped])
  truth = np.log(2) + (p * np.log(p)).sum()  # 0.49 nats, 0 nats
  found = image_information(
    *bright_or_dark(1500, flipped, 0),
    *bright_or_dark(1000, flipped, 1),
    epochs=3,
    batch=32,
  )
  assert found == pytest.approx(truth, abs=0.06)
