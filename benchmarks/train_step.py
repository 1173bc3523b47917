"""Time of a training step on this machine's CPU: ours against plain PyTorch.

  pip install 'infomin-jax[bench]'
  python benchmarks/train_step.py --evidence docs/evidence/train_step.json

Two steps, float32: the two-view contrastive step of a small-stem ResNet-18
(2 x 64 images of 32 px, SGD), and Deep InfoMax's local objective on basic32x32
(64 images, 2048 units, InfoNCE, Adam). Ours is the step that `infomin train`
runs; PyTorch's is the same network written plainly, channels last. Each side
has a process of its own; rounds alternate, so both meet the same machine.
"""

import argparse
import json
import multiprocessing
import time

import numpy as np

CASES = ("resnet18_contrastive", "basic32x32_dim")  # dim_step.py has another
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
  """The same in PyTorch."""
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
  """Runs as many steps as it is asked for, answering with seconds a step."""
  step = SIDES[side](case)
  for _ in range(3):  # compilation, then first use
    step()
  pipe.send(0.0)
  while steps := pipe.recv():
    began = time.perf_counter()
    for _ in range(steps):
      step()
    pipe.send((time.perf_counter() - began) / steps)


def measure(case, rounds, steps):
  """Seconds a step of every round, `{side: [seconds]}`; sides take turns."""
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
  """Medians of both sides and the ratio of each round; prints a line."""
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
  """One row a side, as all benchmarks print them."""
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
  """Prints a line a case, or JSON, and stores the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=7)
  parser.add_argument("--steps", type=int, default=4, help="in a round")
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also store the result as this file")
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
