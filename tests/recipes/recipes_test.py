"""Recipes: every combination of parts makes a step; presets are published."""

import functools
import shlex
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags

from infomin_jax import encoders, objectives
from infomin_jax.cli import train
from infomin_jax.errors import UserError, build
from infomin_jax.recipes import base, contrastive, variants
from infomin_jax.train.config import SECTIONS
from infomin_jax.train.optimizers import make_optimizer
from infomin_jax.train.state import init_state
from infomin_jax.views import make_views

B, IMAGES = 8, 20
SIZES = contrastive.Sizes(
  image=16,
  pieces=(24, 8),
  images=IMAGES,
  memory=16,
  hidden=8,
  encoder=dict(
    name="resnet18", stem="small", width=4, groups=1, dtype="float32"
  ),
)


@pytest.mark.parametrize("name", contrastive.RECIPES)
def test_every_recipe_traces_a_step(name):
  config = contrastive.sections(name, SIZES)
  views = make_views(config["views"], (20, 20, 3))
  encoder = build("encoder", config["encoder"], encoders.ENCODERS)
  terms, weights = objectives.build_terms(config["objective"])
  mean, std = config["normalize"]["mean"], config["normalize"]["std"]
  learner = objectives.Learner(encoder, terms, weights, mean, std)
  objective = objectives.make_objective(learner, views)
  tx, _ = make_optimizer(**contrastive.training(name, B, 10, 20), steps=200)
  batch = {
    "image": jax.ShapeDtypeStruct((B, 20, 20, 3), jnp.uint8),
    "index": jax.ShapeDtypeStruct((B,), jnp.int32),
    "label": jax.ShapeDtypeStruct((B,), jnp.int32),
  }

  def loss(batch):
    params, stats = objectives.init_learner(
      learner, views, jax.random.key(0), batch
    )
    state = init_state(params, stats, tx, config["ema"])
    return objective(state.params, state.stats, batch, jax.random.key(1))

  shape, (stats, metrics) = jax.eval_shape(loss, batch)
  assert shape.shape == ()
  assert bool(config["ema"]) == objectives.needs_ema(terms)
  assert ("queue" in stats) == ("queue" in config["objective"])
  known = {"bank_jigsaw_nats", "queue_jigsaw_nats"} & set(metrics)
  assert bool(known) == contrastive.RECIPES[name].jigsaw


def test_the_presets_are_those_of_the_published_code():
  # modality, pieces, memory, augmentation, head, temperature
  published = {
    "insdis": ("RGB", False, "bank", "A", "linear", 0.07),
    "cmc": ("CMC", False, "bank", "C", "linear", 0.07),
    "moco": ("RGB", False, "queue", "A", "linear", 0.07),
    "pirl": ("RGB", True, "bank", "A", "linear", 0.07),
    "moco_v2": ("RGB", False, "queue", "B", "mlp", 0.2),
    "cmc_v2": ("CMC", False, "queue", "E", "mlp", 0.2),
    "infomin": ("RGB", True, "queue", "infomin", "mlp", 0.15),
  }
  for name, row in published.items():
    r = contrastive.RECIPES[name]
    modality = "CMC" if r.split else "RGB"
    head = "mlp" if r.mlp else "linear"
    got = (modality, r.jigsaw, r.memory, r.views, head, r.temperature)
    assert got == row, name


def test_learning_rates_are_scaled_and_warmed_up_above_256_images():
  def rates(batch, epochs, steps):
    made = contrastive.training("infomin", batch, 10, epochs)
    _, rate = make_optimizer(**made, steps=10 * epochs)
    return np.array([rate(step) for step in steps])

  np.testing.assert_allclose(rates(256, 200, [0, 2000]), [0.03, 3e-5])
  big = rates(4096, 200, [0, 25, 50])
  np.testing.assert_allclose(big, [0, 0.24, 0.48], rtol=1e-6)
  np.testing.assert_allclose(rates(4096, 800, [50, 100]), [0.24, 0.48])


def test_variants_name_one_row_and_known_words():
  parse = functools.partial(variants.parse, rows=("infomin", "moco", "cmc"))
  assert parse("", default="moco") == ("moco", (), False)
  assert parse("tiny,cmc", default="moco") == ("cmc", (), True)
  found = parse("200,cmc", default="moco", others=("200",))
  assert found == ("cmc", ("200",), False)
  with pytest.raises(UserError, match="two rows: moco and cmc"):
    parse("moco,cmc", default="moco")
  with pytest.raises(UserError, match="Unknown variant"):
    parse("mocov3", default="moco")


def test_every_key_has_a_meaning():
  sys.path.insert(0, "docs")
  import config_tables

  keys = []
  for key, value in base.get_config().items():
    nested = [f"{key}.{name}" for name in value] if key in SECTIONS else [key]
    keys += nested
  assert set(keys) <= set(config_tables.meanings())


def test_tiny_shrinks_and_changes_nothing_else():
  config, small = base.get_config(), base.tiny(base.get_config())
  assert small.steps == 2 and small.evaluate.epochs == 1
  assert jax.tree.structure(config.to_dict()) == jax.tree.structure(
    small.to_dict()
  )


@pytest.mark.parametrize(
  "config,like",
  [
    ("colorful_digits.py", "colorful_digits.py"),
    ("own_images.py:tiny", "own_images.py"),
    ("stl10_views.py:semi", "stl10_views.py:semi,tiny"),
  ],
)
def test_what_show_prints_is_what_the_flags_take(config, like, capsys):
  def parsed(*arguments):
    argv = ["train", *arguments]
    values = flags.FlagValues()
    train.define(values, argv)
    values(argv)
    return values

  values = parsed(f"--config=configs/{config}", "--show")
  train.run(values, [], "")
  printed = capsys.readouterr().out
  again = parsed(f"--config=configs/{like}", *shlex.split(printed, True))
  assert again.config.to_dict() == values.config.to_dict()
