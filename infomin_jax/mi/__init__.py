"""Mutual information of two samples: tasks whose truth is known (`tasks`)."""
