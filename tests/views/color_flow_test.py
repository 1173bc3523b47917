"""Learned color spaces against loops, their inverse and their Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax.errors import UserError
from infomin_jax.views.color_flow import ColourFlow
from infomin_jax.views.color_spaces import SPACES

KINDS = {
  "nice": dict(volume_preserving=True, space="rgb"),
  "nvp": dict(volume_preserving=False, space="ydbdr"),
}


@pytest.fixture(scope="module")
def images():
  return np.random.default_rng(0).uniform(size=(2, 3, 4, 3)).astype("f")


def random_params(flow, scale=0.5, seed=0):
  """Parameters that change a lot, unlike the first ones."""
  shapes = jax.eval_shape(flow.init, jax.random.key(0), jnp.zeros((1, 1, 1, 3)))
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: rng.normal(0, scale, x.shape).astype(np.float32), shapes
  )


def run(flow, variables, images, method="__call__"):
  apply = jax.jit(lambda v, x: flow.apply(v, x, method=method))
  return apply(variables, images)


def net_numpy(params, block, net, kept):
  own = {name: np.asarray(x)[block, net] for name, x in params.items()}
  h = np.maximum(kept[..., None] * own["slope"] + own["bend"], 0)
  return h @ own["out"].T + own["bias"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [1, 4])
def test_blocks_are_the_papers_one_channel_at_a_time(kind, depth, images):
  flow = ColourFlow(depth=depth, hidden=4, **KINDS[kind])
  variables = random_params(flow)
  params = variables["params"]
  want = np.array(SPACES[flow.space].normalize(images))
  for i in range(depth):
    kept = want[..., i % 3].copy()
    shift = net_numpy(params, i, 0, kept)
    log_scale = np.zeros_like(shift)
    if kind == "nvp":
      log_scale = np.tanh(net_numpy(params, i, 1, kept))
    others = [k for k in range(3) if k != i % 3]
    for n, k in enumerate(others):
      scaled = want[..., k] * np.exp(log_scale[..., n])
      want[..., k] = scaled + shift[..., n]
  got = run(flow, variables, images)
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_as_the_color_space(kind, images):
  flow = ColourFlow(**KINDS[kind])
  got, _ = flow.init_with_output(jax.random.key(0), images)
  want = SPACES[flow.space].normalize(images)
  np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_inverse_gives_the_images_back(kind, images):
  flow = ColourFlow(depth=6, hidden=8, **KINDS[kind])
  variables = random_params(flow, 0.3)
  made = run(flow, variables, images)
  assert np.abs(made - SPACES[flow.space].normalize(images)).max() > 0.3
  back = run(flow, variables, made, "inverse")
  np.testing.assert_allclose(back, images, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_log_det_is_that_of_the_jacobian(kind, images):
  flow = ColourFlow(depth=3, hidden=16, **KINDS[kind])
  variables = random_params(flow)
  images = images[:, :1, :2]  # 6 numbers

  def flat(x):
    return flow.apply(variables, x.reshape(1, 1, 2, 3)).ravel()

  jacobian = jax.jit(jax.vmap(jax.jacobian(flat)))
  jacobians = np.asarray(jacobian(images.reshape(2, 6)))
  want = np.linalg.slogdet(np.asarray(jacobians, float))[1]
  got = run(flow, variables, images, "log_det")
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
  # Only with scales does the volume depend on the image.
  assert (abs(got[0] - got[1]) > 0.01) == (kind == "nvp")
  # Channels depend on one another, but on one pixel alone.
  assert (np.abs(jacobians[0, 0, :3]) > 0.01).all()
  assert (jacobians[:, :3, 3:] == 0).all()


def test_no_channel_vanishes_or_explodes(images):
  flow = ColourFlow(depth=3, hidden=4, max_log_scale=0.5)
  variables = random_params(flow)
  start = run(flow, variables, images, "log_det")

  def most(sign):
    params = jax.tree.map(np.zeros_like, variables["params"])
    params["bias"][:, 1] += sign * 1e6
    return run(flow, {"params": params}, images, "log_det")

  low, high = most(-1), most(1)
  # Blocks, changed channels, limit, pixels; twice, from lowest to highest.
  np.testing.assert_allclose(high - low, 2 * 3 * 2 * 0.5 * 12, rtol=1e-5)
  assert (low < start).all() and (start < high).all()


@pytest.mark.parametrize(
  "options, words",
  [
    (dict(space="lab"), "space of a learned color space 'lab'.*ydbdr"),
    (dict(depth=0), "depth 0"),
    (dict(max_log_scale=0.0), "max_log_scale 0.0"),
  ],
)
def test_mistakes_are_named(options, words, images):
  with pytest.raises(UserError, match=words):
    ColourFlow(**options).init(jax.random.key(0), images)


def test_gray_images_have_no_color_to_learn(images):
  with pytest.raises(UserError, match=r"needs images of 3 channels .* got 1"):
    ColourFlow().init(jax.random.key(0), images[..., :1])
