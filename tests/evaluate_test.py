"""What `infomin evaluate` writes: rows, pictures, and what runs share."""

import dataclasses
import importlib.util
import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from infomin_jax import cli, data, evidence
from infomin_jax.data.decode import resize_crop
from infomin_jax.errors import UserError
from infomin_jax.eval import cases
from infomin_jax.eval import evaluate as evaluation
from infomin_jax.eval.case import Augmented, Case, Encoder, Part
from infomin_jax.eval.monitor import make_monitor
from infomin_jax.eval.protocols import PROTOCOLS
from infomin_jax.eval.table import show_table
from infomin_jax.train import mesh as meshes
from infomin_jax.train.checkpoint import save_run
from infomin_jax.train.experiment import make_experiment
from infomin_jax.verbs.evaluate import decides_pixels

OPTIONS = ml_collections.ConfigDict(
  dict(
    k=5,
    temperature=0.1,
    iterations=5,
    epochs=1,
    label_share=0.5,
    decoder_width=8,
    batch_size=64,
    train_examples=0,
  )
)
PICTURES = {"channels", "neighbours", "pca", "samples", "tsne"}
OF_PLACES = {"localisation": "place", "segmentation": "mask"}
ON_IMAGES = {"mine", "ndm", "reconstruction"}


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
  make_mesh = meshes.make_mesh
  monkeypatch.setattr(
    meshes, "make_mesh", lambda devices=None: make_mesh(jax.devices()[:1])
  )


