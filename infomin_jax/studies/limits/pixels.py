"""The baseline: a linear classifier on the pixels of the top half."""

import jax

from infomin_jax.studies.limits import image_halves, measures
from infomin_jax.studies.limits.problem import Problem
from infomin_jax.studies.limits.runs import Variant


def make_problem(variant: Variant, images: image_halves.Images) -> Problem:
  """Returns a problem without training, which is evaluated once.

  The pixels are noisy in experiments with noise.
  """
  options = variant.settings

  def encode(params, batch, key):
    del params
    x, _ = images.split(batch)
    if options.get("noise"):
      (x,) = image_halves.noisy(key, x, sd=options["noise"])
    return x.reshape(len(x), -1)

  probe = measures.make_probe(encode, images, options)

  def look(state, seed, step, values):
    del state, step, values
    return {"accuracy": probe(None, jax.random.key(seed), seed)}

  return Problem(
    init=lambda seed: None,
    step=lambda state, data, inputs: (state, 0.0),
    inputs=lambda seed, first, stop: {},
    evaluate=look,
  )
