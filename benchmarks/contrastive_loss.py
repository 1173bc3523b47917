"""Time and memory of contrastive losses: ours against open_clip and lightly.

  pip install 'infomin-jax[bench]'
  python benchmarks/contrastive_loss.py --figure contrastive_loss.png

One evaluation computes a loss and its gradient in both views, `[b, 128]` in
float32 at temperature 0.1. Each side has its own process. Rounds alternate, so
that all sides run under the same load. Sides that compute the same quantity
must agree. `--peer_python` is the Python interpreter with the other libraries.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np

DIM, TEMPERATURE = 128, 0.1
# Side -> the quantity it computes, and the [b, b] float32 matrices it holds.
SIDES = {
  "dense": ("one-sided", 5),
  "streamed": ("one-sided", 0),
  "dense_symmetric": ("symmetric", 5),
  "streamed_symmetric": ("symmetric", 0),
  "open_clip": ("symmetric", 7),
  "streamed_nt_xent": ("nt_xent", 0),
  "lightly": ("nt_xent", 20),
}
PEERS = ("open_clip", "lightly")


def views(b):
  """Returns two batches of unit vectors, float32 `[2, b, DIM]`.

  The vectors of the second batch correlate with those of the first.
  """
  rng = np.random.default_rng(0)
  x = rng.standard_normal((2, b, DIM), np.float32)
  x[1] = x[0] + x[1]
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def ours(who, b):
  """Returns a function that evaluates once and returns the loss."""
  from infomin_jax import runtime

  runtime.configure()
  import jax
  import jax.numpy as jnp

  from infomin_jax.critics import inner
  from infomin_jax.estimators import Factored, infonce
  from infomin_jax.objectives.contrastive import nt_xent

  form = Factored if who.startswith("streamed") else inner
  anchors = "both" if who.endswith("symmetric") else "rows"

  def loss(x, y):
    if who == "streamed_nt_xent":
      return nt_xent(x, y, TEMPERATURE)
    return np.log(b) - infonce(form(x / TEMPERATURE, y), anchors)

  x, y = map(jnp.asarray, views(b))
  run = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(x, y).compile()
  return lambda: float(jax.block_until_ready(run(x, y))[0])


def peers(who, b):
  """Returns the same function of open_clip or lightly in PyTorch."""
  import torch

  x, y = (torch.tensor(v, requires_grad=True) for v in views(b))
  if who == "open_clip":
    import open_clip

    scale = torch.tensor(1 / TEMPERATURE)
    clip = open_clip.ClipLoss()
    loss = lambda: clip(x, y, scale)  # noqa: E731
  else:
    from lightly.loss import NTXentLoss

    ntxent = NTXentLoss(TEMPERATURE)
    loss = lambda: ntxent(x, y)  # noqa: E731

  def run():
    x.grad = y.grad = None
    value = loss()
    value.backward()
    return value.item()

  return run


def memory(entry):
  """Returns an entry of this process's /proc status in bytes."""
  text = pathlib.Path("/proc/self/status").read_text()
  return 1024 * int(text.split(f"{entry}:")[1].split()[0])


def worker(who, b):
  """Reads numbers of evaluations from stdin, and prints seconds per evaluation.

  The first line has the loss, the seconds and the peak of memory of the first
  evaluation.
  """
  run = (peers if who in PEERS else ours)(who, b)
  pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the peak
  resident, start = memory("VmRSS"), time.perf_counter()
  value = run()
  first = time.perf_counter() - start
  peak = max(0, memory("VmHWM") - resident)
  print(json.dumps([value, first, peak]), flush=True)
  for line in sys.stdin:
    start = time.perf_counter()
    for _ in range(int(line)):
      run()
    print((time.perf_counter() - start) / int(line), flush=True)


class Side:
  """The process of a worker.

  Attributes:
    value: the loss.
    first: seconds of the first evaluation.
    peak: bytes of memory that the first evaluation added.
    seconds: seconds per evaluation of each round.
  """

  def __init__(self, who, b, python):
    command = [python, __file__, "--worker", who, "--sizes", str(b)]
    pipe = subprocess.PIPE
    self._process = subprocess.Popen(
      command, stdin=pipe, stdout=pipe, text=True
    )
    assert self._process.stdin and self._process.stdout
    self._asks, self._answers = self._process.stdin, self._process.stdout
    self.seconds = []
    answer = self._answers.readline()
    if not answer:
      raise SystemExit(f"{who} at b = {b} failed: see its error above.")
    self.value, self.first, self.peak = json.loads(answer)

  def measure(self, seconds):
    """Runs one round of about `seconds`, at least one evaluation."""
    times = max(1, round(seconds / self.first))
    print(times, file=self._asks, flush=True)
    self.seconds.append(float(self._answers.readline()))

  def close(self):
    self._asks.close()
    self._process.wait()


def reason_to_skip(who, b, options, last):
  """Returns why a side is not run at this size, or None.

  Args:
    who: the side.
    b: batch size.
    options: limits of memory and time.
    last: row of the side at half the size, or None.
  """
  size = 4 * b * b * SIDES[who][1] / 2**30
  if size > options.gib:
    return f"would hold about {size:.0f} GiB"
  if last is not None and last.get("skipped"):
    return last["skipped"]
  if last is not None and 4 * last["value"] > options.seconds:
    return f"would take about {4 * last['value']:.0f} s"
  return None


