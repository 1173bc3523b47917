"""Two parts of an STL-10 image contrasted: colours, frequencies, learned ones.

  infomin train --config configs/stl10_views.py:ydbdr --workdir runs/stl_ydbdr
  infomin train --config configs/stl10_views.py:frequency \\
    --config.encoder.parts.sigma=0.7 --workdir runs/stl_frequency
  infomin train --config configs/stl10_views.py:semi --workdir runs/stl_semi
  infomin train --config configs/stl10_views.py:frozen \\
    --config.encoder.generator_from=runs/stl_semi --workdir runs/stl_learned

Rows are colour spaces (first channel against the other two), `frequency` (a
Gaussian blur against the rest), invertible colour spaces that are learned
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

from infomin_jax.studies import variants
from infomin_jax.studies.good_views import rows

ROWS = (*rows.SPACES, "frequency", *rows.LEARNED)


def get_config(variant: str = "ydbdr") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is a row, or tiny, or both."""
  row, _, tiny = variants.parse(variant, ROWS, "ydbdr")
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 27_344  # 200 epochs
  config.batch_size = 16 if tiny else 768
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="stl10",
    data_dir="",
    split="train+unlabelled",
    probe_split="train",
    test_split="test",
    resident=True,
    host_crops=False,
    workers=0,
    threads=4,
    broken="stop",
  )
  config.views = rows.views(row, 64) | dict(crop_scale=(0.2, 1.0))
  config.normalize = rows.statistics(row)
  network = dict(
    name="alex64x64",
    dim=8 if tiny else 128,
    width=4 if tiny else 48,
    hidden=32 if tiny else 2048,
    dtype="float32",
  )
  critic = dict(name="inner_product", temperature=0.1, normalize=True)
  config.encoder = rows.encoder(row, network, "ydbdr")
  # Labels are -1 where there are none.
  config.objective = rows.objective(
    row, network, critic, classes=10, labelled=0
  )
  if row in rows.LEARNED and row != "frozen":
    config.optimizer = dict(name="adam", b1=0.9, b2=0.999, clip=0.0)
    config.schedule = dict(name="constant", peak=2e-4)
  else:
    config.optimizer = dict(
      name="sgd", momentum=0.9, weight_decay=1e-4, decayed="all", clip=0.0
    )
    # After 155, 170 and 185 epochs.
    config.schedule = dict(
      name="step", peak=0.36, at=(0.775, 0.85, 0.925), factor=0.1, warmup=0
    )
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 1367,
    evaluate_every=2 if tiny else 1367,
    monitor_examples=64 if tiny else 1024,
    keep=2,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("knn", "linear"),
    taps=("fc", "conv"),
    weights="online",
    resize=70,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 0,
    test_examples=64 if tiny else 0,
    k=200,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 100,
    label_share=1.0,
    decoder_width=8 if tiny else 64,
  )
  return config
