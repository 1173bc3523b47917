"""Runs that are read elsewhere, trained longer, or started from another's."""

import contextlib
import dataclasses
import json
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax import cli
from infomin_jax.errors import UserError
from infomin_jax.pretrained.load import (
  from_own_arrays,
  own_arrays,
  save_encoder,
  trained_encoder,
)
from infomin_jax.runs.workdir import as_json, read_config
from infomin_jax.train import longer
from infomin_jax.train.checkpoint import (
  Checkpoints,
  check_workdir,
  save_run,
  saved,
)
from infomin_jax.train.experiment import make_experiment, trained_generator
from infomin_jax.train.fingerprint import array_fingerprint, fingerprint
from infomin_jax.train.loop import train
from infomin_jax.train.own_weights import misfit, own_weights
from infomin_jax.train.state import TrainState


def some_state(**params):
  return TrainState(jnp.int32(3), params, {}, ())


def keep(folder, state):
  with contextlib.closing(Checkpoints(folder)) as checkpoints:
    checkpoints.save(state)


def elsewhere(folder):
  """Makes a checkpoint one of devices that are not here."""
  (path,) = folder.glob("checkpoints/*/default/_sharding")
  text = path.read_text()
  assert '{\\"id\\": 7}' in text
  for i in range(8):
    text = text.replace(f'{{\\"id\\": {i}}}', f'{{\\"id\\": {1000 + i}}}')
  path.write_text(text)


def test_what_other_devices_saved_is_read_as_numpy_s(tmp_path):
  mesh = jax.make_mesh((8,), ("data",))
  rows = jax.NamedSharding(mesh, jax.P("data"))
  everywhere = jax.NamedSharding(mesh, jax.P())
  x = np.arange(24, dtype=np.float32).reshape(8, 3)
  generator = {"a": jax.device_put(x, rows), "b": jax.device_put(x, everywhere)}
  state = some_state(encoder={"generator": generator})
  keep(tmp_path, jax.tree.map(lambda x: jnp.copy(x), state))
  elsewhere(tmp_path)
  (tmp_path / "config.json").write_text("{}")
  for found in (
    saved(tmp_path).params["encoder"]["generator"],
    trained_generator(str(tmp_path)),
  ):
    for array in found.values():
      assert type(array) is np.ndarray
      np.testing.assert_array_equal(array, x)
  assert int(saved(tmp_path).step) == 3


def test_both_fingerprints_are_one():
  rng = np.random.default_rng(0)
  arrays = [
    rng.normal(size=(3, 5)).astype(np.float32),
    rng.normal(size=7).astype(jnp.bfloat16),
    np.array([True, False]),
    np.int32(-5).reshape(()),
    np.zeros((0, 2), np.float32),
  ]
  found = [int(array_fingerprint(x, np)) for x in arrays]
  assert found == fingerprint(arrays).tolist()
  arrays[0].view(np.uint32)[2, 4] ^= 1
  assert int(array_fingerprint(arrays[0], np)) != found[0]


def test_reading_skips_a_changed_checkpoint_and_makes_no_folder(
  tmp_path, capsys
):
  with pytest.raises(UserError, match="No checkpoint in"):
    saved(tmp_path / "none")
  assert not (tmp_path / "none").exists()
  x = np.random.default_rng(0).random(5000, np.float32)
  keep(tmp_path, some_state(x=jnp.asarray(x)))
  later = dataclasses.replace(
    some_state(x=jnp.asarray(2 * x)), step=jnp.int32(4)
  )
  keep(tmp_path, later)
  np.testing.assert_array_equal(saved(tmp_path).params["x"], 2 * x)
  files = (tmp_path / "checkpoints" / "4").rglob("*")
  path = max(files, key=lambda p: p.is_file() and p.stat().st_size)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  np.testing.assert_array_equal(saved(tmp_path).params["x"], x)
  assert "The checkpoint of step 4 cannot be read" in capsys.readouterr().err


def small_config(**changes):
  config = runpy.run_path("configs/colorful_digits.py")["get_config"]("tiny")
  config.encoder = dict(name="convnet", widths=(4,), strides=(4,))
  config.objective.contrastive.critic.update(dim=4, hidden=(4,))
  for key, value in changes.items():
    config[key] = value
  return config


