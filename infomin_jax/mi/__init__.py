"""`estimate`: mutual information of two arrays, for people who want a number.

estimate       all of it, in one call
inputs/        what X and Y may be: arrays, files, tables
columns        one side alone: ranks, values, components
cross_fit      every pair is scored by critics that have not seen it
critics/       these critics: copula, mixture of normals, networks, their sum
held           what the scores of new pairs show, in nats (partition)
interval       bootstrap and permutation test
neighbors      a second look without a model (local_fits)
value          from all of these to a value and its interval
classes        two columns of classes, counted
order          columns that number the rows, or stand on both sides
warnings       when not to believe the value
compare        all bounds of the same critics, side by side
tasks/         the public suites of known mutual information
"""

from infomin_jax.mi.estimate import Estimate, estimate, estimate_paired

__all__ = ["Estimate", "estimate", "estimate_paired"]
