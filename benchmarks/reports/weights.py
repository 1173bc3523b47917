"""Reports on checkpoints and weights: kinds 16 to 21."""

import checkpoints
import exports
import foreign
from report import Report

REPORTS: tuple[Report, ...] = (
  *checkpoints.REPORTS,
  *exports.REPORTS,
  *foreign.REPORTS,
)
