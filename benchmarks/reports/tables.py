"""Reports on tables and arrays for `infomin estimate`: kinds 11 to 15."""

import json
import pathlib
import resource
from collections.abc import Callable

import numpy as np
from report import Report, holds, infomin, one_line

ROWS = 60
NUMBERS = np.random.default_rng(0).normal(100, 30, (ROWS, 2)).round(2)


def _text(delimiter=",", comma=False, header="a,b") -> str:
  """Returns NUMBERS as the text of a table of two columns."""
  lines = [header.replace(",", delimiter)]
  for row in NUMBERS:
    cells = [f"{value:.2f}" for value in row]
    if comma:
      cells = [cell.replace(".", ",") for cell in cells]
    if comma and delimiter == ",":
      cells = [f'"{cell}"' for cell in cells]
    lines.append(delimiter.join(cells))
  return "\n".join(lines) + "\n"


# --- 11: dialects -----------------------------------------------------------


def _read(text: str | bytes, name="t.csv") -> Callable[[pathlib.Path], None]:
  """Returns a check that a table is read as NUMBERS."""

  def check(folder):
    from infomin_jax.mi.inputs.samples import read_paired

    content = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(content)
    pairs = read_paired(str(folder / name), x_columns="a", y_columns="b")
    np.testing.assert_allclose(pairs.x, NUMBERS[:, 0])
    np.testing.assert_allclose(pairs.y, NUMBERS[:, 1])

  return check


def _refused(text: str, *words: str) -> Callable[[pathlib.Path], None]:
  """Returns a check that a table is refused in one line."""

  def check(folder):
    (folder / "t.csv").write_text(text)
    said = infomin("estimate", "t.csv", "--x_columns=a", "--y_columns=b")
    assert said.status == 2 and not said.out, said
    one_line(said.err, *words)

  return check


SEMICOLONS = _text(";", comma=True)
DIALECTS = (
  ("semicolons and decimal commas", _read(SEMICOLONS)),
  ("the same without decimal commas", _read(_text(";"))),
  ("decimal commas in quotes", _read(_text(",", comma=True))),
  ("tabs in a .csv, decimal commas", _read(_text("\t", comma=True))),
  ("sep=; of Excel, UTF-16", _read(f"sep=;\n{SEMICOLONS}".encode("utf-16"))),
  ("columns between spaces, T.CSV", _read(_text("  "), "T.CSV")),
  ("np.savetxt with a header", _read(_text(header="# a,b"))),
  ("delimiters at all ends", _read(_text().replace("\n", ",,\n") + ",,,\n")),
)
UNCLEAR = (
  (
    "NA in the first row",
    _text().replace("\n", "\nNA,1\n", 1),
    "line 2",
    "'NA'",
  ),
  ("- in one of 60 rows", _text() + "-,3\n5,6\n", "line 62", "'-'"),
  ('"1,234" and "345"', 'a,b\n"1,234",1\n"345",2\n', "line 2", "'1,234'"),
  ("a title above the names", f"Sales\n\n{SEMICOLONS}", "line of names"),
  ("numbers with a %", "a,b\n5%,1\n7%,2\n", "unit"),
)

# --- 12: row numbers --------------------------------------------------------

IDS = np.arange(300)
NOISE = np.random.default_rng(1).normal(size=(2, 300))


def _flagged(flag: str, x, y, *words: str) -> Callable[[pathlib.Path], None]:
  """Returns a check that an estimate has a flag, and advice with words."""

  def check(folder):
    np.savez(folder / "f.npz", x=x, y=y)
    result = _estimate(folder)
    assert flag in result["flags"], result
    holds(" ".join(result["advice"]), *words)

  return check


def _estimate(folder, *flags) -> dict:
  """Returns the JSON of an estimate of f.npz with the copula critic."""
  file = folder / "f.npz"
  said = infomin("estimate", file, "--json", "--critic=copula", *flags)
  assert said.status == 0, said
  return json.loads(said.out)


def _frames(folder):
  for name, column in zip("xy", NOISE, strict=True):
    lines = [f"{i},{v}" for i, v in enumerate(column)]
    (folder / f"{name}.csv").write_text("\n".join([f",{name}", *lines]))
  said = infomin("estimate", "x.csv", "y.csv", "--critic=copula")
  assert said.status == 0, said
  holds(said.out, "column '' of x equals column '' of y")


def _no_flag(folder):
  np.savez(folder / "f.npz", x=NOISE[0], y=NOISE[0] + NOISE[1])
  result = _estimate(folder)
  assert not {"same_column", "row_order"} & set(result["flags"]), result


def _with(column, noise):
  return np.stack([column, noise], axis=1)


NUMBERED = (
  ("two data frames with their index", _frames),
  (
    "ids in mixed order, times another",
    _flagged(
      "same_column",
      _with(NOISE[0].argsort(), NOISE[1]),
      _with(7.5 - NOISE[0].argsort(), NOISE[0]),
      "column 0 of x is a monotone function of column 0 of y",
    ),
  ),
  (
    "time stamps that are not equal",
    _flagged("row_order", IDS + NOISE[0] / 9, np.sort(NOISE[1]).round(1)),
  ),
  (
    "a row number and sorted classes",
    _flagged("row_order", IDS / 1.0, np.repeat([2, 0, 1], 100), "x and y"),
  ),
  (
    "y that equals x",
    _flagged("same_column", NOISE[0], NOISE[0], "x equals y"),
  ),
)

