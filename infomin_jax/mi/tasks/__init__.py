"""The public suites: joint distributions with known mutual information.

`SUITES` maps a name to a function that returns the tasks of the suite. Add a
suite: write such a function, and add it to `SUITES`.
"""

from collections.abc import Callable

from infomin_jax.mi.tasks import (
  beyond_normal,
  functions,
  ladder,
  latent,
  mixed,
  mixtures,
  small,
  vce,
)
from infomin_jax.mi.tasks.distributions import Task

SUITES: dict[str, Callable[[], tuple[Task, ...]]] = {
  "beyond_normal": beyond_normal.tasks,
  "functions": functions.tasks,
  "high": ladder.high,
  "images": latent.images,
  "ladder": ladder.tasks,
  "latent": latent.tasks,
  "mixed": mixed.tasks,
  "mixtures": mixtures.tasks,
  "small": small.tasks,
  "vce": vce.tasks,
}

__all__ = ["SUITES", "Task"]
