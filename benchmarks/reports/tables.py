"""Reports on tables and arrays that are estimated: kinds 11 to 15."""

from report import Report

REPORTS: tuple[Report, ...] = ()
