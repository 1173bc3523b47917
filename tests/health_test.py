"""Each rule speaks in a run that has its trouble, and not in a sound one."""

import itertools
import runpy

import jax
import numpy as np
from PIL import Image

from infomin_jax.eval.monitor import make_monitor
from infomin_jax.train import health
from infomin_jax.train.experiment import make_experiment
from infomin_jax.train.log import read_metrics
from infomin_jax.train.loop import train


def small(steps=12, name="colorful_digits"):
  config = runpy.run_path(f"configs/{name}.py")["get_config"]("tiny")
  config.encoder = dict(name="convnet", widths=(4, 4), strides=(2, 2))
  config.steps = steps
  config.schedule.update(peak=1e-3, warmup=0)
  config.run.update(checkpoint_every=1000, evaluate_every=4, log_every=1)
  return config


def trained(config, folder):
  """The names of the rules that speak at the end, and what they say."""
  experiment = make_experiment(config, jax.devices()[:1])
  train(experiment, folder, make_monitor(experiment), "")
  rows = read_metrics(folder)
  return {a.rule: str(a) for a in health.advise(rows, config)}, rows


def arrays(tmp_path, images, labels):
  np.savez(tmp_path / "a.npz", images=images, labels=labels)
  config = small(name="fashion_mnist")
  config.data = config.data.to_dict() | dict(
    name="arrays", path=str(tmp_path / "a.npz")
  )
  return config


def test_a_sound_run_is_left_alone(tmp_path, capsys):
  found, rows = trained(small(), tmp_path / "run")
  assert found == {} and len(rows) == 12
  assert "Advice" not in capsys.readouterr().err


def test_a_bound_at_its_ceiling(tmp_path, capsys):
  config = small(100)
  config.views.update(share=("digit", "position", "background"), warp=0.0)
  config.batch_size = 4
  config.encoder.update(widths=(8, 16, 16), strides=(2, 2, 2))
  config.schedule.peak = 5e-3
  config.run.evaluate_every = 100
  config.objective.contrastive.critic.temperature = 0.05
  found, _ = trained(config, tmp_path / "run")
  assert "log of 4 candidates is 1.39" in found["pinned"]
  assert "Advice: The bound on the information" in capsys.readouterr().err


def test_features_that_are_all_alike(tmp_path):
  config = arrays(
    tmp_path, np.full((400, 28, 28), 99, np.uint8), np.arange(400) % 4
  )
  found, _ = trained(config, tmp_path / "run")
  assert "nearly the same" in found["collapse"]
  assert "copies of others" in found["same_negatives"]


def test_negatives_of_the_anchors_class(tmp_path):
  images = np.random.default_rng(0).integers(0, 256, (400, 28, 28), np.uint8)
  found, _ = trained(
    arrays(tmp_path, images, np.arange(400) % 2), tmp_path / "run"
  )
  assert (
    "of the negatives are of the anchor's own class" in found["same_negatives"]
  )


def test_a_queue_older_than_its_encoder(tmp_path):
  config = small()
  critic = config.objective.contrastive.critic.to_dict() | {"batch_norm": False}
  config.objective = dict(
    queue=dict(weight=1.0, estimator="infonce", critic=critic, size=16 * 40)
  )
  config.ema = 0.9
  found, _ = trained(config, tmp_path / "run")
  assert "40 steps old" in found["stale_queue"]
  config.ema = 0.99
  assert health.stale_queue([], config) is None


def test_a_temperature_at_which_nothing_can_be_told(tmp_path):
  config = small()
  config.objective.contrastive.critic.temperature = 5.0
  found, _ = trained(config, tmp_path / "run")
  assert "allow a bound of 0.37 nats" in found["temperature"]


def test_steps_that_wait_for_images(tmp_path):
  rng = np.random.default_rng(0)
  for i in range(40):
    pixels = rng.integers(0, 256, (1200, 1200, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"{i}.png")
  config = small(8, "own_images")
  config.data.update(path=str(tmp_path), image_size=0)
  config.data.update(resident=False, host_crops=True, threads=1)
  config.views.size = config.evaluate.resize = 16
  config.run.evaluate_every = 100
  config.run.monitor_examples = 8
  config.batch_size = 8
  found, _ = trained(config, tmp_path / "run")
  assert "waits for images" in found["input_bound"]


def rows_of(**columns):
  names, values = list(columns), zip(*columns.values(), strict=True)
  return [dict(zip(names, row, strict=True)) for row in values]


def test_a_probe_that_falls_while_the_bound_rises():
  config = {"run": {"monitor_examples": 1000}, "objective": {}}
  bounds, probes = [1.0, 1.5, 2.0], [0.8, 0.7, 0.6]
  rows = rows_of(mi_bound=bounds, linear=probes)
  assert "fell from 80.0% to 60.0%" in health.probe_falls(rows, config)[0]
  config["run"]["monitor_examples"] = 20  # which is chance
  assert health.probe_falls(rows, config) is None
  for order in itertools.permutations(range(3)):
    if order != (0, 1, 2):
      config["run"]["monitor_examples"] = 1000
      mixed = rows_of(mi_bound=bounds, linear=[probes[i] for i in order])
      assert health.probe_falls(mixed, config) is None


def test_a_bound_of_training_batches_alone():
  config = {"objective": {"contrastive": {"weight": 1.0}}}
  rows = rows_of(contrastive_nats=[3.0] * 3, mi_bound=[0.1, 0.0, 0.1])
  assert "2.9 nats higher" in health.leaking_statistics(rows, config)[0]
  rows = rows_of(contrastive_nats=[3.0] * 3, mi_bound=[2.0, 2.2, 2.4])
  assert health.leaking_statistics(rows, config) is None


def test_gradients_on_their_way_to_infinity():
  norms = [3.0, 1.0, 2.0, 40.0, 6e5]
  assert "6.0e+05" in health.near_infinite(rows_of(grad_norm=norms), {})[0]
  # One that falls from a wild start is well.
  assert health.near_infinite(rows_of(grad_norm=norms[::-1]), {}) is None
