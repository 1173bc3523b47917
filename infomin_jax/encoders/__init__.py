"""Encoders: images -> `Features`, a local map, a global vector and taps.

To add one, write a Linen module with `__call__(images, train) -> Features` in a
file here. Add an entry below and a row in `tests/encoders/encoders_test.py`.
`config.encoder.name` selects the encoder; the other keys of `config.encoder`
are the module's attributes. Decoders, from vectors to images, are in
`decoder.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from infomin_jax.encoders.alexnet import Alex64
from infomin_jax.encoders.convnet import Basic, ConvNet
from infomin_jax.encoders.convnet_lstm import ConvNetLSTM
from infomin_jax.encoders.crops import (
  FoldedAlex,
  FoldedMultiAlex,
  FoldedResNet,
)
from infomin_jax.encoders.features import Encoder, Features
from infomin_jax.encoders.layernorm_convnet import LayerNormConvNet
from infomin_jax.encoders.mlp import MLP, SkipMLP
from infomin_jax.encoders.realnvp import RealNVP
from infomin_jax.encoders.resnet import ResNet
from infomin_jax.encoders.split import Split, make_split

ENCODERS: dict[str, Callable[..., Any]] = {
  "alex64x64": Alex64,
  "basic28x28": partial(Basic, 28),
  "basic32x32": partial(Basic, 32),
  "basic64x64": partial(Basic, 64),
  "convnet": ConvNet,
  "convnet_layernorm": LayerNormConvNet,
  "convnet_lstm": ConvNetLSTM,
  "foldalex64x64": FoldedAlex,
  "foldmultialex64x64": FoldedMultiAlex,
  "foldresnet19_32x32": partial(FoldedResNet, 19),
  "foldresnet37_32x32": partial(FoldedResNet, 37),
  "mlp": MLP,
  "realnvp": RealNVP,
  "resnet18": partial(ResNet, 18),
  "resnet34": partial(ResNet, 34),
  "resnet50": partial(ResNet, 50),
  "resnet101": partial(ResNet, 101),
  "resnet152": partial(ResNet, 152),
  "skip_mlp": SkipMLP,
}
# The networks of the parts are looked up in this table too.
ENCODERS["split"] = partial(make_split, ENCODERS)

__all__ = ["ENCODERS", "Encoder", "Features", "Split"]
