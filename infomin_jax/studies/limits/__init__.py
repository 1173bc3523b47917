"""On Mutual Information Maximization for Representation Learning, again.

Tschannen, Djolonga, Rubenstein, Gelly, Lucic, `ICLR 2020
<https://arxiv.org/abs/1907.13625>`_. Top and bottom half of an image are the
two views; the representation of the top half is classified linearly.

| experiment | question |
|---|---|
| E1 | invertible encoders: does accuracy change while I(X; Y) cannot? |
| E2 | can an invertible encoder be bad on purpose? |
| E3 | does maximization prefer ill-conditioned encoders? |
| E4 | do better critics, with tighter bounds, give better features? |
| E5 | do encoders of one and the same bound differ? |
| E6 | what do bounds mean when negatives depend on each other? |
| E7 | E4 and E5 on CIFAR-10 |
| metric | section 4: the same training, read as metric learning |

`settings.py` holds the presets as plain data, `pairs.py`, `adversarial.py` and
`dependent.py` the three kinds of training, `train.py` the one loop they share,
`claims.py` what is checked, `study.py` the order of it all.
"""
