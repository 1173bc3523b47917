"""A run's folder: its configuration, progress, metrics and diagnosis."""
