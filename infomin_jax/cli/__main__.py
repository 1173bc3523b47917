"""Runs `python -m infomin_jax.cli` as `infomin`."""

from infomin_jax.cli.main import main

main()
