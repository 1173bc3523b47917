"""Tables of how runs scale; each gives lines, and what to say of them."""

# Loss memory by Inf-CL's README, GB on each of 8 A800: CLIP's loss, OpenCLIP's
# with local rows, and theirs.
INF_CL = {
  32768: ("16.67", "2.27", "0.18"),
  65536: ("66.11", "8.63", "0.36"),
  131072: ("out of memory", "33.64", "0.72"),
  262144: ("out of memory", "out of memory", "1.45"),
}
READERS = {
  "bare": "ours, in a bare loop",
  "pillow": "Pillow, as torchvision",
  "opencv": "OpenCV, not antialiased",
  "tensorflow": "tf.image",
  "threads": "our pipeline, threads",
  "processes": "our pipeline, processes",
}


def processes(record: dict) -> tuple[list[str], str]:
  """How far losses and gradients are from those of one process."""
  lines = [
    "| processes | devices | scores | first step: loss, gradient | all steps |",
    "|---|---|---|---|---|",
  ]
  for row in record["values"]:
    first = f"{row['loss_first']:.0e}, {row['gradient_first']:.0e}"
    every = f"{row['loss_all']:.0e}, {row['gradient_all']:.0e}"
    lines.append(
      f"| {row['processes']} | {row['devices']} | {row['scores']} | {first} | "
      f"{every} |"
    )
  steps = record["config"]["steps"]
  return lines, (
    f"Relative gaps to one process with one device, over {steps} steps of "
    "Adam, from metrics.jsonl, which has 7 digits; streamed scores go round a "
    "ring where there are several devices"
  )


def ring(record: dict) -> tuple[list[str], str]:
  """Memory of the symmetric loss a device, planned and measured."""
  found = {(r["b"], r["form"], r["where"]): r for r in record["values"]}

  def cell(b, form, where):
    if (b, form, where) not in found:
      return ""
    size = found[b, form, where]["bytes"]
    return "does not fit" if size is None else f"{size / 1e9:.3f}"

  lines = [
    "| batch | TPU v5e, planned: matrix | ring | CPU, measured: matrix | ring "
    "| published on A800: CLIP | OpenCLIP | Inf-CL |",
    "|---|---|---|---|---|---|---|---|",
  ]
  for b in sorted({row["b"] for row in record["values"]}):
    cells = [
      cell(b, form, where)
      for where in ("planned", "measured")
      for form in ("matrix", "ring")
    ]
    lines.append(
      f"| {b:,} | {' | '.join([*cells, *INF_CL.get(b, [''] * 3)])} |"
    )
  config = record["config"]
  return lines, (
    f"GB on each of {config['devices']} devices, beside the embeddings "
    f"(d = {config['dim']}, float32), loss and gradient"
  )


def plans(record: dict) -> tuple[list[str], str]:
  """What the ImageNet recipe needs on TPUs."""
  lines = [
    "| chips | change | GiB a chip | step at least | images/s at most "
    "| sent a chip | host cores |",
    "|---|---|---|---|---|---|---|",
  ]
  for row in record["values"]:
    chips = f"{row['topology']}, batch {row['batch']:,}"
    change = row.get("change", "as it is")
    if not row["fits"]:
      lines.append(f"| {chips} | {change} | does not fit: {row['why']} |||||")
      continue
    gib = {key: x / 2**30 for key, x in row["bytes_per_chip"].items()}
    sent = sum(c["bytes"] * c["count"] for c in row["collectives"]) / 1e6
    lines.append(
      f"| {chips} | {change} | {gib['peak']:.1f} of {gib['limit']:.0f} | "
      f"{1e3 * row['roofline_seconds']:.0f} ms ({row['limit']}) | "
      f"{row['images_per_second']:,.0f} | {sent:.0f} MB | "
      f"{row['host_cores']} a host |"
    )
  return lines, (
    "Read from compiled programs by the chips' published figures; nothing ran "
    "on a TPU"
  )


def reading(record: dict) -> tuple[list[str], str]:
  """Photographs a second, bare and through the pipeline."""
  lines = [
    "| two views of a photograph | images/s and core | of bare | of Pillow |",
    "|---|---|---|---|",
  ]
  for row in record["values"]:
    rate, times = row["images_per_second_and_core"], row["times"]
    lines.append(
      f"| {READERS[row['side']]} | {rate:,.0f} | {times['bare']:.2f} | "
      f"{times['pillow']:.2f} |"
    )
  config = record["config"]
  return lines, (
    f"JPEGs of 500 x 375 and {config['bytes'] / 1024:.0f} KiB to 224 px, "
    f"medians of {config['rounds']} alternating rounds"
  )


def survival(record: dict) -> tuple[list[str], str]:
  """How often a broken run ended as it must."""
  lines = ["| broken | how it must end | so it did |", "|---|---|---|"]
  for row in record["values"]:
    lines.append(
      f"| {row['what']} | {row['end']} | {row['well']} of {row['times']} |"
    )
  return lines, "Real processes, each case a test"


def reports(record: dict) -> tuple[list[str], str]:
  """Public bug reports that were tried, by kind."""
  lines = ["| | kind | inputs | end right |", "|---|---|---|---|"]
  for row in record["values"]:
    cells = (row["kind"], row["name"], row["inputs"], row["passed"])
    lines.append(f"| {' | '.join(map(str, cells))} |")
  inputs, passed = (
    sum(row[name] for row in record["values"]) for name in ("inputs", "passed")
  )
  return lines, f"{passed} of {inputs} end right, in {record['seconds']} s"


def fresh_clone(record: dict) -> tuple[list[str], str]:
  """What a newcomer waits for, by Python."""
  lines = [
    "| Python, JAX | `make install` | `.venv` | first line of training "
    "| longest silence | `make test` | its memory |",
    "|---|---|---|---|---|---|---|",
  ]
  for row in record["values"]:
    cells = (
      f"{row['python']}, {row['versions']['jax']}",
      f"{row['install_seconds']:.0f} s",
      f"{row['install_bytes'] / 1e9:.1f} GB",
      f"{row['first_line_seconds']:.0f} s",
      f"{row['longest_silence_seconds']:.0f} s",
      f"{row['test_seconds'] / 60:.1f} min",
      f"{row['test_bytes'] / 2**30:.1f} GiB",
    )
    lines.append(f"| {' | '.join(cells)} |")
  more = max(r["tested_bytes"] - r["install_bytes"] for r in record["values"])
  text = (
    "A fresh clone, empty caches; `make test` also installs "
    f"{more / 1e9:.1f} GB of tools once, not counted in its time; memory is "
    "the largest sum over its processes"
  )
  return lines, text


def house(record: dict) -> tuple[list[str], str]:
  """Returns a line per measure of the code, with its goal."""
  lines = ["| measure | value | goal |", "|---|---|---|"]
  for row in record["values"]:
    low, high = row["goal"]
    goal = f"{low} to {high}" if high < 10_000 else f"{low} or more"
    mark = "" if row["met"] else " (not met)"
    lines.append(f"| {row['measure']} | {row['value']:g}{mark} | {goal} |")
  return lines, "Counted in `infomin_jax/`, `configs/` and the README"
