"""Learning deep representations by mutual information estimation, again.

Hjelm, Fedorov, Lavoie-Marchildon, Grewal, Bachman, Trischler, Bengio, `ICLR
2019 <https://arxiv.org/abs/1808.06670>`_: Deep InfoMax. `rows.py` holds the
objectives of its tables, which the configs share.
"""
