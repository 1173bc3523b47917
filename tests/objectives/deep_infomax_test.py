"""Deep InfoMax's terms: published vectors, players that keep apart, truth."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infomin_jax import objectives
from infomin_jax.critics import CRITICS
from infomin_jax.encoders import ENCODERS
from infomin_jax.encoders.features import Features
from infomin_jax.errors import UserError
from infomin_jax.estimators import ESTIMATORS
from infomin_jax.objectives.deep_infomax import DeepInfoMax
from infomin_jax.objectives.prior import PRIORS, squared_slope
from infomin_jax.objectives.term import Seen
from infomin_jax.train.optimizers import make_optimizer
from infomin_jax.views import make_views
from infomin_jax.views.occluded import patch

BATCH = 8
ADVERSARY = dict(name="adam", peak=1e-4, b1=0.5)
DOT = dict(name="encode_and_dot", units=16)
OBJECTIVES = {
  "autoencoder": dict(autoencoder={}),
  "adversarial autoencoder": dict(
    autoencoder={},
    prior=dict(
      prior="gaussian",
      on="prior",
      penalty=0.5,
      hidden=(8, 8),
      adversary=ADVERSARY,
    ),
  ),
  "vae": dict(vae=dict(beta=2.0, spread="conv")),
  "bigan": dict(bigan=dict(adversary=ADVERSARY, width=32)),
  "generator": dict(generator=dict(adversary=ADVERSARY, width=8)),
  "nat": dict(nat=dict(size=20)),
  "supervised": dict(supervised=dict(classes=3)),
  "global, concatenated": dict(
    deep_infomax_global=dict(
      estimator="jsd", critic=dict(name="concatenated", hidden=(8, 8))
    )
  ),
  "global, dot": dict(
    deep_infomax_global=dict(
      estimator="jsd",
      features="local",
      critic=dict(name="map_and_dot", units=8, widths=(8,), hidden=8),
    )
  ),
  "local, concatenated": dict(
    deep_infomax_local=dict(
      estimator="dv", critic=dict(name="concat_and_convolve", hidden=(8, 8))
    )
  ),
  "many summaries": dict(
    deep_infomax_local=dict(
      estimator="infonce", summary="conv", critic=DOT, stream=True
    )
  ),
  "cpc": dict(cpc=dict(estimator="infonce", ahead=2, critic=DOT)),
  "coordinates": dict(
    coordinates=dict(hidden=(8,)), relative_coordinates=dict(hidden=(8,))
  ),
  "everything": dict(
    deep_infomax_local=dict(weight=0.1, estimator="jsd", critic=DOT),
    again=dict(
      term="deep_infomax_local",
      estimator="infonce",
      critic=dict(name="encode_and_dot", units=8),
    ),
    prior=dict(prior="uniform", hidden=(8, 8), adversary=ADVERSARY),
  ),
}


def make_batch():
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (BATCH, 16, 16, 3), dtype=np.uint8)
  index = np.arange(BATCH, dtype=np.int32)
  return {"image": image, "index": index, "label": index % 3}


SLOW = ("bigan", "adversarial autoencoder", "vae")


def one_view(key, batch):
  del key
  return (batch["image"].astype(jnp.float32) / 255,)


def build(options):
  terms, weights = objectives.build_terms(options)
  if "generator" in options:
    encoder = ENCODERS["mlp"](hidden=(16,), dim=1)
  else:
    encoder = ENCODERS["convnet"](widths=(8, 16), strides=(2, 2))
  learner = objectives.Learner(encoder, terms, weights)
  objective = objectives.make_objective(learner, one_view)
  # One program; eagerly they would be a hundred.
  init = jax.jit(functools.partial(objectives.init_learner, learner, one_view))
  params, stats = init(jax.random.key(0), make_batch())
  return terms, objective, params, stats


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW))
    for name in OBJECTIVES
  ],
)
def test_a_few_steps_lower_the_loss(name):
  terms, objective, params, stats = build(OBJECTIVES[name])
  adversaries = {
    name: term.adversary for name, term in terms.items() if term.adversary
  }
  optimizer = dict(name="adam", clip=0.0)
  schedule = dict(name="constant", peak=3e-3)
  tx, _ = make_optimizer(optimizer, schedule, 30, adversaries)
  opt_state = tx.init(params)
  batch = make_batch()

  @jax.jit
  def step(params, stats, opt_state, key):
    grads, (stats, metrics) = jax.jit(jax.grad(objective, has_aux=True))(
      params, stats, batch, key
    )
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), stats, opt_state, metrics

  losses = []
  for i in range(30):
    key = jax.random.key(i)
    params, stats, opt_state, metrics = step(params, stats, opt_state, key)
    # Of two players only the faster one is sure to gain.
    losses.append(float(metrics.get("bigan_discriminator", metrics["loss"])))
  assert np.isfinite(losses).all()
  if name != "generator":  # three players: see the test of its own
    assert np.mean(losses[-3:]) < losses[0]


@pytest.mark.parametrize("name", ["vae", "bigan", "generator"])
def test_samples_are_images(name):
  terms, weights = objectives.build_terms(OBJECTIVES[name])
  dim = 1 if name == "generator" else 6
  encoder = ENCODERS["mlp"](hidden=(16,), dim=dim)
  if name == "vae":
    terms["vae"] = terms["vae"].clone(spread="hidden")
  learner = objectives.Learner(encoder, terms, weights)
  params, stats = objectives.init_learner(
    learner, one_view, jax.random.key(0), make_batch()
  )
  variables = {"params": params, **stats}
  key = jax.random.key(1)
  images = learner.apply(variables, key, 5, (16, 3), method="sample")
  assert images.shape == (5, 16, 16, 3)
  assert images.min() >= 0 and images.max() <= 1
  assert jnp.std(images, axis=0).max() > 0


def ramps(summaries):
  """The published code's test arrays: local `[4, 3, 2]`, global `[4, 3, k]`."""
  local = np.sin(np.arange(24)).reshape(4, 3, 2)
  summary = np.cos(np.arange(12 * summaries)).reshape(4, 3, summaries)
  return local, summary


