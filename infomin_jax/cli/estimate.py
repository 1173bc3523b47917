"""Estimate how many nats two sets of paired samples share.

  infomin estimate X.npy Y.npy
  infomin estimate table.csv --x_columns age,income --y_columns spending
  infomin estimate arrays.npz --estimators all --figure samples.png

Row i of X belongs to row i of Y. Files are .npy, .npz (arrays x and y), .csv,
.tsv or .parquet, with vectors, images or classes. It prints the value with its
95 % interval, and every reason not to believe it.
"""

import os
import pathlib

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError
from infomin_jax.output import number, to_json

_SHARES = (8, 4, 2, 1)


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin estimate`."""
  del argv
  for side in ("x", "y"):
    flags.DEFINE_list(
      f"{side}_columns",
      [],
      f"columns of a table that are {side}, separated by commas",
      flag_values=values,
    )
  flags.DEFINE_string(
    "estimators",
    "best",
    "best; or a table with the direction of each bias: all, or names separated "
    "by commas, such as infonce,nwj,ksg",
    flag_values=values,
  )
  flags.DEFINE_string(
    "critic",
    "auto",
    "auto (held-out pairs choose), copula, mixture, warped, joined or "
    "distances",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "seed", 0, "seed of folds, training and intervals", flag_values=values
  )
  flags.DEFINE_boolean(
    "json", False, "print JSON instead of sentences", flag_values=values
  )
  paths.define(
    "figure",
    None,
    "draw the bounds against the number of samples, as this PNG",
    values,
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Estimates; see the docstring of the module."""
  del command
  if len(rest) not in (1, 2):
    raise UserError(
      "expected one or two files: infomin estimate X.npy Y.npy, got "
      f"{len(rest)}."
    )
  if values.figure and pathlib.Path(values.figure).suffix != ".png":
    raise UserError(f"--figure is {values.figure!r}: expected a .png file.")
  from infomin_jax.errors import lookup
  from infomin_jax.mi import compare, estimate_paired
  from infomin_jax.mi.cross_fit import CRITICS
  from infomin_jax.mi.inputs.samples import read_paired

  lookup("critic (--critic)", values.critic, dict.fromkeys(CRITICS))
  names = [] if values.estimators == "all" else values.estimators.split(",")
  if values.estimators != "best":
    compare.check_names("--estimators", names)
  pairs = read_paired(
    *rest, x_columns=values.x_columns, y_columns=values.y_columns
  )
  if values.figure:
    _check_figure(values.figure, pairs)
  settings = {"critic": values.critic, "seed": values.seed}
  with _progress() as say:
    result = estimate_paired(pairs, **settings, say=say)
  record = result.to_json()
  if values.estimators != "best":
    record["estimators"] = compare.table(result.held, pairs, names)
  if values.json:
    print(to_json(record, 2))
  else:
    _show(record)
  if values.figure and result.held:
    with _progress() as say:
      held = [*_fewer(pairs, settings, say), (len(pairs.x), result.held)]
    counts, folds = zip(*held, strict=True)
    compare.draw(pathlib.Path(values.figure), counts, folds)
  elif values.figure:
    raise UserError("--figure: one side never varies, so there is no curve.")


def _check_figure(figure, pairs):
  """Refuses, before the estimate, a figure that could not be drawn after it."""
  if pairs.x_kind == pairs.y_kind == "discrete":
    raise UserError(
      "--figure: discrete variables are counted and have no bounds."
    )
  folder = pathlib.Path(figure).absolute().parent
  if not os.access(folder, os.W_OK) or pathlib.Path(figure).is_dir():
    raise UserError(f"--figure: {figure} cannot be written.")


def _fewer(pairs, settings, say):
  """Returns estimates from an eighth, a quarter and a half of the samples.

  The samples are drawn at random, since the rows of many files are sorted.
  """
  import dataclasses

  import numpy as np

  from infomin_jax.mi import estimate_paired
  from infomin_jax.mi.estimate import FEWEST

  runs = []
  order = np.random.default_rng(settings["seed"]).permutation(len(pairs.x))
  for share in _SHARES[:-1]:
    count = len(pairs.x) // share
    if count >= FEWEST:
      rows = np.sort(order[:count])
      subset = dataclasses.replace(pairs, x=pairs.x[rows], y=pairs.y[rows])
      held = estimate_paired(subset, **settings, say=say).held
      runs += [(count, held)] * bool(held)
  return runs


def _progress():
  """Returns a context that gives `say`: a spinner on a terminal, else lines."""
  import contextlib
  import sys

  import rich.console

  @contextlib.contextmanager
  def context():
    console = rich.console.Console(stderr=True)
    if not console.is_terminal:
      yield lambda text: print(text, file=sys.stderr)
      return
    with console.status("reading") as status:
      yield status.update

  return context()


def _show(found: dict) -> None:
  low, high = found["interval"]
  nats, low, high = (number(x, 3) for x in (found["nats"], low, high))
  print(f"I(X; Y) = {nats} nats, 95 % in [{low}, {high}]")
  print(
    f"{found['estimator']}; {found['samples']:,} pairs; independence has "
    f"p = {found['p_value']:.3g}; ceiling {found['ceiling']:.1f} nats; "
    f"{found['seconds']:.1f} s"
  )
  for line in found["advice"]:
    print(f"! {line}")
  if "estimators" not in found:
    return
  import rich.console
  import rich.table

  table = rich.table.Table()
  for column in ("estimator", "nats", "direction", "ceiling"):
    table.add_column(column, justify="right" if column == "nats" else "left")
  for row in found["estimators"]:
    ceiling = "" if row["ceiling"] is None else f"{row['ceiling']:.2f}"
    table.add_row(
      row["estimator"], number(row["nats"], 3), row["direction"], ceiling
    )
  rich.console.Console().print(table)
