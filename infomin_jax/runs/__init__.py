"""A run's folder: configuration, progress, metrics and diagnosis."""
