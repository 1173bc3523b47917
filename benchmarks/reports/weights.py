"""Reports on checkpoints and weights: kinds 16 to 21."""

from report import Report

REPORTS: tuple[Report, ...] = ()
