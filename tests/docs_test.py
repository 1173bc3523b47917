"""The code of the pages runs, and does what they say."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ADDED = ("estimator", "critic", "view", "encoder", "data", "objective")
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
    env=os.environ
    | {
      "JAX_NUM_CPU_DEVICES": "1",
      "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # it compiles longer than it runs
    },
  )
  assert done.returncode == 0, done.stderr[-2000:]
  return done.stdout


@pytest.mark.parametrize("part", ADDED)
def test_what_one_adds_is_short(part):
  added, check = code(f"docs/add/{part}.md")
  assert sum(bool(line.strip()) for line in added.splitlines()) < 30
  assert "assert" in check


def test_what_one_adds_works_and_trains():
  # Each page alone, in a namespace of its own, but in one process.
  pages = ["\n".join(code(f"docs/add/{part}.md")) for part in ADDED]
  script = "import sys\nfor page in sys.argv[1:]:\n  exec(page, {})\n"
  assert "contrastive_nats" in run(script, *pages[:-1], pages[-1] + TOGETHER)