def measure(b, options, last):
  """Returns the rows of one size. `last` has the rows of half the size."""
  sides, rows = {}, []
  for who in SIDES:
    row = {"case": f"b={b}", "who": who, "value": None, "unit": "seconds"}
    rows.append(row | {"peak_bytes": None})
    if skipped := reason_to_skip(who, b, options, last.get(who)):
      rows[-1]["skipped"] = skipped
      continue
    python = options.peer_python if who in PEERS else sys.executable
    sides[who] = Side(who, b, python)
  for _ in range(options.rounds):
    for side in sides.values():
      side.measure(options.round_seconds)
  for row in rows:
    if side := sides.get(row["who"]):
      side.close()
      row |= {"value": float(np.median(side.seconds)), "peak_bytes": side.peak}
      row |= {"range": [min(side.seconds), max(side.seconds)]}
      row |= {"loss": side.value, "quantity": SIDES[row["who"]][0]}
  check(rows)
  return rows


def check(rows):
  """Ends the benchmark if equal quantities differ by more than 1e-5."""
  references = {}
  for row in rows:
    if row["value"] is not None:
      first = references.setdefault(row["quantity"], row)
      if abs(first["loss"] - row["loss"]) > 1e-5 * abs(first["loss"]):
        raise SystemExit(
          f"{row['case']}: {row['quantity']} is {first['loss']} by "
          f"{first['who']} but {row['loss']} by {row['who']}."
        )


def draw(path, rows):
  """Draws time and memory against b, with logarithmic axes."""
  import matplotlib.pyplot as plt

  figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
  labels = {"value": "seconds, loss and gradient", "peak_bytes": "peak, MiB"}
  for axis, (key, label) in zip(axes, labels.items(), strict=True):
    for i, who in enumerate(SIDES):
      side_rows = [
        r for r in rows if r["who"] == who and r["value"] is not None
      ]
      sizes = [int(r["case"].removeprefix("b=")) for r in side_rows]
      scale = 2**20 if key == "peak_bytes" else 1
      style = "o--" if who in PEERS else "o-"
      values = [r[key] / scale for r in side_rows]
      axis.plot(sizes, values, style, color=f"C{i}", label=who, markersize=4)
    axis.set(xscale="log", yscale="log", xlabel="batch size", ylabel=label)
    ticks = sorted({int(r["case"].removeprefix("b=")) for r in rows})
    axis.set_xticks(ticks, [f"{t // 1024}k" for t in ticks], minor=False)
    axis.set_xticks([], minor=True)
    axis.grid(alpha=0.3)
  axes[0].legend(fontsize=8)
  figure.savefig(path, dpi=150)


def say(row):
  """Returns a row as one line of text."""
  about = f"{row['case']:8} {row['who']:19}"
  if row["value"] is None:
    return f"{about} skipped: {row['skipped']}"
  low, high = row["range"]
  return (
    f"{about} {row['value']:8.3f} s ({low:.3f} to {high:.3f}), "
    f"{row['peak_bytes'] / 2**20:7.0f} MiB, loss {row['loss']:.6f}"
  )


def store(path, options, rows):
  """Writes the evidence, with the versions of the other libraries."""
  from infomin_jax import provenance

  code = (
    "import importlib.metadata as m, json; print(json.dumps({p: m.version(p) "
    "for p in ('torch', 'open_clip_torch', 'lightly')}))"
  )
  versions = subprocess.run(
    [options.peer_python, "-c", code], check=True, capture_output=True
  )
  names = ("sizes", "rounds", "round_seconds", "gib", "seconds")
  provenance.write(
    path,
    commands=[
      f"python benchmarks/contrastive_loss.py --sizes {options.sizes} "
      f"--rounds {options.rounds}"
    ],
    config={name: getattr(options, name) for name in names},
    seeds=[0],
    values=rows,
    extra={
      "peers": json.loads(versions.stdout),
      "interval": "lowest and highest round, in values[].range",
    },
  )


def main():
  """Prints one line per row, or JSON, and writes evidence and figure."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    "--sizes", default="1024,2048,4096,8192,16384,32768,65536"
  )
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--round_seconds", type=float, default=1.0)
  parser.add_argument(
    "--gib", type=float, default=8, help="skip sides that need more memory"
  )
  parser.add_argument(
    "--seconds", type=float, default=120, help="skip sides that take longer"
  )
  parser.add_argument("--peer_python", default=sys.executable)
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  parser.add_argument("--figure", help="also draw time and memory as a PNG")
  parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
  options = parser.parse_args()
  sizes = [int(b) for b in options.sizes.split(",")]
  if options.worker:
    worker(options.worker, *sizes)
    return
  rows, last = [], {}
  for b in sizes:
    size_rows = measure(b, options, last)
    last = {row["who"]: row for row in size_rows}
    rows += size_rows
    if not options.json:
      print(*map(say, size_rows), sep="\n", flush=True)
  if options.json:
    print(json.dumps(rows))
  if options.evidence:
    store(options.evidence, options, rows)
  if options.figure:
    draw(options.figure, rows)


if __name__ == "__main__":
  main()
