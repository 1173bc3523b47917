"""Tables of the studies: results here, and the paper's in brackets."""

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


# Claims whose name begins so -> what was varied.
FAMILIES = {
  "E1-infonce": "invertible encoder, I_NCE",
  "E1-nwj": "invertible encoder, I_NWJ",
  "E1": "invertible encoder",
  "E2": "invertible encoder, adversarial",
  "E4": "critic",
  "E5": "encoder at equal bounds",
  "E6": "dependent negatives",
  "metric": "metric learning",
  "T1": "objective",
  "T4": "objective, other measures",
  "T5": "coordinates, occlusion",
  "negatives": "number of negatives",
  "weights": "weights of the terms",
  "jitter": "jitter strength",
  "crop": "crop size",
  "patch": "patch distance",
  "frequency": "frequency (blur)",
  "colour": "color space",
  "recipe": "recipe of views",
  "moving": "moving digits",
  "learned": "learned views",
}
# A part of a claim's name -> unit of its effect, and the scale to show it in.
# Accuracies are the others.
UNITS = {
  "bound-rises": ("nats", 1),
  "above-log-k": ("nats", 1),
  "concat-highest": ("nats", 1),
  "concat-lowest": ("nats", 1),
  "bounds-matched": ("nats", 1),
  "E6-": ("nats", 1),
  "kpair-is-infonce": ("nats", 1),
  "depends": ("nats", 1),
  "informs": ("nats", 1),
  "ndm": ("nats", 1),
  "lowers-information": ("nats", 1),
  "two-branches": ("nats", 1),
  "shares-more": ("nats", 1),
  "-invertible": ("pixel value, 0 to 1", 1),
  "reconstructs": ("SSIM", 1),
  "segments": ("mIoU, points", 100),
  "position-alone": ("pixels", 1),
  "beats-position": ("pixels", 1),
}
ACCURACY = ("accuracy, points", 100)


def choice(wanted: tuple[str, ...], record: dict) -> tuple[list[str], str]:
  """Decided claims, with the effect here and in the paper."""
  lines = [
    "| family | claim | here | paper | unit | verdict |",
    "|---|---|---|---|---|---|",
  ]
  some = [c for c in record["claims"] if c["id"].startswith(wanted)]
  decided = [c for c in some if c["verdict"] in ("holds", "fails")]
  for claim in decided:
    unit, scale = _unit(claim["id"])
    effect, low, high = (
      f"{scale * x:.3g}" for x in (claim["effect"], *claim["interval"])
    )
    known = claim["paper_value"]
    paper = "" if known is None else f"{scale * known:.3g}"
    cells = (
      _family(claim["id"]),
      claim["claim"],
      f"{effect} ({low} to {high})",
      paper,
      unit,
      claim["verdict"],
    )
    lines.append(f"| {' | '.join(cells)} |")
  return lines, (
    "Effects with 95 % intervals over seeds. Claims of this kind that are "
    f"undecided or were not measured: {len(some) - len(decided)}. "
    f"Preset `{record['config']['preset']}`"
  )


def _family(name: str) -> str:
  return next(
    text for start, text in FAMILIES.items() if name.startswith(start)
  )


def _unit(name: str) -> tuple[str, float]:
  return next((unit for part, unit in UNITS.items() if part in name), ACCURACY)
