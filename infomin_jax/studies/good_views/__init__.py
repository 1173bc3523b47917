"""Repeats What Makes for Good Views for Contrastive Learning.

Tian, Sun, Poole, Krishnan, Schmid, Isola, `NeurIPS 2020
<https://arxiv.org/abs/2005.10243>`_: InfoMin.

| family | views | question |
|---|---|---|
| jitter, crop | two augmented views | is there a best strength? |
| patch | two patches of an image | a best distance? |
| frequency | blurred against the rest | a best blur? |
| colour | a channel against two | which color space? |
| recipe | named augmentations | are more of them better? |
| moving | frames and a still image | are the shared factors learned? |
| learned | a learned color space | can good views be learned? |

For each family, `studies/information.py` measures I(v1; v2) and I(v; y), next
to the accuracy of a probe. A run trains one of the files of `configs/` as
`infomin train` does, in its own folder. `recipes/` has the objectives,
`settings.py` the presets, and `runs.py` the runs of a preset.
"""

from infomin_jax.studies.good_views import (
  claims,
  figures,
  runs,
  settings,
  table,
)
from infomin_jax.studies.study import Study

STUDY = Study("good_views", settings, runs, table, claims, figures)
