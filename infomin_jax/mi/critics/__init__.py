"""The critics of `estimate`, fitted to some pairs and judged on others.

  copula         a Student-t copula: the parametric start
  forms          which columns, components and degrees of freedom it has
  mixture        a mixture of normals (normals) in canonical coordinates
                 (canonical)
  networks       critics that add a network to the copula
  images         a critic of the components of images
  training       trains networks until held-out pairs stop gaining
  blend          a weighted sum of critics
  models         fits all of them for a fold

Add a critic: a Linen module in `networks.py` and an entry in
`models.NETWORKS`.
"""
