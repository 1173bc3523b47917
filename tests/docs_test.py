"""The code of the pages runs, and does what they say."""

import os
import pathlib
import re
import subprocess
import sys


def test_what_one_may_add_trains(tmp_path):
  text = pathlib.Path("docs/extend.md").read_text()
  blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
  assert len(blocks) == 7
  for block in blocks:
    assert sum(bool(line.strip()) for line in block.splitlines()) < 30
  script = tmp_path / "all.py"
  script.write_text("\n".join(blocks))
  done = subprocess.run(
    [sys.executable, str(script)],
    capture_output=True,
    text=True,
    env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"},
  )
  assert done.returncode == 0, done.stderr[-2000:]
  assert "contrastive_nats" in done.stdout and "alike_apart" in done.stdout
