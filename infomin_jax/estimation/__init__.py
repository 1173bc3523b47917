"""`estimate`: mutual information of two arrays, for people who want a number.

  copula.py    a Student-t copula: the parametric start
  networks.py  critics that add a network to it
  fit.py       training one until held-out pairs stop gaining
  crossfit.py  every pair scored by a critic that has not seen it
  interval.py  bootstrap and permutation test
  classes.py   two columns of classes, counted
  order.py     columns of both sides that number the rows, or are the same
  reduce.py    fewer columns where samples are few
  advice.py    when not to believe the value
  estimate.py  all of it, in one call

Add a critic: a Linen module in `networks.py` and an entry in
`crossfit.NETWORKS`.
"""

from infomin_jax.estimation.estimate import Estimate, estimate, estimate_paired

__all__ = ["Estimate", "estimate", "estimate_paired"]
