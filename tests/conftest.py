"""One setting for every test: 8 simulated CPU devices and strict JAX."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most programs of tests run for less time than they compile; the processes that
# tests start have it too.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

from infomin_jax import runtime

runtime.configure()

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")
jax.config.update("jax_debug_key_reuse", True)


@pytest.fixture(scope="module")
def optimized():
  """For programs that are looked at, or run longer than they compile."""
  jax.config.update("jax_disable_most_optimizations", False)
  yield
  jax.config.update("jax_disable_most_optimizations", True)
