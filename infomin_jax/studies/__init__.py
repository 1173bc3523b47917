"""Studies: a paper's experiments run again, each of its claims checked.

Add one: a package here with a `run(out, preset, only, data_dir, jobs)` that
writes `table.csv`, figures and `claims.json` into `out`, and an entry below. It
returns a mapping: `rows` of the table, `claims`, `settings`, `changed` (from
the paper's), `seeds`, and `shown`, what to print before the claims.
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
