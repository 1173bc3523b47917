"""Make a run from an encoder that somebody has pushed to the hub.

  infomin pull NAME/fashion-encoder --workdir encoder
  infomin pull NAME/mine --workdir encoder --data path=PHOTOS

The folder then serves as a run for `infomin evaluate`, `embed` and `export`,
and for `infomin_jax.load("encoder")`. To start a new run from it, use
--config.init_from=encoder. Downloaded files are only read as data: no code in
them is run. Their paths are removed, so give the location of the data with
--data.
"""

import pathlib
import shlex
import tempfile

from absl import flags

from infomin_jax import paths
from infomin_jax.cli.evaluate import changed_data
from infomin_jax.cli.push import (
  CONFIG,
  PROBES,
  WEIGHTS,
  reaching,
  without_paths,
)
from infomin_jax.errors import UserError, missing
from infomin_jax.output import read_json, write_json
from infomin_jax.runs.workdir import as_json, read_config

LARGEST = 2**22  # bytes of a JSON file


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin pull`."""
  del argv
  paths.define("workdir", None, "new folder for the run", values)
  flags.DEFINE_string(
    "revision", "main", "branch, tag or commit", flag_values=values
  )
  flags.DEFINE_list(
    "data",
    [],
    "changes of config.data, such as data_dir=FOLDER",
    flag_values=values,
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Pulls; see the docstring of the module."""
  del command
  if len(rest) != 1:
    raise UserError("name one repository: infomin pull NAME/WHAT --workdir D.")
  repo, workdir = rest[0], pathlib.Path(values.workdir or "")
  if not values.workdir:
    raise UserError("--workdir is missing: name a new folder.")
  if workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
    raise UserError(f"--workdir {workdir} is not empty: name a new folder.")
  try:
    import safetensors  # noqa: F401
  except ImportError as error:
    raise missing("safetensors", "'infomin-jax[hub]'", error) from error
  from infomin_jax.pretrained.load import save_encoder
  from infomin_jax.runs.progress import say

  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    with reaching(repo):
      commit = _download(repo, values.revision, folder)
    try:
      trained, step, rows = read_files(folder)
    except UserError as error:
      raise UserError(
        f"{repo} is not an encoder of infomin_jax: {error}"
      ) from error
    except Exception as error:  # broken and hostile files may raise anything
      why = (str(error).strip() or type(error).__name__).splitlines()[0]
      raise UserError(
        f"{repo} is not an encoder of infomin_jax: {why}."
      ) from error
  trained.config.data = trained.config.data.to_dict() | changed_data(
    values.data
  )
  origin = {"repo": repo, "commit": commit}
  save_encoder(workdir, trained, step, origin)
  if rows:
    write_json(workdir / PROBES, {"rows": rows})
  place = shlex.quote(str(workdir))
  say(f"Made {workdir} of {repo}. Next: infomin evaluate --workdir {place}")


def _download(repo: str, revision: str, folder: pathlib.Path) -> str:
  """Downloads our files and no others into the folder; returns the commit."""
  from huggingface_hub.hf_api import HfApi

  api = HfApi()
  info = api.model_info(repo, revision=revision)
  available = {file.rfilename for file in info.siblings or ()}
  for name in (CONFIG, WEIGHTS, PROBES):
    if name in available:
      api.hf_hub_download(repo, name, revision=info.sha, local_dir=folder)
    elif name != PROBES:
      raise UserError(
        f"{repo} has no {name}: expected a repository from `infomin push`."
      )
  return str(info.sha)


def read_files(folder: pathlib.Path):
  """Returns the encoder, its step and its rows, from untrusted files.

  Raises:
    UserError: the files do not fit each other. Bad files may raise other
      errors.
  """
  import ml_collections
  from safetensors import safe_open

  from infomin_jax.pretrained.load import from_own_arrays
  from infomin_jax.train.config import check_keys

  for name in (CONFIG, PROBES):
    path = folder / name
    if path.exists() and path.stat().st_size > LARGEST:
      raise UserError(f"{name} has more than {LARGEST:,} bytes.")
  settings = as_json(read_config(folder))
  check_keys(settings)
  config = ml_collections.ConfigDict(without_paths(settings))
  with safe_open(folder / WEIGHTS, "numpy") as file:
    arrays = {name: file.get_tensor(name) for name in file.keys()}
    step = int((file.metadata() or {}).get("step", 0))
  if not 0 <= step < 2**31:
    raise UserError(f"{WEIGHTS} has the step {step}, which is not possible.")
  return from_own_arrays(config, arrays), step, _rows(folder / PROBES)


def _rows(path: pathlib.Path) -> list[dict]:
  """Returns rows of evaluation.json, each with the expected keys and no other.

  A row whose value is null may have a note with the reason.
  """
  kinds = dict.fromkeys(("task", "protocol", "tap", "features", "metric"), str)
  # Values that are not finite are stored as null.
  kinds |= {"value": float | int | None, "seed": int}
  rows = read_json(path)["rows"] if path.exists() else []
  for row in rows:
    empty = row.get("value", 0) is None
    expected = kinds | ({"note": str} if empty and "note" in row else {})
    if row.keys() != expected.keys() or not all(
      isinstance(row[name], kind) for name, kind in expected.items()
    ):
      raise UserError(f"{PROBES} has the row {str(row)[:200]}.")
  return rows
