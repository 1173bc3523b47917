"""Queue, bank, pieces, BYOL and SupCon against references written naively."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax import objectives
from infomin_jax.encoders.features import make_features
from infomin_jax.errors import UserError
from infomin_jax.objectives.contrastive import nt_xent
from infomin_jax.objectives.supcon import supcon
from infomin_jax.objectives.targets import NoiseAsTargets
from infomin_jax.objectives.term import Seen
from infomin_jax.views import make_views

CRITIC = dict(
  name="separable",
  dim=4,
  hidden=(8,),
  normalize=True,
  shared=True,
  temperature=0.5,
)
B, D, PIECES = 4, 6, 9


def features(seed, *shape):
  x = jax.random.normal(jax.random.key(seed), (*shape, D))
  return make_features(None, x, {})


def make_term(name, **options):
  options = dict(estimator="infonce", critic=CRITIC) | options
  terms, _ = objectives.build_terms({name: options})
  return terms[name]


def run(term, seen, stats=None, **changes):
  """`(outcome, variables before, collections after)`."""
  rngs = {"params": jax.random.key(7), "dropout": jax.random.key(8)}
  variables = term.init(rngs, seen, True) | (stats or {})
  outcome, moved = term.apply(
    variables,
    seen,
    True,
    mutable=[name for name in variables if name != "params"],
    rngs={"dropout": jax.random.key(9)},
  )
  return outcome, variables, moved


def embedded(term, variables, x):
  y = term.apply(
    variables,
    {1: x},
    True,
    method=lambda t, f, _: t.critic.embed_y(f[1].global_),
  )
  return np.asarray(y)


def reference(query, own, others, temperature):
  """Mean InfoNCE of each row's own key and the others, by loops."""
  found = []
  for i in range(len(query)):
    scores = [query[i] @ own[i], *(query[i] @ k for k in others[i])]
    scores = np.array(scores) / temperature
    found.append(scores[0] - np.log(np.mean(np.exp(scores))))
  return np.mean(found)


def units(seed, *shape):
  x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_a_queue_tells_own_keys_from_earlier_ones_and_ages():
  term = make_term("queue", size=12)
  keys = units(1, B, 1, 4)
  seen = Seen({0: features(0, B)}, {}, {}, jnp.asarray(keys))
  outcome, variables, moved = run(term, seen)
  old = np.asarray(variables["queue"]["keys"])
  query = embedded(term, variables, seen.features[0])
  want = reference(query, keys[:, 0], [old[0]] * B, 0.5)
  np.testing.assert_allclose(outcome.metrics["nats"], want, rtol=1e-5)
  assert float(outcome.metrics["filled"]) == 0
  for step in range(1, 5):
    queue = moved["queue"]
    outcome, _, moved = run(term, seen, moved)
    # 4 keys of each of the last 3 steps, 1 to 3 steps old.
    ages = list(range(1, min(step, 3) + 1))
    assert float(outcome.metrics["age"]) == pytest.approx(np.mean(ages))
    assert float(outcome.metrics["filled"]) == pytest.approx(len(ages) / 3)
    start = 4 * (step - 1) % 12
    rows = np.asarray(queue["keys"])[0, start : start + 4]
    np.testing.assert_allclose(rows, keys[:, 0], rtol=1e-6)
    assert int(queue["pointer"]) == 4 * step % 12


def test_two_pairs_ask_each_others_queue():
  term = make_term("queue", size=8, pairs=((0, 3), (1, 2)))
  assert (term.online, term.targets) == ((0, 1), (2, 3))
  keys = units(1, B, 2, 4)
  seen = Seen({i: features(i, B) for i in (0, 1)}, {}, {}, jnp.asarray(keys))
  outcome, variables, _ = run(term, seen)
  queues = np.asarray(variables["queue"]["keys"])
  want = [
    reference(
      embedded(term, variables, seen.features[i]),
      keys[:, i],
      [queues[i]] * B,
      0.5,
    )
    for i in (0, 1)
  ]
  np.testing.assert_allclose(outcome.loss, -sum(want), rtol=1e-5)


