"""Critics against their formulas, written as loops over pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax.critics import (
  CRITICS,
  Bilinear,
  ConcatAndConvolve,
  Concatenated,
  ConditionalGaussian,
  EncodeAndDot,
  InnerProduct,
  LogBaseline,
  LowRankBilinear,
  Separable,
)

X = jax.random.normal(jax.random.key(0), (4, 6))
Y = jax.random.normal(jax.random.key(1), (7, 6))
BUILT = {
  "inner_product": InnerProduct(0.5),
  "bilinear": Bilinear(6),
  "conditional_gaussian": ConditionalGaussian(6, (8,)),
  "low_rank_bilinear": LowRankBilinear(2, 0.5),
  "separable": Separable(5, (8,)),
  "concatenated": Concatenated((8, 8), block=3),
}


def test_inner_product_is_a_cosine_over_the_temperature():
  scores = InnerProduct(0.1, normalize=True).apply({}, X, Y)
  for i in range(4):
    for j in range(7):
      cosine = X[i] @ Y[j] / jnp.linalg.norm(X[i]) / jnp.linalg.norm(Y[j])
      np.testing.assert_allclose(scores[i, j], cosine / 0.1, rtol=1e-4)


@pytest.mark.parametrize("name", BUILT)
def test_a_score_depends_on_its_own_pair_alone(name):
  critic = BUILT[name]
  variables = critic.init(jax.random.key(2), X, Y)
  scores = critic.apply(variables, X, Y)
  assert scores.shape == (4, 7)
  assert scores.dtype == jnp.float32
  for i, j in ((0, 0), (3, 6), (2, 1)):
    alone = critic.apply(variables, X[i : i + 1], Y[j : j + 1])
    np.testing.assert_allclose(alone[0, 0], scores[i, j], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(BUILT.keys() - {"concatenated"}))
def test_factored_critics_are_inner_products_of_their_embeddings(name):
  critic = BUILT[name]
  variables = critic.init(jax.random.key(2), X, Y)
  gx = critic.apply(variables, X, method="embed_x")
  hy = critic.apply(variables, Y, method="embed_y")
  scores = critic.apply(variables, X, Y)
  np.testing.assert_allclose(scores, gx @ hy.T, rtol=1e-4, atol=1e-5)


def test_concatenated_is_an_mlp_of_the_concatenation():
  critic = BUILT["concatenated"]
  params = critic.init(jax.random.key(2), X, Y)["params"]
  first = np.concatenate(
    [params["Dense_0"]["kernel"], params["Dense_1"]["kernel"]]
  )
  pair = np.concatenate([X[1], Y[4]])
  hidden = np.maximum(pair @ first + params["Dense_0"]["bias"], 0)
  rest = params["rest"]
  hidden = hidden @ rest["Dense_0"]["kernel"] + rest["Dense_0"]["bias"]
  score = np.maximum(hidden, 0) @ rest["Dense_1"]["kernel"]
  got = critic.apply({"params": params}, X, Y)[1, 4]
  np.testing.assert_allclose(
    got, score[0] + rest["Dense_1"]["bias"][0], rtol=1e-4
  )


def test_concatenated_blocks_change_nothing():
  variables = BUILT["concatenated"].init(jax.random.key(2), X, Y)
  both = [
    Concatenated((8, 8), block).apply(variables, X, Y) for block in (1, 4)
  ]
  np.testing.assert_allclose(*both, rtol=1e-5)


def test_concatenated_never_holds_all_pairs():
  b, n, dim, block = 64, 96, 32, 4
  critic = Concatenated((16, 16), block)
  x, y = jnp.ones((b, dim)), jnp.ones((n, dim))
  variables = jax.eval_shape(critic.init, jax.random.key(0), x, y)

  def loss(variables, x, y):
    return jnp.sum(critic.apply(variables, x, y))

  program = jax.make_jaxpr(jax.grad(loss, (0, 1)))(variables, x, y)
  largest = max(sizes(program.jaxpr))
  assert largest <= max(block * n * 16, b * n)
  assert largest < b * n * 2


def sizes(jaxpr):
  """Of all arrays of a program, also in its loops."""
  for equation in jaxpr.eqns:
    yield from (out.aval.size for out in equation.outvars)
    for inner in jax.tree.leaves(
      list(equation.params.values()),
      is_leaf=lambda leaf: hasattr(leaf, "eqns") or hasattr(leaf, "jaxpr"),
    ):
      if hasattr(inner, "jaxpr") or hasattr(inner, "eqns"):
        yield from sizes(getattr(inner, "jaxpr", inner))


def test_low_rank_bilinear_is_x_u_v_y():
  critic = BUILT["low_rank_bilinear"]
  params = critic.init(jax.random.key(2), X, Y)["params"]
  u, v = params["u"]["kernel"], params["v"]["kernel"]
  assert u.shape == v.shape == (6, 2)
  assert jax.tree.leaves(params)[0].ndim == 2 == len(jax.tree.leaves(params))
  got = critic.apply({"params": params}, X, Y)
  np.testing.assert_allclose(got, X @ u @ v.T @ Y.T / 0.5, rtol=1e-4, atol=1e-5)


def test_conditional_gaussian_is_a_log_density():
  critic = BUILT["conditional_gaussian"]
  variables = critic.init(jax.random.key(2), X, Y)
  scores = critic.apply(variables, X, Y)
  pairs = critic.apply(variables, X, Y[:4], method="log_prob")
  np.testing.assert_allclose(jnp.diagonal(scores), pairs, rtol=1e-4)
  mean, log_variance = critic.apply(
    variables, X, method="mean_and_log_variance"
  )
  want = jax.scipy.stats.norm.logpdf(
    Y[None], mean[:, None], jnp.exp(log_variance / 2)[:, None]
  )
  np.testing.assert_allclose(scores, want.sum(-1), rtol=1e-4)


def test_log_baseline_has_one_value_a_column():
  baseline = LogBaseline((8,))
  maps = Y.reshape(7, 2, 3)
  for y in (Y, maps):
    variables = baseline.init(jax.random.key(2), y)
    got = baseline.apply(variables, y)
    assert got.shape == y.shape[:-1]
    one = baseline.apply(variables, y[3:4])
    np.testing.assert_allclose(one[0], got[3], rtol=1e-5)


def test_concat_and_convolve_scores_every_location():
  maps = jax.random.normal(jax.random.key(3), (5, 2, 3, 4))
  critic = ConcatAndConvolve((8, 8))
  variables = critic.init(jax.random.key(2), X, maps)
  scores = critic.apply(variables, X, maps)
  assert scores.shape == (4, 5, 6)
  # Location 4 of a 2 x 3 map is row 1, column 1, as of a concatenated critic.
  whole = Concatenated((8, 8))
  params = {"params": variables["params"]["pairs"]}
  one = whole.apply(params, X[2:3], maps[3:4, 1, 1])
  np.testing.assert_allclose(one[0, 0], scores[2, 3, 4], rtol=1e-4, atol=1e-6)


def test_concat_and_convolve_has_the_published_layers():
  shapes = jax.eval_shape(
    lambda: ConcatAndConvolve().init(
      jax.random.key(0), jnp.zeros((2, 64)), jnp.zeros((2, 8, 8, 128))
    )
  )
  size = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  assert size == (64 + 128 + 1) * 512 + (512 + 1) * 512 + 512 + 1


def test_shared_separable_is_symmetric():
  critic = Separable(5, (8,), shared=True, normalize=True)
  variables = critic.init(jax.random.key(2), X, X)
  scores = critic.apply(variables, X, X)
  np.testing.assert_allclose(scores, scores.T, atol=1e-5)
  np.testing.assert_allclose(jnp.diagonal(scores), 1.0, rtol=1e-5)


def test_encode_and_dot_scores_every_location():
  maps = jax.random.normal(jax.random.key(3), (5, 2, 3, 4))
  critic = EncodeAndDot(16)
  variables = critic.init(jax.random.key(2), X, maps)
  scores = critic.apply(variables, X, maps, train=False)
  assert scores.shape == (4, 5, 6)
  # Location 4 of a 2 x 3 map is row 1, column 1.
  one = critic.apply(variables, X[2:3], maps[3:4, 1:2, 1:2], train=False)
  np.testing.assert_allclose(one[0, 0, 0], scores[2, 3, 4], rtol=1e-4)


def test_encode_and_dot_has_the_published_size():
  shapes = jax.eval_shape(
    lambda: EncodeAndDot(2048).init(
      jax.random.key(0), jnp.zeros((2, 64)), jnp.zeros((2, 8, 8, 128))
    )
  )

  def count(side):
    return sum(x.size for x in jax.tree.leaves(shapes["params"][side]))

  assert round(count("h") / 1e6, 2) == 4.73
  assert round(count("g") / 1e6, 2) == 4.47


def test_every_critic_name_is_tried_here():
  others = {"encode_and_dot", "concat_and_convolve", "map_and_dot"}
  assert set(CRITICS) == {*BUILT, *others}


def test_map_and_dot_scores_whole_maps():
  key, start = jax.random.split(jax.random.key(0))
  x, y = jnp.ones((3, 5)), jax.random.normal(key, (4, 8, 8, 2))
  critic = CRITICS["map_and_dot"](units=6, widths=(4, 4), hidden=7)
  variables = critic.init(start, x, y, False)
  scores = critic.apply(variables, x, y, False)
  gx = critic.apply(variables, x, False, method="embed_x")
  hy = critic.apply(variables, y, False, method="embed_y")
  assert scores.shape == (3, 4) and hy.shape == (4, 6)
  np.testing.assert_allclose(scores, gx @ hy.T, rtol=1e-5)
