"""Deep InfoMax or CPC on STL-10's overlapping 16 x 16 crops.

  infomin train --config configs/stl10_crops.py:dim --workdir runs/stl_one
  infomin train --config configs/stl10_crops.py:multi --workdir runs/stl_many
  infomin train --config configs/stl10_crops.py:cpc --workdir runs/stl_cpc

Table 3 of Hjelm et al. 2019: places of the local map see one crop each, and
are compared with one summary, with the summaries of 25 blocks (`multi`), or
with those of the rows above (`cpc`); no prior. Published: 76.97, 78.21, 77.81.
Not yet measured here. `:tiny` and `:multi,tiny` are for tests.
"""

import ml_collections

from infomin_jax.studies import variants


def get_config(variant: str = "dim") -> ml_collections.ConfigDict:
  """The resolved configuration; `variant` is dim, multi or cpc, and tiny."""
  row, _, tiny = variants.parse(variant, ("dim", "multi", "cpc"), "dim")
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 2 if tiny else 328_000  # 200 epochs
  config.batch_size = 16 if tiny else 64
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
  # 64 / 96 squared: crops of exactly 64 x 64 pixels.
  config.views = dict(
    name="crop",
    size=64,
    count=1,
    crop_scale=(0.4445, 0.4445),
    crop_ratio=(1.0, 1.0),
  )
  config.normalize = dict(mean=(0.5,), std=(0.5,))
  width = 8 if tiny else 96
  if row == "multi":
    config.encoder = dict(
      name="foldmultialex64x64", width=width, dtype="float32"
    )
  else:
    config.encoder = dict(
      name="foldalex64x64",
      dim=64,
      width=width,
      hidden=32 if tiny else 4096,
      dropout=0.1,
      dtype="float32",
    )
  critic = dict(name="encode_and_dot", units=64 if tiny else 1024)
  term = dict(weight=1.0, estimator="infonce", stream="auto", critic=critic)
  config.objective = {
    "dim": dict(deep_infomax_local=term),
    "multi": dict(deep_infomax_local=dict(summary="glob", **term)),
    "cpc": dict(
      cpc=dict(weight=1.0, estimator="infonce", ahead=3, critic=critic)
    ),
  }[row]
  config.optimizer = dict(name="adam", b1=0.5, b2=0.999, clip=0.0)
  config.schedule = dict(name="constant", peak=1e-4)
  config.run = dict(
    log_every=1 if tiny else 100,
    checkpoint_every=1 if tiny else 3280,
    evaluate_every=2 if tiny else 3280,
    monitor_examples=64 if tiny else 1024,
    keep=2,
    writers=("tensorboard",),
  )
  config.evaluate = dict(
    protocols=("knn", "linear", "mlp"),
    taps=("conv", "glob") if row == "multi" else ("y", "fc", "conv"),
    weights="online",
    resize=64,
    batch_size=64 if tiny else 512,
    train_examples=64 if tiny else 0,
    test_examples=64 if tiny else 0,
    k=200,
    temperature=0.07,
    iterations=5 if tiny else 100,
    epochs=1 if tiny else 1000,
    label_share=1.0,
    decoder_width=8 if tiny else 64,
  )
  return config
