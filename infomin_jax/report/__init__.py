"""One HTML page that tells what a run, several runs or a study found.

`run_page`, `runs_page` and `study_page` read folders and give the page's text;
it needs no network and no other file.
"""

from infomin_jax.report.compare import runs_page
from infomin_jax.report.run import run_page
from infomin_jax.report.study import study_page

__all__ = ["run_page", "runs_page", "study_page"]
