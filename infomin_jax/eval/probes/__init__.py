"""Probes of frozen features, one file each, and the table of protocols.

`protocol.py` is the contract: what a probe takes (`Case`) and returns
(`Protocol`). To add one, write a file with a function of arrays and, at its
end, `protocol(options)`, where `options` is `config.evaluate`. Enter it in
`PROTOCOLS`. `shares.py` scores guessed labels.
"""

from collections.abc import Callable

from infomin_jax.eval.probes import (
  attributes,
  channels,
  dependence,
  finetune,
  generated,
  knn,
  label_information,
  linear,
  localization,
  maps,
  mlp,
  nearest,
  reconstruction,
  segmentation,
  sgd_linear,
  svm,
)
from infomin_jax.eval.probes.protocol import Protocol

PROTOCOLS: dict[str, Callable[..., Protocol]] = {
  "attributes": attributes.protocol,
  "channels": channels.protocol,
  "finetune": finetune.protocol,
  "knn": knn.protocol,
  "label_information": label_information.protocol,
  "linear": linear.protocol,
  "localisation": localization.protocol,
  "mine": dependence.mine_protocol,
  "mlp": mlp.protocol,
  "ndm": dependence.ndm_protocol,
  "neighbours": nearest.protocol,
  "pca": maps.protocol_of("pca"),
  "reconstruction": reconstruction.protocol,
  "samples": generated.protocol,
  "segmentation": segmentation.protocol,
  "semi_supervised": finetune.semi_supervised,
  "svm": svm.protocol,
  "tsne": maps.protocol_of("tsne"),
  **sgd_linear.PROTOCOLS,
}

__all__ = ["PROTOCOLS", "Protocol"]
