"""The names at the top of the package."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import infomin_jax
from infomin_jax import data
from infomin_jax.errors import UserError


def test_dir_shows_the_public_names():
  names = dir(infomin_jax)
  assert "estimate" in names and "infonce" in names and "runtime" not in names
  assert all(hasattr(infomin_jax, name) for name in names)


def test_names_of_the_top_are_enough_for_a_loss():
  make = infomin_jax.make_views
  pair = make({"name": "crop", "size": 8, "count": 2}, (12, 12, 3))
  images = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), np.uint8)
  x, y = pair(jax.random.key(0), {"image": images, "index": jnp.arange(4)})
  critic = infomin_jax.CRITICS["inner_product"](normalize=True)
  scores = critic.apply({}, x.reshape(4, -1), y.reshape(4, -1))
  assert float(infomin_jax.infonce(scores)) <= np.log(4)


def test_an_unknown_data_set_may_be_in_a_file_of_ones_own():
  with pytest.raises(UserError, match="--with FILE"):
    data.load({"name": "mine"}, "train")
