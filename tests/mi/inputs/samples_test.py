"""Paired samples from arrays and files: what is read, and what is refused."""

import builtins
import os
import pathlib
import pickle
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax.errors import UserError
from infomin_jax.mi.inputs.samples import as_paired, read_paired

N = 200
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(N, 3)), RNG.normal(size=N)
CLASSES = np.arange(N) % 7


def refused(message, call, *arguments, **options):
  with pytest.raises(UserError, match=message) as caught:
    call(*arguments, **options)
  assert "\n" not in str(caught.value)
  assert len(str(caught.value)) < 400


def table(path, text):
  path.write_text(text)
  return str(path)


# --- arrays and their kinds -------------------------------------------------


def test_arrays_come_back_as_they_are():
  pair = as_paired(X, Y)
  assert pair.x is X and pair.y is Y
  assert (pair.x_kind, pair.y_kind, pair.notes) == ("continuous",) * 2 + ((),)
  pair = as_paired(jnp.asarray(X), [1.0, 2.5] * (N // 2))
  assert isinstance(pair.x, np.ndarray) and pair.x.dtype == np.float32
  assert pair.y.shape == (N,)
  half = as_paired(jnp.asarray(X, jnp.bfloat16), Y).x
  assert half.dtype == np.float32
  np.testing.assert_allclose(half, X, rtol=0.01)
  swapped = as_paired(X.astype(">f8"), Y).x
  assert swapped.dtype.isnative
  np.testing.assert_array_equal(swapped, X)


IMAGES = RNG.integers(0, 256, (N, 4, 5, 3), np.uint8)


@pytest.mark.parametrize(
  "values, kind",
  [
    (CLASSES, "discrete"),
    (CLASSES[:, None], "discrete"),
    (CLASSES.astype(np.uint8), "discrete"),
    (Y > 0, "discrete"),
    (np.arange(N) % 50, "discrete"),
    (np.arange(N) % 51, "continuous"),
    (np.arange(N), "continuous"),
    (np.stack([CLASSES, CLASSES], axis=1), "continuous"),
    (Y, "continuous"),
    (Y.astype(np.float16), "continuous"),
    (IMAGES, "image"),
    (IMAGES[..., 0], "image"),
    (IMAGES / 255, "image"),
  ],
)
def test_kinds(values, kind):
  pair = as_paired(values, Y)
  assert pair.x_kind == kind
  assert pair.x is values
  assert as_paired(Y, values).y_kind == kind


def test_many_classes_in_many_samples_are_discrete():
  n = 10_000
  assert as_paired(np.arange(n) % 500, np.zeros(n)).x_kind == "discrete"
  assert as_paired(np.arange(n) % 501, np.zeros(n)).x_kind == "continuous"


def test_notes_say_what_was_assumed():
  (note,) = as_paired(np.arange(N), Y).notes
  assert "x: integers of 200 distinct values, taken as continuous" in note
  (note,) = as_paired(Y, CLASSES.astype(float)).notes
  assert "y: only 7 distinct whole numbers" in note
  assert as_paired(CLASSES, Y > 0).notes == ()


@pytest.mark.parametrize(
  "values, message",
  [
    (X[1:], "x has 199 samples but y has 200: row i"),
    (X[:0], r"x has no samples: its shape is \[0, 3\]"),
    (X[:, :0], r"no samples: its shape is \[200, 0\]"),
    (np.float64(3), r"expected shape \[n\].*got \[\]"),
    (np.zeros((N, 1, 1, 1, 1)), r"expected shape \[n\].*1, 1, 1, 1\]"),
    (X + 1j, "dtype complex128.*two columns"),
    (np.array([{}] * N), "numbers, got dtype object"),
    (np.zeros(N, [("a", float)]), r"got dtype \[\('a'"),
    (np.zeros(N, "datetime64[s]"), r"got dtype datetime64\[s\]"),
    (np.array(["a"] * N), "x holds text; store integer codes.*np.unique"),
    ([[1, 2], [3]], "x is not an array of numbers"),
    (np.ma.masked_greater(Y, 0), "masked"),
    (IMAGES.astype(int), r"uint8 or float, got int64; store x.astype"),
  ],
)
def test_bad_arrays_are_refused(values, message):
  refused(message, as_paired, values, Y)


@pytest.mark.parametrize(
  "shape, place, where",
  [
    ((N,), (7,), r"row 7 \(counted"),
    ((N, 3), (7, 2), "row 7, column 2 "),
    ((N, 4, 4), (7, 2, 1), r"row 7, column \[2, 1\]"),
  ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_not_finite_is_named(
  shape, place, where, value, monkeypatch
):
  monkeypatch.setattr("infomin_jax.mi.inputs.samples._CHUNK", 11)
  values = np.zeros(shape)
  values[place] = values[-1] = value
  refused(f"y has {value} at {where}", as_paired, X, values)


# --- .npy and .npz ----------------------------------------------------------


def test_npy_is_memory_mapped(tmp_path):
  np.save(tmp_path / "x.npy", np.asfortranarray(X))
  np.save(tmp_path / "y.npy", CLASSES)
  pair = read_paired(f"{tmp_path}/x.npy", f"{tmp_path}/y.npy")
  assert isinstance(pair.x, np.memmap) and not pair.x.flags.writeable
  np.testing.assert_array_equal(pair.x, X)
  assert pair.y_kind == "discrete"
  refused("y_path is missing", read_paired, f"{tmp_path}/x.npy")
  refused("x_path is missing", read_paired, "")


def test_npz_by_name(tmp_path):
  path = f"{tmp_path}/a.npz"
  np.savez(path, x=X, y=Y, images=IMAGES)
  for pair in (
    read_paired(path),
    read_paired(path, path),
    read_paired(f"{path}:x", f"{path}:y"),
  ):
    np.testing.assert_array_equal(pair.x, X)
    np.testing.assert_array_equal(pair.y, Y)
  pair = read_paired(f"{path}:images", path)
  assert pair.x_kind == "image" and pair.x.dtype == np.uint8
  np.savez_compressed(f"{tmp_path}/one.npz", anything=CLASSES)
  pair = read_paired(path, f"{tmp_path}/one.npz")
  np.testing.assert_array_equal(pair.y, CLASSES)
  refused("'image': did you mean images", read_paired, f"{path}:image", path)
  np.savez(f"{tmp_path}/two.npz", a=X, b=Y)
  message = "no array 'x': .*Known: a, b. Name one as .*two.npz:NAME"
  refused(message, read_paired, f"{tmp_path}/two.npz")
  refused(message, read_paired, f"{tmp_path}/two.npz", path)
  refused("y_path is missing", read_paired, f"{path}:x")
  refused("has no named columns", read_paired, path, x_columns=("a",))


class Bomb:
  """Its unpickling makes the file that it names."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return (pathlib.Path.touch, (pathlib.Path(self.path),))


def test_the_bomb_is_live(tmp_path):
  pickle.loads(pickle.dumps(Bomb(tmp_path / "trace")))
  assert (tmp_path / "trace").exists()


@pytest.mark.parametrize("kind", ["npy", "npz", "raw.npy", "raw.npz"])
def test_nothing_is_ever_unpickled(tmp_path, kind):
  np.savez(tmp_path / "good.npz", x=X, y=Y)
  trace, path = tmp_path / "trace", tmp_path / f"bad.{kind}"
  objects = np.array([Bomb(trace)] * N, dtype=object)
  if kind == "npy":
    np.save(path, objects, allow_pickle=True)
  elif kind == "npz":
    np.savez(path, x=objects, y=objects)
  else:
    path.write_bytes(pickle.dumps(Bomb(trace)))
  good = f"{tmp_path}/good.npz"
  refused("pickled objects are never loaded", read_paired, str(path), good)
  refused("pickled objects are never loaded", read_paired, good, str(path))
  if kind.endswith("npz"):
    refused("pickled objects are never loaded", read_paired, str(path))
  assert not trace.exists()


def test_broken_files_are_refused(tmp_path):
  np.savez(tmp_path / "good.npz", x=X, y=Y)
  np.save(tmp_path / "good.npy", X)
  good = f"{tmp_path}/good.npz"
  for name in ("good.npz", "good.npy"):
    content = (tmp_path / name).read_bytes()
    for size in (0, 5, 60, len(content) // 2, len(content) - 1):
      path = tmp_path / f"cut.{name[-3:]}"
      path.write_bytes(content[:size])
      refused("cut.* of plain numbers", read_paired, str(path), good)
  header = b"\x93NUMPY\x01\x00\x76\x00"
  for shape in (
    "(10**15,)",
    "(1000000000000000,)",
    "(-1,)",
    "{'a': (",
    "x" * 9,
  ):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    path = tmp_path / "lie.npy"
    path.write_bytes(header + text.encode().ljust(117) + b"\n" + b"0" * 80)
    refused("lie.npy is not a .npy", read_paired, str(path), good)
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
      archive.write(path, "x.npy")
    refused("lie.npz is not a .npz", read_paired, f"{tmp_path}/lie.npz", good)
  with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
    archive.writestr("x", "text")
  refused("x .*text.npz:x.*", read_paired, f"{tmp_path}/text.npz", good)


def test_swapped_suffixes_are_refused(tmp_path):
  np.savez(tmp_path / "good.npz", x=X, y=Y)
  good = f"{tmp_path}/good.npz"
  (tmp_path / "a.npy").write_bytes((tmp_path / "good.npz").read_bytes())
  refused("rename it to end in .npz", read_paired, f"{tmp_path}/a.npy", good)
  np.save(tmp_path / "b.npy", X)
  os.rename(tmp_path / "b.npy", tmp_path / "b.npz")
  refused("rename it to end in .npy", read_paired, f"{tmp_path}/b.npz", good)


def test_paths_that_are_no_files(tmp_path):
  np.savez(tmp_path / "good.npz", x=X, y=Y)
  good = f"{tmp_path}/good.npz"
  table(tmp_path / "a.txt", "1")
  (tmp_path / "folder.npy").mkdir()
  os.mkfifo(tmp_path / "pipe.csv")
  for name, message in (
    ("absent.npy", "x_path: expected a .npy, .*absent.npy' does not exist"),
    ("a.txt", "ends in '.txt'"),
    ("folder.npy", "is a folder"),
    ("pipe.csv", "is not a regular file"),
    ("absent.npz:x", "does not exist"),
  ):
    refused(message, read_paired, f"{tmp_path}/{name}", good)
  refused("y_path: .*is a folder", read_paired, good, str(tmp_path))


def test_empty_arrays(tmp_path):
  np.save(tmp_path / "x.npy", np.zeros((0, 3)))
  np.save(tmp_path / "y.npy", Y)
  paths = f"{tmp_path}/x.npy", f"{tmp_path}/y.npy"
  refused("x.npy", read_paired, *paths)
  refused("x.npy", read_paired, *paths[::-1])


# --- .csv and .tsv ----------------------------------------------------------

CSV = "a,b,city,id\n1,0.5,bern,7\n2,1.5,zug,7\n\n3,-2e1,bern,8\n"


def test_csv_columns(tmp_path):
  path = table(tmp_path / "t.csv", CSV)
  pair = read_paired(path, x_columns=("a", "b"), y_columns=("city",))
  np.testing.assert_array_equal(pair.x, [[1, 0.5], [2, 1.5], [3, -20]])
  np.testing.assert_array_equal(pair.y, [0, 1, 0])
  assert (pair.x_kind, pair.y_kind) == ("continuous", "discrete")
  assert pair.y.dtype.kind == "i"
  (note,) = pair.notes
  assert "text as 2 categories (bern, zug)" in note
  pair = read_paired(path, x_columns="a,b", y_columns="id")
  assert pair.x.shape == (3, 2) and pair.y.dtype == np.int64
  assert pair.y_kind == "discrete"
  np.save(tmp_path / "x.npy", X[:3])
  pair = read_paired(f"{tmp_path}/x.npy", path, y_columns=["b"])
  np.testing.assert_array_equal(pair.y, [0.5, 1.5, -20])


def test_csv_called_x_and_y_or_whole(tmp_path):
  path = table(tmp_path / "t.csv", "\ufeffx,z,y\n1,2,3.5\n4,5,6\n")
  pair = read_paired(path)
  np.testing.assert_array_equal(pair.x, [1, 4])
  np.testing.assert_array_equal(pair.y, [3.5, 6])
  tabs = table(tmp_path / "t.tsv", '1\t"2"\n3\t4\n')  # no header
  pair = read_paired(path, tabs, x_columns=("x",))
  np.testing.assert_array_equal(pair.y, [[1, 2], [3, 4]])
  pair = read_paired(tabs, x_columns=("0",), y_columns=("1",))
  np.testing.assert_array_equal(pair.y, [2, 4])


def test_long_csv_is_read_in_parts(tmp_path, monkeypatch):
  monkeypatch.setattr("infomin_jax.mi.inputs.tables._ROWS", 7)
  lines = [f"{i},{i if i < 9 else i + 0.5},k{i % 3}" for i in range(30)]
  path = table(tmp_path / "t.csv", "\n".join(["i,f,k", *lines]))
  pair = read_paired(path, x_columns=("i", "f"), y_columns=("k",))
  np.testing.assert_array_equal(pair.x[:, 0], np.arange(30))
  assert pair.x[8, 1] == 8 and pair.x[9, 1] == 9.5
  np.testing.assert_array_equal(pair.y, np.arange(30) % 3)
  lines[20] = "20,oops,k1"
  path = table(tmp_path / "t.csv", "\n".join(["i,f,k", *lines]))
  message = "line 22, column 'f': expected a number.*'oops'"
  refused(message, read_paired, path, x_columns="f", y_columns="k")


def test_names_with_underscores_are_no_numbers(tmp_path):
  path = table(tmp_path / "t.csv", "x,y\n1_2,1\n3_4,2\n")
  pair = read_paired(path)
  assert pair.x_kind == "discrete"
  assert "1_2, 3_4" in pair.notes[0]


def test_large_integers_stay_exact_or_become_floats(tmp_path):
  path = table(tmp_path / "t.csv", f"x,y\n{2**53 + 1},{10**30}\n1,2\n")
  pair = read_paired(path)
  assert pair.x[0] == 2**53 + 1
  assert pair.y.dtype == np.float64 and pair.y[0] == 1e30


@pytest.mark.parametrize(
  "text, message",
  [
    ("", "t.csv is empty"),
    ("\n\n", "expected columns.*no column"),
    ("x,y\n", "has a header but no row"),
    ("x,y\n1,2\n3\n", "line 3: expected 2 cells .*got 1"),
    ("x,y\n1,2\n3,4,5\n", "line 3: expected 2 cells .*got 3"),
    ("x,y\n1,2\n3,oops\n", "line 3, column 'y': expected a number.*'oops'"),
    ("x,y\na,2\n3,4\n", "line 3, column 'x': expected text.*'3'"),
    ("x,y\n1,2\n,4\n", "line 3, column 'x': the cell is empty"),
    ("x,y\na,2\n,4\n", "line 3, column 'x': the cell is empty"),
    ("x,y\n1,2\n3,nan\n", "has nan at row 1, column 'y'"),
    ("x,y\n-inf,2\n3,4\n", "has -inf at row 0, column 'x'"),
    ("x,x,y\n1,2,3\n", "'x' twice"),
    ("a,b\n1,2\n", "alone must give x and y: name the columns.*it has a, b"),
  ],
)
def test_bad_csv_is_refused(tmp_path, text, message):
  refused(message, read_paired, table(tmp_path / "t.csv", text))


def test_bad_columns_are_refused(tmp_path):
  path = table(tmp_path / "t.csv", CSV)
  for x, y, message in (
    ("citty", "a", "x_columns: .* no column 'citty': did you mean city"),
    ("a", "B", "y_columns: .* no column 'B'.*Known: a, b, city, id"),
    ("a,b", "b", "'b' is in x_columns and in y_columns"),
    ("a,city", "b", "'city' .* is text, which must be the only column of x"),
    ("a", "", "alone must give x and y"),
  ):
    refused(message, read_paired, path, x_columns=x, y_columns=y)


@pytest.mark.parametrize("content", [b"x,y\n1,\xff\n", b"x,y\n1,\x00\n"])
def test_bytes_that_are_no_text(tmp_path, content):
  (tmp_path / "t.csv").write_bytes(content)
  refused("t.csv.*(UTF-8|zero bytes)", read_paired, str(tmp_path / "t.csv"))


# --- dialects of text -------------------------------------------------------

PLAIN = "a,b\n1.5,20\n2.25,30\n-3.5,40\n"


@pytest.mark.parametrize(
  "text",
  [
    PLAIN,
    PLAIN.replace(",", ";"),
    PLAIN.replace(",", "\t"),
    PLAIN.replace(",", "|"),
    PLAIN.replace(",", "  "),
    PLAIN.replace(",", ";").replace(".", ","),
    PLAIN.replace(",", ";").replace(".", ",").replace("\n", "\r\n"),
    "sep=;\n" + PLAIN.replace(",", ";"),
    "# measured\n\n" + PLAIN,
    "# " + PLAIN,
    PLAIN.replace("\n", ",,\n") + ",,,\n\n",
    PLAIN.replace("-3.5", '"-3,5"').replace("1.5", '"1,5"').replace("2.", "2"),
    " a , b \n 1.5 , 20 \n 2.25, 30\n-3.5 ,40",
  ],
)
def test_dialects_give_the_same_numbers(tmp_path, text):
  text = text.replace("225", '"2,25"')
  path = table(tmp_path / "t.csv", text)
  pair = read_paired(path, x_columns="a", y_columns="b")
  np.testing.assert_array_equal(pair.x, [1.5, 2.25, -3.5])
  np.testing.assert_array_equal(pair.y, [20, 30, 40])


def test_utf_16_and_capital_suffixes_are_read(tmp_path):
  path = tmp_path / "T.CSV"
  path.write_text(PLAIN, encoding="utf-16")
  pair = read_paired(str(path), x_columns="a", y_columns="b")
  np.testing.assert_array_equal(pair.x, [1.5, 2.25, -3.5])


def test_digits_in_groups(tmp_path):
  path = table(tmp_path / "t.csv", 'x,y\n"1,234,567",0.5\n"1,234",1.5\n12,2\n')
  np.testing.assert_array_equal(read_paired(path).x, [1234567, 1234, 12])
  path = table(tmp_path / "t.csv", "x;y\n1.234,5;0,5\n1.234;1,5\n12;2\n")
  np.testing.assert_array_equal(read_paired(path).x, [1234.5, 1234, 12])
  assert "1.234 is read as 1234" in " ".join(read_paired(path).notes)


def test_whole_numbers_above_fractions_are_names(tmp_path):
  path = table(tmp_path / "t.csv", "0,1\n0.5,1.5\n2.5,3.5\n")
  pair = read_paired(path, x_columns="0", y_columns="1")
  np.testing.assert_array_equal(pair.x, [0.5, 2.5])
  assert "taken as names" in pair.notes[0]


@pytest.mark.parametrize(
  "text, message",
  [
    ("x,y\nNA,1\n2,3\n4,5\n", "line 2, column 'x': expected a number.*'NA'"),
    ("x,y\n1,1\n?,3\n4,5\n-,2\n", r"line 3, .*'\?'.* \(1 more such row\)"),
    ("x,y\nbern,1\nzug,3\n4,5\n", "line 4, column 'x': expected text.*'4'"),
    ('x,y\n"1,234",1\n"345",3\n', "'1,234' has a decimal comma or digits"),
    ('x,y\n"1,5",1\n2.5,3\n', "'1,5' has a comma, but other rows"),
    ("x,y\n5%,1\n6%,3\n", "'5%' has a unit"),
    ("Title\nx;y\n1;2\n3;4\n", "expected a line of names first"),
    ("x,y\n1,2,3\n2,3,4\n", "line 2: expected 2 cells.*got 3.*row.names"),
  ],
)
def test_what_a_table_leaves_open_is_refused(tmp_path, text, message):
  refused(message, read_paired, table(tmp_path / "t.csv", text))


def test_blank_lines_of_one_column_are_missing_values(tmp_path):
  x = table(tmp_path / "x.csv", "x\n1\n\n3\n\n")
  y = table(tmp_path / "y.csv", "y\n1\n2\n3\n")
  refused("x.csv, line 3, column 'x': the cell is empty", read_paired, x, y)


def test_all_rows_decide_on_a_column(tmp_path, monkeypatch):
  monkeypatch.setattr("infomin_jax.mi.inputs.tables._ROWS", 2)
  cells = ["1", "2", "3,5", "4", "5,25"]
  path = table(tmp_path / "t.csv", "x;y\n" + ";0,5\n".join(cells) + ";1,5\n")
  pair = read_paired(path)
  np.testing.assert_array_equal(pair.x, [1, 2, 3.5, 4, 5.25])


# --- .parquet ---------------------------------------------------------------


@pytest.fixture
def parquet(tmp_path):
  import pyarrow as pa
  import pyarrow.parquet

  def write(**columns):
    path = str(tmp_path / "t.parquet")
    pyarrow.parquet.write_table(pa.table(columns), path, row_group_size=2)
    return path

  return write


@pytest.mark.needs("pyarrow")
def test_parquet_columns(parquet):
  import pyarrow as pa

  path = parquet(
    a=[1.0, 2.5, 3.0],
    b=pa.array([1, 2, 3], pa.int32()),
    city=["zug", "bern", "zug"],
    coded=pa.array(["u", "v", "v"]).dictionary_encode(),
    flag=[True, False, True],
  )
  pair = read_paired(path, x_columns=("a", "b"), y_columns=("city",))
  np.testing.assert_array_equal(pair.x, [[1, 1], [2.5, 2], [3, 3]])
  np.testing.assert_array_equal(pair.y, [1, 0, 1])
  assert "(bern, zug)" in pair.notes[0]
  pair = read_paired(path, x_columns="coded", y_columns="flag")
  np.testing.assert_array_equal(pair.x, [0, 1, 1])
  assert pair.y.dtype == bool and pair.y_kind == "discrete"
  refused(
    "no column 'cities': did you mean city",
    *(read_paired, path),
    x_columns="cities",
    y_columns="a",
  )


@pytest.mark.needs("pyarrow")
def test_bad_parquet_is_refused(parquet, tmp_path):
  path = parquet(x=[1.0, None, 2.0], y=[1, 2, 3])
  refused("row 1 .*column 'x': the value is missing", read_paired, path)
  path = parquet(x=[[1.0], [2.0]], y=[1, 2])
  refused("column 'x': expected numbers or text, got list", read_paired, path)
  path = parquet(x=[1.0, np.nan], y=[1, 2])
  refused("x .*has nan at row 1", read_paired, path)
  content = (tmp_path / "t.parquet").read_bytes()
  for size in (0, 10, len(content) // 2, len(content) - 1):
    (tmp_path / "t.parquet").write_bytes(content[:size])
    refused("not a readable .parquet file", read_paired, path)
  # Damage inside the data, with the footer whole.
  (tmp_path / "t.parquet").write_bytes(
    content[:4] + b"\xff" * 60 + content[64:]
  )
  refused("t.parquet", read_paired, path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
  original = builtins.__import__

  def without(name, *arguments, **options):
    if name.startswith("pyarrow"):
      raise ImportError(name)
    return original(name, *arguments, **options)

  monkeypatch.setattr(builtins, "__import__", without)
  path = table(tmp_path / "t.parquet", "PAR1")
  refused("needs pyarrow: pip install 'infomin-jax", read_paired, path)
