"""List the data sets, prepare one, or inspect one.

  infomin data list
  infomin data prepare cifar10
  infomin data prepare imagenet2012 --manual_dir ~/Downloads/imagenet
  infomin data inspect fashion_mnist --split test
  infomin data inspect ~/photos

Preparing the sets of TFDS needs TensorFlow: pip install 'infomin-jax[prepare]'.
Reading them and training need no TensorFlow.
"""

import pathlib

from absl import flags

from infomin_jax import paths
from infomin_jax.errors import UserError, nearest
from infomin_jax.output import to_json

ACTIONS = ("list", "prepare", "inspect")
CHECKED = 100  # records that `inspect` looks at


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin data`."""
  del argv
  paths.define(
    "data_dir",
    "",
    "folder of prepared sets (default: the folder of TFDS)",
    values,
  )
  paths.define("manual_dir", "", "folder of files downloaded by hand", values)
  flags.DEFINE_string(
    "split", "train", "the split to inspect", flag_values=values
  )
  flags.DEFINE_boolean("json", False, "print JSON", flag_values=values)


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Does one of `ACTIONS`; see the docstring of the module."""
  del command
  action = rest[0] if rest else "list"
  if action not in ACTIONS:
    raise UserError(f"no such action {action!r}: {nearest(action, ACTIONS)}")
  if len(rest) != (1 if action == "list" else 2) and rest:
    raise UserError(
      f"`infomin data {action}` takes "
      + ("no name." if action == "list" else "one name: see infomin data list.")
    )
  from infomin_jax import data

  if action == "prepare":
    print(data.prepare(rest[1], values.data_dir, values.manual_dir))
  elif action == "inspect":
    options = _source(rest[1]) | {"data_dir": values.data_dir}
    source = data.load(options, values.split)
    _check_records(source)
    about = {
      "records": len(source),
      "image_shape": source.image_shape,
      "tasks": {name: task.classes for name, task in source.tasks.items()},
      "class_names": {
        name: list(task.names)
        for name, task in source.tasks.items()
        if task.names
      },
      "fields": sorted(source[0]),
    }
    for name, value in about.items():
      if not values.json:
        print(f"{name}: {value}")
    if values.json:
      print(to_json(about))
  else:
    _show(data.describe(values.data_dir, data.SOURCES), values.json)


def _check_records(source) -> None:
  """Refuses records that training could not use; looks at 100 at most.

  Raises:
    UserError: an image that is not uint8 `[h, w, c]` of the source's shape, an
      index that is not the record's, or a label that its task does not have.
  """
  import numpy as np

  from infomin_jax.data.batch import collate

  for i in np.unique(np.linspace(0, len(source) - 1, CHECKED).astype(int)):
    record = source[int(i)]
    image = np.asarray(record["image"])
    if image.ndim != 3:
      raise UserError(
        f"record {i}: the image has the shape {list(image.shape)}, expected "
        "[h, w, c]."
      )
    # As in training, where it refuses other types and shapes.
    collate([{**record, "image": image}], 1, source.name, source.image_shape)
    if record["index"] != i:
      raise UserError(
        f"record {i}: index is {record['index']}, expected {i}; views are "
        "drawn by it."
      )
    for name, task in source.tasks.items():
      if task.field not in record:
        raise UserError(
          f"record {i} has no field {task.field!r} of the task {name!r}, it "
          f"has {', '.join(record)}."
        )
      if record[task.field] >= task.classes:
        raise UserError(
          f"record {i}: {task.field} is {record[task.field]}, but the task "
          f"{name!r} has {task.classes} classes, from 0 on."
        )


def _source(word: str) -> dict:
  """Returns the options of a named data set, or of a folder or array file."""
  from infomin_jax import data

  path = pathlib.Path(word).expanduser()
  if "/" in word and not path.exists():
    raise UserError(f"{word}: there is no such file or folder.")
  if word in data.SOURCES or not path.exists():
    return {"name": word}
  return {"name": "folder" if path.is_dir() else "arrays", "path": word}


def _show(rows: list[dict], as_json: bool) -> None:
  if as_json:
    print(to_json(rows, 2))
    return
  import rich.console
  import rich.table

  table = rich.table.Table()
  for column in ("data set", "ready", "where or how"):
    table.add_column(column, overflow="fold")
  for row in rows:
    place = "  ".join(str(row[k]) for k in ("where", "how") if row[k])
    table.add_row(row["name"], "yes" if row["ready"] else "no", place)
  rich.console.Console().print(table)
