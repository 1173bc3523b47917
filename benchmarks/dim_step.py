"""Time of an epoch of Deep InfoMax on CIFAR-10: ours against plain PyTorch.

  pip install 'infomin-jax[bench]'
  python benchmarks/dim_step.py --evidence docs/evidence/dim_step.json

The setting is the published DIM(L), `configs/cifar10_dim.py`: basic32x32, 2048
units, InfoNCE, the uniform prior with its discriminator and full gradient
penalty, Adam, 64 images per step, 781 steps per epoch. Images are random, so
that the data set is not needed. The two sides take turns. By default some steps
are timed and the time of the epoch is extrapolated. `--rounds 11 --steps 71`
times a whole epoch.
"""

import argparse
import json

import train_step

CASE, EPOCH = "dim_with_prior", 781


def main():
  """Prints one line, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=7)
  parser.add_argument("--steps", type=int, default=8, help="steps per round")
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  value = train_step.compare(CASE, options)
  value["epoch_seconds"] = {
    side: EPOCH * median for side, median in value["seconds"].items()
  }
  if options.json:
    print(json.dumps(train_step.as_rows(value)))
  else:
    ours, theirs = (
      value["epoch_seconds"][side] / 60 for side in ("infomin_jax", "pytorch")
    )
    print(f"an epoch: ours {ours:.1f} min, PyTorch {theirs:.1f} min")
  if options.evidence:
    import torch

    from infomin_jax import provenance

    provenance.write(
      options.evidence,
      commands=[
        f"python benchmarks/dim_step.py --rounds {options.rounds} --steps "
        f"{options.steps}"
      ],
      config={"rounds": options.rounds, "steps": options.steps, "epoch": EPOCH},
      seeds=[0],
      values=[value],
      extra={
        "torch": torch.__version__,
        "interval": "lowest and highest round, in values[].ratio_range",
      },
    )


if __name__ == "__main__":
  main()
