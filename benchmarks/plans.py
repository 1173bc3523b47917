"""Plans of the ImageNet recipe for TPUs, without such a TPU.

  pip install 'infomin-jax[tpu]'
  python benchmarks/plans.py --evidence docs/evidence/plans.json

Each plan is one `infomin plan`, a compilation of some minutes. Nothing runs on
a TPU.
"""

import argparse
import json
import subprocess
import sys

CONFIG = "configs/imagenet_infomin.py:large"  # 4,096 images per batch
CASES = (
  ("v5e:4x4", "encoder.remat=True"),
  ("v5e:16x16", ""),
  ("v5p:8x8x8", ""),
)


def command(topology, change):
  """Returns the command line after `infomin`."""
  words = ["plan", f"--config={CONFIG}", f"--topology={topology}"]
  return [*words, f"--compare={change}"] if change else words


def main():
  """Prints one line per plan, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  values, commands = [], []
  for topology, change in CASES:
    words = command(topology, change)
    commands.append(" ".join(["infomin", *words]))
    process = subprocess.run(
      [sys.executable, "-m", "infomin_jax.cli", *words, "--json"],
      check=True,
      stdout=subprocess.PIPE,
    )
    plans = json.loads(process.stdout)
    values += plans if isinstance(plans, list) else [plans]
    print(commands[-1], file=sys.stderr, flush=True)
  if options.json:
    print(json.dumps(values))
  if options.evidence:
    from infomin_jax import provenance

    provenance.write(
      options.evidence,
      commands=commands,
      config={"cases": CASES},
      seeds=[0],
      values=values,
      extra={"interval": None},
    )


if __name__ == "__main__":
  main()
