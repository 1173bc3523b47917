"""Studies: a paper's experiments run again, each of its claims checked.

Add one: a package here with a `run(out, preset, only, data_dir, jobs)` that
writes `table.csv`, figures and `claims.json` into `out`, and an entry below. It
returns a mapping: `rows` of the table, `claims`, `settings`, `changed` (from
the paper's), `seeds`, and `shown`, what to print before the claims.
"""

from infomin_jax.studies.deep_infomax import study as deep_infomax
from infomin_jax.studies.limits import study as limits

STUDIES = {"deep_infomax": deep_infomax.run, "limits": limits.run}

__all__ = ["STUDIES"]