class Given(nn.Module):
  """A critic that takes embeddings as they are."""

  def embed_x(self, x, train):
    del train
    return x

  def embed_y(self, y, train):
    del train
    return y.reshape(len(y), -1, y.shape[-1])

  def __call__(self, x, y, train):
    return jnp.einsum("bd,nld->bnl", x, self.embed_y(y, train))


# rdevon/DIM's losses, exact exclusion, of two summaries an image.
TWO = {
  "infonce": np.log(1 + 3 * 2) - 2.190147,
  "jsd": -0.213886,
  "gan": -1.600180,
  "nwj": -0.544772,
  "reverse_kl": -0.427581,
  "hellinger": -1.035372,
  "wasserstein": -0.012460,
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", TWO)
def test_published_values_of_two_summaries(name, stream):
  local, summary = ramps(2)
  local = jnp.asarray(np.moveaxis(local, 1, 2)[:, None])  # [b, 1, l, u]
  summary = jnp.asarray(np.moveaxis(summary, 1, 2)[:, None])
  features = Features(local, summary[:, 0, 0], {"glob": summary})
  term = DeepInfoMax(Given(), ESTIMATORS[name], summary="glob", stream=stream)
  found = term.apply({}, Seen({0: features}, {}, {}), True)
  np.testing.assert_allclose(found.metrics["nats"], TWO[name], atol=2e-6)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("many", [True, False])
def test_fewer_negatives_are_the_images_that_follow(stream, many):
  """Two of four: places of the images after one's own, written out."""
  local, summary = (np.moveaxis(x, 1, 2) for x in ramps(1))  # [b, l or 1, u]
  place = {"glob": jnp.asarray(summary[:, None])} if many else {}
  features = Features(
    jnp.asarray(local[:, None]), jnp.asarray(summary[:, 0]), place
  )
  term = DeepInfoMax(
    Given(),
    ESTIMATORS["infonce"],
    summary="glob" if many else "global",
    negatives=2,
    stream=stream,
  )
  found = term.apply({}, Seen({0: features}, {}, {}), True)
  nats = []
  for i in range(4):
    others = [
      np.exp(summary[i, 0] @ place)
      for j in (1, 2)
      for place in local[(i + j) % 4]
    ]
    for place in local[i]:
      own = np.exp(summary[i, 0] @ place)
      nats.append(np.log(5 * own / (own + sum(others))))
  np.testing.assert_allclose(found.metrics["nats"], np.mean(nats), atol=1e-6)
  few = term.clone(negatives=4)
  with pytest.raises(UserError, match="4 negatives, but a batch has 3"):
    few.apply({}, Seen({0: features}, {}, {}), True)


def test_published_donsker_varadhan_pools_the_summaries():
  local, summary = ramps(2)
  scores = np.einsum("auk,bui->abik", summary, local).reshape(4, 4, -1)
  got = ESTIMATORS["dv"](jnp.asarray(scores, jnp.float32))
  np.testing.assert_allclose(got, -0.450309, atol=2e-6)


@pytest.mark.slow
def test_each_player_moves_by_its_own_loss():
  options = dict(
    prior=dict(weight=3.0, hidden=(8, 8), adversary=ADVERSARY, penalty=0.0)
  )
  _, objective, params, stats = build(options)
  batch = make_batch()
  grads, (_, metrics) = jax.jit(jax.grad(objective, has_aux=True))(
    params, stats, batch, jax.random.key(0)
  )

  def without_weight(weight):
    options["prior"]["weight"] = weight
    _, other, *_ = build(options)
    key = jax.random.key(0)
    return jax.jit(jax.grad(other, has_aux=True))(params, stats, batch, key)[0]

  # The weight scales what the encoder feels, and not the discriminator.
  single = without_weight(1.0)
  own = grads["terms_prior"]["discriminator"]
  for ours, theirs in zip(
    jax.tree.leaves(own),
    jax.tree.leaves(single["terms_prior"]["discriminator"]),
    strict=True,
  ):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
  for tripled, once in zip(
    jax.tree.leaves(grads["encoder"]),
    jax.tree.leaves(single["encoder"]),
    strict=True,
  ):
    np.testing.assert_allclose(tripled, 3 * once, rtol=1e-4, atol=1e-7)
  # A step against its gradient lowers the cross-entropy of telling apart.
  moved = jax.tree.map(
    lambda p, g: p - 1e-2 * g, params["terms_prior"]["discriminator"], own
  )
  params = params | {"terms_prior": {"discriminator": moved}}
  _, (_, after) = objective(params, stats, batch, jax.random.key(0))
  assert after["prior_discriminator"] < metrics["prior_discriminator"]


def test_only_the_generator_moves_its_codes_to_the_real_ones():
  term = objectives.TERMS["generator"](adversary=ADVERSARY, contraction=0.0)
  image = jax.random.normal(jax.random.key(0), (4, 8, 8, 1))

  def seen(slope):
    def encode(images, fixed):
      a = jax.lax.stop_gradient(slope) if fixed else slope
      return Features(None, a * jnp.mean(images, axis=(1, 2)), {})

    return Seen({0: encode(image, False)}, {0: image}, {}, None, encode)

  def loss(params, slope):
    found, _ = term.apply(
      variables | {"params": params},
      seen(slope),
      True,
      mutable=["batch_stats"],
      rngs={"dropout": jax.random.key(1)},
    )
    return found.loss

  variables = term.init(jax.random.key(0), seen(1.0), True)
  params = dict(variables["params"])
  # Indifferent discriminators: what is left is the gap between the codes.
  params["discriminator"] = jax.tree.map(
    jnp.zeros_like, params["discriminator"]
  )
  by_params, by_encoder = jax.jit(jax.grad(loss, (0, 1)))(params, 1.0)
  assert by_encoder == 0
  assert optax.tree.norm(by_params["generator"]) > 0
  assert optax.tree.norm(by_params["discriminator"]) == 0


def test_only_the_discriminator_has_the_adversary_s_rate():
  terms, _, params, _ = build(OBJECTIVES["everything"])
  adversaries = {"prior": dict(name="sgd", peak=1.0, momentum=0.0)}
  del terms
  tx, _ = make_optimizer(
    dict(name="sgd", momentum=0.0, clip=0.0),
    dict(name="constant", peak=0.0),
    1,
    adversaries,
  )
  ones = jax.tree.map(jnp.ones_like, params)
  updates, _ = tx.update(ones, tx.init(params), params)
  moved = {
    jax.tree_util.keystr(path): bool(jnp.any(leaf != 0))
    for path, leaf in jax.tree_util.tree_leaves_with_path(updates)
  }
  assert {name for name, moves in moved.items() if moves} == {
    name for name in moved if "terms_prior" in name and "discriminator" in name
  }


def test_an_adversary_waits_and_moves_by_the_mean_gradient():
  params = {"terms_prior": {"discriminator": jnp.zeros(2)}}
  options = dict(name="sgd", peak=1.0, momentum=0.0, every=2)
  tx, _ = make_optimizer(
    dict(name="sgd", momentum=0.0, clip=0.0),
    dict(name="constant", peak=0.0),
    4,
    {"prior": options},
  )
  state, moves = tx.init(params), []
  for slope in (1.0, 3.0, 5.0, 5.0):
    grads = jax.tree.map(lambda x, s=slope: jnp.full_like(x, s), params)
    updates, state = tx.update(grads, state, params)
    moves.append(float(updates["terms_prior"]["discriminator"][0]))
  assert moves == [0.0, -2.0, 0.0, -5.0]
  with pytest.raises(UserError, match=r"adversary\.every is 0: expected 1"):
    make_optimizer(
      dict(name="sgd"),
      dict(name="constant", peak=0.0),
      4,
      {"prior": options | {"every": 0}},
    )


def test_the_penalty_is_the_gradient_s_square():
  weights = jnp.array([3.0, 4.0])
  found = squared_slope(lambda v: v @ weights, jnp.zeros((5, 2)))
  np.testing.assert_allclose(found, 25.0)


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_s_features_lie_where_its_draws_do(name):
  draw, support = PRIORS[name]
  v = np.asarray(draw(jax.random.key(0), (4000, 3)))
  y = np.asarray(support(3 * jax.random.normal(jax.random.key(1), (4000, 3))))
  for x in (v, y):
    length = np.linalg.norm(x, axis=1)
    if name == "uniform":
      assert x.min() >= 0 and x.max() <= 1
    elif name == "sphere":
      np.testing.assert_allclose(length, 1, rtol=1e-4)
    elif name == "ball":
      assert length.max() <= 1 + 1e-5
  if name == "ball":  # r^3 is uniform
    cubes = np.linalg.norm(v, axis=1) ** 3
    np.testing.assert_allclose(cubes.mean(), 0.5, atol=0.02)


def test_a_patch_covers_a_block_and_leaves_one():
  keys = jax.random.split(jax.random.key(0), 300)
  covered = np.asarray(jax.vmap(lambda k: patch(k, 32, 10))(keys))
  windows = np.lib.stride_tricks.sliding_window_view(covered, (10, 10), (1, 2))
  assert windows.all(axis=(-1, -2)).any(axis=(1, 2)).all()
  assert (~windows).all(axis=(-1, -2)).any(axis=(1, 2)).all()
  assert len({tuple(c.sum((0, 1)) for c in [one]) for one in covered}) > 1


def test_the_occluded_view_is_the_image_elsewhere():
  views = make_views(dict(name="occluded", size=16, block=5), (16, 16, 3))
  whole, covered = views(jax.random.key(0), make_batch())
  changed = np.any(np.asarray(whole != covered), axis=-1)
  assert 25 <= changed.sum(axis=(1, 2)).min()
  np.testing.assert_array_equal(np.asarray(covered)[changed], 0.5)


def test_coordinates_of_features_that_tell_them():
  # Each place's feature is its own number: both cross-entropies fall to zero.
  b, side = 16, 3
  place = jnp.broadcast_to(jnp.eye(9).reshape(1, side, side, 9), (b, 3, 3, 9))
  features = {0: Features(place, jnp.zeros((b, 2)), {})}
  seen = Seen(features, {}, {})
  for relative, most in ((False, 2 * np.log(3)), (True, None)):
    term = objectives.TERMS["coordinates"](relative=relative, hidden=(32,))
    variables = term.init(jax.random.key(0), seen, True)
    tx = optax.adam(1e-2)
    state = tx.init(variables["params"])

    @jax.jit
    def step(variables, state, key, term=term, tx=tx):
      def loss(params):
        found, moved = term.apply(
          variables | {"params": params},
          seen,
          True,
          mutable=["batch_stats"],
          rngs={"dropout": key},
        )
        return found.loss, (moved, found.metrics["nats"])

      grads, (moved, nats) = jax.jit(jax.grad(loss, has_aux=True))(
        variables["params"]
      )
      updates, state = tx.update(grads, state)
      params = optax.apply_updates(variables["params"], updates)
      return {"params": params, **moved}, state, nats

    for i in range(200):
      variables, state, nats = step(variables, state, jax.random.key(i))
    if most is not None:
      np.testing.assert_allclose(nats, most, atol=0.05)
    else:
      # Rows and columns of differences -2 .. 2, triangular.
      share = np.array([1, 2, 3, 2, 1]) / 9
      np.testing.assert_allclose(
        nats, -2 * np.sum(share * np.log(share)), atol=0.25
      )


def test_cpc_does_not_look_below():
  term = objectives.build_terms(OBJECTIVES["cpc"])[0]["cpc"]
  local = jax.random.normal(jax.random.key(0), (4, 5, 5, 6))
  seen = Seen({0: Features(local, local[:, 0, 0], {})}, {}, {})
  variables = term.init(jax.random.key(0), seen, True)
  context = functools.partial(
    term.apply, variables, method=lambda term, x: term.down(x)
  )
  before = context(local)
  after = context(local.at[:, 3:].add(1.0))
  np.testing.assert_array_equal(before[:, :3], after[:, :3])
  assert jnp.any(before[:, 3] != after[:, 3])


def test_noise_targets_are_dealt_to_the_nearest():
  term = objectives.TERMS["nat"](size=6)
  y = jnp.eye(6)[:, :4] + 0.01
  features = {0: Features(None, y[:4], {})}
  seen = Seen(features, {}, {"index": jnp.arange(4)})
  variables = term.init(jax.random.key(0), seen, True)
  points = variables["points"]["points"]
  found, moved = term.apply(variables, seen, True, mutable=["points"])
  owner = np.asarray(moved["points"]["owner"])
  assert sorted(owner[:4]) == [0, 1, 2, 3] and list(owner[4:]) == [4, 5]
  unit_y = np.asarray(y[:4] / np.linalg.norm(y[:4], axis=1, keepdims=True))
  best = max(
    sum(unit_y[i] @ points[j] for i, j in enumerate(order))
    for order in itertools.permutations(range(4))
  )
  np.testing.assert_allclose(4 * found.metrics["cosine"], best, rtol=1e-4)


@pytest.mark.parametrize(
  "options,words",
  [
    (dict(prior=dict(prior="cube", adversary=ADVERSARY)), "Unknown"),
    (dict(prior=dict(on="all", adversary=ADVERSARY)), "both or prior"),
    (dict(cpc=dict(estimator="infonce", ahead=0, critic=DOT)), "ahead is 0"),
    (
      dict(
        deep_infomax_local=dict(estimator="dv", critic=DOT, summary_view=-1)
      ),
      "below 0",
    ),
    (
      dict(deep_infomax_local=dict(estimator="dv", critic=DOT, negatives=-1)),
      "negatives is -1",
    ),
  ],
)
def test_bad_options_get_one_line(options, words):
  with pytest.raises(UserError, match=words):
    objectives.build_terms(options)


def test_a_discriminator_needs_a_rate():
  with pytest.raises(UserError, match="peak is missing"):
    make_optimizer(
      dict(name="adam", clip=0.0),
      dict(name="constant", peak=0.1),
      1,
      {"prior": dict(name="adam")},
    )


def test_unknown_critics_are_named():
  assert "map_and_dot" in CRITICS
