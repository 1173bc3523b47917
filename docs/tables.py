"""The tables of README and docs/*.md, generated from docs/evidence/*.json.

  python docs/tables.py

Rewrites what stands between `<!-- evidence: ID -->` and `<!-- end -->`. A test
fails when the README differs from what this gives.
"""

import json
import pathlib
import re
from collections.abc import Callable

import scale_tables
import study_tables

DOCS = pathlib.Path(__file__).parent
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
MARK = re.compile(r"(<!-- evidence: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def probes(record: dict) -> str:
  """Accuracy of probes on pixels, untrained and learned features."""
  value = {
    (r["task"], r["protocol"], r["tap"], r["features"]): r
    for r in record["values"]
    if r["metric"] == "accuracy"
  }

  def cell(key):
    if key not in value:  # pixels have no encoder to finetune
      return "-"
    row = value[key]
    spread = "" if row["std"] is None else f" ± {100 * row['std']:.1f}"
    return f"{100 * row['mean']:.1f}{spread}"

  lines = [
    "| task | probe | raw pixels | untrained | learned |",
    "|---|---|---|---|---|",
  ]
  for task, protocol, tap, features in value:
    if features == "learned":
      cells = (
        cell((task, protocol, "pixels", "pixels")),
        cell((task, protocol, tap, "untrained")),
        f"**{cell((task, protocol, tap, 'learned'))}**",
      )
      lines.append(f"| {task} | {protocol} | {' | '.join(cells)} |")
  return "\n".join([*lines, "", _about(record, _training(record))])


def step_times(record: dict) -> str:
  """Seconds a training step, ours and PyTorch's."""
  lines = [
    "| step | infomin_jax | PyTorch | ratio (lowest to highest round) |",
    "|---|---|---|---|",
  ]
  for row in record["values"]:
    ours, theirs = (row["seconds"][k] for k in ("infomin_jax", "pytorch"))
    low, high = row["ratio_range"]
    lines.append(
      f"| {row['case']} | {ours:.3f} s | {theirs:.3f} s | "
      f"{row['ratio']:.2f} ({low:.2f} to {high:.2f}) |"
    )
  text = f"PyTorch {record['torch']}, medians of {record['config']['rounds']}"
  return "\n".join([*lines, "", _about(record, f"{text} alternating rounds")])


def epoch_times(record: dict) -> str:
  """Minutes an epoch, ours and PyTorch's."""
  (row,) = record["values"]
  ours, theirs = (
    row["epoch_seconds"][k] / 60 for k in ("infomin_jax", "pytorch")
  )
  low, high = row["ratio_range"]
  config = record["config"]
  text = (
    f"{config['epoch']} steps reckoned from {config['rounds']} alternating "
    f"rounds of {config['steps']}, PyTorch {record['torch']}"
  )
  lines = [
    "| epoch of CIFAR-10's DIM(L) | infomin_jax | PyTorch | ratio (range) |",
    "|---|---|---|---|",
    f"| batch 64, 2048 units, prior | {ours:.1f} min | {theirs:.1f} min "
    f"| {row['ratio']:.2f} ({low:.2f} to {high:.2f}) |",
  ]
  return "\n".join([*lines, "", _about(record, text)])


def accuracy(record: dict) -> str:
  """Mean absolute errors of MI estimates, by family of tasks."""
  rows = record["values"]
  lines = [
    "| tasks | number | `infomin estimate` | KSG | Gaussian (CCA) |",
    "|---|---|---|---|---|",
  ]
  groups = {family: _in_family(rows, family) for family in FAMILIES}
  for family, some in {**groups, "all": rows}.items():
    errors = [
      sum(abs(row[who] - row["truth"]) for row in some) / len(some)
      for who in ("nats", "ksg", "gaussian")
    ]
    ours, *others = (f"{error:.3f}" for error in errors)
    count = len({row["task"] for row in some})
    cells = [family, str(count), f"**{ours}**", *others]
    lines.append(f"| {' | '.join(cells)} |")
  median = sorted(row["seconds"] for row in rows)[len(rows) // 2]
  worst = max(rows, key=lambda row: abs(row["nats"] - row["truth"]))
  of_seeds = [
    sum(abs(r["nats"] - r["truth"]) for r in rows if r["seed"] == seed)
    / sum(r["seed"] == seed for r in rows)
    for seed in record["seeds"]
  ]
  each = ", ".join(f"{error:.3f}" for error in of_seeds)
  apart = f" ({each} apart)" if len(of_seeds) > 1 else ""
  text = (
    f"Mean absolute error in nats, {record['config']['samples']:,} pairs a "
    f"task, seeds {', '.join(map(str, record['seeds']))}{apart}; furthest off: "
    f"`{worst['task']}`, "
    f"{worst['nats'] - worst['truth']:+.3f}; median {median:.0f} s a task"
  )
  return "\n".join([*lines, "", _about(record, text)])


FAMILIES = {
  "Gaussian, also distorted": ("normal", "dense", "sparse", "half_cube"),
  "one pair, bent or bounded": (
    *("uniform", "additive", "bimodal", "wiggly", "swiss"),
  ),
  "Student t": ("student", "asinh"),
  "spirals": ("spiral",),
}


def _in_family(rows, family):
  return [row for row in rows if row["task"].startswith(FAMILIES[family])]


def coverage(record: dict) -> str:
  """How often the 95 % interval holds the truth."""
  lines = ["| task | truth | mean value | truth in the interval |"]
  lines.append("|---|---|---|---|")
  for task, share in record["summary"]["coverage"].items():
    some = [row for row in record["values"] if row["task"] == task]
    mean = sum(row["nats"] for row in some) / len(some)
    lines.append(
      f"| `{task}` | {some[0]['truth']:.3f} | {mean:.3f} | {share:.0%} of "
      f"{len(some)} |"
    )
  text = f"95 % intervals of {record['config']['samples']:,} pairs"
  return "\n".join([*lines, "", _about(record, text)])


def files(record: dict) -> str:
  """What `infomin estimate` gives and takes on files."""
  lines = ["| samples | nats | 95 % interval | seconds | peak MiB |"]
  lines.append("|---|---|---|---|---|")
  for row in record["values"]:
    low, high = row["interval"]
    lines.append(
      f"| {row['samples']:,} | {row['nats']:.3f} | {low:.3f} to {high:.3f} | "
      f"{row['seconds']:.1f} | {row['peak_bytes'] / 2**20:,.0f} |"
    )
  first = record["values"][0]
  text = f"`{first['task']}`, truth {first['truth']:.3f} nats; whole process"
  return "\n".join([*lines, "", _about(record, text)])


def hard_gaussian(record: dict) -> str:
  """Bounds of 18.41 nats in batches of 128."""
  lines = ["| estimator | nats here | published |", "|---|---|---|"]
  for row in record["values"]:
    published = row["published"]
    known = "" if published is None else f"{published:.2f}"
    cells = f"{row['nats']:.2f} ± {row['deviation']:.2f} | {known}"
    lines.append(f"| {row['estimator']} | {cells} |")
  text = (
    f"Truth {record['values'][0]['truth']:.2f} nats; ± is the deviation of one "
    "batch, in the last row a quarter of the 95 % interval. Published: the "
    "best of 100 runs by its distance to the truth, on one batch (`doe`)"
  )
  return "\n".join([*lines, "", _about(record, text)])


def contrastive(record: dict) -> str:
  """Time and memory of contrastive losses at the size that all can do."""
  rows = [row for row in record["values"] if row["value"] is not None]
  sizes = {row["case"] for row in rows if row["who"] == "open_clip"}
  case = max(sizes, key=lambda case: int(case.removeprefix("b=")))
  lines = [
    "| loss and gradient | quantity | seconds | peak MiB |",
    "|---|---|---|---|",
  ]
  for row in rows:
    if row["case"] in (case, "b=65536"):
      size = int(row["case"].removeprefix("b="))
      lines.append(
        f"| {row['who']}, b = {size:,} | {row['quantity']} | "
        f"{row['value']:.2f} | {row['peak_bytes'] / 2**20:,.0f} |"
      )
  peers = ", ".join(f"{k} {v}" for k, v in record["peers"].items())
  text = f"d = 128, float32, medians of alternating rounds; {peers}"
  return "\n".join([*lines, "", _about(record, text)])


def views(record: dict) -> str:
  """Views a second on a CPU, ours and others', and what they cost on a TPU."""
  peers = list(record["peers"])
  heads = " | ".join(["infomin_jax", *peers])
  lines = [
    f"| views/s | {heads} | on a TPU v5e, a view |",
    f"|---|---|{'---|' * len(peers)}---|",
  ]
  for row in record["values"]:
    cells = [f"**{row['views_per_second']['infomin_jax']:,.0f}**"]
    for name in peers:
      if name in row["ratio"]:
        low, high = row["ratio_range"][name]
        rate = row["views_per_second"][name]
        cells.append(f"{rate:,.0f} (ours {low:.1f} to {high:.1f} times)")
      else:
        cells.append("")
    tpu = row["tpu_v5e"]
    cells.append(
      f"{tpu['flops'] / 1e6:,.0f} MFLOP, {tpu['bytes'] / 1e6:,.1f} MB: "
      f"{1e6 * tpu['seconds']:.1f} µs at the least"
    )
    lines.append(f"| {row['case']} | {' | '.join(cells)} |")
  versions = ", ".join(f"{k} {v}" for k, v in record["peers"].items())
  text = (
    f"Medians of {record['config']['rounds']} alternating rounds; {versions}"
  )
  return "\n".join([*lines, "", _about(record, text)])


def _study(lines_of: Callable[[dict], list[str]]) -> Callable[[dict], str]:
  """A study's tables, and under them how its claims fared."""

  def table(record):
    text = study_tables.verdicts(record)
    return "\n".join([*lines_of(record), "", _about(record, text)])

  return table


def _scale(table_of: Callable[[dict], tuple]) -> Callable[[dict], str]:
  """A table of `scale_tables`."""

  def table(record):
    lines, text = table_of(record)
    return "\n".join([*lines, "", _about(record, text)])

  return table


def _training(record: dict) -> str:
  minutes = [run["seconds"] / 60 for run in record["training"]]
  seeds = ", ".join(map(str, record["seeds"]))
  if len(minutes) == 1:
    return (
      f"Accuracy in %, seed {seeds}; training took {minutes[0]:.1f} minutes"
    )
  return (
    f"Accuracy in %, mean ± standard deviation of seeds {seeds}; training took "
    f"{min(minutes):.1f} to {max(minutes):.1f} minutes each"
  )


def _about(record: dict, text: str) -> str:
  device = record["device"]
  return (
    f"{text}; {device['cores']} cores of {device['cpu']}, jax "
    f"{record['versions']['jax']}. Stored with command and config in "
    f"[`docs/evidence/{record['id']}.json`](docs/evidence/{record['id']}.json)."
  )


TABLES = {
  "augment": views,
  "contrastive_loss": contrastive,
  "deep_infomax": _study(study_tables.deep_infomax),
  "dim_step": epoch_times,
  "estimate_files": files,
  "fashion_mnist": probes,
  "hard_gaussian": hard_gaussian,
  "input": _scale(scale_tables.reading),
  "good_views": _study(study_tables.good_views),
  "limits": _study(study_tables.limits),
  "mi_coverage": coverage,
  "mi_suite": accuracy,
  "plans": _scale(scale_tables.plans),
  "processes": _scale(scale_tables.processes),
  "quickstart": probes,
  "ring": _scale(scale_tables.ring),
  "survival": _scale(scale_tables.survival),
  "train_step": step_times,
}


# Tables of several files.
SUMMARIES = {"studies": (study_tables.summary, tuple(study_tables.PAPERS))}


def stored(name: str) -> dict:
  """What `docs/evidence` has of a name."""
  return json.loads((DOCS / "evidence" / f"{name}.json").read_text())


def render(page: pathlib.Path) -> str:
  """A page's text with every table made anew."""

  def fill(match):
    name = match.group(2)
    if name in SUMMARIES:
      summary, names = SUMMARIES[name]
      table = summary([stored(of) for of in names])
    else:
      table = TABLES[name](stored(name))
    if page.parent == DOCS:
      table = table.replace("](docs/", "](")
    return f"{match.group(1)}{table}\n{match.group(3)}"

  return MARK.sub(fill, page.read_text())


if __name__ == "__main__":
  for path in PAGES:
    path.write_text(render(path))
