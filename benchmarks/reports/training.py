"""Reports on training, evaluation and reports: kinds 22 to 28."""

from report import Report

REPORTS: tuple[Report, ...] = ()
