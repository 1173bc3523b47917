"""Moving digits: what two views share is what is learned.

  infomin train --config configs/moving_digits.py:digit --workdir runs/digit
  infomin train --config configs/moving_digits.py:digit,paper --workdir runs/d

Frames of a moving digit against a still one: rows name what both share (digit,
background, position, or several with `_` between); `supervised` is trained on
labels and places of still frames. Tian et al. 2020, section 4.1; errors of
their eight rows are in `studies/good_views/published.py`. `paper` takes MNIST
on STL-10, 64 pixels, frames 1 to 10 and 20; otherwise it is scikit-learn's
digits on photographs, 32 pixels, frames 1 to 3 and 5. `infomin study
good_views --family moving` trains them all. `:tiny` and `:digit,tiny` are for
tests.

Differs from the paper: kernels, temperature and how backgrounds and digits are
blended are not published.
"""

import ml_collections

from infomin_jax.studies import variants
from infomin_jax.studies.good_views import rows


def get_config(variant: str = "digit") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is a row, paper, tiny, or several."""
  row, words, tiny = variants.parse(variant, rows.MOVING, "digit", ("paper",))
  paper = "paper" in words
  config = ml_collections.ConfigDict()
  config.seed = 0
  # The paper's: 200 epochs.
  config.steps = 2 if tiny else 93_600 if paper else 800
  config.batch_size = 16 if tiny else 128
  config.accumulate = 1
  config.grad_cache = 1
  config.ema = 0.0
  config.init_from = ""  # a run whose weights training starts from
  config.data = dict(
    name="moving_mnist" if paper else "moving_digits",
    data_dir="",
    split="train",
    probe_split="train",
    test_split="test",
    resident=not paper,
    host_crops=False,
    workers=0,
    threads=4,
    broken="stop",
    light=1.0 if paper else 0.4,
  )
  config.views = dict(
    name="moving",
    share=rows.shared(row),
    size=64 if paper else 32,
    frames=10 if paper else 3,
    still=20 if paper else 5,
    speed=0.1,
    flat=0.0,
  )
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  config.encoder = dict(
    name="convnet_lstm",
    widths=(4, 8) if tiny else (8, 16, 32, 64),
    strides=(2, 2) if tiny else (2, 2, 2, 2),
  )
  config.objective = rows.moving_objective(
    row, backgrounds=10 if paper else 8, room=36 if paper else 16
  )
  if paper:
    config.optimizer = dict(
      name="sgd", momentum=0.9, weight_decay=1e-4, decayed="all", clip=0.0
    )
    config.schedule = dict(name="cosine", peak=0.03, warmup=0)
  else:
    config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=0.0)
    config.schedule = dict(name="cosine", peak=3e-3, warmup=0 if tiny else 50)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else config.steps,
    evaluate_every=2 if tiny else config.steps,
    monitor_examples=64 if tiny else 1024,
    keep=1,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("knn", "linear", "localisation"),
    taps=("pool",),
    weights="online",
    resize=0,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 5000,
    test_examples=64 if tiny else 0,
    k=20,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 15,
    label_share=0.1,
    decoder_width=8,
  )
  return config
