"""Reports: one HTML page on a run, on several runs or on a study.

`run_page`, `runs_page` and `study_page` read folders and return the page's
text. The page needs no network and no other file.
"""

from infomin_jax.report.compare import runs_page
from infomin_jax.report.run import run_page
from infomin_jax.report.study import study_page

__all__ = ["run_page", "runs_page", "study_page"]
