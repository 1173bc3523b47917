"""Images as components, and the critic of distances."""

import jax
import numpy as np
from absl.testing import absltest, parameterized

from infomin_jax.mi.columns import columns
from infomin_jax.mi.critics import images

RNG = np.random.default_rng(0)
# Images that vary in two ways, with different strength.
WEIGHTS = RNG.normal(size=(400, 2)) * [3.0, 1.0]
PATTERNS = np.linalg.qr(RNG.normal(size=(48, 2)))[0].T
PICTURES = (WEIGHTS @ PATTERNS).reshape(400, 4, 4, 3)


def _correlation(a, b):
  """Squared multiple correlation of columns `b` with `a`, per column."""
  a, b = a - a.mean(axis=0), b - b.mean(axis=0)
  left = b - a @ np.linalg.lstsq(a, b, rcond=None)[0]
  return 1 - np.sum(left**2, axis=0) / np.sum(b**2, axis=0)


class ComponentsTest(parameterized.TestCase):
  def test_few_ways_to_vary_become_as_many_components(self):
    found = images.components(PICTURES)
    self.assertEqual(found.shape, (400, 2))
    self.assertGreater(np.min(_correlation(found, WEIGHTS)), 0.999)

  def test_small_components_are_raised_but_stay_smaller(self):
    first, second = np.std(images.components(PICTURES), axis=0)
    self.assertBetween(first / second, 1.1, 3.0)

  @parameterized.parameters(1e-25, 1.0, 1e25)
  def test_scale_of_pixels_changes_nothing(self, scale):
    np.testing.assert_allclose(
      images.components(PICTURES * scale),
      images.components(PICTURES),
      atol=1e-3,
    )

  def test_equal_images_give_a_constant(self):
    np.testing.assert_array_equal(
      images.components(np.ones((50, 4, 4))), np.zeros((50, 1))
    )

  @parameterized.parameters(
    ((40, 16, 16), 2), ((10_000, 16, 16, 3), 32), ((1000, 2, 2), 4)
  )
  def test_few_images_or_pixels_give_few_components(self, shape, count):
    self.assertEqual(images.component_count(shape), count)

  def test_columns_become_scores_and_ranks(self):
    read = images.side(columns(np.exp(5 * WEIGHTS)))["coordinates"]
    self.assertEqual(read.shape, (400, 4))
    self.assertLess(np.max(np.abs(read)), 4)


class DistancesTest(absltest.TestCase):
  def test_pairs_are_the_diagonal_of_all_combinations(self):
    x, y = images.side(PICTURES), images.side(columns(WEIGHTS))
    critic = images.Distances()
    params = critic.init(jax.random.key(0), x, y)
    scores = critic.apply(params, x, y)
    pairs = critic.apply(params, x, y, method="pairs")
    np.testing.assert_allclose(np.diagonal(scores), pairs, atol=1e-3)


if __name__ == "__main__":
  absltest.main()
