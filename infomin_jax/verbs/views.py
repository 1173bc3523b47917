"""Draw what the views of a config look like.

infomin views --config configs/cifar10_infomin.py --out views.png
"""

from absl import flags

from infomin_jax.verbs.train import define_config, required_config


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """The flags of `infomin views`."""
  define_config(values, argv)
  flags.DEFINE_string("out", "views.png", "the picture", flag_values=values)
  flags.DEFINE_integer(
    "count", 8, "images to draw", lower_bound=1, flag_values=values
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Draws; see the module's text."""
  del command
  config = required_config(values, rest)
  import itertools

  import jax

  from infomin_jax.train.experiment import make_experiment
  from infomin_jax.train.step import take
  from infomin_jax.views.sheet import sheet

  experiment = make_experiment(config, jax.devices()[:1])
  batch = next(itertools.islice(experiment.batches(0), 1))
  batch = take(experiment.resident, batch)
  batch = {name: x[: values.count] for name, x in batch.items()}
  views = jax.jit(experiment.views)(jax.random.key(config.seed), batch)
  sheet(batch["image"], views, values.out, f"{config.views.name}")
  print(f"Drew {len(batch['index'])} images and their views: {values.out}")
