"""Contrasts two parts of an STL-10 image: colors, frequencies, learned views.

  infomin train --config configs/stl10_views.py:ydbdr --workdir runs/stl_ydbdr
  infomin train --config configs/stl10_views.py:frequency \\
    --config.encoder.parts.sigma=0.7 --workdir runs/stl_frequency
  infomin train --config configs/stl10_views.py:semi --workdir runs/stl_semi
  infomin train --config configs/stl10_views.py:frozen \\
    --config.encoder.generator_from=runs/stl_semi --workdir runs/stl_learned

Rows:
  rgb, ydbdr, ...  a color space, first channel against the other two
  frequency        the blurred image against the residual
  unsupervised, supervised, semi, floor
                   an invertible color space that is learned
  frozen           encoders on a learned color space of another run
The row `floor` is not in the paper. `:tiny` and `:lab,tiny` are for tests.

Linear accuracies in percent of Tian et al. 2020: rgb 81.5, ydbdr 86.6, and,
learned from ydbdr, unsupervised 84.3, supervised 78.5, semi 87.0. Not yet
measured here.

Differs from the paper: it does not give these settings. Encoder, optimizer and
schedule are those of the code of Wang and Isola 2020 for STL-10, with two
networks of half the width. Crops and temperature are those of the authors of
CMC. Negatives come from the batch, not from a memory bank, so that the bound is
at most log(768) = 6.64 nats. Learned rows use Adam with learning rates of our
own.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, learned_views, variants

ROWS = (*learned_views.SPACES, "frequency", *learned_views.LEARNED)


def get_config(variant: str = "ydbdr") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a row, `tiny`, or both."""
  row, _, tiny = variants.parse(variant, ROWS, "ydbdr")
  config = base.get_config()
  config.steps, config.batch_size = 27_344, 768  # 200 epochs
  config.data.update(name="stl10", split="train+unlabelled")
  config.views = learned_views.views(row, 64) | dict(crop_scale=(0.2, 1.0))
  config.normalize = learned_views.statistics(row)
  network = dict(
    name="alex64x64",
    dim=8 if tiny else 128,
    width=4 if tiny else 48,
    hidden=32 if tiny else 2048,
    dtype="float32",
  )
  config.encoder = learned_views.encoder(row, network, "ydbdr")
  # 0 uses all labels: images without a label have the label -1 here.
  config.objective = learned_views.objective(
    row, network, contrastive.COSINES, classes=10, labelled=0
  )
  if row in learned_views.LEARNED and row != "frozen":
    config.optimizer = dict(name="adam", b1=0.9, b2=0.999, clip=0.0)
    config.schedule = dict(name="constant", peak=2e-4)
  else:
    config.optimizer = contrastive.SGD
    # After 155, 170 and 185 epochs.
    config.schedule = dict(
      name="step", peak=0.36, at=(0.775, 0.85, 0.925), factor=0.1, warmup=0
    )
  config.run.update(checkpoint_every=1367, evaluate_every=1367)
  config.evaluate.update(
    taps=("fc", "conv"), resize=70, epochs=100, label_share=1.0
  )
  return base.tiny(config) if tiny else config
