"""Moving digits: contrastive learning keeps the factors that two views share.

  infomin train --config configs/moving_digits.py:digit --workdir runs/digit
  infomin train --config configs/moving_digits.py:digit,paper --workdir runs/d

Frames of a moving digit are contrasted with a still image (Tian et al. 2020,
section 4.1). A row names the factors that both share: digit, background,
position, or several joined by `_`. The row `supervised` is trained on the
labels and positions of still frames. The published errors of the eight rows are
in `infomin_jax/studies/good_views/published.py`.

With `paper` the data set is MNIST on STL-10 with 64 pixels, and frames 1 to 10
and 20. Otherwise it is the digits of scikit-learn on photographs with 32
pixels, and frames 1 to 3 and 5. `infomin study good_views --family moving`
trains all rows. `:tiny` and `:digit,tiny` are for tests.

Differs from the paper: it does not give kernels, temperature and the way in
which digits and backgrounds are blended. All three are choices of ours.
"""

import ml_collections

from infomin_jax.recipes import base, contrastive, moving, variants


def get_config(variant: str = "digit") -> ml_collections.ConfigDict:
  """Returns the config of a variant: a row, `paper`, `tiny`, or several."""
  row, words, tiny = variants.parse(variant, moving.ROWS, "digit", ("paper",))
  paper = "paper" in words
  config = base.get_config()
  # With `paper`: 200 epochs.
  config.steps, config.batch_size = 93_600 if paper else 800, 128
  config.data.update(
    name="moving_mnist" if paper else "moving_digits",
    resident=not paper,
    light=1.0 if paper else 0.4,
  )
  config.views = dict(
    name="moving",
    share=moving.shared(row),
    size=64 if paper else 32,
    frames=10 if paper else 3,
    still=20 if paper else 5,
    speed=0.1,
    flat=0.0,
  )
  config.encoder = dict(
    name="convnet_lstm",
    widths=(4, 8) if tiny else (8, 16, 32, 64),
    strides=(2, 2) if tiny else (2, 2, 2, 2),
  )
  config.objective = moving.objective(
    row, backgrounds=10 if paper else 8, room=36 if paper else 16
  )
  config.optimizer = contrastive.ADAMW
  config.schedule = dict(name="cosine", peak=3e-3, warmup=0 if tiny else 50)
  if paper:
    config.optimizer = contrastive.SGD
    config.schedule = dict(name="cosine", peak=0.03, warmup=0)
  config.run.update(
    checkpoint_every=config.steps, evaluate_every=config.steps, keep=1
  )
  config.evaluate.update(
    protocols=("knn", "linear", "localisation"),
    train_examples=5000,
    k=20,
    epochs=15,
    decoder_width=8,
  )
  return base.tiny(config) if tiny else config
