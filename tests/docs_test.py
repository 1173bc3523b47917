"""The code of the pages runs, and does what they say."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import nbformat
import pytest
import yaml
from absl import flags

from infomin_jax import cli
from infomin_jax.cli.main import command

ADDED = (
  *("protocol", "estimator", "critic", "view", "encoder", "data"),
  "objective",
)
# All that the pages add, in one run.
TOGETHER = """
config = runpy.run_path("configs/colorful_digits.py")["get_config"]("tiny")
config.data = dict(config.data.to_dict(), name="stripes", count=200)
config.views = dict(name="noisy", size=16)
config.encoder = dict(name="patches")
critic = dict(name="distance", dim=8)
config.objective = dict(
  contrastive=dict(weight=1.0, estimator="decoupled", critic=critic),
  alike=dict(weight=0.1),
)
experiment = make_experiment(config)
with tempfile.TemporaryDirectory() as folder:
  summary = train(experiment, folder + "/run", make_monitor(experiment))
print(sorted(summary["final"]))
"""


def code(page):
  text = pathlib.Path(page).read_text()
  return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(script, *arguments):
  done = subprocess.run(
    [sys.executable, "-c", script, *arguments],
    capture_output=True,
    text=True,
    env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"},
  )
  assert done.returncode == 0, done.stderr[-2000:]
  return done.stdout


@pytest.mark.parametrize("part", ADDED)
def test_what_one_adds_is_short(part):
  added, *check = code(f"docs/add/{part}.md")
  assert sum(bool(line.strip()) for line in added.splitlines()) < 30
  assert all("assert" in part for part in check)


@pytest.mark.slow
def test_what_one_adds_works_and_trains():
  # Each page alone, in a namespace of its own, but in one process.
  pages = ["\n".join(code(f"docs/add/{part}.md")) for part in ADDED]
  script = "import sys\nfor page in sys.argv[1:]:\n  exec(page, {})\n"
  assert "contrastive_nats" in run(script, *pages[:-1], pages[-1] + TOGETHER)


NOTEBOOKS = {path.stem: path for path in pathlib.Path("docs").rglob("*.ipynb")}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_are_stored_without_outputs(name):
  notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
  nbformat.validate(notebook)
  assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
  cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
  assert "pip install" in cells[0].source and "find_spec" in cells[0].source
  assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.parametrize(
  "name",
  [
    "estimate",
    pytest.param("pretrain", marks=pytest.mark.long),
    pytest.param("good_views", marks=pytest.mark.long),
  ],
)
@pytest.mark.needs("nbclient")
@pytest.mark.slow
def test_notebooks_run(name, tmp_path, monkeypatch):
  import nbclient

  notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
  # As where the package is installed: its verbs on the path, its configs found.
  scripts = pathlib.Path(sys.executable).parent
  monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")
  monkeypatch.setenv("PYTHONPATH", os.getcwd())
  (tmp_path / "configs").symlink_to(pathlib.Path("configs").resolve())
  nbclient.NotebookClient(
    notebook,
    timeout=600,
    kernel_name="python3",
    resources={"metadata": {"path": str(tmp_path)}},
  ).execute()
  shown = [
    output
    for cell in notebook.cells
    for output in cell.get("outputs", [])
    if "image/png" in output.get("data", {})
  ]
  assert shown


PAGES = (pathlib.Path("README.md"), *sorted(pathlib.Path("docs").rglob("*.md")))


def commands(page):
  """The words of each `infomin ...` in the page's shell blocks."""
  text = page.read_text().replace("\\\n", " ")
  for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
    for line in block.splitlines():
      words = shlex.split(line, comments=True)
      while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        del words[0]  # variables of the shell
      if words and words[0] == "infomin":
        yield words[1:]


def parse(verb, *words):
  """Values as the verb's own flags read them, or the flags' error."""
  values = flags.FlagValues()
  argv = [f"infomin {verb}", *words]
  command(verb).define(values, argv)
  values(argv)
  return values


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_have_verbs_flags_and_configs_that_exist(page):
  for verb, *words in commands(page):
    assert verb in cli.VERBS
    if "--with" in words:  # of every verb, and no flag of its own
      at = words.index("--with")
      del words[at : at + 2]
    for i, word in enumerate(words[1:], 1):
      if words[i - 1] == "--config" and word.partition(".")[0].isupper():
        words[i] = "configs/own_images.py"  # a placeholder for one's own
    for word in words:
      if word.startswith("configs/"):
        assert pathlib.Path(word.partition(":")[0]).is_file(), word
    parse(verb, *words)


def test_a_flag_or_key_that_does_not_exist_is_noticed():
  with pytest.raises(flags.Error):
    parse("evaluate", "--workdirs=runs/fm")
  with pytest.raises(Exception, match="batchsize"):
    parse("train", "--config=configs/own_images.py", "--config.batchsize=2")


def slug(heading):
  """The anchor that GitHub and MkDocs give a heading."""
  kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
  return kept.strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
  text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
  for link in re.findall(r"\]\(([^)\s]+)\)", text):
    if re.match(r"https?:", link):
      continue
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.exists(), link
    if anchor:
      headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
      assert anchor in map(slug, headings), link


def test_the_navigation_has_every_page_once():
  site = yaml.safe_load(pathlib.Path("mkdocs.yml").read_text())

  def pages(entry):
    if isinstance(entry, str):
      return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    return [page for part in entries for page in pages(part)]

  listed = [*pages(site["nav"]), *site["not_in_nav"].split()]
  docs = pathlib.Path("docs")
  found = [*docs.rglob("*.md"), *docs.rglob("*.ipynb")]
  assert sorted(listed) == sorted(str(p.relative_to(docs)) for p in found)


@pytest.mark.slow
def test_the_code_on_estimates_runs():
  assert "nats, 95 % in" in run("\n".join(code("docs/estimate.md")))
