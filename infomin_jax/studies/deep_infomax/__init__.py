"""Repeats Learning Deep Representations by Mutual Information Estimation.

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
| factors | which factors of colorful digits are learned? (not in the paper) |
| neighbours, generator | pictures: nearest neighbors, generated images |

A run trains one of `configs/*_dim.py` as `infomin train` does, in its own
folder. Then it is probed as `infomin evaluate` does.
`recipes/deep_infomax.py` has the objectives of the tables, `settings.py` the
presets, and `runs.py` the runs of a preset. `studies/study.py` trains and
probes.
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
