"""What `infomin evaluate` writes: rows, pictures, and what runs share."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from helpers import tiny_config

from infomin_jax import cli, data, provenance
from infomin_jax.cli.evaluate import _others, decides_pixels
from infomin_jax.data.decode import resize_crop
from infomin_jax.errors import UserError
from infomin_jax.eval import cases
from infomin_jax.eval import evaluate as evaluation
from infomin_jax.eval import monitor as monitoring
from infomin_jax.eval.monitor import make_monitor
from infomin_jax.eval.probes import PROTOCOLS
from infomin_jax.eval.probes.protocol import Augmented, Case, Encoder, Part
from infomin_jax.eval.result_table import show_table
from infomin_jax.train import mesh as meshes
from infomin_jax.train.checkpoint import save_run
from infomin_jax.train.experiment import make_experiment

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


@pytest.mark.parametrize(
  "name",
  [
    pytest.param(
      name,
      marks=[pytest.mark.slow] * (name in ("mine", "reconstruction")),
    )
    for name in sorted(PROTOCOLS)
  ],
)
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
  for row in provenance.over_seeds(rows):
    once = row["features"] == "pixels"
    assert len(row["values"]) == (1 if once else 2)
    assert (row["std"] is None) == once
  assert (tmp_path / "a" / "pca_pixels.png").exists()
  assert (tmp_path / "b" / "pca_learned_pool.png").exists()


@pytest.mark.slow
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


# --- classes that are rare, missing or unknown --------------------------------

LABELLED = sorted(
  {"attributes", "finetune", "imagenet_linear", "knn", "label_information"}
  | {"linear", "mlp", "semi_supervised", "svm"}
)


def relabeled(case, part, change):
  """A case of the task `sign` alone, with the labels of a part changed."""
  old = getattr(case, part)
  new = dataclasses.replace(old, labels={"sign": change(old.labels["sign"])})
  return dataclasses.replace(case, classes={"sign": 2}, **{part: new})


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(
  "part,change,why",
  [
    ("train", np.zeros_like, "all training images are of class 0"),
    ("train", lambda y: np.where(y, -1, 0), "all training images are of class"),
    ("train", lambda y: y - 9, "no training image has a known label"),
    ("test", lambda y: y - 9, "no test image has a known label"),
    (
      "test",
      lambda y: y + 2,
      "the classes of the test images have no training",
    ),
  ],
)
def test_a_probe_that_cannot_be_had_is_a_note(
  name, part, change, why, tmp_path
):
  case = relabeled(small_case(tmp_path, linear_encoder()), part, change)
  if name == "imagenet_linear":  # its labels come with its images

    def augmented(views, epochs):
      del views, epochs
      yield Augmented(0, jnp.asarray(case.train.x), case.train.labels)

    case = dataclasses.replace(case, augmented=augmented)
  ((metric, value),) = PROTOCOLS[name](OPTIONS).run(case)["sign"].items()
  assert value.startswith(why)
  (row,) = evaluation._rows({"sign": {metric: value}}, {}, 0)
  assert row["value"] is None and row["note"] == value


@pytest.mark.parametrize("name", LABELLED)
def test_a_test_set_of_one_class_has_no_balanced_figure(name, tmp_path):
  case = small_case(tmp_path, linear_encoder())
  case = relabeled(case, "test", np.ones_like)
  found = PROTOCOLS[name](OPTIONS).run(case)["sign"]
  if name in ("attributes", "label_information"):
    (value,) = found.values()
    assert value.startswith("all test images are of ")
  else:
    assert found["largest_class"] == 1
    assert found["balanced_accuracy"] == "all test images are of class 1"


@pytest.mark.parametrize("name", ["knn", "label_information", "linear", "svm"])
def test_unknown_labels_are_as_rows_that_are_not_there(name, tmp_path):
  case = small_case(tmp_path)
  kept = {"train": np.arange(64) % 3 > 0, "test": np.arange(40) % 4 > 0}
  unknown = few = case
  for part, rows in kept.items():
    unknown = relabeled(unknown, part, lambda y, r=rows: np.where(r, y, -1))
    old = getattr(case, part)
    some = Part(old.x[rows], {"sign": old.labels["sign"][rows]})
    few = dataclasses.replace(few, classes={"sign": 2}, **{part: some})
  protocol = PROTOCOLS[name](OPTIONS)
  assert protocol.run(unknown) == protocol.run(few)
  (line,) = unknown.remarks()
  assert "22 of 64 training images and 10 of 40 test images" in line


def test_features_that_are_no_numbers_are_a_note(tmp_path):
  case = small_case(tmp_path)
  case.train.x[3, 1] = np.nan
  found = PROTOCOLS["linear"](OPTIONS).run(case)
  assert found["sign"]["accuracy"].startswith("features are not a number")


def test_classes_without_a_training_image_are_said(tmp_path):
  case = relabeled(
    small_case(tmp_path), "test", lambda y: np.where(y > 0, 1, 5)
  )
  (line,) = case.remarks()
  assert "are of a class that no training image has" in line
  found = PROTOCOLS["linear"](OPTIONS).run(case)["sign"]["accuracy"]
  assert found <= np.mean(case.test.labels["sign"] == 1)


def test_the_monitor_goes_on_without_a_probe(monkeypatch, capsys):
  real, rare = monitoring.embed, np.r_[1, np.zeros(9999, int)]
  now = {}

  def relabeled(learner, variables, source, *args, **options):
    x, fields = real(learner, variables, source, *args, **options)
    field = source.tasks["digit"].field
    return x, fields | {field: now["labels"][: len(fields[field])]}

  monkeypatch.setattr(monitoring, "embed", relabeled)
  experiment = make_experiment(tiny_config())
  monitor, state = make_monitor(experiment), experiment.init()
  now["labels"] = 0 * rare
  for _ in range(2):
    metrics = monitor(state)
    assert "mi_bound" in metrics and not {"knn", "linear"} & set(metrics)
  said = capsys.readouterr().err
  assert said.count("No linear probe of digit while training: all train") == 1
  now["labels"] = rare
  metrics = monitor(state)
  assert metrics["largest_class"] == 1 - 1 / metrics["held_out_images"]
  assert {"knn", "knn_balanced", "linear_balanced"} < set(metrics)
  assert "so a constant guess has that accuracy" in capsys.readouterr().err


def test_a_table_of_rows_without_a_value(capsys):
  about = dict(task="digit", protocol="svm (x)", tap="pool", seed=0)
  about |= dict(metric="accuracy", features="learned")
  rows = [about | dict(value=None, note="why"), about | dict(value=0.5, seed=1)]
  (row,) = provenance.over_seeds(rows)
  assert (row["mean"], row["std"], row["values"]) == (0.5, None, [0.5])
  assert provenance.over_seeds(rows[:1])[0]["mean"] is None
  show_table(rows[:1])
  out = capsys.readouterr().out
  assert "digit: no accuracy of svm: why." in out and "0.5" not in out


def test_rows_of_other_protocols_stay(tmp_path):
  path = tmp_path / "evaluation.json"
  names = ("task", "protocol", "tap", "features", "metric", "seed")
  old, again, new = (
    dict(zip(names, ("t", p, "pool", "learned", "accuracy", 0), strict=True))
    for p in ("knn", "linear", "linear")
  )
  about = {"step": 3, "settings": {"k": 5}}
  assert _others(path, [new], about) == []
  path.write_text(json.dumps({**about, "rows": [old, again]}))
  assert _others(path, [new], about) == [old]
  assert _others(path, [new], {**about, "step": 4}) == []
