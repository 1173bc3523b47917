"""Images of one data set, split into their top and bottom halves."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from infomin_jax import data
from infomin_jax.data.order import Order
from infomin_jax.errors import UserError
from infomin_jax.views.splits import halves

# Added to the seed of an order, so that it differs from all training orders.
_FRESH = 10_000


@dataclasses.dataclass(frozen=True)
class Images:
  """One data set in memory.

  Attributes:
    name: name of the data set.
    train: training images, uint8 `[n, h, w, c]`.
    train_labels: classes `[n]`.
    test: test images, uint8 `[m, h, w, c]`.
    test_labels: classes `[m]`.
  """

  name: str
  train: np.ndarray
  train_labels: np.ndarray
  test: np.ndarray
  test_labels: np.ndarray

  @property
  def view(self) -> tuple[int, int, int]:
    """Returns the shape of a view, `(h / 2, w, c)`."""
    h, w, c = self.train.shape[1:]
    return h // 2, w, c

  def split(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns top and bottom halves in [0, 1], `[b, h / 2, w, c]` each."""
    shape = self.train.shape[1:]
    return halves(shape, shape[0])(None, {"image": images})


def load(name: str, data_dir: str = "") -> Images:
  """Reads a data set into memory.

  Raises:
    UserError: the data set is missing, unlabeled or too large.
  """
  parts = {}
  for split in ("train", "test"):
    source = data.load({"name": name, "data_dir": data_dir}, split)
    fields = data.resident(source)
    if fields is None or "label" not in fields:
      raise UserError(
        f"{name}: the study needs labeled images of one size that fit into "
        "memory."
      )
    parts[split] = fields
  train, test = parts["train"], parts["test"]
  return Images(
    name, train["image"], train["label"], test["image"], test["label"]
  )


def training_rows(
  count: int, batch_size: int, seed: int, first: int, stop: int
) -> np.ndarray:
  """Returns the rows of steps `first` to `stop - 1`, int32 `[steps, b]`."""
  order = Order(count, seed, batch_size)
  return np.stack([order(step)[1] for step in range(first, stop)])


def fresh_rows(
  count: int, batch_size: int, seed: int, step: int, batches: int
) -> np.ndarray:
  """Returns rows of training batches in an order that training does not use.

  Args:
    count: number of training images.
    batch_size: images per batch.
    seed: seed of the run.
    step: step of the evaluation.
    batches: number of batches.
  """
  epoch_steps = count // batch_size
  start = step % max(epoch_steps - batches, 1)
  return training_rows(count, batch_size, _FRESH + seed, start, start + batches)


def test_rows(count: int, batch_size: int, batches: int) -> np.ndarray:
  """Returns rows of test batches in order, without an incomplete last one."""
  batches = min(batches, count // batch_size)
  return np.arange(batches * batch_size, dtype=np.int32).reshape(
    batches, batch_size
  )


def noisy(key: jax.Array, x: jax.Array, *others: jax.Array, sd: float):
  """Adds the same Gaussian noise to all views of an image.

  Shared noise is information that the views share, and it gives the data full
  support. Independent noise would do neither (footnote 8 of the paper).
  """
  noise = sd * jax.random.normal(key, x.shape, jnp.float32)
  return tuple(view + noise for view in (x, *others))