@pytest.fixture(scope="module")
def first(tmp_path_factory):
  """A run that was trained: its folder and its state."""
  folder = tmp_path_factory.mktemp("own") / "first"
  config = small_config()
  state = make_experiment(config, jax.devices()[:1]).init()
  moved = dataclasses.replace(
    state,
    step=jnp.full_like(state.step, 7),
    params=jax.tree.map(lambda x: x + 1, state.params),
    stats=jax.tree.map(lambda x: x + 2, state.stats),
    opt_state=jax.tree.map(lambda x: x + 1, state.opt_state),
  )
  save_run(folder, config, moved)
  return folder, jax.device_get(moved)


def equal(first, second):
  return all(jax.tree.leaves(jax.tree.map(np.array_equal, first, second)))


def test_training_starts_from_a_run_s_weights_and_nothing_else(first, capsys):
  folder, there = first
  config = small_config(init_from=str(folder), seed=1, ema=0.9)
  experiment = make_experiment(config, jax.devices()[:1])
  own = experiment.own_weights()
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert line == (
    f"Weights of {folder} at its step 7: encoder, contrastive. Step, "
    "optimizer and schedule start from 0."
  )
  begun = experiment.init(own)
  assert int(begun.step) == 0
  assert equal(begun.params, there.params)
  assert equal(begun.stats["batch_stats"], there.stats["batch_stats"])
  assert equal(begun.stats["ema"]["params"], there.params)
  # What is called untrained stays so.
  random = experiment.init()
  assert not equal(random.params["encoder"], there.params["encoder"])
  assert equal(begun.opt_state, random.opt_state)


def test_a_term_of_other_shapes_starts_at_random_and_is_said(first, capsys):
  folder, there = first
  config = small_config(init_from=str(folder))
  config.objective.contrastive.critic.dim = 5
  config.normalize.mean = (0.25,)
  experiment = make_experiment(config, jax.devices()[:1])
  own = experiment.own_weights()
  assert own["params"].keys() == {"encoder"}
  assert equal(own["params"]["encoder"], there.params["encoder"])
  said = capsys.readouterr().err
  assert "encoder. At random: contrastive (" in said
  assert "is [4] there, [5] here)" in said
  assert "config.normalize.mean is [0.5] there, [0.25] here." in said


def test_another_encoder_is_refused_with_both_shapes(first):
  folder, _ = first
  config = small_config(init_from=str(folder))
  config.encoder.widths = (6,)
  experiment = make_experiment(config, jax.devices()[:1])
  words = (
    r"params/encoder/layer0/bn/bias is \[4\] there, \[6\] here|"
    r"params/encoder/layer0/conv/kernel is \[3, 3, 3, 4\] there, "
    r"\[3, 3, 3, 6\] here"
  )
  with pytest.raises(UserError, match=words):
    experiment.own_weights()


def test_missing_and_more_parameters_are_named():
  def trees(**params):
    return {"params": {"encoder": params}, "batch_stats": {}}

  few, more = trees(a=np.zeros(2)), trees(a=np.zeros(2), b=np.zeros((3, 1)))
  assert misfit("encoder", few, few) == ""
  found = misfit("encoder", few, more)
  assert found == "params/encoder/b is missing there, [3, 1] here"
  found = misfit("encoder", more, few)
  assert found == "params/encoder/b is [3, 1] there, missing here"
  assert misfit("terms_new", few, more) == "not there"


def test_a_pulled_encoder_is_started_from_and_not_trained_on(
  first, tmp_path, capsys
):
  folder, there = first
  pulled = tmp_path / "pulled"
  trained = trained_encoder(folder)
  alone = from_own_arrays(trained.config, own_arrays(trained))
  save_encoder(pulled, alone, 7, {"repo": "a/b"})
  with pytest.raises(UserError, match=f"--config.init_from={pulled}"):
    check_workdir(pulled, read_config(pulled))
  config = small_config(init_from=str(pulled))
  own = make_experiment(config, jax.devices()[:1]).own_weights()
  assert own["params"].keys() == {"encoder"}
  assert equal(own["params"]["encoder"], there.params["encoder"])
  assert "At random: contrastive (not there)." in capsys.readouterr().err


