"""Draw the views of a config.

If the encoder splits images into parts, the parts are drawn next to each view.
Every channel is stretched to its range over the images drawn; two channels are
drawn as red and green. A learned split is drawn as it is before training. To
draw it after training: `infomin evaluate --workdir D --protocols channels
--taps view0,view1`.

infomin views --config configs/cifar10_infomin.py --out views.png
"""

from absl import flags

from infomin_jax import paths
from infomin_jax.cli.train import define_config, required_config


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin views`."""
  define_config(values, argv)
  paths.define("out", "views.png", "the picture", values)
  flags.DEFINE_integer(
    "count", 8, "images to draw", lower_bound=1, flag_values=values
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Draws; see the docstring of the module."""
  del command
  config = required_config(values, rest)
  import itertools

  import jax
  import jax.numpy as jnp

  from infomin_jax import data
  from infomin_jax.encoders import Split
  from infomin_jax.train.experiment import make_experiment
  from infomin_jax.train.step import take
  from infomin_jax.views.sheet import sheet

  source = data.load(config.data, config.data.split)
  if len(source) < config.batch_size:  # a picture needs no full batch
    config.update(batch_size=len(source), accumulate=1, grad_cache=1)
  experiment = make_experiment(config, jax.devices()[:1], source)
  batch = next(itertools.islice(experiment.batches(0), 1))
  batch = take(experiment.resident, batch)
  batch = {name: x[: values.count] for name, x in batch.items()}
  views = jax.jit(experiment.views)(jax.random.key(config.seed), batch)
  title, encoder = f"{config.views.name}", experiment.learner.encoder
  columns = {}
  for i, view in enumerate(views, 1):
    if view.ndim == 4:
      columns[f"view {i}"] = view
    else:  # frames or pieces, [n, p, h, w, c]
      each = enumerate(jnp.swapaxes(view, 0, 1), 1)
      columns |= {f"view {i}, {k}": one for k, one in each}
  if isinstance(encoder, Split):
    parts = config.encoder.parts
    which = [parts[key] for key in ("name", "space", "sigma") if key in parts]
    title += f", parts {' '.join(map(str, which))}"
    columns = with_parts(encoder, columns, jax.random.key(config.seed))
  sheet(batch["image"], columns.values(), values.out, title, [*columns])
  print(f"Drew {len(batch['index'])} images and their views: {values.out}")


def with_parts(encoder, columns: dict, key) -> dict:
  """Adds the parts from a newly initialized encoder to each column."""
  import jax

  from infomin_jax.views.sheet import in_colors, stretched

  @jax.jit
  def split(view):
    return encoder.init_with_output(key, view, True, method="views_of")[0]

  drawn = {}
  for heading, view in columns.items():
    parts = split(view)
    drawn[heading] = view
    for i, part in enumerate(parts):
      drawn[f"{heading}, part {i}"] = in_colors(stretched(part))
  return drawn
