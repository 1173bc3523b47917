"""Sections of configs: every key with its default, and each published method.

A file in `configs/` takes `base.get_config()` and changes what differs:
  base           every key once, with its meaning
  contrastive    InfoMin and the methods that its paper compares it with
  deep_infomax   the rows of Deep InfoMax's tables
  learned_views  color spaces, frequencies and learned views
  moving         digits that move: what two views share is what is learned
  variants       the words after the colon in `--config FILE:WORDS`
"""
