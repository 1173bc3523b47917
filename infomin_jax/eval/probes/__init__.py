"""Probes of frozen features, a file each, and their table.

  protocol       what a probe sees, and what it returns
  protocols      the table of `infomin evaluate --config.evaluate.protocols`
  shares         how often labels are guessed, and how often without looking

Add one: write a function of arrays in a file here, and below it or in
`protocols.py` one that takes `config.evaluate` and returns a `Protocol`; enter
it in `PROTOCOLS`.
"""
