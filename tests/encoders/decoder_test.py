"""Decoders against a loop, hand-counted parameters, and their range."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, count, variables_for

from infomin_jax.encoders.decoder import Decoder, Double, Reconstructor
from infomin_jax.errors import UserError

SMALL = {
  "decoder": partial(Decoder, 8, 2, width=4),
  "reconstructor": partial(Reconstructor, 8, 2, width=4),
}


def small(name, **options):
  """A small decoder, its variables and three vectors."""
  decoder = SMALL[name](**options)
  y = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
  return decoder, variables_for(decoder, y.shape), y


def abstract(decoder, shape):
  """Shapes of images and variables; nothing is computed or compiled."""
  return jax.eval_shape(
    lambda key, y: decoder.init_with_output(key, y, False),
    jax.random.key(0),
    jax.ShapeDtypeStruct(shape, jnp.float32),
  )


def transposed_numpy(x, kernel, stride, padding):
  """PyTorch's definition: every place adds its kernel to the output.

  `kernel` is PyTorch's, `[c, width, k, k]`.
  """
  side, width = kernel.shape[2], kernel.shape[1]
  b, h, w, _ = x.shape
  rows, columns = (stride * (n - 1) + side for n in (h, w))
  out = np.zeros((b, rows, columns, width))
  for i in range(h):
    for j in range(w):
      place = np.einsum("bc,cdkl->bkld", x[:, i, j], kernel)
      top, left = stride * i, stride * j
      out[:, top : top + side, left : left + side] += place
  return out[:, padding : rows - padding, padding : columns - padding]


@pytest.mark.parametrize("shape", [(2, 3, 4, 3), (1, 1, 1, 2)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_transposed_convolution_is_that_of_pytorch(shape, bias):
  rng = np.random.default_rng(0)
  x = rng.normal(size=shape).astype(np.float32)
  kernel = rng.normal(size=(shape[-1], 5, 4, 4)).astype(np.float32)
  offset = rng.normal(size=5).astype(np.float32)
  params = {"kernel": kernel.transpose(2, 3, 1, 0)}
  if bias:
    params["bias"] = offset
  layer = Double(5, bias)
  got = layer.apply({"params": params}, x)
  want = transposed_numpy(x, kernel, 2, 1) + bias * offset
  assert got.shape == (shape[0], 2 * shape[1], 2 * shape[2], 5)
  assert_close(got, want)


def test_a_transposed_convolution_starts_as_pytorch_does():
  x = np.zeros((1, 2, 2, 128), np.float32)
  drawn = Double(32, True).init(jax.random.key(0), x)["params"]
  # PyTorch takes the channels of the output for the fan-in.
  bound = (16 * 32) ** -0.5
  assert 0.99 * bound < np.abs(drawn["kernel"]).max() <= bound
  assert drawn["kernel"].shape == (4, 4, 32, 128)


@pytest.mark.parametrize(
  "decoder, parameters",
  [
    # Linear, batch norm, transposed convolutions, their norms, convolution.
    (
      Decoder(32),
      (64 + 1) * 4096
      + 2 * 256
      + 16 * (256 * 128 + 128 * 64 + 64 * 64)
      + 2 * (128 + 64 + 64)
      + 9 * 64 * 3,
    ),
    (
      Decoder(64),
      (64 + 1) * 8192
      + 2 * 512
      + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 64)
      + 2 * (256 + 128 + 64 + 64)
      + 9 * 64 * 3,
    ),
    (
      Decoder(28, 1),
      (64 + 1) * 49 * 128
      + 2 * 128
      + 16 * (128 * 64 + 64 * 64)
      + 2 * (64 + 64)
      + 9 * 64,
    ),
    (
      Reconstructor(),
      (64 + 2) * 8192
      + 16 * (512 * 256 + 256 * 128 + 128 * 64)
      + 3 * (256 + 128 + 64)
      + 9 * 64 * 3,
    ),
  ],
)
def test_published_layers(decoder, parameters):
  images, variables = abstract(decoder, (2, 64))
  assert count(variables["params"]) == parameters
  side, channels = decoder.size, decoder.channels
  assert images.shape == (2, side, side, channels)


@pytest.mark.parametrize("size", [8, 12, 28, 40, 64, 96])
@pytest.mark.parametrize("make", [Decoder, Reconstructor])
def test_images_have_the_size_asked_for(make, size):
  images, _ = abstract(make(size, 1, width=2), (2, 3))
  assert images.shape == (2, size, size, 1)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_in_evaluation_a_vector_is_decoded_alone(name, dtype):
  decoder, variables, y = small(name, dtype=dtype)
  run = jax.jit(decoder.apply, static_argnums=2)
  before = run(variables, y, False)
  after = run(variables, np.concatenate([5 * y[2:], y[1:]]), False)
  assert_close(before[1:], after[1:])
  assert np.abs(before[0] - after[0]).max() > 0.01
  assert before.dtype == jnp.float32
  far = run(variables, 100 * y, False)
  assert 0.9 < np.abs(far).max() <= 1


@pytest.mark.parametrize("name", SMALL)
def test_training_moves_statistics_and_every_kernel(name):
  decoder, variables, y = small(name)
  stats = {"batch_stats": variables["batch_stats"]}

  @jax.jit
  @partial(jax.grad, has_aux=True)
  def slopes(params):
    images, moved = decoder.apply(
      {"params": params, **stats}, y, True, mutable=["batch_stats"]
    )
    return jnp.mean((images - 0.5) ** 2), moved

  found, moved = slopes(variables["params"])
  for path, slope in jax.tree_util.tree_flatten_with_path(found)[0]:
    assert np.all(np.isfinite(slope)), path
    if path[-1].key == "kernel":
      assert np.abs(slope).max() > 0, path
  for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(stats), strict=True):
    assert np.abs(a - b).max() > 0


@pytest.mark.parametrize(
  "decoder, shape, words",
  [
    (Decoder(30), (2, 4), "expected a size.*28, 32 or 64, got 30"),
    (Decoder(4), (2, 4), "expected a size.*got 4"),
    (Decoder(8), (2, 3, 3, 4), r"expected vectors.*\(2, 3, 3, 4\)"),
    (Reconstructor(dtype="half"), (2, 4), "dtype of the decoder 'half'"),
  ],
)
def test_mistakes_are_named(decoder, shape, words):
  with pytest.raises(UserError, match=words):
    abstract(decoder, shape)