def small_case(folder, encoder=None):
  """64 images of 12 x 12 and 40 more, three features, two tasks."""
  rng = np.random.default_rng(0)

  def part(count):
    x = rng.normal(size=(count, 3)).astype(np.float32)
    labels = {"sign": (x[:, 0] > 0).astype(int), "name": np.arange(count) % 5}
    images = rng.integers(0, 255, (count, 12, 12, 1), np.uint8)
    places = rng.integers(0, 12, (count, 2))
    return Part(x, labels, images, images[..., 0] // 90, places, (1, 1, 3))

  classes = {"sign": 2, "name": 5}
  train, name = part(64), "learned, tap y"

  def augmented(views, epochs):
    del views
    for epoch in range(epochs):
      yield Augmented(epoch, jnp.asarray(train.x), train.labels)

  case = Case(train, part(40), classes, 0, encoder, name, folder)
  return dataclasses.replace(case, augmented=augmented if encoder else None)


def linear_encoder():
  def apply(variables, images, key):
    del key
    x = images.reshape(len(images), -1) / 255
    return x @ variables["params"], variables["batch_stats"]

  params = jax.random.normal(jax.random.key(0), (144, 3))
  mesh = meshes.make_mesh()

  def sample(variables, key, count):
    del variables
    return jax.random.uniform(key, (count, 12, 12, 1))

  return Encoder(apply, {"params": params, "batch_stats": {}}, mesh, sample)


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_every_protocol_gives_rows_or_a_picture(name, tmp_path):
  case = small_case(tmp_path, linear_encoder())
  protocol = PROTOCOLS[name](OPTIONS)
  assert protocol.name.split(" ")[0] == name
  rows = protocol.run(case)
  values = [value for metrics in rows.values() for value in metrics.values()]
  assert np.isfinite(np.array(values, float)).all()
  if name in PICTURES:
    assert rows == {}
    picture = tmp_path / f"{name}_learned_y.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
  elif name in OF_PLACES:
    assert set(rows) == {OF_PLACES[name]}
  elif name in ON_IMAGES:
    assert set(rows) == {"images"}
  elif name == "attributes":
    assert set(rows) == {"sign", "mean of 1 attributes"}
  elif name == "label_information":
    assert set(rows) == {"sign", "name"}
    for row in rows.values():
      assert row["I(z; y), nats"] <= row["I(z; y), ceiling"]
  else:
    assert set(rows) == {"sign", "name"}
    assert all(0 <= row["accuracy"] <= 1 for row in rows.values())


@pytest.mark.parametrize(
  "name", ["finetune", "semi_supervised", "imagenet_linear"]
)
def test_protocols_of_encoders_say_nothing_of_pixels(name, tmp_path):
  assert PROTOCOLS[name](OPTIONS).run(small_case(tmp_path)) == {}


def tiny_config(seed=0, **evaluate):
  spec = importlib.util.spec_from_file_location(
    "c", "configs/colorful_digits.py"
  )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config("tiny")
  config.seed = seed
  config.encoder.widths, config.encoder.strides = (4, 4), (2, 2)
  config.evaluate.update(evaluate)
  return config


def write_run(workdir, config):
  """A run's folder, as training leaves it, but with the first state."""
  save_run(workdir, config, make_experiment(config).init())


@pytest.mark.slow
def test_runs_of_one_data_set_share_the_probes_of_pixels(
  tmp_path, monkeypatch, capsys
):
  seen = []
  embed = cases.embed

  def noted(learner, variables, source, taps, **options):
    seen.append(taps)
    return embed(learner, variables, source, taps, **options)

  monkeypatch.setattr(cases, "embed", noted)
  for name, seed in (("a", 3), ("b", 4)):
    write_run(tmp_path / name, tiny_config(seed))
  cli.main(
    [
      "evaluate",
      f"--workdir={tmp_path / 'a'},{tmp_path / 'b'}",
      "--protocols=knn,pca,ndm",
      "--epochs=2",
      "--json",
    ]
  )
  rows = json.loads(capsys.readouterr().out)["rows"]
  assert seen.count(("pixels",)) == 2  # training and test set, once each
  assert {r["protocol"][-9:] for r in rows if "ndm" in r["protocol"]} == {
    "2 epochs)"
  }
  of_a, of_b = (
    [row for row in stored(tmp_path / name) if row["features"] == "pixels"]
    for name in "ab"
  )
  # Of digit, position and background, and of no task.
  assert [row["metric"] for row in of_a] == 3 * ["accuracy"] + ["NDM, nats"]
  assert of_a == of_b
  assert {row["seed"] for row in of_b} == {3}
  for row in evidence.over_seeds(rows):
    once = row["features"] == "pixels"
    assert len(row["values"]) == (1 if once else 2)
    assert (row["std"] is None) == once
  assert (tmp_path / "a" / "pca_pixels.png").exists()
  assert (tmp_path / "b" / "pca_learned_pool.png").exists()


def test_a_run_is_probed_on_another_data_set(tmp_path, capsys):
  write_run(tmp_path / "run", tiny_config())
  evaluate = ["evaluate", f"--workdir={tmp_path / 'run'}", "--json"]
  probes = ["--protocols=knn,localisation", "--data=name=moving_digits,light=1"]
  cli.main([*evaluate, *probes])
  rows = json.loads(capsys.readouterr().out)["rows"]
  # Its tasks, and not the run's: that has no position as a class.
  assert {row["task"] for row in rows} == {"digit", "background", "place"}
  written = tmp_path / "run" / "evaluation_moving_digits.json"
  assert json.loads(written.read_text())["rows"] == rows
  assert not (tmp_path / "run" / "evaluation.json").exists()
  for words, said in (("nam=x", "Unknown key of --data"), ("name", "name=VAL")):
    with pytest.raises(SystemExit):
      cli.main([*evaluate, f"--data={words}"])
    assert said in capsys.readouterr().err


def stored(workdir):
  return json.loads((workdir / "evaluation.json").read_text())["rows"]


@pytest.mark.parametrize(
  "changed,same",
  [
    (dict(seed=1), True),
    (dict(steps=9), True),
    ({"data.name": "fashion_mnist"}, False),
    ({"evaluate.k": 3}, False),
    ({"normalize.mean": (0.4,)}, False),
    ({"views.size": 28}, False),
  ],
)
def test_pixels_are_shared_where_nothing_changes_them(changed, same):
  config = tiny_config()
  before = decides_pixels(config)
  config.update_from_flattened_dict(changed)
  assert (decides_pixels(config) == before) == same


def test_the_table_tells_shares_from_nats(capsys):
  about = {"task": "digit", "tap": "pool", "seed": 0}
  rows = [
    about
    | dict(zip(("protocol", "metric", "features", "value"), row, strict=True))
    for row in (
      ("knn (k=5)", "accuracy", "untrained", 0.25),
      ("knn (k=5)", "accuracy", "learned", 0.5),
      ("ndm (1 epochs)", "NDM, nats", "learned", 0.75),
    )
  ]
  rows.append(rows[0] | dict(tap="pixels", features="pixels", value=0.125))
  rows.append(rows[1] | dict(seed=1, value=0.7))
  show_table(rows)
  out = capsys.readouterr().out
  lines = [
    [word.strip() for word in line.split("│")[1:-1]]
    for line in out.splitlines()
    if "│" in line
  ]
  cells = {
    "knn": ["12.5%", "25.0%", "60.0% ± 14.1%"],
    "ndm": ["-", "-", "0.750"],
  }
  for _, protocol, _, *found, _ in lines:
    assert found == cells[protocol]
  assert len(lines) == 2
  assert "knn (k=5)" in out


@pytest.mark.parametrize(
  "changed,words",
  [
    (dict(protocols=("knns",)), "did you mean knn"),
    (dict(epochs=0), "at least 1"),
    (dict(label_share=0.0), "above 0"),
    (dict(protocols=("attributes",)), "no task of two classes"),
  ],
)
def test_a_mistake_is_named_before_any_work(changed, words):
  experiment = make_experiment(tiny_config(**changed))
  state = experiment.init()
  with pytest.raises(UserError, match=words):
    evaluation.evaluate(experiment, state, state)


def test_the_monitor_gives_its_metrics():
  experiment = make_experiment(tiny_config())
  metrics = make_monitor(experiment)(experiment.init())
  assert set(metrics) == {
    *("mi_bound", "mi_bound_error", "mi_ceiling", "effective_rank"),
    *("held_out_images", "copies", "same_class", "knn", "linear"),
  }


def test_images_are_those_the_encoder_sees():
  config = tiny_config()
  source = make_experiment(config).source
  images = evaluation.small_images(source, config, limit=50)
  rows = np.linspace(0, len(source) - 1, 50).astype(int)
  want = np.stack([source[row]["image"] for row in rows])
  np.testing.assert_array_equal(images, want)


def test_images_that_the_host_cuts_are_cut_once():
  config = tiny_config(resize=28)
  config.data.host_crops, config.views.size = True, 24
  source = data.load(config.data, "test")
  images = evaluation.small_images(source, config, limit=3)
  rows = np.linspace(0, len(source) - 1, 3).astype(int)
  want = [resize_crop(source[row]["image"], 28, 24) for row in rows]
  np.testing.assert_array_equal(images, np.stack(want))
