"""Time of a training step on the CPU of this machine: ours against PyTorch.

  pip install 'infomin-jax[bench]'
  python benchmarks/train_step.py --evidence docs/evidence/train_step.json

Measures two steps in float32. The first is the two-view contrastive step of a
small-stem ResNet-18 (2 x 64 images of 32 px, SGD). The second is the local
objective of Deep InfoMax on basic32x32 (64 images, 2048 units, InfoNCE, Adam).
Ours is the step of `infomin train`. The step of PyTorch has the same network in
plain code, channels last. Each side has its own process. Rounds alternate, so
that both sides run under the same load.
"""

import argparse
import json
import multiprocessing
import time

import numpy as np

CASES = ("resnet18_contrastive", "basic32x32_dim")  # dim_step.py adds a third
BATCH = 64


def ours(case):
  """Returns a function that runs one step and waits for it."""
  from infomin_jax import runtime

  runtime.configure()
  import jax
  import optax

  from infomin_jax import objectives
  from infomin_jax.encoders import ENCODERS
  from infomin_jax.errors import build
  from infomin_jax.recipes import deep_infomax
  from infomin_jax.train.state import init_state
  from infomin_jax.train.step import make_train_step

  if case == "resnet18_contrastive":
    encoder = dict(name="resnet18", stem="small")
    critic = dict(
      name="separable",
      dim=128,
      hidden=(512,),
      shared=True,
      normalize=True,
      temperature=0.1,
    )
    terms = dict(contrastive=dict(estimator="infonce", critic=critic))
    tx, count = optax.sgd(0.03, 0.9), 2
  else:
    encoder = dict(name="basic32x32")
    terms = deep_infomax.objective(
      "local_infonce", width=64, classes=10, images=50_000
    )
    if case == "basic32x32_dim":
      del terms["prior"]
    tx, count = optax.adam(1e-4, 0.5, 0.999), 1

  def views(key, batch):
    del key
    return tuple(batch["image"][:, i] for i in range(count))

  learner = objectives.Learner(
    build("encoder", encoder, ENCODERS), *objectives.build_terms(terms)
  )
  images = np.random.default_rng(0).random((BATCH, count, 32, 32, 3))
  index = jax.numpy.arange(BATCH)
  batch = {"image": jax.numpy.asarray(images, np.float32), "index": index}

  @jax.jit
  def init():
    start = objectives.init_learner(learner, views, jax.random.key(0), batch)
    return init_state(*start, tx, 0.0)

  objective = objectives.make_objective(learner, views)
  train_step = make_train_step(objective, tx, seed=0)
  state = init()

  def step():
    nonlocal state
    state, metrics = train_step(state, batch, {})
    return float(metrics["loss"])

  return step


def pytorch(case):
  """Returns the same function in PyTorch."""
  import torch
  from torch_models import DeepInfoMax, ResNet18

  torch.manual_seed(0)
  if case == "resnet18_contrastive":
    model, count = ResNet18(), 2
    tx = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9)
  else:
    model, count = DeepInfoMax(prior=case == "dim_with_prior"), 1
    tx = torch.optim.Adam(model.parameters(), 1e-4, betas=(0.5, 0.999))
  model.to(memory_format=torch.channels_last)
  images = np.random.default_rng(0).random((count * BATCH, 3, 32, 32))
  images = torch.tensor(images, dtype=torch.float32)
  images = images.to(memory_format=torch.channels_last)

  def step():
    tx.zero_grad(set_to_none=True)
    loss = model.loss(images)
    loss.backward()
    tx.step()
    return loss.item()

  return step


SIDES = {"infomin_jax": ours, "pytorch": pytorch}


def worker(side, case, pipe):
  """Reads numbers of steps from the pipe, and sends seconds per step."""
  step = SIDES[side](case)
  for _ in range(3):  # compilation, then first use
    step()
  pipe.send(0.0)
  while steps := pipe.recv():
    start = time.perf_counter()
    for _ in range(steps):
      step()
    pipe.send((time.perf_counter() - start) / steps)


def measure(case, rounds, steps):
  """Returns seconds per step of every round, `{side: [seconds]}`.

  The sides take turns.
  """
  context = multiprocessing.get_context("spawn")
  pipes, processes, seconds = {}, [], {side: [] for side in SIDES}
  for side in SIDES:
    pipes[side], other = context.Pipe()
    processes.append(
      context.Process(target=worker, args=(side, case, other), daemon=True)
    )
    processes[-1].start()
    pipes[side].recv()
  for _ in range(rounds):
    for side, pipe in pipes.items():
      pipe.send(steps)
      seconds[side].append(pipe.recv())
  for pipe in pipes.values():
    pipe.send(0)
  for process in processes:
    process.join()
  return seconds


def compare(case, options):
  """Returns medians of both sides and ratios of the rounds, and prints them."""
  seconds = measure(case, options.rounds, options.steps)
  medians = {side: float(np.median(s)) for side, s in seconds.items()}
  ratios = np.divide(seconds["infomin_jax"], seconds["pytorch"])
  if not options.json:
    print(
      f"{case}: ours {medians['infomin_jax']:.3f} s, PyTorch "
      f"{medians['pytorch']:.3f} s, ratio {np.median(ratios):.2f} "
      f"({ratios.min():.2f} to {ratios.max():.2f})"
    )
  return {
    "case": case,
    "seconds": medians,
    "ratio": float(np.median(ratios)),
    "ratio_range": [float(ratios.min()), float(ratios.max())],
  }


def as_rows(value):
  """Returns one row per side, in the form that all benchmarks print."""
  return [
    {
      "case": value["case"],
      "who": side,
      "value": median,
      "unit": "seconds/step",
      "peak_bytes": None,
    }
    for side, median in value["seconds"].items()
  ]


def main():
  """Prints one line per case, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=7)
  parser.add_argument("--steps", type=int, default=4, help="steps per round")
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  values = [compare(case, options) for case in CASES]
  if options.json:
    print(json.dumps([row for value in values for row in as_rows(value)]))
  if options.evidence:
    import torch

    from infomin_jax import provenance

    provenance.write(
      options.evidence,
      commands=["python benchmarks/train_step.py"],
      config={"rounds": options.rounds, "steps": options.steps},
      seeds=[0],
      values=values,
      extra={
        "torch": torch.__version__,
        "interval": "lowest and highest round, in values[].ratio_range",
      },
    )


if __name__ == "__main__":
  main()
