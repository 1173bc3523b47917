"""Reads paired samples from files or arrays, and checks them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from infomin_jax.errors import UserError
from infomin_jax.mi.inputs import files
from infomin_jax.mi.inputs.files import Side

# Values checked at a time: a mapped file may exceed the memory.
_CHUNK = 1 << 22


@dataclasses.dataclass(frozen=True)
class Paired:
  """Samples of x and y: row i of one was observed with row i of the other.

  Attributes:
    x, y: `[n]`, `[n, d]`, or images `[n, h, w]` or `[n, h, w, c]`, as they were
      given (an `.npy` file stays memory-mapped); text as integer codes `[n]`.
    x_kind, y_kind: "image" if there are three axes or more. "discrete" for
      text, bools, and single integers, unless integers have more than 50
      distinct values and more than n / 20. Otherwise "continuous".
    notes: facts for the user, one line each.
    x_columns, y_columns: names, if they came from a table.
    x_text, y_text: whether the classes are texts, whose codes have no order.
  """

  x: np.ndarray
  y: np.ndarray
  x_kind: str
  y_kind: str
  notes: tuple[str, ...] = ()
  x_columns: tuple[str, ...] = ()
  y_columns: tuple[str, ...] = ()
  x_text: bool = False
  y_text: bool = False


def as_paired(x, y) -> Paired:
  """Returns paired samples from two arrays (NumPy, JAX, or nested lists).

  Raises:
    UserError: lengths that differ, no samples, NaN or infinity, or values that
      are not numbers.
  """
  return _pair(Side("x", x), Side("y", y))


def read_paired(
  x_path: str,
  y_path: str = "",
  x_columns: Sequence[str] = (),
  y_columns: Sequence[str] = (),
) -> Paired:
  """Returns paired samples from one file or two.

  Args:
    x_path: an `.npy` file; an `.npz` file, of which the array x (or the only
      array) is taken, or `FILE.npz:NAME`; or `.csv`, `.tsv` or `.parquet`, see
      `tables`.
    y_path: the same for y. If empty, `x_path` gives both, from arrays or
      columns called x and y, or from the columns named below.
    x_columns: the columns of a table that are x; all of them if empty. A tuple,
      or one text with commas. A column of text must be the only one.
    y_columns: the same for y.

  Raises:
    UserError: one line with the file, what was expected and what was found.
  """
  return _pair(*files.read(x_path, y_path, x_columns, y_columns))


# --- checks -----------------------------------------------------------------


def _pair(x: Side, y: Side) -> Paired:
  x_values, x_kind, x_notes = _checked(x)
  y_values, y_kind, y_notes = _checked(y)
  if len(x_values) != len(y_values):
    raise UserError(
      f"{x.name} has {len(x_values)} samples but {y.name} has "
      f"{len(y_values)}: row i of one must belong to row i of the other."
    )
  for side, values in ((x, x_values), (y, y_values)):
    _check_finite(side, values)
  notes = (*x.notes, *y.notes, *x_notes, *y_notes)
  return Paired(
    x_values,
    y_values,
    x_kind,
    y_kind,
    tuple(dict.fromkeys(notes)),
    x_columns=x.columns,
    y_columns=y.columns,
    x_text=bool(x.labels),
    y_text=bool(y.labels),
  )


def _checked(side: Side) -> tuple[np.ndarray, str, tuple[str, ...]]:
  """Returns the array of a side, its kind, and notes."""
  values = _as_array(side)
  shape = list(values.shape)
  if not 1 <= values.ndim <= 4:
    raise UserError(
      f"{side.name}: expected shape [n], [n, d], or images [n, h, w] or "
      f"[n, h, w, c]; got {shape}."
    )
  if 0 in shape:
    raise UserError(f"{side.name} has no samples: its shape is {shape}.")
  if values.ndim >= 3:
    if values.dtype != np.uint8 and values.dtype.kind != "f":
      raise UserError(
        f"{side.name}: images must be uint8 or float, got {values.dtype}; "
        "store x.astype('uint8') if they hold 0 to 255."
      )
    return values, "image", ()
  return values, *_kind(side, values)


def _as_array(side):
  if np.ma.is_masked(side.values):
    raise UserError(f"{side.name} has masked values; drop their samples.")
  try:
    values = np.asanyarray(side.values)
  except (TypeError, ValueError) as error:
    reason = str(error).splitlines()[0]
    raise UserError(
      f"{side.name} is not an array of numbers: {reason}"
    ) from error
  if values.dtype.name == "bfloat16":
    values = values.astype(np.float32)
  if values.dtype.kind in "SU":
    raise UserError(
      f"{side.name} holds text; store integer codes instead: "
      "np.unique(x, return_inverse=True)[1]."
    )
  if values.dtype.kind not in "biuf":
    raise UserError(
      f"{side.name}: expected bool, integer or float numbers, got dtype "
      f"{values.dtype}; convert it (complex numbers to two columns)."
    )
  if not values.dtype.isnative:
    return values.astype(values.dtype.newbyteorder("="))
  return values


def _kind(side, values):
  n = len(values)
  single = values.size == n  # one number for each sample
  limit = max(50, n / 20)
  if side.labels:
    examples = ", ".join(side.labels[:5]) + ", ..." * (len(side.labels) > 5)
    note = f"{side.name}: text as {len(side.labels)} categories ({examples})"
    if len(side.labels) > limit:
      note += "; so many for so few samples may be names of samples"
    return "discrete", (f"{note}.",)
  if values.dtype.kind == "b" and single:
    return "discrete", ()
  if values.dtype.kind in "iu" and single:
    distinct = len(np.unique(values))
    if distinct <= limit:
      return "discrete", ()
    note = f"{side.name}: integers of {distinct} distinct values, taken as"
    return "continuous", (f"{note} continuous.",)
  if single and n > 50:
    head = np.unique(values[:10_000])
    if len(head) <= min(50, n / 20) and np.all(head == np.round(head)):
      note = f"{side.name}: only {len(head)} distinct whole numbers; if they"
      return "continuous", (f"{note} are classes, store them as integers.",)
  return "continuous", ()


def _check_finite(side, values):
  if values.dtype.kind != "f":
    return
  rows = max(1, _CHUNK // (values.size // len(values)))
  for start in range(0, len(values), rows):
    good = np.isfinite(values[start : start + rows])
    if not good.all():
      row, *place = (int(i) for i in np.argwhere(~good)[0])
      value = values[(start + row, *place)]
      where = f"row {start + row}"
      if side.columns:
        where += f", column {side.columns[place[0] if place else 0]!r}"
      elif place:
        where += f", column {place[0] if len(place) == 1 else place}"
      raise UserError(
        f"{side.name} has {value} at {where} (counted from 0, the first such "
        "value). Drop these samples or fill them."
      )
