"""Studies: a paper's experiments run again, each of its claims checked.

Add one: a package here with a `run(out, preset, only, data_dir, jobs)` that
writes `table.csv`, figures and `claims.json` into `out`, and an entry below.
"""

from infomin_jax.studies.limits import study as limits

STUDIES = {"limits": limits.run}

__all__ = ["STUDIES"]
