"""The README's tables of studies: ours, and the paper's in brackets."""

from infomin_jax.studies.tables import cell


def limits(record: dict) -> list[str]:
  """A study's lines beside the paper's, and its claims by verdict."""
  lines = [
    "| line | accuracy % (paper) | training bound (paper) | held-out |",
    "|---|---|---|---|",
  ]
  for row in record["values"]:
    if not row["unmeasured"]:
      cells = (
        cell(row, "accuracy", 100, ".1f"),
        cell(row, "bound_train", 1, ".2f"),
        cell(row, "bound_test", 1, ".2f"),
      )
      lines.append(f"| {row['line']} | {' | '.join(cells)} |")
  return lines


def deep_infomax(record: dict) -> list[str]:
  """Rows of one set with the paper's on another, and claims by verdict."""
  columns = {
    "mlp_conv": "MLP, %: conv",
    "mlp_fc": "fc",
    "mlp_y": "Y",
    "svm_conv": "SVM, %: conv",
    "ssim_y": "SSIM",
    "ndm_y": "NDM, nats",
  }
  lines = _heading("row", columns)
  for row in record["values"]:
    shown = row["config"] == "fashion_mnist_dim" and "-" not in row["row"]
    if shown and row["done"] and any(row[m] is not None for m in columns):
      cells = " | ".join(cell(row, m, *_form(m)) for m in columns)
      lines.append(f"| {row['row']} | {cells} |")
  return [*lines, "", *_factors(record)]


def _heading(first: str, columns: dict) -> list[str]:
  """The lines above a table's rows."""
  return [
    f"| {first} | {' | '.join(columns.values())} |",
    f"|---|{'---|' * len(columns)}",
  ]


def _form(metric: str) -> tuple[float, str]:
  """Scale and format: SSIM and nats as they are, shares in per cent."""
  return (1, ".2f") if metric in ("ssim_y", "ndm_y") else (100, ".1f")


def _factors(record: dict) -> list[str]:
  """What of colorful digits the rows of Deep InfoMax's study tell."""
  columns = {
    "mlp_y": "digit",
    "mlp_y_position": "position",
    "mlp_y_background": "background",
  }
  lines = _heading("colorful digits, Y, %", columns)
  for row in record["values"]:
    if row["config"] == "colorful_digits_dim" and row["done"]:
      cells = (cell(row, m, 100, ".1f") for m in columns)
      lines.append(f"| {row['row']} | {' | '.join(cells)} |")
  return lines


# Families of views, and the option that is swept in front of its value.
SWEPT = {
  "jitter": "strength",
  "crop": "least",
  "patch": "distance",
  "frequency": "sigma",
  "colour": "",
  "recipe": "",
}


def good_views(record: dict) -> list[str]:
  """A line a family of views; moving digits and learned views beside them."""
  rows = [row for row in record["values"] if row["done"]]
  lines = ["| views | I(v1; v2) in nats, accuracy in % |", "|---|---|"]
  for family, option in SWEPT.items():
    some = [row for row in rows if row["family"] == family]
    best = max(some, key=lambda row: row["linear_pool"])
    cells = []
    for row in some:
      name = row["row"].rpartition("-")[2].removeprefix(option)
      text = f"{row['shared_views']:.2f}, {100 * row['linear_pool']:.1f}"
      cells.append(f"**{name}: {text}**" if row is best else f"{name}: {text}")
    lines.append(f"| {family} | {' · '.join(cells)} |")
  moving = (
    ("linear_pool", 100, ".1f"),
    ("linear_pool_background", 100, ".1f"),
    ("pixels_pool", 1, ".2f"),
  )
  heading = "| shared | digit % | background % | position, error in pixels |"
  lines += ["", heading, "|---|---|---|---|"]
  for row in rows:
    if row["family"] == "moving":
      cells = (cell(row, *column) for column in moving)
      lines.append(f"| {row['row'].replace('_', ', ')} | {' | '.join(cells)} |")
  return [*lines, "", *_learned(rows)]


