"""An epoch of Deep InfoMax on CIFAR-10's size: ours against plain PyTorch.

  pip install 'infomin-jax[bench]'
  python benchmarks/dim_step.py --evidence docs/evidence/dim_step.json

The published DIM(L) setting, `configs/cifar10_dim.py`: basic32x32, 2048 units,
InfoNCE, the uniform prior with its discriminator and full gradient penalty,
Adam, 64 images a step, 781 steps an epoch. The two sides take turns; by default
some steps of the epoch are timed and the rest reckoned, `--rounds 11 --steps
71` times all of it (random images: the set is not needed).
"""

import argparse
import json

import train_step

CASE, EPOCH = "dim_with_prior", 781


def main():
  """Prints a line, or JSON, and stores the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=7)
  parser.add_argument("--steps", type=int, default=8, help="in a round")
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also store the result as this file")
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
