"""Share the encoder of a run on the Hugging Face hub, with a model card.

  infomin push --workdir runs/fm --repo NAME/fashion-encoder --private
  infomin pull NAME/fashion-encoder --workdir encoder

It uploads model.safetensors (the encoder alone), config.json without paths of
this machine, README.md (the card) and, if the run was evaluated,
evaluation.json. Log in first with `hf auth login`, or set HF_TOKEN. The exit
status is 0 after the upload, and 2 if it was refused.
"""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Generator

from absl import flags

from infomin_jax import __version__, paths
from infomin_jax.errors import UserError, missing
from infomin_jax.output import write_json
from infomin_jax.runs.workdir import as_json

WEIGHTS = "model.safetensors"
CONFIG, PROBES, CARD = "config.json", "evaluation.json", "README.md"


def define(values: flags.FlagValues, argv: list[str]) -> None:
  """Defines the flags of `infomin push`."""
  del argv
  paths.define("workdir", None, "folder of a run", values)
  flags.DEFINE_string(
    "repo",
    None,
    "name of the repository on the hub, NAME/WHAT",
    flag_values=values,
  )
  flags.DEFINE_boolean(
    "private", False, "visible only to you", flag_values=values
  )
  flags.DEFINE_string(
    "license",
    "unknown",
    "license for other users, such as apache-2.0",
    flag_values=values,
  )


def run(values: flags.FlagValues, rest: list[str], command: str) -> None:
  """Pushes; see the docstring of the module."""
  del command
  if rest:
    raise UserError(f"unexpected argument {rest[0]!r}: flags begin with --.")
  for name in ("workdir", "repo"):
    if not values[name].value:
      raise UserError(f"--{name} is missing.")
  repo, workdir = values.repo, pathlib.Path(values.workdir)
  with reaching(repo):
    # Not from the package itself, which prints messages about failed imports.
    from huggingface_hub.hf_api import HfApi  # noqa: F401
    from huggingface_hub.repocard_data import ModelCardData  # noqa: F401
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo)
  from infomin_jax.runs.progress import say

  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    write_files(workdir, repo, values.license, folder)
    with reaching(repo):
      url = _upload(folder, repo, values.private)
  say(f"Pushed {workdir} to {url}. Next: infomin pull {repo} --workdir D")


def _upload(folder: pathlib.Path, repo: str, private: bool) -> str:
  from huggingface_hub.hf_api import HfApi

  api = HfApi(library_name="infomin_jax", library_version=__version__)
  api.create_repo(repo, private=private, exist_ok=True)
  if private and not api.model_info(repo).private:
    raise UserError(
      f"--private: {repo} exists already and is public. Name another one."
    )
  message = f"Encoder of infomin_jax {__version__}"
  return api.upload_folder(
    repo_id=repo, folder_path=folder, commit_message=message
  ).commit_url


def write_files(
  workdir: pathlib.Path, repo: str, terms: str, folder: pathlib.Path
) -> None:
  """Writes the shared files of a run into a folder.

  Raises:
    UserError: the run has no checkpoint, or its encoder could not be read
      again.
  """
  import ml_collections

  from infomin_jax.cli.export import write_safetensors
  from infomin_jax.pretrained.load import (
    from_own_arrays,
    own_arrays,
    trained_encoder,
  )
  from infomin_jax.report.card import model_card
  from infomin_jax.train.checkpoint import saved

  trained = trained_encoder(workdir)
  arrays, step = own_arrays(trained), int(saved(workdir).step)
  config = without_paths(as_json(trained.config))
  trained = from_own_arrays(ml_collections.ConfigDict(config), arrays)
  write_safetensors(arrays, trained, folder / WEIGHTS, step=str(step))
  write_json(folder / CONFIG, config)
  if (workdir / PROBES).exists():
    shutil.copy(workdir / PROBES, folder / PROBES)
  card = model_card(workdir, trained.config, repo, step, terms)
  (folder / CARD).write_text(_header(config, terms) + card, encoding="utf-8")


def without_paths(config: dict) -> dict:
  """Returns a config, as plain values, without paths of a machine."""
  for section, names in (
    ("data", ("data_dir", "path")),
    ("encoder", ("generator_from",)),
  ):
    config[section] |= dict.fromkeys(config[section].keys() & set(names), "")
  config["init_from"] = ""
  return config


def _header(config: dict, terms: str) -> str:
  from huggingface_hub.repocard_data import ModelCardData

  about = ModelCardData(
    library_name="infomin_jax",
    license=terms,
    pipeline_tag="image-feature-extraction",
    tags=[
      *("jax", "flax", "self-supervised-learning", "mutual-information"),
      config["encoder"]["name"],
    ],
  )
  return f"---\n{about.to_yaml()}\n---\n\n"


@contextlib.contextmanager
def reaching(repo: str) -> Generator[None]:
  """Turns errors of the hub, or its missing library, into one line."""
  try:
    yield
  except UserError:
    raise
  except ImportError as error:
    raise missing("huggingface_hub", "'infomin-jax[hub]'", error) from error
  except Exception as error:  # errors of the client and of its HTTP library
    name = type(error).__name__
    if name in ("RepositoryNotFoundError", "LocalTokenNotFoundError"):
      why = "it does not exist, or you may not read it: try `hf auth login`"
    else:
      # Upload errors are wrapped in "Error while uploading".
      cause = error.__cause__ if name == "RuntimeError" else error
      why = (str(cause).strip() or name).splitlines()[0].rstrip(".")
    raise UserError(f"{repo} on the hub: {why}.") from error
