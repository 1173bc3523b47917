"""Write features of a folder's images to an .npz file.

  infomin embed --workdir runs/fm --images photos --out feats.npz

The file has `features` (float32 `[n, d]`), `files` (paths in the folder, `[n]`)
and, if sub-folders are classes, `label` (`[n]`, -1 where there is none). Every
file is read once, even if validation images serve as test images. Images are
resized to the size that the encoder was trained on, as in evaluation. They are
converted to its number of channels if that is one or three. Other numbers of
channels must match.
"""

import pathlib

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin embed`."""
  del argv
  paths.define("workdir", None, "folder of a run", values)
  paths.define("images", None, "folder of images", values)
  paths.define("out", None, "the .npz to write", values)
  flags.DEFINE_string(
    "tap",
    None,
    "which features (default: the run's first config.evaluate.taps)",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "batch_size", 256, "images at once", lower_bound=1, flag_values=values
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Embeds; see the docstring of the module."""
  del command
  if rest:
    raise UserError(f"unexpected argument {rest[0]!r}: flags begin with --.")
  for name in ("workdir", "images", "out"):
    if not values[name].value:
      raise UserError(f"--{name} is missing.")
  out = pathlib.Path(values.out)
  if out.suffix != ".npz":
    raise UserError(f"--out {out}: expected a name that ends in .npz.")
  if not out.parent.is_dir():
    raise UserError(f"--out {out}: there is no folder {out.parent}.")
  import jax
  import numpy as np

  from infomin_jax.data import folder
  from infomin_jax.eval.embed import embed
  from infomin_jax.pretrained.load import channels_of, trained_encoder
  from infomin_jax.runs.progress import say
  from infomin_jax.train.mesh import make_mesh

  trained = trained_encoder(values.workdir)
  config, learner, variables = trained
  root = pathlib.Path(values.images)
  # Files are read in the same way as in training.
  keys = ("background", "ignore_orientation")
  options = {key: config.data[key] for key in keys if key in config.data}
  channels = channels_of(trained)
  source = folder.load("all", str(root), channels=channels, **options)
  tap = values.tap or config.evaluate.taps[0]
  config.evaluate.batch_size = values.batch_size
  config.data.host_crops = True  # files have different sizes
  config.evaluate.resize = config.evaluate.resize or config.views.size
  mesh = make_mesh(jax.devices()[:1])
  features, fields = embed(
    learner, variables, source, (tap,), config=config, mesh=mesh
  )
  # Where config.data.broken is "skip", a record may stand in for another.
  rows = np.sort(np.unique(fields["index"], return_index=True)[1])
  files = [
    str(pathlib.Path(source.where(int(i))).relative_to(root))
    for i in fields["index"][rows]
  ]
  arrays = {"features": features[tap][rows], "files": np.array(files)}
  if source.tasks:
    arrays["label"] = fields["label"][rows]
  with out.open("wb") as file:
    np.savez(file, allow_pickle=False, **arrays)
  n, d = arrays["features"].shape
  say(f"Wrote {n} x {d} features (tap {tap}) to {out}.")
