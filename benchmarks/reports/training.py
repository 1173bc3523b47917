"""Reports on training, evaluation and reports: kinds 22 to 28."""

import evaluating
import remembering
import running
import writing
from report import Report

REPORTS: tuple[Report, ...] = (
  *evaluating.REPORTS,
  *remembering.REPORTS,
  *running.REPORTS,
  *writing.REPORTS,
)