def _learned(rows: list[dict]) -> list[str]:
  """The paper's four rows, of views that are learned from two spaces."""
  by_row = {row["row"]: row for row in rows if row["family"] == "learned"}
  kinds = ("unsupervised", "supervised", "semi", "floor")
  lines = ["| views learned from | rgb, accuracy % | ydbdr |", "|---|---|---|"]
  for kind in (*kinds, "not learned"):
    cells = []
    for space in ("rgb", "ydbdr"):
      name = space if kind not in kinds else f"frozen-{kind}-{space}"
      cells.append(cell(by_row[name], "linear_pool", 100, ".1f"))
    lines.append(f"| {kind} | {' | '.join(cells)} |")
  return lines


def summary(records: list[dict]) -> str:
  """How the claims of each study fared."""
  lines = [
    "| study | paper | seeds | claims that hold | fail | not decided |",
    "|---|---|---|---|---|---|",
  ]
  for record in records:
    counts = [str(len(ids)) for ids in _by_verdict(record).values()]
    cells = (record["id"], PAPERS[record["id"]], _seeds(record), *counts)
    lines.append(f"| {' | '.join(cells)} |")
  return "\n".join(lines)


PAPERS = {
  "limits": "On Mutual Information Maximization for Representation Learning",
  "deep_infomax": "Deep InfoMax",
  "good_views": "What Makes for Good Views for Contrastive Learning?",
}


def verdicts(record: dict) -> str:
  """How many claims hold, and which fail, in one sentence."""
  verdicts = _by_verdict(record)
  holds, fails, rest = (len(ids) for ids in verdicts.values())
  named = f" ({', '.join(verdicts['fails'])})" if fails else ""
  return (
    f"Mean ± standard deviation of {_seeds(record)} seeds. Of the claims "
    f"{holds} hold, {fails} fail{named} and {rest} are undecided or not "
    "measured"
  )


def _by_verdict(record: dict) -> dict[str, list[str]]:
  verdicts: dict[str, list[str]] = {"holds": [], "fails": [], "unmeasured": []}
  for claim in record["claims"]:
    verdicts[claim["verdict"]].append(claim["id"])
  return verdicts


def _seeds(record: dict) -> str:
  counts = sorted({row.get("done", 0) for row in record["values"]} - {0})
  return " or ".join(map(str, counts or [len(record["seeds"])]))


# Tables that help to choose: name -> (study, its claims that begin so).
CHOICES = {
  "choose_bound": ("limits", ("E1-", "E2-", "E6-", "metric-")),
  "choose_critic": ("limits", ("E4-", "E5-")),
  "choose_objective": ("deep_infomax", ("T", "negatives-", "weights-")),
  "choose_views": (
    "good_views",
    ("jitter-", "crop-", "patch-", "frequency-", "colour-", "recipe-"),
  ),
  "choose_shared": ("good_views", ("moving-", "learned-")),
}


def choice(wanted: tuple[str, ...], record: dict) -> tuple[list[str], str]:
  """Claims with the effect here and in the paper."""
  lines = ["| claim | here | paper | |", "|---|---|---|---|"]
  absent = []
  for claim in record["claims"]:
    if not claim["id"].startswith(wanted):
      continue
    if claim["effect"] is None:
      absent.append(claim["id"])
      continue
    low, high = claim["interval"]
    here = f"{claim['effect']:.3g} ({low:.3g} to {high:.3g})"
    known = claim["paper_value"]
    paper = "" if known is None else f"{known:.3g}"
    verdict = claim["verdict"].replace("unmeasured", "undecided")
    lines.append(f"| {claim['claim']} | {here} | {paper} | {verdict} |")
  without = f" Not measured: {', '.join(absent)}." if absent else ""
  return lines, (
    "Effects with 95 % intervals over seeds; accuracies are shares of 1, "
    f"bounds are nats.{without} Preset `{record['config']['preset']}`"
  )
