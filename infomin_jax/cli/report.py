"""Make one HTML page of a run, of several runs, or of a study.

  infomin report runs/fm
  infomin report runs/fm_0 runs/fm_1 --out compared.html
  infomin report runs/good_views

The page needs no network and no other file. For one run it shows what was
learned, whether all is well, and features, neighbors and views of test images.
During training, run the same command again to update the page. For several runs
it draws their curves in one plot. For a study it shows each claim and its
verdict.
"""

import pathlib

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin report`."""
  del argv
  paths.define(
    "out",
    "",
    "the page (default: report.html in the folder; for several runs, here)",
    values,
  )
  flags.DEFINE_integer(
    "images", 1000, "number of test images", lower_bound=8, flag_values=values
  )
  flags.DEFINE_enum(
    "plane",
    "tsne",
    ["tsne", "pca"],
    "how features are mapped to points",
    flag_values=values,
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Writes the page; see the docstring of the module."""
  del command
  if not rest:
    raise UserError("no folder given: infomin report runs/fm")
  folders = [paths.local("the folder", path) for path in rest]
  for folder in folders:
    if not folder.is_dir():
      raise UserError(f"{folder}: there is no such folder.")
  from infomin_jax import report

  left_out: list[str] = []
  if len(folders) > 1:
    text = report.runs_page(folders)
  elif (folders[0] / "claims.json").exists():
    text = report.study_page(folders[0])
  else:
    text = report.run_page(
      folders[0], values.images, values.plane, left_out.append
    )
  default = "report.html" if len(folders) > 1 else folders[0] / "report.html"
  path = pathlib.Path(values.out or default)
  path.write_text(text, encoding="utf-8")
  print(f"Wrote {path} ({len(text) / 2**20:.1f} MiB).")
  for line in left_out:
    print(line)