@pytest.mark.parametrize("pairs", [((0, 0),), ((0, 1), (1, 0))])
def test_a_bank_tells_own_entries_from_drawn_ones_and_moves_them(pairs):
  term = make_term("bank", size=5, images=10, pairs=pairs, momentum=0.75)
  index = np.array([3, 1, 7, 2])
  seen = Seen({i: features(i, B) for i in term.online}, {}, {"index": index})
  outcome, variables, moved = run(term, seen)
  entries = np.asarray(variables["bank"]["entries"])
  drawn = term.apply(
    variables, B, method="_drawn", rngs={"dropout": jax.random.key(9)}
  )
  # The key that the term drew with is the module's own, so is this one.
  drawn = np.asarray(drawn)[0]
  want, fresh = [], []
  for pair, (query, key) in enumerate(pairs):
    x, y = (embedded(term, variables, seen.features[i]) for i in (query, key))
    others = [[entries[j, pair] for j in row] for row in drawn]
    want.append(reference(x, entries[index, pair], others, 0.5))
    fresh.append(y)
  np.testing.assert_allclose(outcome.loss, -sum(want), rtol=1e-5)
  after = np.asarray(moved["bank"]["entries"])
  for pair, y in enumerate(fresh):
    mixed = 0.75 * entries[index, pair] + 0.25 * y
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    np.testing.assert_allclose(after[index, pair], mixed, rtol=1e-5)
  rest = np.setdiff1d(np.arange(10), index)
  np.testing.assert_array_equal(after[rest], entries[rest])


def test_pieces_are_shuffled_and_told_from_the_same_candidates():
  term = make_term("queue", size=8, jigsaw=0.25)
  assert term.online == (0, 2)
  keys = jnp.asarray(units(1, B, 1, 4))
  pieces = features(2, B, PIECES)
  seen = Seen({0: features(0, B), 2: pieces}, {}, {}, keys)
  outcome, variables, _ = run(term, seen)
  nats, jigsaw = (outcome.metrics[k] for k in ("nats", "jigsaw_nats"))
  want = -0.75 * nats - 0.25 * jigsaw
  np.testing.assert_allclose(outcome.loss, want, rtol=1e-6)

  def together(key, x):
    return term.apply(
      variables, x, key, method=lambda t, x, k: t.assemble(x, k)
    )

  one, other = (together(jax.random.key(k), pieces.global_) for k in (1, 2))
  assert not np.allclose(one, other)  # another order
  # Of pieces that are all alike the order says nothing.
  alike = jnp.broadcast_to(pieces.global_[:, :1], pieces.global_.shape)
  one, other = (together(jax.random.key(k), alike) for k in (1, 2))
  np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
  "options,text",
  [
    (dict(jigsaw=1.0), "jigsaw is 1.0: expected 0 up to below 1"),
    (dict(jigsaw=0.5, pairs=((0, 3), (1, 2))), "jigsaw needs"),
    (dict(pairs=()), "pairs has 0"),
    (dict(size=0), "size is 0: expected 1 or more"),
    (dict(critic=dict(name="concatenated")), "cannot be factored"),
  ],
)
def test_what_a_memory_cannot_do_is_refused(options, text):
  with pytest.raises(UserError, match=text):
    make_term("queue", **options)


def test_images_that_share_an_entry_are_refused():
  bank, nat = make_term("bank", images=100), NoiseAsTargets(100)
  for term, key in ((bank, "images"), (nat, "size")):
    with pytest.raises(UserError, match=f"a.{key} is 100, but there are 450"):
      objectives.check_data({"a": term}, 450, 16)
    assert objectives.check_data({"a": term}, 100, 16) == []
  (line,) = objectives.check_data({"a": bank}, 80, 16)
  assert "20% of the negatives are random" in line and "Set 80" in line