def test_no_steps_are_refused_before_any_work(first, tmp_path):
  experiment = make_experiment(small_config(), jax.devices()[:1])
  for steps in (0, -3):
    config = small_config(steps=steps)
    with pytest.raises(UserError, match=f"config.steps is {steps}: expected 1"):
      train(
        dataclasses.replace(experiment, config=config), tmp_path / "x", dict
      )
  assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
  "init_from,words",
  [
    ("nowhere", "config.init_from nowhere holds no config.json"),
    ("{first}/checkpoints/7", "Did you mean {first}?"),
    ("empty", "config.init_from is 'empty': No checkpoint in"),
    ("gs://b/run", "config.init_from: expected a path on a local disk"),
  ],
)
def test_a_folder_of_no_run_is_refused(
  init_from, words, first, tmp_path, monkeypatch
):
  name = first[0]
  config = json.dumps(as_json(small_config()))
  (tmp_path / "empty").mkdir()
  (tmp_path / "empty" / "config.json").write_text(config)
  asked = small_config(init_from=init_from.format(first=name))
  monkeypatch.chdir(tmp_path)
  with pytest.raises(UserError) as error:
    own_weights(asked, {"encoder": {}}, {})
  assert words.format(first=name) in str(error.value)


def test_a_mistake_in_it_makes_no_folder(tmp_path, capsys):
  words = "--config=configs/colorful_digits.py:tiny", "--config.init_from=no"
  with pytest.raises(SystemExit) as error:
    cli.main(["train", *words, f"--workdir={tmp_path / 'run'}"])
  assert error.value.code == 2
  assert "config.init_from no holds" in capsys.readouterr().err
  assert not (tmp_path / "run").exists()


def test_old_runs_have_no_key_of_it(first, tmp_path):
  found = json.loads((first[0] / "config.json").read_text())
  del found["init_from"]
  (tmp_path / "config.json").write_text(json.dumps(found))
  assert read_config(tmp_path).init_from == ""
  check_workdir(tmp_path, small_config())


CONSTANT = dict(name="constant", peak=0.5, warmup=3)
COSINE = dict(name="cosine", peak=0.5, warmup=3)
STEP = dict(name="step", peak=0.5, at=(0.5,))


@pytest.mark.parametrize(
  "schedule,before,now,done,words",
  [
    (CONSTANT, 100, 1000, 100, ""),
    (CONSTANT, 100, 1000, 40, ""),
    (CONSTANT, 100, 60, 40, ""),
    (CONSTANT, 100, 30, 40, "expected 40 or more"),
    (COSINE, 100, 1000, 100, "step 5 of the 100 that are done"),
    (COSINE, 100, 1000, 0, ""),
    (COSINE, 100, 1000, 3, ""),  # its warm-up
    (COSINE | {"floor": 1.0}, 100, 1000, 100, ""),
    (
      STEP,
      100,
      200,
      100,
      "step 51 of the 100 that are done had learning rate 0.05, not 0.5",
    ),
    (STEP, 100, 200, 50, ""),
  ],
)
def test_steps_change_where_the_steps_done_are_the_same(
  schedule, before, now, done, words, tmp_path
):
  if done:
    (tmp_path / "checkpoints" / str(done)).mkdir(parents=True)
  old, new = ({"schedule": schedule, "steps": n} for n in (before, now))
  why = longer.refusal(tmp_path, old, new)
  assert words in why and bool(words) == bool(why)
  if now > before and why:
    assert f"--config.init_from={tmp_path}" in why


def test_a_finished_run_takes_more_steps_or_says_why_not(first, tmp_path):
  folder, _ = first
  with pytest.raises(UserError, match="at step 7 already"):
    check_workdir(folder, small_config(steps=5))
  config = small_config(steps=9)  # in the warm-up of its cosine
  check_workdir(folder, config)
  config.seed = 3
  with pytest.raises(UserError, match=r"seed \(0 there, 3 now\), steps \(2"):
    check_workdir(folder, config)


def test_evaluations_of_the_shorter_run_are_renamed(tmp_path):
  for name in ("evaluation.json", "evaluation_b.json", "summary.json"):
    (tmp_path / name).write_text(name)
  for step in (5, 8):
    longer.set_aside(tmp_path, step)
  assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
    "evaluation_at_step_5.json": "evaluation.json",
    "evaluation_b_at_step_5.json": "evaluation_b.json",
    "summary.json": "summary.json",
  }