# --- 13: constant in part of the rows ---------------------------------------


def _nothing(x) -> Callable[[pathlib.Path], None]:
  """Returns a check that columns without information give 0 nats with noise."""

  def check(folder):
    np.savez(folder / "f.npz", x=x, y=NOISE[1])
    result = _estimate(folder)
    assert abs(result["nats"]) < 0.05, result
    assert result["interval"][0] < 1e-3, result
    # Without dependence p is uniform. For these inputs it is at least 0.006.
    assert result["p_value"] > 0.002, result

  return check


def _digits(folder):
  from sklearn.datasets import load_digits

  images, classes = load_digits(return_X_y=True)
  np.savez(folder / "f.npz", x=images[:600], y=classes[:600])
  # The default critic gives 1.9 nats, but takes half a minute.
  result = _estimate(folder)
  assert 0 <= result["nats"] <= np.log(10), result
  assert "bounds_apart" in result["flags"], result


def _sorted_figure(folder):
  classes = np.repeat([0, 1], 150)
  np.savez(folder / "f.npz", x=classes, y=NOISE[0] + 4 * classes)
  assert _estimate(folder, "--figure=f.png")["nats"] > 0.4
  assert (folder / "f.png").stat().st_size > 10_000


SPARSE = (NOISE[0][:, None] > np.linspace(1.5, 2.4, 9)) * 1.0
PARTLY = (
  ("digits of scikit-learn and their class", "0 to log 10, a flag", _digits),
  ("dummies that sum to one", "0", _nothing(np.eye(5)[IDS % 5])),
  ("sparse counts", "0", _nothing(SPARSE)),
  ("one row that differs", "0", _nothing((IDS == 7) * 1.0)),
  ("one class only", "0", _nothing(np.zeros(300, int))),
  ("a class that occurs once", "0", _nothing((IDS > 150) + (IDS == 9))),
  ("a file sorted by class, --figure", "number and figure", _sorted_figure),
)

# --- 14: many classes -------------------------------------------------------


def _classes(symbols: int, rows: int, copied: bool):
  """Returns a check of memory and range for two columns of classes."""

  def check(folder):
    from infomin_jax.mi.classes import count_classes

    rng = np.random.default_rng(0)
    x, y = rng.integers(symbols, size=(2, rows))
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = count_classes(x, x if copied else y, 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak - peak_before < 300_000, f"{peak - peak_before} kB"
    counts = np.bincount(x)
    p = counts[counts > 0] / rows
    entropy = -np.sum(p * np.log(p))
    assert 0 <= result["nats"] <= entropy + 1e-9, result
    if copied:
      np.testing.assert_allclose(result["nats"], entropy)
    else:
      assert result["p_value"] > 0.01, result

  return check


def _names(rows: int):
  """Returns a check that text of many categories with numbers is refused."""

  def check(folder):
    lines = [f"name{i // 2},{i * 7919 % rows / 8}" for i in range(rows)]
    (folder / "t.csv").write_text("\n".join(["a,b", *lines]))
    said = infomin("estimate", "t.csv", "--x_columns=a", "--y_columns=b")
    assert said.status == 2, said
    one_line(said.err, f"x is text of {rows // 2:,} categories")

  return check


CLASSES = (
  (
    "100,000 rows of 12 classes",
    "0 to the entropy",
    _classes(12, 100_000, False),
  ),
  ("20,000 x 20,000 symbols", "p > 0.01", _classes(20_000, 40_000, False)),
  ("20,000 symbols, twice the same", "entropy", _classes(20_000, 40_000, True)),
  ("2,000 names and numbers", "one line", _names(4000)),
  ("20,000 names and numbers", "one line", _names(40_000)),
)

# --- 15: more columns than rows ---------------------------------------------


def _wide(samples: int, columns: int, informed: bool):
  """Returns a check that an estimate with many columns has a flag."""

  def check(folder):
    rng = np.random.default_rng(0)
    hidden, noise = rng.normal(size=(2, samples))
    x = rng.normal(size=(samples, columns)) + informed * hidden[:, None]
    np.savez(folder / "f.npz", x=x, y=0.8 * hidden + 0.6 * noise)
    result = _estimate(folder)
    assert "reduced" in result["flags"], result
    low, high = (0.1, 0.9) if informed else (-0.2, 0.2)
    assert low < result["nats"] < high, result

  return check


WIDE = (
  ("1,000 columns of noise, 200 rows", _wide(200, 1000, False)),
  ("1,000 columns that say much, 200 rows", _wide(200, 1000, True)),
  ("3,000 columns of noise, 200 rows", _wide(200, 3000, False)),
  ("60 columns, 100 rows", _wide(100, 60, True)),
  ("300 columns, 700 rows", _wide(700, 300, True)),
)

ONE_LINE = "one line that names the place"
REPORTS: tuple[Report, ...] = (
  *(Report(11, given, "the numbers", check) for given, check in DIALECTS),
  *(Report(11, u[0], ONE_LINE, _refused(u[1], *u[2:])) for u in UNCLEAR),
  *(Report(12, given, "a flag, names", check) for given, check in NUMBERED),
  Report(12, "y = x + noise", "no flag", _no_flag),
  *(Report(13, *rest) for rest in PARTLY),
  *(Report(14, *rest) for rest in CLASSES),
  *(Report(15, given, "a flagged value", check) for given, check in WIDE),
)
