"""Convolutions and dense layers whose weights learn in float32.

Flax casts weights to the compute dtype, so that a gradient of bfloat16 is
rounded before devices add theirs, and each addition rounds again. Here the
products are of bfloat16, but the gradients of weights and biases are sums in
float32, on a device and between devices.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def _uncast(x, kernel, bias, *, dtype, inexact=True):
  """Flax's `promote_dtype`, for the input alone."""
  del inexact
  return x.astype(dtype), kernel, bias


def _with_wide_gradient(product: Callable) -> Callable:
  """`product(x, kernel, ...)` in x's dtype, from a kernel in float32."""

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
    # A TPU multiplies float32 in bfloat16 by default: nothing is lost, as that
    # is what these were, and it adds in float32.
    x, slope = x.astype(jnp.float32), slope.astype(jnp.float32)
    return jax.linear_transpose(lambda k: of(x, k), kernel)(slope)[0]

  def rounded(x, slope):
    (dk,) = jax.linear_transpose(lambda k: of(x, k), narrow)(slope)
    return dk.astype(kernel.dtype)

  # cuDNN has no kernels of bfloat16 that give float32.
  dk = jax.lax.platform_dependent(x, slope, cuda=rounded, default=wide)
  return dx, dk


_product.defvjp(_forward, _backward)


_CONV = _with_wide_gradient(jax.lax.conv_general_dilated)
_DOT = _with_wide_gradient(jax.lax.dot_general)


def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """`x @ kernel` of a `[d, e]` float32 kernel, in x's dtype: `[..., e]`."""
  return _DOT(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))


class Conv(nn.Conv):
  """`flax.linen.Conv`; `dtype` must be given, parameters are float32."""

  promote_dtype: Any = _uncast
  conv_general_dilated_cls: Any = lambda: _CONV

  def __call__(self, inputs: jax.Array) -> jax.Array:
    """Returns the convolution in `dtype`."""
    return super().__call__(inputs).astype(self.dtype)


class Dense(nn.Dense):
  """`flax.linen.Dense`; `dtype` must be given, parameters are float32."""

  promote_dtype: Any = _uncast
  dot_general_cls: Any = lambda: _DOT

  def __call__(self, inputs: jax.Array) -> jax.Array:
    """Returns the product in `dtype`."""
    return super().__call__(inputs).astype(self.dtype)
