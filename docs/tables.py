"""The tables of README and docs/*.md, generated from docs/evidence/*.json.

  python docs/tables.py

Rewrites what stands between `<!-- evidence: NAME -->` and `<!-- end -->`: NAME
is that of a file or one of `SUMMARIES`. A test fails when a page differs from
what this gives.
"""

import functools
import json
import pathlib
import re
from collections.abc import Callable

import check_tables
import config_tables
import evidence_tables
import mi_tables
import scale_tables
import study_tables
import suite_tables
import task_tables

DOCS = pathlib.Path(__file__).parent
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
MARK = re.compile(r"(<!-- evidence: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def probes(record: dict) -> str:
  """Accuracy of probes on pixels, untrained and learned features."""
  value = {
    (r["task"], r["protocol"], r["tap"], r["features"]): r
    for r in record["values"]
    if r["metric"] == "accuracy" and r["mean"] is not None
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

  return _told(lambda record: (lines_of(record), study_tables.verdicts(record)))


def _told(table_of: Callable[[dict], tuple]) -> Callable[[dict], str]:
  """A table from a function that gives lines, and what to say of them."""

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
  "estimate_files": _told(mi_tables.files),
  "fashion_mnist": probes,
  "fresh_clone": _told(scale_tables.fresh_clone),
  "hard_gaussian": _told(mi_tables.hard_gaussian),
  "house": _told(scale_tables.house),
  "input": _told(scale_tables.reading),
  "good_views": _study(study_tables.good_views),
  "limits": _study(study_tables.limits),
  "mi_checks": _told(check_tables.checks),
  "mi_suite": _told(suite_tables.suites),
  "plans": _told(scale_tables.plans),
  "processes": _told(scale_tables.processes),
  "quickstart": probes,
  "reports": _told(scale_tables.reports),
  "ring": _told(scale_tables.ring),
  "survival": _told(scale_tables.survival),
  "train_step": step_times,
}


def _choice(claims: tuple[str, ...]) -> Callable[[list[dict]], str]:
  """A table of the claims of one study that begin so."""
  make = _told(functools.partial(study_tables.choice, claims))
  return lambda records: make(*records)


def _part(lines_of: Callable[..., list[str]], *arguments) -> tuple:
  """A table of some rows of the suites, and the names of its files."""

  def make(records):
    return "\n".join(lines_of(*records, *arguments))

  return make, ("mi_suite",)


def _families(records: list[dict]) -> str:
  lines, text = mi_tables.accuracy(*records)
  return "\n".join([*lines, "", f"{text}."])


# Tables of several files, or of a part of one.
SUMMARIES = {
  "all": (evidence_tables.ledger, tuple(TABLES)),
  **{
    name: (_choice(claims), (study,))
    for name, (study, claims) in study_tables.CHOICES.items()
  },
  "config": (lambda records: config_tables.keys(), ()),
  "studies": (study_tables.summary, tuple(study_tables.PAPERS)),
  "suite_failures": _part(task_tables.failures),
  "suite_families": (_families, ("mi_suite",)),
  "suite_flagged": _part(task_tables.missed_tasks, True),
  "suite_functions": _part(task_tables.functions),
  "suite_images": _part(task_tables.images),
  "suite_ladder": _part(task_tables.ladder),
  "suite_latent": _part(task_tables.latent),
  "suite_silent": _part(task_tables.missed_tasks, False),
  "suite_small": _part(task_tables.few_samples),
  **{
    f"suite_{name}": _part(task_tables.tasks, name)
    for name in ("beyond_normal", "few", "high", "mixed", "mixtures")
  },
  "suite_vce": _part(task_tables.vce),
}


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
