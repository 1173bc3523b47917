"""Encoders pushed to a hub and pulled from it, by its real client.

Only the network is a stand-in: a server on this machine that answers what the
client asks of a hub.
"""

import base64
import hashlib
import http.server
import importlib.util
import json
import os
import pathlib
import re
import runpy
import shutil
import sys
import threading

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import infomin_jax
from infomin_jax import cli
from infomin_jax.report.card import model_card
from infomin_jax.runs.workdir import as_json, read_config
from infomin_jax.train.checkpoint import save_run
from infomin_jax.train.experiment import make_experiment

pytestmark = [
  pytest.mark.needs("huggingface_hub"),
  # Of how the client uses its HTTP library.
  pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning"),
]
NAME = "somebody/an-encoder"
EVIL = "</td>|<img src=x onerror=alert(1)>\n---\n# [x](javascript:1)"
FILES = {"README.md", "config.json", "evaluation.json", "model.safetensors"}
TOKEN = "Bearer hf_of_this_test"


class Hub(http.server.BaseHTTPRequestHandler):
  """Repositories of models, in memory."""

  repos: dict = {}  # noqa: RUF012
  stored: dict = {}  # noqa: RUF012

  def log_message(self, *_):
    pass

  def _send(self, status, content=b"", **headers):
    if not isinstance(content, bytes):
      content = json.dumps(content).encode()
    self.send_response(status)
    headers = {"Content-Length": str(len(content))} | headers
    for name, value in headers.items():
      self.send_header(name.replace("_", "-"), value)
    self.end_headers()
    if self.command != "HEAD":
      self.wfile.write(content)

  def _body(self):
    return self.rfile.read(int(self.headers.get("Content-Length") or 0))

  def _find(self, pattern):
    found = re.fullmatch(pattern, self.path.partition("?")[0])
    return found.groups() if found else None

  def do_PUT(self):
    data = self._body()
    self.stored[hashlib.sha256(data).hexdigest()] = data
    self._send(200)

  def do_POST(self):
    body = self._body()
    if self.headers.get("Authorization") != TOKEN:
      self._send(401, {"error": "Invalid username or password."})
    elif self.path == "/api/repos/create":
      asked = json.loads(body)
      name = f"{asked['organization']}/{asked['name']}"
      new = {"private": asked.get("private", False), "files": {}}
      status = 409 if name in self.repos else 200
      self.repos.setdefault(name, new)
      self._send(status, {"url": f"{os.environ['HF_ENDPOINT']}/{name}"})
    elif self.path == "/api/validate-yaml":
      self._send(200, {"errors": [], "warnings": []})
    elif self._find("/api/models/(.+)/preupload/main"):
      files = [
        {
          "path": file["path"],
          "uploadMode": "lfs" if file["path"].endswith("s") else "regular",
          "shouldIgnore": False,
        }
        for file in json.loads(body)["files"]
      ]
      self._send(200, {"files": files})
    elif self._find("/(.+).git/info/lfs/objects/batch"):
      url = f"{os.environ['HF_ENDPOINT']}/upload"
      objects = [
        x | {"actions": {"upload": {"href": url, "header": {}}}}
        for x in json.loads(body)["objects"]
      ]
      self._send(200, {"transfer": "basic", "objects": objects})
    elif found := self._find("/api/models/(.+)/commit/main"):
      self._commit(*found, map(json.loads, body.splitlines()))
    else:
      self._send(404)

  def _commit(self, name, lines):
    files = self.repos[name]["files"]
    for line in lines:
      value = line["value"]
      if line["key"] == "file":
        files[value["path"]] = base64.b64decode(value["content"])
      elif line["key"] == "lfsFile":
        files[value["path"]] = self.stored[value["oid"]]
    url = f"{os.environ['HF_ENDPOINT']}/{name}/commit/{'0' * 40}"
    self._send(200, {"commitUrl": url, "commitOid": "0" * 40})

  def do_GET(self):
    if found := self._find("/api/models/([^/]+/[^/]+)(?:/revision/(.+))?"):
      repo = self.repos.get(found[0])
      if repo is None or found[1] not in (None, "main"):
        code = "RepoNotFound" if repo is None else "RevisionNotFound"
        self._send(404, {"error": "no"}, X_Error_Code=code)
        return
      about = {
        "id": found[0],
        "sha": "0" * 40,
        "private": repo["private"],
        "siblings": [{"rfilename": name} for name in repo["files"]],
      }
      self._send(200, about)
    elif found := self._find("/([^/]+/[^/]+)/resolve/[^/]+/(.+)"):
      content = self.repos[found[0]]["files"][found[1]]
      tag = f'"{hashlib.sha1(content).hexdigest()}"'
      self._send(200, content, ETag=tag, X_Repo_Commit="0" * 40)
    else:
      self._send(404)

  do_HEAD = do_GET


