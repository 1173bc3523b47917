"""Studies: the experiments of a paper are repeated and its claims are checked.

To add one, write a package with a function `run(out, preset, only, data_dir,
jobs)` and enter it below. The function writes `table.csv`, figures and
`claims.json` into `out`. It returns a mapping with these keys:
  rows      rows of the table
  claims    entries of `claims.json`
  settings  settings of the experiments
  changed   settings that differ from those of the paper
  seeds     seeds of all runs
  shown     tables and lines that are printed before the claims
"""

import functools

from infomin_jax.studies.deep_infomax import STUDY as deep_infomax
from infomin_jax.studies.good_views import STUDY as good_views
from infomin_jax.studies.limits import study as limits
from infomin_jax.studies.study import run_study

STUDIES = {
  "deep_infomax": functools.partial(run_study, deep_infomax),
  "good_views": functools.partial(run_study, good_views),
  "limits": limits.run,
}

__all__ = ["STUDIES"]
