"""`estimate`: mutual information of two arrays, for people who want a number.

  columns.py     one side alone: ranks, values, components
  copula.py      a Student-t copula: the parametric start
  forms.py       what of the columns it is fitted to
  mixture.py     a mixture of normals (normals.py) in canonical coordinates
                 (canonical.py)
  networks.py    critics that add a network to the copula
  images.py      a critic of the components of images
  fit.py         training networks until held-out pairs stop gaining
  blend.py       a weighted sum of critics
  models.py      all critics of a fold
  crossfit.py    every pair scored by critics that have not seen it
  held.py        what these scores show, in nats (partition.py)
  interval.py    bootstrap and permutation test
  neighbors.py   a second look without a model (local_fits.py)
  value.py       from all of these to a value and its interval
  classes.py     two columns of classes, counted
  order.py       columns of both sides that number the rows, or are the same
  advice.py      when not to believe the value
  estimate.py    all of it, in one call

Add a critic: a Linen module in `networks.py` and an entry in
`models.NETWORKS`.
"""

from infomin_jax.estimation.estimate import Estimate, estimate, estimate_paired

__all__ = ["Estimate", "estimate", "estimate_paired"]
