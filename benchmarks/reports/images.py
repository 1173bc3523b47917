"""Reports on files and folders of images: kinds 1 to 10."""

from report import Report

REPORTS: tuple[Report, ...] = ()
