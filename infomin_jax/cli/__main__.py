"""`python -m infomin_jax.cli` is `infomin`."""

from infomin_jax.cli.main import main

main()
