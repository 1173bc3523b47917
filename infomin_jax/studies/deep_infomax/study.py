"""The order of it all: runs that are missing, then table, claims, figures."""

import pathlib
from collections.abc import Mapping
from typing import Any

from infomin_jax.studies import store
from infomin_jax.studies.deep_infomax import (
  figures,
  lines,
  settings,
  statements,
  table,
)
from infomin_jax.studies.results import Results
from infomin_jax.studies.runs import gather, missing, work_missing


def run(
  out: pathlib.Path,
  preset: str,
  only: list[str],
  data_dir: str = "",
  jobs: int = 0,
) -> dict[str, Any]:
  """Runs what is missing in `out` and writes its table, figures and claims.

  Args:
    out: the folder; probes that it holds are not made again, and a run whose
      training was stopped goes on.
    preset: `smoke`, `local` or `paper`.
    only: experiments; all if empty.
    data_dir: of the prepared data sets; "" is the default.
    jobs: runs at once; 0 is one a processor (at most 4), or one on an
      accelerator.

  Returns:
    What `STUDIES` says.

  Raises:
    UserError: unknown names, a folder of other settings, or no data at all.
  """
  chosen, names = settings.preset(preset), settings.select(only)
  probes, tiny = settings.probes(preset), preset == "smoke"
  asked = lines.lines(chosen, names)
  reasons = missing(asked, tiny, data_dir)
  store.open_folder(
    out, "deep_infomax", preset, {"experiments": chosen, "probes": probes}
  )
  work_missing(asked, probes, reasons, out, tiny, data_dir, jobs)
  return finish(out, chosen, gather(store.read_runs(out), reasons))


def finish(out: pathlib.Path, chosen: Mapping, results: Results) -> dict:
  """Writes `table.csv`, `claims.json` and the figures of what is there."""
  rows = table.rows(results, chosen)
  checked = [c.check(results) for c in statements.claims(chosen)]
  store.write_csv(out / "table.csv", rows)
  store.write_json(out / "claims.json", checked)
  figures.draw_all(out, results, chosen)
  return {
    "rows": rows,
    "claims": checked,
    "settings": chosen,
    "changed": settings.changed(chosen),
    "seeds": sorted({s for line in results.runs.values() for s in line}),
    "shown": table.shown(rows),
  }
