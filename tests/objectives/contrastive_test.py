"""The contrastive terms: NT-Xent, one pass for two directions, streaming."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax import objectives
from infomin_jax.critics import InnerProduct, unit
from infomin_jax.encoders.features import Features
from infomin_jax.errors import UserError
from infomin_jax.estimators import ESTIMATORS, Factored, infonce
from infomin_jax.objectives import scoring
from infomin_jax.objectives.contrastive import Contrastive, nt_xent
from infomin_jax.objectives.deep_infomax import DeepInfoMax
from infomin_jax.objectives.term import Seen

CRITIC = dict(name="separable", dim=3, shared=True, normalize=True)
COSINE = InnerProduct(temperature=0.5, normalize=True)


def embeddings(b=5, d=3, seed=0):
  x, y = jax.random.normal(jax.random.key(seed), (2, b, d))
  return unit(x), unit(y)


def features(*views):
  return {i: Features(None, v, {}) for i, v in enumerate(views)}


def naive_nt_xent(x, y, temperature):
  """Eq. 1 of SimCLR, anchor by anchor."""
  z, losses = np.concatenate([x, y]).astype(np.float64), []
  for i in range(len(z)):
    scores = z @ z[i] / temperature
    partner = scores[(i + len(x)) % len(z)]
    others = np.exp(np.delete(scores, i))
    losses.append(np.log(others.sum()) - partner)
  return np.mean(losses)


def dense_nt_xent(x, y, temperature):
  """The same on the whole matrix, to differentiate."""
  z = jnp.concatenate([x, y])
  scores = jnp.where(jnp.eye(len(z), dtype=bool), -jnp.inf, z @ z.T)
  log_p = jax.nn.log_softmax(scores / temperature)
  return -jnp.mean(
    log_p[jnp.arange(len(z)), (jnp.arange(len(z)) + len(x)) % len(z)]
  )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("temperature", [0.5, 0.01])
def test_nt_xent_against_a_loop(stream, temperature):
  x, y = embeddings()
  run = jax.jit(
    jax.value_and_grad(nt_xent, (0, 1)), static_argnames=("stream",)
  )
  value, slopes = run(x, y, temperature, stream=stream)
  np.testing.assert_allclose(value, naive_nt_xent(x, y, temperature), rtol=1e-5)
  want = jax.jit(jax.grad(dense_nt_xent, (0, 1)))(x, y, temperature)
  for got, slope in zip(slopes, want, strict=True):
    np.testing.assert_allclose(got, slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stream", [False, True])
def test_candidates_within_the_own_view(stream):
  x, y = embeddings()
  term = Contrastive(COSINE, infonce, within=True, stream=stream)
  found = term.apply({}, Seen(features(2 * x, 3 * y), {}, {}), True)
  nats = found.metrics["nats"]
  np.testing.assert_allclose(found.loss, -nats)
  want = np.log(2 * len(x) - 1) - naive_nt_xent(x, y, COSINE.temperature)
  np.testing.assert_allclose(nats, want, rtol=1e-5)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("name", ["infonce", "nwj"])
def test_streaming_changes_no_term(name, symmetric):
  views = features(*embeddings(), embeddings(seed=1)[0])
  terms = [
    Contrastive(COSINE, ESTIMATORS[name].fn, symmetric, stream=stream)
    for stream in (False, True)
  ]
  held, streamed = (
    term.apply({}, Seen(views, {}, {}), True).metrics["nats"] for term in terms
  )
  np.testing.assert_allclose(streamed, held, rtol=1e-5)
  # Both directions of every pair with one of the first two views.
  pairs = [(0, 1), (0, 2), (1, 2)]
  estimate, nats = ESTIMATORS[name], []
  for i, j in pairs:
    scores = COSINE.apply({}, views[i].global_, views[j].global_)
    nats += [estimate(scores)] + [estimate(scores.T)] * symmetric
  np.testing.assert_allclose(held, np.mean(nats), rtol=1e-5)


def test_deep_infomax_streams_locations():
  b, h, w, d = 4, 2, 3, 5
  key, other, start = jax.random.split(jax.random.key(0), 3)
  views = {
    0: Features(
      jax.random.normal(key, (b, h, w, d)),
      jax.random.normal(other, (b, d)),
      {},
    )
  }
  options = dict(
    estimator="infonce", critic=dict(name="encode_and_dot", units=4)
  )
  losses = []
  for stream in (False, True):
    terms, _ = objectives.build_terms(
      {"deep_infomax_local": options | {"stream": stream}}
    )
    term = terms["deep_infomax_local"]
    assert isinstance(term, DeepInfoMax)

    @jax.jit
    def loss(key, views, term=term):
      seen = Seen(views, {}, {})
      variables = term.init(key, seen, False)
      return term.apply(variables, seen, False).loss

    losses.append(loss(start, views))
    assert term.form(views).startswith(f"{b} x {b} x {h} x {w} scores, ")
  np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_auto_streams_what_is_large():
  small = jax.ShapeDtypeStruct((4096, 8), jnp.float32)
  large = jax.ShapeDtypeStruct((4104, 8), jnp.float32)
  locations = jax.ShapeDtypeStruct((512, 9, 8, 8), jnp.float32)
  choose = scoring.streams
  assert not choose(COSINE, small, small, "auto")
  assert choose(COSINE, large, large, "auto")
  assert choose(COSINE, locations, locations, "auto")
  assert choose(COSINE, small, small, True)
  assert choose(COSINE, small, small, "True")  # from a command line
  assert not choose(COSINE, large, large, False)
  terms, _ = objectives.build_terms(
    {"contrastive": dict(estimator="nwj", critic=dict(name="concatenated"))}
  )
  assert not choose(terms["contrastive"].critic, large, large, "auto")
  term = Contrastive(COSINE, infonce)
  got = term.form({i: Features(None, large, {}) for i in (0, 1)})
  assert got == "4104 x 4104 scores, streamed (a matrix would take 64.25 MiB)"
  got = term.form({i: Features(None, small, {}) for i in (0, 1)})
  assert got == "4096 x 4096 scores, held as a matrix (64 MiB)"


def test_auto_gives_the_estimator_two_factors(monkeypatch):
  seen = []

  def estimator(scores):
    seen.append(scores)
    return ESTIMATORS["nwj"](scores)

  term, views = Contrastive(COSINE, estimator), features(*embeddings())
  term.apply({}, Seen(views, {}, {}), True)
  monkeypatch.setattr(scoring, "STREAM_ABOVE", 24)
  term.apply({}, Seen(views, {}, {}), True)
  assert [isinstance(s, Factored) for s in seen] == [False] * 2 + [True] * 2


BAD = {
  "stream is 'yes': expected auto": dict(stream="yes"),
  "stream is True, but its critic": dict(
    stream=True, critic=dict(name="concatenated")
  ),
  "within is NT-Xent: it needs estimator": dict(within=True, estimator="nwj"),
  "within compares views with them": dict(
    within=True, critic=dict(name="separable", dim=3)
  ),
}


@pytest.mark.parametrize("message", BAD)
def test_options_that_do_not_fit_are_refused(message):
  options = dict(estimator="infonce", critic=CRITIC) | BAD[message]
  with pytest.raises(
    UserError, match=rf"config\.objective\.contrastive.{message}"
  ):
    objectives.build_terms({"contrastive": options})
