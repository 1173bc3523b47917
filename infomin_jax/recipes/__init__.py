"""Config sections: the defaults of every key, and the published methods.

A file in `configs/` starts from `base.get_config()` and overrides some keys:
  base           every key once, with its meaning
  contrastive    InfoMin and the methods that its paper compares it with
  deep_infomax   the rows of the tables in the Deep InfoMax paper
  learned_views  color spaces, frequencies and learned views
  moving         moving digits, where two views share chosen factors
  variants       the words after the colon in `--config FILE:WORDS`
"""