@pytest.fixture(scope="module", autouse=True)
def hub(tmp_path_factory):
  """A hub, and the client's word that it is the one."""
  server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
  thread = threading.Thread(target=server.serve_forever)
  thread.start()
  for name in list(sys.modules):  # the client reads its settings once
    if name.startswith("huggingface_hub"):
      del sys.modules[name]
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("home")))
    patch.setenv("HF_TOKEN", TOKEN.split()[1])
    # Its own protocol for large files speaks to one more server.
    patch.setenv("HF_HUB_DISABLE_XET", "1")
    patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    yield Hub.repos
  server.shutdown()
  thread.join()
  server.server_close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A run with a momentum copy, as training leaves it, and some probes."""
  workdir = tmp_path_factory.mktemp("hub") / "run"
  config = runpy.run_path("configs/colorful_digits.py")["get_config"]("tiny")
  config.encoder.widths = (8, 8, 8, 8)
  config.ema, config.evaluate.weights = 0.9, "ema"
  config.data.data_dir = "/home/somebody/secret"
  state = make_experiment(config).init()
  rng = np.random.default_rng(0)
  ema = state.stats["ema"]["params"]  # apart from the parameters, as trained
  ema["encoder"] = jax.tree.map(
    lambda x: x + rng.random(x.shape, np.float32), ema["encoder"]
  )
  save_run(workdir, config, state)
  about = {"task": EVIL, "protocol": "knn (k=20)", "metric": "accuracy"}
  rows = [
    about | {"tap": tap, "features": kind, "value": value, "seed": 0}
    for tap, kind, value in (
      ("pixels", "pixels", 0.125),
      ("pool", "untrained", 0.25),
      ("pool", "learned", 0.5),
    )
  ]
  (workdir / "evaluation.json").write_text(json.dumps({"rows": rows}))
  (workdir / "metrics.jsonl").write_text('{"step": 0, "loss": 1.0}\n')
  return workdir


@pytest.fixture(scope="module")
def pulled(run, hub):
  """The run's encoder, by way of the hub."""
  folder = run.parent / "pulled"
  cli.main(
    ["push", f"--workdir={run}", f"--repo={NAME}", "--license=apache-2.0"]
  )
  assert hub[NAME]["files"].keys() - {".gitattributes"} == FILES
  cli.main(["pull", NAME, f"--workdir={folder}"])
  return folder


def images():
  return np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)


def test_features_are_those_of_the_run(run, pulled):
  wanted = infomin_jax.load(run)(images())
  found = infomin_jax.load(pulled)(images())
  np.testing.assert_array_equal(found, wanted)
  assert wanted.std() > 0


def test_no_place_of_the_machine_is_told(run, pulled, hub):
  sent = b"".join(hub[NAME]["files"].values())
  assert b"secret" not in sent
  config, own = (
    as_json(read_config(pulled)),
    as_json(read_config(run)),
  )
  own["data"]["data_dir"] = ""
  assert config == own
  origin = json.loads((pulled / "origin.json").read_text())
  assert origin == {"repo": NAME, "commit": "0" * 40}


