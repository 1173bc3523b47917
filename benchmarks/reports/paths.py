"""Reports on paths that users name: kind 10."""

import functools
import os
import pathlib
from unittest import mock

import numpy as np
from report import Report, holds, infomin, one_line

_TINY = ("--config", "colorful_digits.py:tiny", "--config.steps=1")


def refused(folder: pathlib.Path, *arguments: str) -> None:
  """Checks that a command ends in one line, and writes nothing."""
  said = infomin(*arguments)
  assert said.status == 2, said
  one_line(said.err, "local disk")
  assert not list(folder.iterdir()), "something was written"


def trained(folder: pathlib.Path, name: str) -> None:
  """Checks that a run below the home folder is trained and evaluated."""
  with mock.patch.dict(os.environ, {"HOME": str(folder)}):
    said = infomin("train", *_TINY, "--workdir", f"~/{name}")
    assert said.status == 0, said
    assert (folder / name / "checkpoints/1").is_dir()
    assert list(folder.iterdir()) == [folder / name.split("/")[0]]
    said = infomin(
      *("evaluate", "--workdir", f"~/{name}", "--protocols", "knn", "--json")
    )
    assert said.status == 0, said
    holds(said.out, "knn (cosine")


def estimated(folder: pathlib.Path, name: str) -> None:
  """Checks that `estimate` reads and draws below the home folder."""
  x = np.arange(200) % 2
  np.savez(folder / f"{name}.npz", x=x, y=x)
  with mock.patch.dict(os.environ, {"HOME": str(folder)}):
    said = infomin("estimate", f"~/{name}.npz")
  assert said.status == 0, said
  holds(said.out, "I(X; Y) = 0.69")


def own_code(folder: pathlib.Path) -> None:
  (folder / "my, code.py").write_text("print('it ran')\n")
  with mock.patch.dict(os.environ, {"HOME": str(folder)}):
    said = infomin("data", "list", "--with", "~/my, code.py")
  assert said.status == 0, said
  holds(said.out, "it ran")


def several(folder: pathlib.Path) -> None:
  from infomin_jax import paths

  for name in ("a, b", "a", "c,d,e"):
    (folder / name).mkdir()
  names = paths.split("--workdir", "a, b,a,c,d,e,new")
  assert names == ["a, b", "a", "c,d,e", "new"], names


REPORTS = (
  *(
    Report(
      10,
      f"{arguments[0]} with {arguments[-1]}",
      "refused in one line, no folder made",
      functools.partial(lambda folder, a: refused(folder, *a), a=arguments),
    )
    for arguments in (
      ("train", *_TINY, "--workdir", "gs://bucket/run"),
      ("train", *_TINY, "--workdir", "s3:/bucket/run"),
      ("evaluate", "--workdir", "gs://bucket/run"),
      ("views", "--config", "own_images.py", "--config.data.path=gs://photos"),
      ("estimate", "hf://data/x.npy"),
      ("report", "gs://bucket/run"),
      ("embed", "--workdir", "x", "--out", "a.npz", "--images", "file:///tmp"),
    )
  ),
  Report(
    10,
    "a workdir ~/runs/a, b",
    "trained and evaluated below the home folder",
    functools.partial(trained, name="runs/a, b"),
  ),
  Report(
    10,
    "~/pairs, new.npz",
    "0.693 nats",
    functools.partial(estimated, name="pairs, new"),
  ),
  Report(10, "--with '~/my, code.py'", "it runs", own_code),
  Report(10, "workdirs with commas, separated by commas", "found", several),
)
