"""Trains small networks on rows in memory: probes, decoders and critics."""

import collections
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import optax

# The published probes, decoders and discriminators share all of this.
BATCH = 64
RATE = 1e-4
DROPS = (50, 100)  # epochs after which the learning rate is divided by 10
ADAM = f"Adam {RATE:g}, x0.1 at {DROPS[0]} and {DROPS[1]}"


def fit(
  loss: Callable,
  params: Any,
  stats: Any,
  rows: Mapping[str, np.ndarray],
  *,
  epochs: int,
  seed: int,
  batch: int = BATCH,
  rate: float = RATE,
  drops: tuple[int, ...] = DROPS,
  sharding: jax.sharding.Sharding | None = None,
) -> Iterator[tuple[Any, Any]]:
  """Minimizes a loss by Adam; yields `(params, stats)` after each epoch.

  Each epoch has a new order of the rows. A last batch that is not full is
  dropped. Several networks are trained at once if `params` have one more axis
  and the loss is the sum of theirs. Adam is elementwise, so each network then
  moves as if it were trained alone.

  Args:
    loss: `(params, stats, batch, key) -> (scalar, new stats)`.
    params: parameters to train.
    stats: other state, such as batch statistics or averages.
    rows: arrays `[n, ...]` by name, in host memory.
    epochs: number of passes over the rows.
    seed: of the orders and the keys; `init_key` uses a key of its own.
    batch: rows per step; all rows, if there are fewer.
    rate: the first learning rate.
    drops: epochs after which the rate is divided by 10.
    sharding: of the batches; None for the default device.

  References:
    Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019;
    b1 = 0.5 is the default of the authors' framework.
  """
  count = len(next(iter(rows.values())))
  batch = min(batch, count)
  steps = count // batch
  rates = optax.piecewise_constant_schedule(
    rate, {epoch * steps: 0.1 for epoch in drops}
  )
  tx = optax.adam(rates, b1=0.5)

  step = _make_step(loss, tx)
  numbers = np.array([seed, 0], np.uint32)
  state = (params, stats, tx.init(params))
  rng = np.random.default_rng(seed)
  for epoch in range(epochs):
    order = rng.permutation(count)[: steps * batch].reshape(steps, batch)
    for i, index in enumerate(order):
      some = {name: x[index] for name, x in rows.items()}
      if sharding is not None:
        some = jax.device_put(some, sharding)
      numbers[1] = 1 + epoch * steps + i
      state = step(state, some, numbers.copy())
    yield state[:2]


def _make_step(loss, tx):
  """Returns a jitted step of Adam; its `numbers` are the seed and the step."""

  # One step per call, and no scan over steps: on a CPU, XLA runs convolutions
  # in a scan 40 times slower.
  @jax.jit
  def step(state, rows, numbers):
    params, stats, opt_state = state
    key = jax.random.fold_in(jax.random.key(numbers[0]), numbers[1])
    (_, stats), grads = jax.value_and_grad(loss, has_aux=True)(
      params, stats, rows, key
    )
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), stats, opt_state

  return step


def init_key(seed: int) -> jax.Array:
  """Returns the key of initial parameters, which no step of `fit` uses."""
  return jax.random.fold_in(jax.random.key(seed), 0)


def final(fitted: Iterator) -> tuple[Any, Any]:
  """Returns the last `(params, stats)` of `fit`."""
  (last,) = collections.deque(fitted, maxlen=1)
  return last


def last_tenth(fitted: Iterator, epochs: int) -> Iterator:
  """Yields `(params, stats)` of the last tenth of the epochs, at least one.

  Published accuracies are means over the last 100 of 1000 epochs.
  """
  return itertools.islice(fitted, epochs - max(1, epochs // 10), None)


def in_tiles(fn: Callable, rows: np.ndarray, tile: int = 512) -> np.ndarray:
  """Returns `fn(rows)`, computed in tiles: `[n, ...] -> [n, ...]`.

  Args:
    fn: function of each row alone, `[tile, ...] -> [tile, ...]`.
    rows: `[n, ...]`, in host memory.
    tile: rows per call. The last tile is padded, so that one program is
      compiled.
  """
  tile = min(tile, len(rows))
  tiles = []
  for start in range(0, len(rows), tile):
    part = rows[start : start + tile]
    full = np.zeros((tile, *part.shape[1:]), part.dtype)
    full[: len(part)] = part
    tiles.append(np.asarray(fn(full))[: len(part)])
  return np.concatenate(tiles)
