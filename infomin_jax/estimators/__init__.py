"""Estimators of mutual information: every one is `scores -> nats`.

Add one: write the function in `lower.py` (or `upper.py`, `nonneural.py`) and
enter it below; configs name it; `tests/estimators_test.py` has a row for each.
"""

from infomin_jax.estimators.lower import (
  dv,
  infonce,
  infonce_ceiling,
  jsd,
  nwj,
)

ESTIMATORS = {"dv": dv, "infonce": infonce, "jsd": jsd, "nwj": nwj}

__all__ = ["ESTIMATORS", "dv", "infonce", "infonce_ceiling", "jsd", "nwj"]
