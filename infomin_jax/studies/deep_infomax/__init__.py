"""Learning deep representations by mutual information estimation, again.

Hjelm, Fedorov, Lavoie-Marchildon, Grewal, Bachman, Trischler, Bengio, `ICLR
2019 <https://arxiv.org/abs/1808.06670>`_: Deep InfoMax.

| experiment | question |
|---|---|
| T1, T2 | do features of Deep InfoMax beat generative and other baselines? |
| T3 | one summary, many summaries, or contrastive predictive coding? |
| T4 | linear separability, reconstruction, I(X; Y), dependence of units |
| T5 | do occlusion and coordinates help? |
| negatives | which bound needs many negatives? |
| weights | what do the global, local and prior terms do? |
| ndm | does the dependency measure fall as beta-VAE's beta rises? |
| attributes | the global and local weights on CelebA's 40 attributes |
| factors | what of colorful digits is told? (not in the paper) |
| neighbors, generator | pictures: what lies near what; images of noise |

A run is one of `configs/*_dim.py` trained as `infomin train` does, in a folder
of its own, then probed as `infomin evaluate` does. `recipes/deep_infomax.py`
has the objectives of the tables; `settings.py` the presets; `runs.py` the runs
that these ask for; `studies/study.py` trains and probes.
"""

from infomin_jax.studies.deep_infomax import (
  claims,
  figures,
  runs,
  settings,
  table,
)
from infomin_jax.studies.study import Study

STUDY = Study("deep_infomax", settings, runs, table, claims, figures)
