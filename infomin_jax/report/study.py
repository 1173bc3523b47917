"""The page of a study: claims, measured and published values, figures."""

import csv
import pathlib

from infomin_jax.errors import UserError
from infomin_jax.output import read_json, to_json
from infomin_jax.report import plots
from infomin_jax.report.compare import shown
from infomin_jax.report.page import (
  Block,
  Picture,
  Plot,
  Table,
  Words,
  file_data,
  page,
)

VERDICTS = ("holds", "fails", "unmeasured")


def study_page(folder: str | pathlib.Path) -> str:
  """Returns the page of a folder that `infomin study` wrote.

  Raises:
    UserError: the folder has no `claims.json`.
  """
  folder = pathlib.Path(folder)
  path = folder / "claims.json"
  if not path.exists():
    raise UserError(
      f"{folder} holds no claims.json: expected a folder of `infomin study`."
    )
  claims = read_json(path)
  settings = read_json(folder / "settings.json")
  return page(
    f"Study {settings['study']}, preset {settings['preset']}",
    {
      "What was found": _summary(claims),
      "Claims": [_effects(claims), _claim_table(claims)],
      "Figures": [
        Picture(path.stem, file_data(path))
        for path in sorted(folder.glob("*.png"))
      ],
      "Measured": [_measured(folder)],
      "How to do it again": [
        Words(
          f"infomin study {settings['study']} --preset {settings['preset']} "
          f"--out {folder}",
          "code",
        ),
        Table(
          "Its settings.",
          ("key", "value"),
          [(k, to_json(v)) for k, v in settings["settings"].items()],
          folded=True,
        ),
      ],
    },
  )


def _summary(claims) -> list[Block]:
  count = {v: sum(c["verdict"] == v for c in claims) for v in VERDICTS}
  return [
    Words(
      f"Of {len(claims)} claims of the paper {count['holds']} hold here, "
      f"{count['fails']} fail, and {count['unmeasured']} are undecided by "
      "these seeds or were not measured."
    )
  ]


def _effects(claims) -> Plot:
  """Plots effects with their intervals, in units of the half width."""
  rows = [c for c in claims if c["effect"] is not None and c["interval"]]
  figure = plots.intervals(
    [c["id"] for c in rows],
    [c["effect"] for c in rows],
    [c["interval"] for c in rows],
    [c["verdict"] for c in rows],
    [c["threshold"] for c in rows],
  )
  return Plot(
    "Each claim's effect minus its threshold, divided by the half width of its "
    "95 % interval. An interval that does not touch 0 decides the claim.",
    figure,
  )


def _claim_table(claims) -> Table:
  rows = [
    (
      c["verdict"],
      c["claim"],
      shown(c["effect"]),
      "" if not c["interval"] else " to ".join(map(shown, c["interval"])),
      shown(c["paper_value"]),
      len(c["seeds"]),
      c.get("why", ""),
      c["id"],
    )
    for c in sorted(claims, key=lambda c: VERDICTS.index(c["verdict"]))
  ]
  headings = ("verdict", "claim", "effect", "95 % interval", "paper", "seeds")
  return Table("The paper's claims.", (*headings, "why", "id"), rows)


def _measured(folder: pathlib.Path) -> Table:
  """Returns `table.csv` without empty columns."""
  with (folder / "table.csv").open(newline="") as file:
    headings, *rows = csv.reader(file)
  columns = [i for i in range(len(headings)) if any(row[i] for row in rows)]
  cells = [[_short(row[i]) for i in columns] for row in rows]
  return Table(
    "*_sd is the standard deviation over seeds, paper_* the paper's value.",
    [headings[i] for i in columns],
    cells,
  )


def _short(cell: str) -> str:
  try:
    return f"{float(cell):.4g}" if "." in cell else cell
  except ValueError:
    return cell
