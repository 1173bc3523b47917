"""Two parts of an STL-10 image contrasted: colors, frequencies, learned ones.

  infomin train --config configs/stl10_views.py:ydbdr --workdir runs/stl_ydbdr
  infomin train --config configs/stl10_views.py:frequency \\
    --config.encoder.parts.sigma=0.7 --workdir runs/stl_frequency
  infomin train --config configs/stl10_views.py:semi --workdir runs/stl_semi
  infomin train --config configs/stl10_views.py:frozen \\
    --config.encoder.generator_from=runs/stl_semi --workdir runs/stl_learned

Rows are color spaces (first channel against the other two), `frequency` (a
Gaussian blur against the rest), invertible color spaces that are learned
(`unsupervised`, `supervised`, `semi`, and `floor`, beyond the paper), and
`frozen`, which trains encoders on one of these. Not yet measured here; Tian et
al. 2020 have, linear: rgb 81.5, ydbdr 86.6; unsupervised 84.3, supervised 78.5,
semi 87.0 from ydbdr. `:tiny` and `:lab,tiny` are for tests.

Differs from the paper: which does not publish these settings, so encoder,
optimizer and schedule are those of the code of Wang and Isola 2020 for STL-10,
in two networks of half the width; crops and temperature are those of CMC's
authors. Negatives are those of the batch, not of a memory bank, so the bound
is at most log(768) = 6.64 nats. Learned rows use Adam, at rates of ours.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, learned_views, variants

ROWS = (*learned_views.SPACES, "frequency", *learned_views.LEARNED)


def get_config(variant: str = "ydbdr") -> ml_collections.ConfigDict:
  """Returns the config of a row, or tiny, or both."""
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
  # Labels are -1 where there are none.
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