def test_the_other_verbs_take_it(run, pulled, tmp_path):
  for name in ("run", "pulled"):
    out = tmp_path / f"{name}.safetensors"
    folder = run.parent / name
    cli.main(
      ["export", f"--workdir={folder}", "--format=safetensors", f"--out={out}"]
    )
  first, second = (
    load_file(tmp_path / f"{name}.safetensors") for name in ("run", "pulled")
  )
  assert first.keys() == second.keys()
  for name, array in first.items():
    np.testing.assert_array_equal(array, second[name])


def test_it_is_evaluated_as_the_run_is(run, pulled, tmp_path):
  rows = []
  for name in ("run", "pulled"):
    folder = shutil.copytree(run.parent / name, tmp_path / name)
    cli.main(["evaluate", f"--workdir={folder}", "--protocols=knn"])
    rows.append(json.loads((folder / "evaluation.json").read_text())["rows"])
  assert rows[0] == rows[1]
  assert {row["features"] for row in rows[0]} == {
    "pixels",
    "untrained",
    "learned",
  }


def test_the_card_says_what_it_is_and_escapes_names(pulled, hub):
  card = hub[NAME]["files"]["README.md"].decode()
  _, header, text = card.split("---\n", 2)
  assert "library_name: infomin_jax" in header
  assert "license: apache-2.0" in header and "- convnet" in header
  assert f"infomin pull {NAME} --workdir encoder" in text
  assert "| training | 0 steps of 16 images |" in text
  again = model_card(pulled, read_config(pulled), NAME, 0, "unknown")
  assert "| training | elsewhere: it was imported or pulled |" in again
  rows = [line for line in text.splitlines() if "knn" in line]
  cells = re.split(r"(?<!\\)\|", rows[0])[1:-1]
  assert [cell.strip() for cell in cells[-3:]] == ["12.5%", "25.0%", "50.0%"]
  assert not re.search(r"(?<!\\)[<\[]img|(?<!\\)<", rows[0])
  assert "\n# \\[x" not in text and "\\[x\\]" in rows[0]
  code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
  scope = {"images": images()}
  exec(code.replace('"encoder"', repr(str(pulled))), scope)
  assert scope["features"].shape[0] == 3


