"""Whose statistics normalize what: groups, pieces, and what they give away."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from infomin_jax import objectives
from infomin_jax.encoders.features import Encoder, make_features
from infomin_jax.encoders.norm import GroupedBatchNorm
from infomin_jax.encoders.resnet import batch_norm, conv
from infomin_jax.errors import UserError

B, GROUPS = 32, 4


class Small(Encoder):
  """Two layers as a ResNet has them, which compile at once."""

  groups: int = 1

  @nn.compact
  def __call__(self, x, train):
    for i in (1, 2):
      x = conv(x, 8, 3, 1, f"conv{i}")
      x = nn.relu(batch_norm(x, train, f"bn{i}", self.groups))
    return make_features(x, x.mean((1, 2)), {})


def test_groups_are_normalized_apart_and_one_group_is_batch_norm():
  x = jax.random.normal(jax.random.key(0), (8, 3, 3, 5)) * 2 + 1
  for groups in (1, 4):
    norm = GroupedBatchNorm(groups)
    variables = norm.init(jax.random.key(1), x, True)
    y, moved = norm.apply(variables, x, True, mutable=["batch_stats"])
    plain = nn.BatchNorm(use_running_average=False, momentum=0.9)
    start = plain.init(jax.random.key(1), x)
    parts = [
      plain.apply(start, part, mutable=["batch_stats"])
      for part in jnp.split(x, groups)
    ]
    want = jnp.concatenate([part for part, _ in parts])
    np.testing.assert_allclose(y, want, atol=1e-5)
    for name in ("mean", "var"):
      each = [stats["batch_stats"][name] for _, stats in parts]
      np.testing.assert_allclose(
        moved["batch_stats"][name], np.mean(each, axis=0), rtol=1e-5
      )
  with pytest.raises(
    UserError, match="groups is 3: expected a divisor of the 8"
  ):
    norm = GroupedBatchNorm(3)
    norm.apply(variables, x, True, mutable=["batch_stats"])


def given_away(groups, shuffle):
  """How much closer a query is to its own key than to others.

  The first image of each group is another one in the second view, so only the
  company it keeps, which is the same, can tell which key is its own. Returns
  the mean difference in standard errors.
  """
  critic = dict(name="inner_product", normalize=True)
  terms, weights = objectives.build_terms(
    {"queue": dict(estimator="infonce", critic=critic, size=B, shuffle=shuffle)}
  )
  learner = objectives.Learner(Small(groups), terms, weights)
  shape = (B, 6, 6, 3)
  first = jnp.arange(B) % (B // GROUPS) == 0

  @jax.jit
  def look(variables, key):
    keys = jax.random.split(key, 4)
    # Images of very different contrast: statistics vary with the company.
    contrast = jnp.exp(jax.random.normal(keys[0], (B, 1, 1, 1)))
    one, other = (jax.random.normal(k, shape) for k in keys[1:3])
    other = jnp.where(first[:, None, None, None], other, contrast * one)
    rngs, mutable = {"dropout": keys[3]}, ["batch_stats"]
    views = contrast * one, other
    kept, _ = learner.apply(
      variables, views, method="target_keys", mutable=mutable, rngs=rngs
    )
    found, _ = learner.apply(
      variables, views, (0,), True, method="encode_views", mutable=mutable
    )
    query = found[0].global_ - found[0].global_.mean(0, keepdims=True)
    own = kept["queue"][:, 0] - kept["queue"][:, 0].mean(0, keepdims=True)
    scores = query[first] @ own[first].T  # [groups, groups]
    same = jnp.eye(GROUPS, dtype=bool)
    return jnp.mean(scores, where=same) - jnp.mean(scores, where=~same)

  views = (jnp.zeros(shape),) * 2
  variables = learner.init(
    {"params": jax.random.key(1), "dropout": jax.random.key(2)},
    views,
    {},
    method="start",
  )
  variables = {k: v for k, v in variables.items() if k != "queue"}
  keys = jax.random.split(jax.random.key(3), 200)
  gaps = np.array([look(variables, key) for key in keys])
  return gaps.mean() / (gaps.std(ddof=1) / np.sqrt(len(gaps)))


@pytest.mark.slow
def test_groups_give_the_key_away_unless_keys_are_shuffled():
  assert given_away(GROUPS, shuffle=False) > 6
  assert abs(given_away(GROUPS, shuffle=True)) < 3
  assert abs(given_away(1, shuffle=False)) < 3


def test_pieces_may_have_running_statistics_of_their_own():
  def after(own):
    critic = dict(
      name="separable", dim=4, hidden=(4,), normalize=True, shared=True
    )
    terms, weights = objectives.build_terms(
      {
        "queue": dict(
          estimator="infonce",
          critic=critic,
          size=8,
          jigsaw=0.5,
          own_statistics=own,
        )
      }
    )
    learner = objectives.Learner(Small(), terms, weights)

    def views(key, batch):
      whole = jax.random.uniform(key, (8, 8, 8, 3))
      return whole, whole, jnp.ones((8, 9, 4, 4, 3))

    batch = {"index": jnp.arange(8)}
    params, stats = objectives.init_learner(
      learner, views, jax.random.key(0), batch
    )
    stats["ema"] = {"params": params, "batch_stats": stats["batch_stats"]}
    objective = jax.jit(objectives.make_objective(learner, views))
    loss, (moved, _) = objective(params, stats, batch, jax.random.key(1))
    return loss, stats["batch_stats"], moved["batch_stats"]

  loss, _, together = after(own=False)
  own_loss, before, apart = after(own=True)
  np.testing.assert_allclose(loss, own_loss, rtol=1e-6)  # same batch statistics
  first = lambda stats: stats["bn1"]["mean"]  # noqa: E731
  assert "patches" not in together
  moved = first(apart["encoder"]) - first(before["encoder"])
  of_pieces = first(apart["patches"]) - first(before["patches"])
  # Shared ones have moved by the whole images, then by the pieces.
  both = 0.9 * (first(before["encoder"]) + moved) + of_pieces
  both += first(before["encoder"]) * 0.1 - 0.1 * first(before["patches"])
  np.testing.assert_allclose(first(together["encoder"]), both, atol=1e-6)
  assert float(jnp.abs(of_pieces - moved).max()) > 1e-3
