"""How many nats do two sets of paired samples share?

  infomin estimate X.npy Y.npy
  infomin estimate table.csv --x_columns age,income --y_columns spending
  infomin estimate arrays.npz --estimators all --figure samples.png

Row i of X belongs to row i of Y: .npy, .npz (arrays x and y), .csv, .tsv or
.parquet; vectors, images, or classes. Prints the value with its 95 % interval
and every reason not to believe it.
"""

import os
import pathlib

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError
from infomin_jax.output import number, to_json

_SHARES = (8, 4, 2, 1)


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """The flags of `infomin estimate`."""
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
    "best, or all: a table of estimators with the direction of their bias",
    flag_values=values,
  )
  flags.DEFINE_string(
    "critic",
    "auto",
    "auto (new pairs choose), copula, mixture, warped, joined or distances",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "seed", 0, "of folds, training and intervals", flag_values=values
  )
  flags.DEFINE_boolean(
    "json", False, "print JSON, not sentences", flag_values=values
  )
  paths.define(
    "figure",
    None,
    "draw the bounds against the number of samples, as this PNG",
    values,
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Estimates; see the module's text."""
  del command
  if len(rest) not in (1, 2):
    raise UserError(
      "expected one or two files: infomin estimate X.npy Y.npy, got "
      f"{len(rest)}."
    )
  if values.estimators not in ("best", "all"):
    raise UserError(
      f"--estimators is {values.estimators!r}: expected best or all."
    )
  if values.figure and pathlib.Path(values.figure).suffix != ".png":
    raise UserError(f"--figure is {values.figure!r}: expected a .png file.")
  from infomin_jax.errors import lookup
  from infomin_jax.mi import compare, estimate_paired
  from infomin_jax.mi.cross_fit import CRITICS
  from infomin_jax.mi.inputs.samples import read_paired

  lookup("critic (--critic)", values.critic, dict.fromkeys(CRITICS))
  pairs = read_paired(
    *rest, x_columns=values.x_columns, y_columns=values.y_columns
  )
  if values.figure:
    _check_figure(values.figure, pairs)
  settings = {"critic": values.critic, "seed": values.seed}
  with _progress() as say:
    found = estimate_paired(pairs, **settings, say=say)
  shown = found.to_json()
  if values.estimators == "all":
    shown["estimators"] = compare.table(found.held, pairs)
  if values.json:
    print(to_json(shown, 2))
  else:
    _show(shown)
  if values.figure and found.held:
    with _progress() as say:
      held = [*_fewer(pairs, settings, say), (len(pairs.x), found.held)]
    counts, folds = zip(*held, strict=True)
    compare.draw(pathlib.Path(values.figure), counts, folds)
  elif values.figure:
    raise UserError("--figure: a side never varies; there is no curve.")


def _check_figure(figure, pairs):
  """Refuses before the estimate what could not be drawn after it."""
  if pairs.x_kind == pairs.y_kind == "discrete":
    raise UserError("--figure: discrete variables are counted, not bounded.")
  folder = pathlib.Path(figure).absolute().parent
  if not os.access(folder, os.W_OK) or pathlib.Path(figure).is_dir():
    raise UserError(f"--figure: {figure} cannot be written.")


def _fewer(pairs, settings, say):
  """The same estimate of an eighth, a quarter and a half of the samples.

  They are drawn at random: the rows of many files are sorted.
  """
  import dataclasses

  import numpy as np

  from infomin_jax.mi import estimate_paired
  from infomin_jax.mi.estimate import FEWEST

  found = []
  mixed = np.random.default_rng(settings["seed"]).permutation(len(pairs.x))
  for share in _SHARES[:-1]:
    count = len(pairs.x) // share
    if count >= FEWEST:
      rows = np.sort(mixed[:count])
      some = dataclasses.replace(pairs, x=pairs.x[rows], y=pairs.y[rows])
      held = estimate_paired(some, **settings, say=say).held
      found += [(count, held)] * bool(held)
  return found


def _progress():
  """A context that gives `say`: a spinner on a terminal, else lines."""
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