def refused(capsys, *arguments):
  with pytest.raises(SystemExit) as error:
    cli.main(list(arguments))
  assert error.value.code == 2
  (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
  assert line.startswith(f"infomin {arguments[0]}: ")
  return line


def changed_config(files, **changes):
  config = json.loads(files["config.json"])
  for key, value in changes.items():
    section, _, name = key.partition("__")
    config[section] = config[section] | {name: value} if name else value
  return json.dumps(config).encode()


def changed_arrays(files, folder, change):
  path = folder / "x.safetensors"
  path.write_bytes(files["model.safetensors"])
  arrays = change(load_file(path))
  save_file(arrays, path, metadata={"step": "0"})
  return path.read_bytes()


def wider(arrays):
  return arrays | {min(arrays): np.zeros((7, 7), np.float32)}


def hostile(kind, files, folder):
  """A repository's files, one of them bad; and what is said of it."""
  weights = "model.safetensors"
  made = {
    "no weights": lambda: {weights: None},
    "no config": lambda: {"config.json": None},
    "broken json": lambda: {"config.json": b"{"},
    "a list": lambda: {"config.json": b"[1]"},
    "a section is none": lambda: {"config.json": changed_config(files, data=3)},
    "another encoder": lambda: {
      "config.json": changed_config(files, encoder__name="os.system")
    },
    "another width": lambda: {
      "config.json": changed_config(files, encoder__widths=[4, 4, 4, 4])
    },
    "an unknown key": lambda: {"config.json": changed_config(files, hook=1)},
    "huge json": lambda: {"config.json": b" " * (2**22 + 1)},
    "a pickle": lambda: {weights: b"\x80\x04cos\nsystem\n."},
    "cut short": lambda: {weights: files[weights][:-9]},
    "a path": lambda: {
      weights: changed_arrays(
        files, folder, lambda x: x | {"../../evil": np.zeros(1, np.float32)}
      )
    },
    "another shape": lambda: {weights: changed_arrays(files, folder, wider)},
    "odd rows": lambda: {"evaluation.json": b'{"rows": [{"task": 1}]}'},
  }[kind]()
  kept = files | made
  return {name: x for name, x in kept.items() if x is not None}


@pytest.mark.parametrize(
  "kind,words",
  [
    ("no weights", "has no model.safetensors"),
    ("no config", "has no config.json"),
    ("broken json", "is not valid JSON"),
    ("a list", "is not an encoder of infomin_jax"),
    ("a section is none", "is not an encoder of infomin_jax"),
    ("another encoder", "Unknown encoder 'os.system'"),
    ("another width", "its arrays are not those"),
    ("an unknown key", "Unknown key config.hook"),
    ("huge json", "has more than"),
    ("a pickle", "is not an encoder of infomin_jax"),
    ("cut short", "is not an encoder of infomin_jax"),
    ("a path", "'../../evil' of type float32 is not an array"),
    ("another shape", "its arrays are not those"),
    ("odd rows", "evaluation.json has the row"),
  ],
)
def test_a_bad_repository_gets_one_line_and_makes_nothing(
  kind, words, pulled, hub, tmp_path, capsys
):
  files = hostile(kind, hub[NAME]["files"], tmp_path)
  hub["somebody/bad"] = {"private": False, "files": files}
  before = set(pulled.parent.iterdir())
  workdir = tmp_path / "new" / "run"
  line = refused(capsys, "pull", "somebody/bad", f"--workdir={workdir}")
  assert words in line
  assert not workdir.exists() and set(pulled.parent.iterdir()) == before


def test_mistakes_with_the_hub_get_one_line(
  run, pulled, hub, tmp_path, capsys, monkeypatch
):
  where = f"--workdir={tmp_path / 'new'}"
  assert "does not exist" in refused(capsys, "pull", "some/no", where)
  assert "on the hub: " in refused(capsys, "pull", "../../etc", where)
  assert "name one repository" in refused(capsys, "pull", where)
  assert "not empty" in refused(capsys, "pull", NAME, f"--workdir={run}")
  line = refused(capsys, "pull", NAME, where, "--revision=v9")
  assert "on the hub: " in line
  own = f"--workdir={run}"
  line = refused(capsys, "push", own, f"--repo={NAME}", "--private")
  assert "exists already and is public" in line
  line = refused(capsys, "push", own, "--repo=a/b/c")
  assert "on the hub: " in line
  monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
  assert "401" in refused(capsys, "push", own, "--repo=somebody/new")
  assert not (tmp_path / "new").exists()


def test_a_library_that_the_client_lacks_is_named(run, capsys, monkeypatch):
  for name in list(sys.modules):
    if name.partition(".")[0] == "huggingface_hub":
      monkeypatch.delitem(sys.modules, name)
  monkeypatch.setitem(sys.modules, "yaml", None)
  line = refused(capsys, "push", f"--workdir={run}", f"--repo={NAME}")
  assert "huggingface_hub is installed but cannot be imported (" in line
  assert "pip install --upgrade 'infomin-jax[hub]' yaml." in line


def test_without_the_client_its_extra_is_named(run, capsys, monkeypatch):
  for name in list(sys.modules):
    if name.startswith("huggingface_hub"):
      monkeypatch.delitem(sys.modules, name)
  site = pathlib.Path(np.__file__).parents[1]
  monkeypatch.setattr(sys, "path", [x for x in sys.path if x != str(site)])
  assert importlib.util.find_spec("huggingface_hub") is None
  line = refused(capsys, "push", f"--workdir={run}", f"--repo={NAME}")
  assert "infomin-jax[hub]" in line
