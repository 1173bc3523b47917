"""Batches encoded in parts: the loss and gradient of the whole batch."""

import jax
import numpy as np
import optax
import pytest

from infomin_jax import objectives
from infomin_jax.encoders import ENCODERS

B = 16
CRITIC = dict(
  name="separable",
  dim=8,
  hidden=(16,),
  shared=True,
  normalize=True,
  temperature=0.2,
)
TERMS = {
  "nt_xent": dict(
    contrastive=dict(estimator="infonce", critic=CRITIC, within=True)
  ),
  "nwj": dict(contrastive=dict(estimator="nwj", critic=CRITIC)),
  "supcon": dict(supcon=dict(dim=8, hidden=(16,))),
}


def batch():
  rng = np.random.default_rng(0)
  return {
    "image": rng.random((B, 2, 16, 16, 3), np.float32),
    "label": rng.integers(0, 3, B).astype(np.int32),
    "index": np.arange(B, dtype=np.int32),
  }


def two(key, batch):
  del key
  return batch["image"][:, 0], batch["image"][:, 1]


def gradients(encoder, terms, parts):
  """`((loss, (stats, metrics)), gradients)` and the compiled program."""
  made, weights = objectives.build_terms(terms)
  learner = objectives.Learner(encoder, made, weights, grad_cache=parts)
  params, stats = objectives.init_learner(
    learner, two, jax.random.key(0), batch()
  )
  objective = objectives.make_objective(learner, two)
  run = jax.jit(jax.value_and_grad(objective, has_aux=True))
  program = run.lower(params, stats, batch(), jax.random.key(1)).compile()
  return program(params, stats, batch(), jax.random.key(1)), program


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("parts", [2, 8])
def test_it_is_the_gradient_of_the_whole_batch(name, parts):
  encoder = ENCODERS["mlp"](hidden=(32,), dim=16)
  (want, want_grads), _ = gradients(encoder, TERMS[name], 1)
  (got, got_grads), _ = gradients(encoder, TERMS[name], parts)
  np.testing.assert_allclose(got[0], want[0], rtol=1e-6)
  gap = optax.tree.norm(optax.tree.sub(got_grads, want_grads))
  assert float(gap) < 1e-5 * float(optax.tree.norm(want_grads))


def test_statistics_are_those_of_the_parts_and_are_kept():
  encoder = ENCODERS["convnet"](widths=(8, 16), strides=(2, 2))
  (whole, _), _ = gradients(encoder, TERMS["nwj"], 1)
  (parts, _), _ = gradients(encoder, TERMS["nwj"], 4)
  assert float(whole[0]) != float(parts[0])
  before, after = whole[1][0]["batch_stats"], parts[1][0]["batch_stats"]
  shapes = [jax.tree.map(np.shape, stats) for stats in (before, after)]
  assert shapes[0] == shapes[1]
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max() > 0, before, after)
  assert all(jax.tree.leaves(moved["encoder"]))  # four updates, not one


def test_memory_is_that_of_a_part():
  encoder = ENCODERS["convnet"](widths=(64, 64), strides=(1, 1))
  used = [
    gradients(encoder, TERMS["nwj"], parts)[1]
    .memory_analysis()
    .temp_size_in_bytes
    for parts in (1, 8)
  ]
  assert used[1] < used[0] / 3
