"""What strangers gave to such programs ends right."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_every_report_ends_right():
  done = subprocess.run(
    [sys.executable, "benchmarks/reports"],
    capture_output=True,
    text=True,
    check=False,
  )
  failed = [x for x in done.stdout.splitlines() if x.startswith("FAIL")]
  assert done.returncode == 0, "\n".join(failed) or done.stderr
