"""E2: an invertible encoder that is trained against a linear classifier."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from infomin_jax.studies.limits import image_halves, measures
from infomin_jax.studies.limits.modules import ENCODERS, count, glorot
from infomin_jax.studies.limits.problem import Problem, descend, start
from infomin_jax.studies.limits.runs import Variant

CLASSES = 10


def make_problem(variant: Variant, images: image_halves.Images) -> Problem:
  """Returns a problem that alternates classifier steps and one encoder step.

  The classifier lowers the cross-entropy with the labels. The encoder lowers
  the cross-entropy with the uniform distribution. No bound is involved, because
  every invertible encoder has the largest possible I(X; Y). Every step of the
  classifier has its own batch.

  References:
    Tschannen et al., 2020, section 3.1 and appendix B. Learning rates are those
    of the published code.
  """
  options = variant.settings
  size, total = options["batch_size"], len(images.train)
  warm_up, each = options["warm_up"], options["classifier_steps"] + 1
  encoder = ENCODERS[variant.encoder](options, int(np.prod(images.view)), 0)
  init_params = _initial(encoder, images)
  encode, fit, step = _moves(encoder, images, options)
  data = {
    "image": jnp.asarray(images.train),
    "label": jnp.asarray(images.train_labels),
  }
  fit_once = jax.jit(fit)

  def init(seed):
    params, head = init_params(seed)
    rows = image_halves.training_rows(total, size, seed, 0, warm_up)
    head = start(head, optax.adam(options["classifier_lr"]))
    head = fit_once(head, params, data, rows)
    return {
      "encoder": start(params, optax.adam(options["lr"])),
      "classifier": head,
    }

  def inputs(seed, first, stop):
    rows = image_halves.training_rows(
      total, size, seed, warm_up + first * each, warm_up + stop * each
    )
    return {"rows": rows.reshape(stop - first, each, size)}

  probe = measures.make_probe(encode, images, options)
  inverse_error = measures.make_inverse_error(encoder, images)

  def look(state, seed, step, values):
    del values
    params = state["encoder"].params
    key = jax.random.fold_in(jax.random.key(seed), step)
    return {
      "accuracy": probe(params, key, seed),
      "inverse_error": inverse_error(params),
    }

  params, _ = jax.eval_shape(init_params, 0)
  about = {"parameters": {"g1": count(params)}}
  return Problem(init, step, inputs, look, data, about)


def _initial(encoder, images: image_halves.Images):
  """Returns `seed -> (encoder parameters, classifier parameters)`."""
  dim = int(np.prod(images.view))

  def init_params(seed):
    keys = jax.random.split(jax.random.key(seed), 3)
    x = jnp.zeros((2, *images.view))
    params = encoder.init(keys[0], x, False)["params"]
    head = nn.Dense(CLASSES).init(keys[1], jnp.zeros((2, dim)))["params"]
    return params, glorot(keys[2], head)

  return init_params


def _moves(encoder, images: image_halves.Images, options):
  """Returns the functions `encode`, `fit` (classifier) and `step` (both)."""

  def encode(params, batch, key=None):
    del key
    x, _ = images.split(batch)
    features: Any = encoder.apply({"params": params}, x, False)
    return features.global_

  def classify(params, features) -> Any:
    return nn.Dense(CLASSES).apply({"params": params}, features)

  def classifier_loss(params, features, labels):
    losses = optax.softmax_cross_entropy_with_integer_labels(
      classify(params, features), labels
    )
    return jnp.mean(losses), jnp.mean(losses)

  def encoder_loss(params, head, batch):
    # Cross-entropy with the uniform distribution: log 10 is its minimum.
    log_p = jax.nn.log_softmax(classify(head, encode(params, batch)))
    return -jnp.mean(log_p), -jnp.mean(log_p)

  move_classifier = descend(
    classifier_loss, optax.adam(options["classifier_lr"])
  )
  move_encoder = descend(encoder_loss, optax.adam(options["lr"]))

  def fit(head, params, data, rows):
    def once(head, batch):
      features = encode(params, data["image"][batch])
      return move_classifier(head, features, data["label"][batch])

    return jax.lax.scan(once, head, rows)[0]

  def step(state, data, inputs):
    rows = inputs["rows"]  # [inner + 1, b]
    params = state["encoder"].params
    head = fit(state["classifier"], params, data, rows[:-1])
    encoder_state, value = move_encoder(
      state["encoder"], head.params, data["image"][rows[-1]]
    )
    return {"encoder": encoder_state, "classifier": head}, value

  return encode, fit, step
