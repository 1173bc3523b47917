"""Injective maps that change samples and keep their MI.

If f and g are injective, I(f(X); g(Y)) = I(X; Y). Each function takes samples
`[n, d]` and returns new samples. The functions have no state and no units.
`tests/mi/tasks/beyond_normal_test.py` checks that each map can be inverted.

References:
  Czyz et al., `Beyond Normal: On the Evaluation of Mutual Information
  Estimators <https://arxiv.org/abs/2306.11078>`_, 2023, section 3.
"""

from collections.abc import Sequence

import numpy as np
from scipy import special


def normal_cdf(x: np.ndarray) -> np.ndarray:
  """Maps normal coordinates to uniform ones: light tails, hard edges."""
  return special.ndtr(x)


def half_cube(x: np.ndarray) -> np.ndarray:
  """Returns sign(x) |x|^(3/2) per coordinate: longer tails."""
  return x * np.sqrt(np.abs(x))


def wiggly_x(x: np.ndarray) -> np.ndarray:
  """Returns x plus sines per coordinate; its slope is never below 0.16."""
  return (
    x
    + 0.4 * np.sin(x)
    + 0.2 * np.sin(1.7 * x + 1)
    + 0.03 * np.sin(3.3 * x - 2.5)
  )


def wiggly_y(y: np.ndarray) -> np.ndarray:
  """Returns y plus other sines per coordinate; its slope is at least 0.53."""
  return (
    y
    - 0.4 * np.sin(0.4 * y)
    + 0.17 * np.sin(1.3 * y + 3.5)
    + 0.02 * np.sin(4.3 * y - 2.5)
  )


def swiss_roll(u: np.ndarray) -> np.ndarray:
  """Rolls the interval (0, 1) up in the plane: `[n, 1]` to `[n, 2]`."""
  t = 1.5 * np.pi * (1 + 2 * u)
  return np.concatenate([t * np.cos(t), t * np.sin(t)], axis=1) / 21


def spiral(
  x: np.ndarray, plane: tuple[int, int], speed: float = 1.0
) -> np.ndarray:
  """Rotates each sample by an angle that grows with its distance from 0.

  Args:
    x: samples `[n, d]`, d >= 2.
    plane: the two coordinates that are rotated.
    speed: radians per unit of |x|^2. The opposite speed inverts the map, since
      |x| stays the same.
  """
  i, j = plane
  angle = speed * np.sum(x**2, axis=1)
  cos, sin = np.cos(angle), np.sin(angle)
  turned = np.array(x, copy=True)
  turned[:, i] = cos * x[:, i] - sin * x[:, j]
  turned[:, j] = sin * x[:, i] + cos * x[:, j]
  return turned


def rotation(dim: int, seed: int) -> np.ndarray:
  """Returns an orthogonal matrix `[dim, dim]`, uniform over all (Haar).

  References:
    Mezzadri, `How to generate random matrices from the classical compact groups
    <https://arxiv.org/abs/math-ph/0609050>`_, 2007, section 5.
  """
  q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))
  return q * np.sign(np.diag(r))


def rotate(x: np.ndarray, seed: int) -> np.ndarray:
  """Mixes the coordinates by `rotation(d, seed)`."""
  return x @ rotation(x.shape[1], seed)


def mixture(
  z: np.ndarray, weights: Sequence[float], means: Sequence[float]
) -> np.ndarray:
  """Maps normal coordinates to a mixture of unit normals, by quantiles.

  Args:
    z: samples whose coordinates are standard normal.
    weights: of the components, positive, of sum 1.
    means: of the components.
  """
  # P(Z > z) where z > 0: small tails keep their digits, and 1 - p would not.
  side = np.where(z > 0, -1.0, 1.0)
  target = special.ndtr(side * z)
  low, high = z + min(means), z + max(means)  # the quantile lies between
  for _ in range(60):
    middle = (low + high) / 2
    probability = sum(
      w * special.ndtr(side * (middle - mean))
      for w, mean in zip(weights, means, strict=True)
    )
    below = side * (probability - target) < 0
    low, high = np.where(below, middle, low), np.where(below, high, middle)
  return (low + high) / 2
