"""Linear classifiers as in published ImageNet tables: SGD, augmented images."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from infomin_jax.encoders.convnet import Output
from infomin_jax.eval.probes.fit import in_tiles, init_key
from infomin_jax.eval.probes.protocol import (
  Augmented,
  Protocol,
  check_classes,
  found_or_noted,
)
from infomin_jax.eval.probes.shares import Value, known, shares
from infomin_jax.objectives.targets import labeled_cross_entropy

RATE = 30.0  # for a batch of 256; proportional to the batch size
MOMENTUM = 0.9
TOP = 5


@dataclasses.dataclass(frozen=True)
class Recipe:
  """Settings of a linear classifier's training; the published ones by default.

  Attributes:
    views: options of `make_views` for each training image.
    at: fractions of the epochs after which the rate drops.
    factor: factor of the rate at each drop.
    cosine: whether the rate falls to the same last rate along half a cosine
      instead.

  References:
    Tian et al., `What Makes for Good Views
    <https://arxiv.org/abs/2005.10243>`_, 2020; numbers from the authors' code
    (60 epochs). He et al., `Momentum Contrast
    <https://arxiv.org/abs/1911.05722>`_, 2020 (100 epochs), for `MOCO`.
  """

  views: Mapping[str, Any] = dataclasses.field(
    default_factory=lambda: {"name": "crop", "crop_scale": (0.2, 1.0)}
  )
  at: tuple[float, ...] = (1 / 2, 2 / 3, 5 / 6)
  factor: float = 0.2
  cosine: bool = False

  def rates(self, rate: float, epochs: int) -> np.ndarray:
    """Returns the learning rate of each epoch, `[epochs]`, from the first."""
    epoch = np.arange(epochs)
    if self.cosine:
      # `+ 1`, since the authors count epochs from 1.
      low = rate * self.factor ** len(self.at)
      share = (1 + np.cos(np.pi * (epoch + 1) / epochs)) / 2
      return low + (rate - low) * share
    drops = [np.greater_equal(epoch, round(s * epochs)) for s in self.at]
    return rate * self.factor ** np.sum(drops, axis=0)


RANDAUGMENT = {"name": "randaugment", "crop_scale": (0.2, 1.0)}
MOCO = {"name": "crop", "crop_scale": (0.08, 1.0)}

# Differs from the paper: MoCo's classifier is initialized from N(0, 0.01), ours
# as PyTorch does by default.
RECIPES = {
  "imagenet_linear": Recipe(),
  "imagenet_linear_cosine": Recipe(cosine=True),
  "imagenet_linear_moco": Recipe(MOCO, at=(0.6, 0.8), factor=0.1),
  "imagenet_linear_randaugment": Recipe(RANDAUGMENT),
}


def protocol(name: str, options) -> Protocol:
  """Returns the protocol of one of `RECIPES`.

  Args:
    name: name of the recipe.
    options: `config.evaluate`, for batch size, epochs and number of images.
  """
  recipe, batch, epochs = RECIPES[name], options.batch_size, options.epochs
  rates = recipe.rates(RATE * batch / 256, epochs)

  def run(case):
    if case.augmented is None:
      return {}
    ready, notes = case.possible(case.classes, reads_train=False)
    if not ready:
      return notes
    results = top_accuracies(
      case.augmented(recipe.views, epochs),
      case.test.x,
      case.test.labels,
      classes={task: case.classes[task] for task in ready},
      rates=rates,
      seed=case.seed,
    )
    return results | notes

  after = ", ".join(str(round(share * epochs)) for share in recipe.at)
  fall = f"x{recipe.factor:g} after {after}"
  if recipe.cosine:
    fall = f"cosine by epoch to {rates[-1]:g}"
  crop, (low, high) = recipe.views["name"], recipe.views["crop_scale"]
  words = (
    f"{name} (SGD {RATE:g} x batch/256, momentum {MOMENTUM:g}, batch {batch}, "
    f"{epochs} epochs, {fall}; {crop} {low:g} to {high:g}, flip; "
    f"{options.train_examples or 'all'} images)"
  )
  return Protocol(words, run, views=recipe.views)


def top_accuracies(
  batches: Iterable[Augmented],
  test_features: np.ndarray,
  test_labels: Mapping[str, np.ndarray],
  *,
  classes: Mapping[str, int],
  rates: np.ndarray,
  seed: int = 0,
) -> dict[str, dict[str, Value]]:
  """Returns test `shares` of linear classifiers of all tasks.

  Args:
    batches: training features, augmented again every epoch. Negative labels are
      unknown and ignored.
    test_features: `[m, d]`.
    test_labels: of each task, `[m]`; negative labels are unknown and ignored.
    classes: number of classes of each task.
    rates: learning rate of each epoch.
    seed: of the initial weights.

  Returns:
    `shares` of each task. With more than 5 classes there is also `accuracy, top
    5`, how often the true class is among the 5 likeliest.
  """
  epoch_labels: dict[str, list] = {task: [] for task in classes}
  heads = fit_heads(
    _with_recorded_labels(batches, epoch_labels),
    test_features.shape[1],
    classes=classes,
    rates=rates,
    seed=seed,
  )

  def measure(task):
    y = np.concatenate(epoch_labels[task])
    y, rows = y[known(y)], known(test_labels[task])
    test_y, count = test_labels[task][rows], classes[task]
    check_classes(y, test_y)
    guess = functools.partial(_likeliest, Output(count), heads[task])
    likeliest = in_tiles(guess, test_features)[rows]
    scores = shares(test_y, likeliest[:, 0], y)
    if count > TOP:
      hits = likeliest == test_y[:, None]
      scores[f"accuracy, top {TOP}"] = float(hits.any(axis=1).mean())
    return scores

  results, notes = found_or_noted(classes, measure, "accuracy")
  return results | notes


def _with_recorded_labels(batches, seen):
  """Yields the batches; appends the labels of the first epoch to `seen`."""
  for batch in batches:
    if batch.epoch == 0:
      for task, labels in seen.items():
        labels.append(np.asarray(batch.labels[task]))
    yield batch


def fit_heads(
  batches: Iterable[Augmented],
  dim: int,
  *,
  classes: Mapping[str, int],
  rates: np.ndarray,
  seed: int,
) -> dict[str, Any]:
  """Returns the parameters of one `Output` per task, trained on one stream.

  Arguments are those of `top_accuracies`, and `dim`, the number of features d.
  """
  heads = {task: Output(count) for task, count in classes.items()}
  keys = jax.random.split(init_key(seed), len(heads))
  params: dict[str, Any] = {
    task: head.init(key, jnp.zeros((1, dim)))["params"]
    for key, (task, head) in zip(keys, heads.items(), strict=True)
  }
  momentum = optax.trace(MOMENTUM)

  def loss(params, x, labels):
    # A sum, not a mean: each classifier then moves as if it were alone.
    total = jnp.float32(0)
    for task, head in heads.items():
      logits: Any = head.apply({"params": params[task]}, x)
      total = total + labeled_cross_entropy(logits, labels[task])
    return total

  # The rate is an argument, so that another one needs no compilation.
  @jax.jit
  def step(params, trace, x, labels, rate):
    grads = jax.grad(loss)(params, x, labels)
    updates, trace = momentum.update(grads, trace)
    return jax.tree.map(lambda p, u: p - rate * u, params, updates), trace

  trace = momentum.init(params)
  for epoch, x, labels in batches:
    params, trace = step(params, trace, x, labels, np.float32(rates[epoch]))
  return params


@functools.partial(jax.jit, static_argnums=0)
def _likeliest(head, params, x):
  """Returns the 5 likeliest classes, or all if fewer, int `[b, 5]`."""
  logits: Any = head.apply({"params": params}, x)
  return jax.lax.top_k(logits, min(TOP, head.dim))[1]


PROTOCOLS = {name: functools.partial(protocol, name) for name in RECIPES}
