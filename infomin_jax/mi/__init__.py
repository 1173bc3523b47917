"""Mutual information of two arrays: a number, its interval and warnings.

estimate       everything, in one call
inputs/        what X and Y may be: arrays, files, tables
columns        one side: ranks, values, components
cross_fit      no pair is scored by a critic that was fitted to it
critics/       the critics: copula, mixture of normals, networks, their sum
held           scores of held-out pairs, and their value (partition)
interval       bootstrap and permutation test
neighbors      a second estimate without a model (local_fits)
value          from all of these to a value and its interval
classes        two columns of classes, counted
order          columns that number the rows, or are on both sides
warnings       when not to believe the value
compare        all bounds of the same critics, next to each other
tasks/         the public suites of known mutual information
"""

from infomin_jax.mi.estimate import Estimate, estimate, estimate_paired

__all__ = ["Estimate", "estimate", "estimate_paired"]
