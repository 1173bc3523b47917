"""Training small networks on rows in memory: probes, decoders, critics."""

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
DROPS = (50, 100)  # epochs after which the rate is a tenth of what it was
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

  Rows come in a new order each epoch, without the last batch if it is not full.
  Networks that are to be trained side by side have one more axis in `params`
  and a loss that is their sum: Adam then moves each as if it were alone.

  Args:
    loss: `(params, stats, batch, key) -> (scalar, new stats)`.
    params: what is trained.
    stats: what else changes: batch statistics, averages.
    rows: arrays `[n, ...]` by name, in host memory.
    epochs: how often all rows are seen.
    seed: of the orders and of the keys; `init_key` is apart from both.
    batch: rows a step; all, if there are fewer.
    rate: the first learning rate.
    drops: epochs after which it is a tenth.
    sharding: where batches go; None is the default device.

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
  """One step of Adam, jitted; `numbers` are the seed and the step.

  A step at a time, since XLA on a CPU is 40 times slower at convolutions in a
  scan.
  """

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
  """The key of initial parameters, which no step of `fit` uses."""
  return jax.random.fold_in(jax.random.key(seed), 0)


def final(fitted: Iterator) -> tuple[Any, Any]:
  """The last that `fit` gives."""
  (last,) = collections.deque(fitted, maxlen=1)
  return last


def last_tenth(fitted: Iterator, epochs: int) -> Iterator:
  """Returns what `fit` gives in its last tenth, at least once.

  Published accuracies are means over the last 100 of 1000 epochs.
  """
  return itertools.islice(fitted, epochs - max(1, epochs // 10), None)


def in_tiles(fn: Callable, rows: np.ndarray, tile: int = 512) -> np.ndarray:
  """`fn(rows)`, some rows at a time: `[n, ...] -> [n, ...]`.

  Args:
    fn: treats each row alone, `[tile, ...] -> [tile, ...]`.
    rows: `[n, ...]`, in host memory.
    tile: rows at once; the last tile is filled up, so there is one compilation.
  """
  tile = min(tile, len(rows))
  found = []
  for start in range(0, len(rows), tile):
    part = rows[start : start + tile]
    full = np.zeros((tile, *part.shape[1:]), part.dtype)
    full[: len(part)] = part
    found.append(np.asarray(fn(full))[: len(part)])
  return np.concatenate(found)
