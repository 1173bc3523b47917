"""One setting for every test: 8 simulated CPU devices and strict JAX."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from infomin_jax import runtime

runtime.configure()

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")
jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture(scope="module")
def quick_compilation():
  """For programs that run for less time than they take to compile."""
  jax.config.update("jax_disable_most_optimizations", True)
  yield
  jax.config.update("jax_disable_most_optimizations", False)
