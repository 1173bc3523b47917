"""Critics f(x, y): scores of how well two representations belong together.

A critic maps `x [b, d]` and `y [n, d]` to `scores[i, j] = f(x_i, y_j)`,
`[b, n]`. Factored critics are an inner product of two embeddings, `embed_x` and
`embed_y`. A queue, a reduction over tiles, or another device needs only the
embeddings. Scores are float32, and so are the products they are sums of: a TPU
would multiply in bfloat16 by default.
"""

from infomin_jax.critics.concatenated import ConcatAndConvolve, Concatenated
from infomin_jax.critics.factored import (
  Bilinear,
  InnerProduct,
  LowRankBilinear,
  Separable,
)
from infomin_jax.critics.gaussian import ConditionalGaussian
from infomin_jax.critics.heads import Head, LogBaseline, inner, unit
from infomin_jax.critics.local import EncodeAndDot, MapAndDot

CRITICS = {
  "bilinear": Bilinear,
  "concat_and_convolve": ConcatAndConvolve,
  "concatenated": Concatenated,
  "conditional_gaussian": ConditionalGaussian,
  "encode_and_dot": EncodeAndDot,
  "inner_product": InnerProduct,
  "low_rank_bilinear": LowRankBilinear,
  "map_and_dot": MapAndDot,
  "separable": Separable,
}

__all__ = [
  "CRITICS",
  "Bilinear",
  "ConcatAndConvolve",
  "Concatenated",
  "ConditionalGaussian",
  "EncodeAndDot",
  "Head",
  "InnerProduct",
  "LogBaseline",
  "LowRankBilinear",
  "MapAndDot",
  "Separable",
  "inner",
  "unit",
]
