"""One step is the same on any number of devices, for every objective."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest

from infomin_jax import objectives
from infomin_jax.encoders import ENCODERS
from infomin_jax.errors import UserError
from infomin_jax.train import mesh as meshes
from infomin_jax.train.state import init_state
from infomin_jax.train.step import make_train_step

BATCH = 16
CRITIC = dict(
  name="separable", dim=8, hidden=(16,), normalize=True, temperature=0.2
)
OBJECTIVES = {
  "contrastive": dict(
    contrastive=dict(estimator="infonce", critic=CRITIC | {"shared": True})
  ),
  "queue": dict(queue=dict(estimator="infonce", critic=CRITIC, size=32)),
  "deep_infomax_local": dict(
    deep_infomax_local=dict(
      estimator="jsd", critic=dict(name="encode_and_dot", units=32)
    )
  ),
  "players": dict(
    prior=dict(hidden=(8, 8), adversary=dict(name="adam", peak=1e-4)),
    coordinates=dict(hidden=(8,)),
    nat=dict(size=32),
  ),
  "sum": dict(
    contrastive=dict(weight=0.5, estimator="nwj", critic=CRITIC),
    deep_infomax_local=dict(
      weight=0.25,
      estimator="infonce",
      critic=dict(name="encode_and_dot", units=16),
    ),
  ),
}


def make_batch():
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (BATCH, 16, 16, 3), dtype=np.uint8)
  return {"image": image, "index": np.arange(BATCH, dtype=np.int32)}


def two_views(key, batch):
  """Noise of its own for each example."""
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(batch["index"])
  image = batch["image"].astype(jnp.float32) / 255

  def noisy(k, x, i):
    return x + 0.1 * jax.random.normal(jax.random.fold_in(k, i), x.shape)

  return tuple(jax.vmap(noisy, (0, 0, None))(keys, image, i) for i in (0, 1))


def build(name, seed=0):
  terms, weights = objectives.build_terms(OBJECTIVES[name])
  encoder = ENCODERS["convnet"](widths=(8, 16), strides=(2, 2))
  learner = objectives.Learner(encoder, terms, weights)
  objective = objectives.make_objective(learner, two_views)
  tx = optax.sgd(0.1)
  ema = 0.9 if objectives.needs_ema(terms) else 0.0
  params, stats = objectives.init_learner(
    learner, two_views, jax.random.key(seed), make_batch()
  )
  return objective, tx, ema, init_state(params, stats, tx, ema)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_and_gradients_do_not_depend_on_devices(name):
  objective, _, _, state = build(name)
  found = []
  # Each number of devices is a program of its own, half a minute together.
  every = name in ("contrastive", "deep_infomax_local")
  for count in (1, 2, 4, 8) if every else (1, 8):
    mesh = meshes.make_mesh(jax.devices()[:count])
    gradients = jax.jit(jax.value_and_grad(objective, has_aux=True))
    arguments = (
      meshes.replicate(mesh, state.params),
      meshes.replicate(mesh, state.stats),
      meshes.shard(mesh, make_batch()),
      meshes.replicate(mesh, jax.random.key(1)),
    )
    with jax.set_mesh(mesh):
      (loss, _), grads = gradients(*arguments)
    found.append((float(loss), jax.device_get(grads)))
  one_loss, one_grads = found[0]
  scale = float(optax.tree.norm(one_grads))
  for loss, grads in found[1:]:
    assert abs(loss - one_loss) < 1e-5 * abs(one_loss)
    gap = optax.tree.norm(optax.tree.sub(grads, one_grads))
    assert float(gap) < 1e-5 * scale


def run(name, steps, accumulate=1):
  objective, tx, ema, state = build(name)
  step = make_train_step(objective, tx, seed=3, ema=ema, accumulate=accumulate)
  rows = []
  for _ in range(steps):
    state, metrics = step(state, make_batch(), {})
    rows.append(jax.device_get(metrics))
  return jax.device_get(state), rows


@pytest.mark.parametrize("name", OBJECTIVES)
def test_training_lowers_the_loss_and_repeats_bitwise(name):
  state, rows = run(name, 12)
  assert int(state.step) == 12
  again, _ = run(name, 12)
  same = jax.tree.map(np.array_equal, state, again)
  assert all(jax.tree.leaves(same))
  if name != "queue":  # its negatives change under it
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_a_broken_step_leaves_all_as_it_was():
  objective, tx, ema, state = build("contrastive")

  def breakable(params, stats, batch, key):
    loss, (stats, metrics) = objective(params, stats, batch, key)
    loss = jnp.where(batch["index"][0] < 0, jnp.nan, loss)
    return loss, (stats, metrics | {"loss": loss})

  step = make_train_step(breakable, tx, seed=3, ema=ema)
  state, _ = step(state, make_batch(), {})
  before = jax.device_get(state)
  broken = make_batch()
  broken["index"] = broken["index"] - 1
  state, metrics = step(state, broken, {})
  assert np.isnan(metrics["loss"])
  for _ in range(2):  # and whatever comes after it
    assert int(state.step) == -2
    same = jax.tree.map(
      np.array_equal,
      (state.params, state.stats, state.opt_state),
      (before.params, before.stats, before.opt_state),
    )
    assert all(jax.tree.leaves(same))
    state, metrics = step(state, make_batch(), {})
    assert np.isfinite(metrics["loss"])


def test_resident_images_give_the_same_step_as_streamed_ones():
  objective, tx, ema, state = build("contrastive")
  step = make_train_step(objective, tx, seed=3, ema=ema)
  copy = jax.tree.map(jnp.copy, state)
  _, streamed = step(state, make_batch(), {})
  _, resident = step(copy, {"index": make_batch()["index"]}, make_batch())
  assert float(streamed["loss"]) == float(resident["loss"])


@pytest.mark.slow
def test_accumulated_gradients_are_the_mean_over_the_parts():
  objective, _, _, state = build("contrastive")
  batch = make_batch()
  step_key = jax.random.fold_in(jax.random.key(3), 0)
  grads = []
  stats = state.stats
  for part in (0, 1):
    rows = {k: v[part::2] for k, v in batch.items()}
    key = jax.random.fold_in(step_key, part)
    g, (stats, _) = jax.grad(objective, has_aux=True)(
      state.params, stats, rows, key
    )
    grads.append(g)
  mean = optax.tree.scale(0.5, optax.tree.add(*grads))
  want = optax.tree.add_scale(state.params, -0.1, mean)
  got, _ = run("contrastive", 1, accumulate=2)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got.params, want
  )


def test_the_queue_holds_the_newest_keys_and_the_copy_lags():
  first, _ = run("queue", 1)
  start = build("queue")[-1]
  queue, before = first.stats["queue"], start.stats["queue"]
  keys, old = (
    next(
      np.asarray(v[0])  # of the one pair
      for p, v in jax.tree.leaves_with_path(stats)
      if "keys" in str(p)
    )
    for stats in (queue, before)
  )
  assert not np.allclose(keys[:BATCH], old[:BATCH])
  np.testing.assert_array_equal(keys[BATCH:], old[BATCH:])
  np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1, rtol=1e-5)
  want = optax.incremental_update(first.params, start.params, 0.1)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
    first.stats["ema"]["params"],
    jax.device_get(want),
  )


def test_a_queue_that_the_batch_does_not_divide_is_refused():
  OBJECTIVES["uneven"] = dict(
    queue=dict(estimator="infonce", critic=CRITIC, size=40)
  )
  try:
    with pytest.raises(UserError, match=r"40 is not divisible .* 16"):
      build("uneven")
  finally:
    del OBJECTIVES["uneven"]


@pytest.mark.parametrize(
  "size, parts, words",
  [
    (12, (1, 1), "multiple of 8"),
    (0, (1, 1), "multiple of 8"),
    (8, (2, 1), "multiple of 16"),
    (32, (2, 4), "multiple of 64"),
    (8, (1, 0), "grad_cache is 0"),
  ],
)
def test_a_batch_that_devices_cannot_share_is_refused(size, parts, words):
  config = ml_collections.ConfigDict(
    dict(batch_size=size, accumulate=parts[0], grad_cache=parts[1])
  )
  with pytest.raises(UserError, match=words):
    meshes.check_batch_size(config, meshes.make_mesh())
