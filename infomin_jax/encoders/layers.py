"""Convolutions and dense layers whose weight gradients are float32.

Flax casts weights to the compute dtype. A bfloat16 gradient is then rounded
before devices add theirs, and each addition rounds again. These layers multiply
in bfloat16, but the gradients of weights and biases are summed in float32, both
on a device and between devices.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def _uncast(x, kernel, bias, *, dtype, inexact=True):
  """Replaces Flax's `promote_dtype`: casts the input only."""
  del inexact
  return x.astype(dtype), kernel, bias


def _with_wide_gradient(product: Callable) -> Callable:
  """Makes `product` compute in x's dtype, with a float32 kernel gradient."""

  @functools.wraps(product)
  def wide(x, kernel, *args, **kwargs):
    def of(x, kernel):
      return product(x, kernel, *args, **kwargs)

    if x.dtype == kernel.dtype:
      return of(x, kernel)
    return _product(of, x, kernel)

  return wide


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _product(of: Callable, x: jax.Array, kernel: jax.Array) -> jax.Array:
  return of(x, kernel.astype(x.dtype))


def _forward(of, x, kernel):
  return _product(of, x, kernel), (x, kernel)


def _backward(of, residuals, slope):
  x, kernel = residuals
  narrow = kernel.astype(x.dtype)
  (dx,) = jax.linear_transpose(lambda x: of(x, narrow), x)(slope)

  def wide(x, slope):
    # A TPU multiplies float32 in bfloat16 by default. That loses nothing here:
    # these arrays were bfloat16. It adds in float32.
    x, slope = x.astype(jnp.float32), slope.astype(jnp.float32)
    return jax.linear_transpose(lambda k: of(x, k), kernel)(slope)[0]

  def rounded(x, slope):
    (dk,) = jax.linear_transpose(lambda k: of(x, k), narrow)(slope)
    return dk.astype(kernel.dtype)

  # cuDNN has no kernels with bfloat16 inputs and float32 outputs.
  dk = jax.lax.platform_dependent(x, slope, cuda=rounded, default=wide)
  return dx, dk


_product.defvjp(_forward, _backward)


_CONV = _with_wide_gradient(jax.lax.conv_general_dilated)
_DOT = _with_wide_gradient(jax.lax.dot_general)


def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `x @ kernel` in x's dtype, `[..., d], [d, e] -> [..., e]`."""
  return _DOT(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))


class Conv(nn.Conv):
  """`flax.linen.Conv` with float32 parameters; `dtype` must be set."""

  promote_dtype: Any = _uncast
  conv_general_dilated_cls: Any = lambda: _CONV

  def __call__(self, inputs: jax.Array) -> jax.Array:
    """Returns the convolution in `dtype`."""
    return super().__call__(inputs).astype(self.dtype)


class Dense(nn.Dense):
  """`flax.linen.Dense` with float32 parameters; `dtype` must be set."""

  promote_dtype: Any = _uncast
  dot_general_cls: Any = lambda: _DOT

  def __call__(self, inputs: jax.Array) -> jax.Array:
    """Returns the product in `dtype`."""
    return super().__call__(inputs).astype(self.dtype)
