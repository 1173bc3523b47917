"""Images as vectors of principal components, and a critic for them.

The components of one side depend on that side alone, so they favor no
dependence. On a CPU, networks on 32 components train in a second, and a convnet
on pixels takes a minute. Images that vary in few ways, such as a shape at a
random place, lie on a surface of few dimensions. Critics that measure a
distance between two embeddings find coordinates of such surfaces.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.decomposition import PCA

from infomin_jax.critics import inner
from infomin_jax.mi.columns import Columns

Side = dict[str, Any]  # of arrays
# Most components of a side, and pairs that are needed for each of them.
_MOST, _PAIRS = 32, 16
# Images that the components are fitted to; the others are projected.
_ROWS = 20_000
# Components are divided by this power of their deviation. With 0 a network
# misses small components, with 1 it fits their details.
_POWER = 0.25
# Mean squared length of a row that networks read.
_LENGTH = 12.0
# Deviation, as a share of the first one, below which a component is rounding
# error.
_ROUNDING = 1e-5
# Most columns of a side with which ranks are inputs too: edges of a support are
# sharp in ranks.
_FEW = 4


def component_count(shape: tuple[int, ...]) -> int:
  """Returns how many components to take of images of this shape.

  Args:
    shape: `(n, h, w)` or `(n, h, w, c)`.

  Returns:
    32, or fewer where there are few images or pixels; at least 1.
  """
  pixels = int(np.prod(shape[1:]))
  return max(min(_MOST, shape[0] // _PAIRS, pixels), 1)


def components(images: np.ndarray, count: int | None = None) -> np.ndarray:
  """Returns the first principal components of images, scaled for a network.

  Args:
    images: `[n, h, w]` or `[n, h, w, c]`, n >= 2.
    count: number of components; by default `component_count`.

  Returns:
    `[n, count]` float32: the components that vary, at least one. Each is
    divided by a small power of its deviation. All are divided by one number, so
    that the mean squared length of a row is 12.
  """
  count = count or component_count(images.shape)
  flat = images.reshape(len(images), -1).astype(np.float32)
  # Huge or tiny values would leave the range of float32 when squared.
  flat = flat - np.mean(flat, axis=0, dtype=np.float64).astype(np.float32)
  largest = np.max(np.abs(flat))
  if not largest > 0:
    return np.zeros((len(flat), 1), np.float32)
  flat = flat / largest
  rows = np.random.default_rng(0).permutation(len(flat))[:_ROWS]
  count = min(count, *flat[rows].shape)
  pca = PCA(count, svd_solver="randomized", random_state=0).fit(flat[rows])
  z = pca.transform(flat).astype(np.float64)
  spread = np.std(z, axis=0)
  varies = spread > _ROUNDING * spread[0]
  z, spread = z[:, varies], spread[varies]
  z = z / (spread / spread[0]) ** _POWER
  length = np.sqrt(np.mean(np.sum(z**2, axis=1)))
  return (z * (np.sqrt(_LENGTH) / length)).astype(np.float32)


def side(values: np.ndarray | Columns) -> Side:
  """Returns the inputs of one side for all rows, from images or columns.

  A network reads the normal scores of columns. Of few columns it also reads
  scaled ranks.
  """
  if not isinstance(values, Columns):
    return {"coordinates": components(values)}
  inputs = [values.scores]
  if values.ranks.shape[1] <= _FEW:
    inputs.append(3 * (2 * values.ranks - 1))
  return {"coordinates": np.concatenate(inputs, axis=1).astype(np.float32)}


class Distances(nn.Module):
  """Scores pairs by the distance between two embeddings.

  `-|g(x) - h(y)|^2 / 2 + a(x) + b(y)`: any number of pairs costs one matmul. It
  can represent what an inner product can, since the squared lengths are
  functions of one side. It fits better where x and y share many nats: 6.7 of 7
  nats for images of blobs, where the inner product gives 5.7 to 6.1.

  Attributes:
    rank: size of the embeddings g and h.
    hidden: width of the two hidden layers.
  """

  rank: int = 8
  hidden: int = 64

  def setup(self):
    self.g = _Embedding(self.hidden, self.rank + 1)
    self.h = _Embedding(self.hidden, self.rank + 1)

  def __call__(self, x: Side, y: Side) -> jax.Array:
    """Scores of all pairs, `[b, n]`."""
    g, ax = self._halves(self.g, x)
    h, by = self._halves(self.h, y)
    # The square is multiplied out: one matmul gives all distances.
    ax = ax - 0.5 * jnp.sum(g**2, axis=-1)
    by = by - 0.5 * jnp.sum(h**2, axis=-1)
    return inner(g, h) + ax[:, None] + by[None]

  def pairs(self, x: Side, y: Side) -> jax.Array:
    """Scores of row i with row i, `[b]`."""
    g, ax = self._halves(self.g, x)
    h, by = self._halves(self.h, y)
    # Differences here: products of near embeddings nearly cancel.
    return ax + by - 0.5 * jnp.sum((g - h) ** 2, axis=-1)

  def _halves(self, embed, one):
    out = embed(one["coordinates"])
    return out[:, :-1], out[:, -1]


class _Embedding(nn.Module):
  """An MLP with output `[n, width]`."""

  hidden: int
  width: int

  @nn.compact
  def __call__(self, h: jax.Array) -> jax.Array:
    for _ in range(2):
      h = nn.gelu(nn.Dense(self.hidden)(h))
    return nn.Dense(self.width)(h)
