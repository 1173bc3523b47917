"""E1, E3, E4, E5, E7 and metric learning: trains encoders and a critic."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from infomin_jax.estimators import infonce, nwj
from infomin_jax.objectives import metric
from infomin_jax.studies.limits import image_halves, measures
from infomin_jax.studies.limits.modules import (
  CRITICS,
  ENCODERS,
  Pair,
  count,
  init_pair,
)
from infomin_jax.studies.limits.problem import Problem, State, descend, start
from infomin_jax.studies.limits.runs import Variant

BOUNDS = {"infonce": infonce, "nwj": nwj}


def _distances(loss):
  return lambda gx, gy, scores, margin: loss(
    metric.squared_distances(gx, gy), margin
  )


def _scores(loss):
  return lambda gx, gy, scores, margin: loss(scores)


# name -> (features, features, scores, margin) -> loss.
LOSSES: dict[str, Callable] = {
  "infonce": _scores(lambda scores: -infonce(scores)),
  "nwj": _scores(lambda scores: -nwj(scores)),
  "kpair": _scores(metric.kpair),
  "kpair_multiclass": _scores(metric.kpair_multiclass),
  "triplet": _distances(metric.triplet),
  "triplet_semihard": _distances(metric.triplet_semihard),
}


def make_problem(variant: Variant, images: image_halves.Images) -> Problem:
  """Returns the problem of one line of the table; see `runs.Variant`."""
  options = variant.settings
  pair = make_pair(variant, images)
  tx = optax.adam(options["lr"])
  size, total = options["batch_size"], len(images.train)
  objective = make_loss(variant, pair)

  def views(batch, key):
    x, y = images.split(batch)
    if options.get("noise"):
      x, y = image_halves.noisy(key, x, y, sd=options["noise"])
    return x, y

  def loss(params, data, inputs):
    x, y = views(data[inputs["rows"]], _key(inputs["seed"], inputs["step"]))
    return objective(params, x, y)

  def init(seed):
    blank = jnp.zeros((2, *images.view))
    return start(init_pair(pair, jax.random.key(seed), blank), tx)

  def inputs(seed, first, stop):
    return {
      "rows": image_halves.training_rows(total, size, seed, first, stop),
      "step": np.arange(first, stop, dtype=np.int32),
      "seed": np.full(stop - first, seed, np.int32),
    }

  step = descend(loss, tx)
  params = jax.eval_shape(init, 0).params
  return Problem(
    init=init,
    step=step,
    inputs=inputs,
    evaluate=make_evaluate(variant, pair, images, views),
    data=jnp.asarray(images.train),
    about={
      "parameters": {name: count(part) for name, part in params.items()},
    },
    scanned=variant.encoder != "convnet",
  )


def make_pair(variant: Variant, images: image_halves.Images) -> Pair:
  """Returns the networks. Metric learning has one encoder for both views."""
  size = int(np.prod(images.view))
  make = ENCODERS[variant.encoder]
  g1, g2 = (make(variant.settings, size, seed) for seed in (0, 1))
  shared = variant.experiment == "metric"
  dim = size if variant.encoder in ("realnvp", "skip_mlp") else 100
  return Pair(g1, None if shared else g2, CRITICS[variant.critic](dim))


def make_loss(variant: Variant, pair: Pair) -> Callable:
  """Returns `(params, x, y) -> (loss, value)`.

  The value is the bound in nats, or InfoNCE if the objective is no bound. With
  a target, loss and value are the distance of the bound from the target.
  """
  bound = BOUNDS.get(variant.objective, infonce)
  lower = LOSSES[variant.objective]
  margin = variant.settings.get("margin", 0.0)

  def loss(params, x, y):
    out: Any = pair.apply({"params": params}, x, y)
    gx, gy, scores = out
    if variant.target is not None:
      gap = jnp.abs(bound(scores) - variant.target)
      return gap, gap
    return lower(gx, gy, scores, margin), bound(scores)

  return loss


def make_evaluate(variant, pair, images, views) -> Callable:
  """Returns `(state, seed, step, values) -> metrics`.

  `bound_train` is the mean bound over training batches in a new order. The
  published code reports this number as its test bound. `bound_test` is the
  bound on test images.
  """
  options = variant.settings
  size = options["batch_size"]
  bound = BOUNDS.get(variant.objective, infonce)
  # One array for both, so that only one program is compiled.
  both = jnp.concatenate([jnp.asarray(images.train), jnp.asarray(images.test)])

  def nats(params, data, inputs):
    rows, key = inputs
    _, _, scores = pair.apply({"params": params}, *views(data[rows], key))
    value = bound(scores)
    metrics = {"bound": value, "kpair": metric.kpair_multiclass(scores)}
    metrics["infonce"] = infonce(scores)
    if variant.target is not None:
      metrics["gap"] = jnp.abs(value - variant.target)
    return metrics

  mean_nats = measures.mean_over(nats)

  def encode(params, batch, key):
    x, _ = views(batch, key)
    return pair.apply({"params": params}, x, method="encode")

  probe = measures.make_probe(encode, images, options)

  def look(state: State, seed, step, values):
    del values
    params = state.params
    # Keys of an offset seed: training uses the keys of `seed` itself.
    probing, conditioning, *nats_keys = jax.random.split(
      _key(seed + 1_000_000, step), 4
    )
    metrics = {}
    fresh = image_halves.fresh_rows(
      len(images.train), size, seed, step, options["train_batches"]
    )
    held_out = image_halves.test_rows(
      len(images.test), size, options["test_batches"]
    )
    held_out += len(images.train)
    parts = (("train", fresh), ("test", held_out))
    for (name, rows), nats_key in zip(parts, nats_keys, strict=True):
      keys = jax.random.split(nats_key, len(rows))
      means = mean_nats(params, both, (rows, keys))
      metrics |= {f"{k}_{name}": float(v) for k, v in means.items()}
    metrics["accuracy"] = probe(params, probing, seed)
    return metrics | extra(state, conditioning)

  extra = _make_extra(variant, pair, images, views)
  return look


def _make_extra(variant, pair, images, views) -> Callable:
  """Returns `(state, key) -> metrics` of the inverse or of the Jacobian.

  The metrics are empty for encoders without an inverse, and in experiments
  without conditioning.
  """
  if variant.encoder == "realnvp":
    error = measures.make_inverse_error(pair.g1, images)
    return lambda state, key: {"inverse_error": error(state.params["g1"])}
  if "condition_examples" not in variant.settings:
    return lambda state, key: {}
  number = variant.settings["condition_examples"]

  @jax.jit
  def jacobians(params, batch, key):
    x, _ = views(batch, key)

    def encode(x):
      return pair.apply({"params": params}, x, method="encode")

    return measures.jacobians(encode, x)

  def extra(state, key):
    derivatives = jacobians(
      state.params, jnp.asarray(images.train[:number]), key
    )
    logs = measures.log_condition_numbers(np.asarray(derivatives))
    return {
      "log_condition": sorted(float(v) for v in logs),
      "log_condition_median": float(np.median(logs)),
    }

  return extra


def _key(seed, step) -> jax.Array:
  return jax.random.fold_in(jax.random.key(seed), step)
