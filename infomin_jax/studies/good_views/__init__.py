"""What makes for good views for contrastive learning, again.

Tian, Sun, Poole, Krishnan, Schmid, Isola, `NeurIPS 2020
<https://arxiv.org/abs/2005.10243>`_: InfoMin.

| family | views | question |
|---|---|---|
| jitter, crop | two augmented views | is there a best strength? |
| patch | two patches of an image | a best distance? |
| frequency | blurred against the rest | a best blur? |
| color | a channel against two | which color space? |
| recipe | named augmentations | are more of them better? |
| moving | frames and a still image | is what is shared what is learned? |
| learned | a learned color space | can good views be learned? |

Of each family I(v1; v2) and I(v; y) are measured by one protocol,
`studies/information.py`, beside the accuracy of a probe. A run is one of the
files of `configs/` trained as `infomin train` does, in a folder of its own.
The objectives are those of `recipes/`; `settings.py` has the presets, and
`runs.py` the runs that these ask for.
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
