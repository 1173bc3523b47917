"""The README's tables, generated from docs/evidence/*.json.

  python docs/tables.py

Rewrites what stands between `<!-- evidence: ID -->` and `<!-- end -->`. A test
fails when the README differs from what this gives.
"""

import json
import pathlib
import re

DOCS = pathlib.Path(__file__).parent
README = DOCS.parent / "README.md"
MARK = re.compile(r"(<!-- evidence: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def probes(record: dict) -> str:
  """Accuracy of probes on pixels, untrained and learned features."""
  value = {
    (r["task"], r["protocol"], r["tap"], r["features"]): r
    for r in record["values"]
  }

  def cell(key):
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
  "fashion_mnist": probes,
  "quickstart": probes,
  "train_step": step_times,
}


def render(text: str) -> str:
  """The README's text with every table made anew."""

  def fill(match):
    name = match.group(2)
    record = json.loads((DOCS / "evidence" / f"{name}.json").read_text())
    return f"{match.group(1)}{TABLES[name](record)}\n{match.group(3)}"

  return MARK.sub(fill, text)


if __name__ == "__main__":
  README.write_text(render(README.read_text()))
