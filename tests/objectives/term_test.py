"""The contracts of terms and encoders: defaults, misspelled names, kinds."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from infomin_jax.encoders import ENCODERS, Encoder
from infomin_jax.encoders.features import make_features
from infomin_jax.errors import UserError
from infomin_jax.objectives import TERMS, Term, build_terms
from infomin_jax.objectives.term import Outcome
from infomin_jax.recipes import base
from infomin_jax.train.experiment import make_learner


class Length(Term):
  def __call__(self, seen, train):
    del train
    return Outcome(jnp.mean(seen.features[0].global_ ** 2), {})


class Means(Encoder):
  @nn.compact
  def __call__(self, images, train):
    del train
    return make_features(images, images.mean((1, 2)), {})


def test_a_term_needs_only_its_loss():
  term = Length()
  assert term.online == (0,) and term.targets == ()
  assert term.scores is None and term.sample is None
  assert term.form({}) == "" == term.check_data("at", 10, 2)
  with pytest.raises(NotImplementedError, match="Length"):
    term.keys({}, True)


def test_an_encoder_of_one_piece_needs_only_its_features():
  images = jnp.ones((2, 4, 4, 3))
  (features,), _ = Means().init_with_output(
    jax.random.key(0), images, False, method="parts_of"
  )
  assert features.global_.shape == (2, 3)


@pytest.mark.parametrize(
  "base_class, name",
  [
    (Term, "least_view"),
    (Term, "target"),
    (Term, "own_statistic"),
    (Term, "check_dat"),
    (Encoder, "sequense"),
    (Encoder, "frozzen"),
  ],
)
def test_a_misspelled_name_is_refused(base_class, name):
  with pytest.raises(TypeError, match="did you mean"):
    type("Wrong", (base_class,), {name: (0,)})
  with pytest.raises(TypeError, match="did you mean"):
    type("Wrong", (base_class,), {"__annotations__": {name: int}})


def test_other_modules_are_refused(monkeypatch):
  monkeypatch.setitem(TERMS, "dense", lambda: nn.Dense(3))
  with pytest.raises(
    UserError, match=r"config\.objective\.dense is a Dense: expected a"
  ):
    build_terms({"dense": dict(weight=1.0)})
  monkeypatch.setitem(ENCODERS, "dense", lambda: nn.Dense(3))
  config = base.get_config()
  with config.unlocked():
    config.encoder = dict(name="dense")
  with pytest.raises(
    UserError, match=r"config\.encoder is a Dense: expected a"
  ):
    make_learner(config)
