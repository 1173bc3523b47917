"""The critics of `estimate`, fitted to some pairs and tested on others.

  copula         a Student-t copula: the parametric start
  forms          chooses its columns, components and degrees of freedom
  mixture        a mixture of normals (normals) in canonical coordinates
                 (canonical)
  networks       critics that add a network to the copula
  images         a critic of the components of images
  training       trains networks until held-out pairs stop gaining
  blend          a weighted sum of critics
  models         fits all of them for one fold

Add a critic: write a Linen module in `networks.py` and add an entry to
`models.NETWORKS`.
"""
