"""Repeats On Mutual Information Maximization for Representation Learning.

Tschannen, Djolonga, Rubenstein, Gelly, Lucic, `ICLR 2020
<https://arxiv.org/abs/1907.13625>`_. The two views are the top and the bottom
half of an image. A linear classifier evaluates the representation of the top
half.

| experiment | question |
|---|---|
| E1 | invertible encoders: does accuracy change while I(X; Y) cannot? |
| E2 | can an invertible encoder be bad on purpose? |
| E3 | does maximization prefer ill-conditioned encoders? |
| E4 | do better critics, with tighter bounds, give better features? |
| E5 | do encoders with the same bound differ? |
| E6 | what do bounds mean when negatives depend on each other? |
| E7 | E4 and E5 on CIFAR-10 |
| metric | section 4: the same training, read as metric learning |

`settings.py` has the presets as plain data. `pairs.py`, `adversarial.py` and
`dependent.py` have the three kinds of training, and `problem.py` has the loop
that they share. `claims.py` and `capacity.py` have the claims. `study.py` runs
everything.
"""
