"""Views that are learned: who moves whom, and the floor."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infomin_jax import objectives
from infomin_jax.encoders import ENCODERS
from infomin_jax.errors import UserError, build
from infomin_jax.recipes import learned_views
from infomin_jax.train.optimizers import make_optimizer

B, CLASSES = 16, 4
NETWORK = dict(name="convnet", widths=(4,), strides=(2,))
CRITIC = dict(name="inner_product", temperature=0.5, normalize=True)


def batch():
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (B, 8, 8, 3), dtype=np.uint8)
  index = np.arange(B, dtype=np.int32)
  return {"image": image, "index": index, "label": index % CLASSES}


def build_row(row, **changes):
  """`(objective, params, stats)` of a row, with changes of its label terms."""
  options = learned_views.objective(
    row, NETWORK, CRITIC, classes=CLASSES, labelled=0
  )
  for name, term in options.items():
    if name.startswith("labels"):
      options[name] = term | changes
  terms, weights = objectives.build_terms(options)
  options = learned_views.encoder(row, NETWORK)
  options["parts"] |= dict(depth=2, hidden=4)
  encoder = build("encoder", options, ENCODERS)
  learner = objectives.Learner(encoder, terms, weights, (0.0,), (1.0,))

  def views(key, batch):
    del key
    return (jnp.asarray(batch["image"]) / 255,)

  params, stats = objectives.init_learner(
    learner, views, jax.random.key(0), batch()
  )
  # Away from the identity, so that all of the generator has a gradient.
  noise = iter(jax.random.split(jax.random.key(1), 100))
  generator = jax.tree.map(
    lambda x: x + 0.1 * jax.random.normal(next(noise), x.shape),
    params["encoder"]["generator"],
  )
  params = {**params, "encoder": {**params["encoder"], "generator": generator}}
  return objectives.make_objective(learner, views), params, stats


def gradients(row, stats_changes=None, **changes):
  objective, params, stats = build_row(row, **changes)
  stats = stats | (stats_changes or {})
  run = jax.jit(jax.value_and_grad(objective, has_aux=True))
  (_, (moved, metrics)), grads = jax.jit(run)(
    params, stats, batch(), jax.random.key(2)
  )
  return grads, moved, metrics


def dot(a, b):
  return float(optax.tree.vdot(a, b))


def test_the_generator_lowers_what_the_networks_raise():
  grads, _, _ = gradients("unsupervised")
  objective, params, stats = build_row("unsupervised")

  @jax.jit
  def nats(generator):
    encoder = {**params["encoder"], "generator": generator}
    _, (_, metrics) = objective(
      {**params, "encoder": encoder}, stats, batch(), jax.random.key(2)
    )
    return metrics["contrastive_nats"]

  # Along its gradient's descent the bound falls, as a difference has it.
  generator, slope = (
    params["encoder"]["generator"],
    grads["encoder"]["generator"],
  )
  step = 1e-3 / float(optax.tree.norm(slope))
  there = optax.tree.add_scale(generator, -step, slope)
  back = optax.tree.add_scale(generator, step, slope)
  change = float(nats(there) - nats(back)) / (2 * step)
  np.testing.assert_allclose(change, -dot(slope, slope), rtol=0.05)


@pytest.mark.slow
def test_semi_supervised_views_are_moved_by_both():
  grads, _, _ = gradients("supervised")
  slope = grads["encoder"]["generator"]
  assert float(optax.tree.norm(slope)) > 1e-4
  both, _, _ = gradients("semi")
  played, _, _ = gradients("unsupervised")
  parts = (slope, played["encoder"]["generator"])
  gap = optax.tree.sub(both["encoder"]["generator"], optax.tree.add(*parts))
  assert float(optax.tree.norm(gap)) < 1e-4


@pytest.mark.slow
def test_the_floor_weighs_the_generator_and_not_the_classifier():
  def at(multiplier):
    stats = {
      "multiplier": {
        f"terms_labels{v}": {"value": jnp.float32(multiplier)} for v in (0, 1)
      }
    }
    grads, moved, metrics = gradients("floor", stats)
    return grads, moved["multiplier"]["terms_labels0"]["value"], metrics

  (zero, up, metrics), (one, _, _), (two, _, _) = (at(m) for m in (0, 1, 2))
  told = float(metrics["labels0_nats"])
  assert told < learned_views.FLOOR  # so the multiplier rises from 0
  np.testing.assert_allclose(
    float(up), 0.02 * (learned_views.FLOOR - told), rtol=1e-4
  )
  for name in ("terms_labels0", "terms_labels1"):
    same = jax.tree.map(
      lambda a, b: np.allclose(a, b, atol=1e-6), zero[name], two[name]
    )
    assert all(jax.tree.leaves(same))
  a, b, c = (g["encoder"]["generator"] for g in (zero, one, two))
  jax.tree.map(
    lambda x, y, z: np.testing.assert_allclose(z - x, 2 * (y - x), atol=1e-5),
    a,
    b,
    c,
  )


def test_only_the_first_records_have_labels():
  _, _, metrics = gradients("supervised", labelled=4)
  objective, params, stats = build_row("supervised")
  few = batch()
  few["label"] = np.where(few["index"] < 4, few["label"], -1)
  _, (_, want) = jax.jit(objective)(params, stats, few, jax.random.key(2))
  for view in (0, 1):
    name = f"labels{view}_nats"
    np.testing.assert_allclose(metrics[name], want[name], rtol=1e-5)


def test_a_floor_that_no_view_can_reach_is_refused():
  with pytest.raises(UserError, match=r"floor is 1.2: .* below log 3, 1.10"):
    objectives.build_terms(
      {
        "view_labels": dict(view=0, classes=3, encoder=NETWORK, floor=1.2),
      }
    )


def test_the_generator_has_an_optimizer_of_its_own():
  _, params, _ = build_row("unsupervised")
  tx, _ = make_optimizer(
    dict(name="sgd", momentum=0.0),
    dict(name="constant", peak=1.0),
    10,
    {"encoder": dict(name="sgd", peak=0.25, momentum=0.0)},
  )
  ones = jax.tree.map(jnp.ones_like, params)
  updates, _ = tx.update(ones, tx.init(params), params)
  inner = updates["encoder"].pop("generator")
  assert {float(x) for u in jax.tree.leaves(inner) for x in u.ravel()} == {
    -0.25
  }
  rest = {float(x) for u in jax.tree.leaves(updates) for x in u.ravel()}
  assert rest == {-1.0}