def test_a_queue_of_more_keys_than_images_is_said():
  terms = {
    "a": make_term("queue", size=4096),
    "b": make_term("queue", size=450),
  }
  (line,) = objectives.check_data(terms, 450, 16)
  assert line.startswith("config.objective.a.size is 4,096, but there are 450")
  assert "about 9.1 keys" in line and "at most 448" in line


def test_byol_is_zero_for_perfect_predictions_and_moves_no_key():
  terms, _ = objectives.build_terms({"byol": dict(dim=4, hidden=(8,))})
  term = terms["byol"]
  seen = {i: features(i, B) for i in (0, 1)}
  keys = units(3, B, 2, 4)

  def loss(keys):
    at = Seen(seen, {}, {}, keys)
    variables = term.init({"params": jax.random.key(0)}, at, True)
    out, _ = term.apply(variables, at, True, mutable=["batch_stats"])
    return out, variables, at

  out, variables, at = loss(jnp.asarray(keys))
  predicted = [
    np.asarray(
      term.apply(
        variables, at, i, True, method="_predict", mutable=["batch_stats"]
      )[0]
    )
    for i in (0, 1)
  ]
  want = sum(
    np.mean(np.sum((predicted[i] - keys[:, 1 - i]) ** 2, axis=-1))
    for i in (0, 1)
  )
  np.testing.assert_allclose(out.loss, want, rtol=1e-5)
  out, _, _ = loss(jnp.stack(predicted[::-1], axis=1))
  np.testing.assert_allclose(out.loss, 0, atol=1e-5)


def test_supcon_is_nt_xent_without_company_and_a_loop_with_it():
  x, y = (jnp.asarray(units(i, B, 5)) for i in (1, 2))
  alone = supcon(x, y, jnp.arange(B), 0.3)
  np.testing.assert_allclose(alone, nt_xent(x, y, 0.3), rtol=1e-5)
  unknown = supcon(x, y, -jnp.ones(B, int), 0.3)
  np.testing.assert_allclose(unknown, alone, rtol=1e-6)
  labels = np.array([0, 1, 0, 1] * 2)
  both = np.concatenate([x, y])
  each = []
  for i in range(2 * B):
    others = [j for j in range(2 * B) if j != i]
    total = np.log(sum(np.exp(both[i] @ both[j] / 0.3) for j in others))
    same = [j for j in others if labels[j] == labels[i]]
    each.append(np.mean([total - both[i] @ both[j] / 0.3 for j in same]))
  got = supcon(x, y, jnp.asarray(labels[:B]), 0.3)
  np.testing.assert_allclose(got, np.mean(each), rtol=1e-5)


def test_the_jigsaw_view_is_made_of_pieces_of_the_flipped_image():
  options = dict(
    name="none",
    size=12,
    count=1,
    jigsaw=dict(cells=3, size=12, patch=3, scale=(1.0, 1.0)),
  )
  views = make_views(options, (12, 12, 1))
  # Every pixel is told from every other by its value.
  image = np.arange(144, dtype=np.uint8).reshape(1, 12, 12, 1)
  batch = {"image": np.tile(image, (6, 1, 1, 1)), "index": np.arange(6)}
  whole, pieces = views(jax.random.key(0), batch)
  assert (whole.shape, pieces.shape) == ((6, 12, 12, 1), (6, 9, 3, 3, 1))
  values = np.round(np.asarray(pieces) * 255).astype(int)[..., 0]
  flips = 0
  for row in values:
    mirrored = row[0, 0, 0] > row[0, 0, 1]
    flips += mirrored
    for k, piece in enumerate(row):
      top, left = np.divmod(piece, 12)
      if mirrored:
        left = 11 - left
      assert (top // 4 == k // 3).all() and (left // 4 == k % 3).all()
      np.testing.assert_array_equal(np.diff(left, axis=1), 1)
      np.testing.assert_array_equal(np.diff(top, axis=0), 1)
  assert 0 < flips < 6
