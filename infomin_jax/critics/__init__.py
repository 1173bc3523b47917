"""Critics f(x, y): how well do two representations belong together?

A critic turns `x [b, d]` and `y [n, d]` into `scores[i, j] = f(x_i, y_j)`,
`[b, n]`. Factored critics are an inner product of two embeddings; they expose
`embed_x` and `embed_y`, which is all that a queue, a tile-by-tile reduction or
another device needs. Scores are float32 and their matmuls keep it (a TPU would
multiply in bfloat16 otherwise).
"""

from infomin_jax.critics.concatenated import ConcatAndConvolve, Concatenated
from infomin_jax.critics.conditional import ConditionalGaussian
from infomin_jax.critics.factored import (
  Bilinear,
  InnerProduct,
  LowRankBilinear,
  Separable,
)
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
