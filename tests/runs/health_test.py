"""Each rule speaks in a run that has its trouble, and not in a sound one."""

import itertools
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from infomin_jax.eval.monitor import make_monitor, same_class
from infomin_jax.runs import health
from infomin_jax.runs.progress import read_metrics
from infomin_jax.train.experiment import make_experiment
from infomin_jax.train.loop import NotFinite, train
from infomin_jax.views import VIEWS


def whole_walk(rows, config):
  """What rules say of all lines, `near_infinite` as the median of all."""
  norms = [row["grad_norm"] for row in rows if "grad_norm" in row]
  usual = np.median(norms[:-1]) if len(norms) > 3 else np.inf
  wild = norms[-1] >= max(1e3 * usual, 10 * max(norms[:-1], default=0), 1e4)
  found = {
    name: rule(rows, config)
    for name, rule in health.RULES.items()
    if name != "near_infinite"
  }
  said = [health.Advice(name, *words) for name, words in found.items() if words]
  if wild:
    text = f"The gradient's norm is {norms[-1]:.1e}; usual is {usual:.1e}."
    said.append(("near_infinite", text))
  return said


@pytest.mark.parametrize("seed", range(3))
def test_recent_lines_give_the_advice_of_all_lines(seed):
  """Random lines of random keys, all rules among them."""
  rng, config = np.random.default_rng(seed), small()
  draw = {
    "mi_bound": lambda: rng.choice([0.1, 1.0, 2.0, 4.1]),
    "linear": lambda: rng.choice([0.1, 0.5, 0.9]),
    "contrastive_nats": lambda: rng.choice([1.0, 3.0]),
    "feature_std": lambda: rng.choice([1e-4, 0.1]),
    "effective_rank": lambda: rng.choice([1.5, 9.0]),
    "copies": lambda: rng.choice([0.0, 0.1]),
    "same_class": lambda: rng.choice([0.1, 0.4]),
    "input_wait_share": lambda: rng.choice([0.1, 0.5], p=[0.2, 0.8]),
    "grad_norm": lambda: 10 ** rng.choice([0.0, 0.5, 2.5 * (step // 30)]),
  }
  sets = [[key for key in draw if rng.random() < p] for p in (0.2, 0.5, 0.9)]
  rows, recent, ruled = [], health.Recent(), set()
  for step in range(160):
    keys = [*draw] if step % 5 == 0 else sets[rng.choice(3)]
    row = {"step": step, "grad_norm": 1.0} if step < 4 else {"step": step}
    row |= {key: float(draw[key]()) for key in keys}
    if "mi_bound" in row:
      row |= {"mi_ceiling": 4.15}
    rows.append(row)
    recent.append(row)
    wanted = [a[:2] for a in whole_walk(rows, config)]
    assert [a[:2] for a in health.advise(recent, config)] == wanted
    ruled |= {name for name, _ in wanted}
  assert {"pinned", "collapse", "same_negatives", "input_bound"} <= ruled
  assert "near_infinite" in ruled


def test_a_line_late_in_a_run_costs_what_an_early_one_does(monkeypatch):
  recent = health.Recent()
  for step in range(20_000):
    row = {"step": step, "grad_norm": 1.0, "input_wait_share": 0.0}
    recent.append(row | ({"mi_bound": 1.0} if step % 10 == 0 else {}))
  assert len(recent) == 2 * recent.KEPT  # two sets of keys
  assert [row["step"] for row in recent][-1] == 19_999
  # The rule that needs all norms looks at them only where one is wild.
  monkeypatch.setattr(np, "median", None)
  assert health.near_infinite(recent, small()) is None


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


@pytest.mark.slow
def test_a_bound_at_its_ceiling(tmp_path, capsys):
  config = small(1800)
  config.views.update(share=("digit", "position", "background"), warp=0.0)
  config.batch_size = 4
  config.encoder.update(widths=(8, 16, 16), strides=(2, 2, 2))
  config.schedule.peak = 5e-3
  config.run.update(evaluate_every=1800, log_every=600)
  config.objective.contrastive.critic.temperature = 0.05
  found, _ = trained(config, tmp_path / "run")
  assert "log of 4 candidates is 1.39" in found["pinned"]
  assert "Advice: The bound on the information" in capsys.readouterr().err


@pytest.mark.slow
def test_features_that_are_all_alike(tmp_path):
  config = arrays(
    tmp_path, np.full((400, 28, 28), 99, np.uint8), np.arange(400) % 4
  )
  found, _ = trained(config, tmp_path / "run")
  assert "nearly the same" in found["collapse"]
  assert "copies of others" in found["same_negatives"]


@pytest.mark.slow
def test_negatives_of_the_anchors_class(tmp_path):
  images = np.random.default_rng(0).integers(0, 256, (400, 28, 28), np.uint8)
  found, _ = trained(
    arrays(tmp_path, images, np.arange(400) % 2), tmp_path / "run"
  )
  assert (
    "of the negatives are of the anchor's own class" in found["same_negatives"]
  )


@pytest.mark.slow
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


@pytest.mark.slow
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


def dimmed(image_shape, size):
  """Views that differ in their brightness."""

  def views(key, batch):
    shape = (len(batch["image"]), 1, 1, 1)
    return tuple(
      batch["image"] / 255 * jax.random.uniform(k, shape, minval=0.1)
      for k in jax.random.split(key)
    )

  return views


@pytest.mark.slow
def test_a_probe_that_falls_while_the_bound_rises(
  tmp_path, monkeypatch, capsys
):
  """The classes are the brightness, which the views do not share."""
  monkeypatch.setitem(VIEWS, "dimmed", dimmed)
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 4, 4000)
  color = rng.dirichlet((1, 1, 1), 4000) * 60 * (labels[:, None] + 1)
  images = color[:, None, None] + rng.normal(0, 15, (4000, 8, 8, 3))
  images = np.clip(images, 0, 255).astype(np.uint8)
  config = arrays(tmp_path, images, labels)
  config.seed = 2
  config.steps, config.batch_size = 60, 32
  config.views = dict(name="dimmed", size=8)
  config.normalize = dict(mean=(0.5,) * 3, std=(0.5,) * 3)
  config.encoder.update(widths=(8, 4))
  config.objective.contrastive.critic.temperature = 0.1
  config.schedule.peak = 3e-3
  config.run.update(evaluate_every=15, monitor_examples=1000, log_every=60)
  config.evaluate.iterations = 20
  _, rows = trained(config, tmp_path / "run")
  assert "Advice: The bound rose from" in capsys.readouterr().err
  looks = rows[:3]  # 0.75, 0.60, 0.52 at steps 15, 30, 45
  assert "the linear probe fell from" in health.probe_falls(looks, config)[0]
  assert looks[-1]["held_out_images"] == 400
  # Of fewer images it may be chance, and another order is no fall.
  few = [row | {"held_out_images": 10} for row in looks]
  assert health.probe_falls(few, config) is None
  for order in itertools.permutations(looks):
    if list(order) != looks:
      assert health.probe_falls(order, config) is None


def apart(image_shape, size):
  """Views that share nothing."""
  return lambda key, batch: tuple(
    jnp.repeat(batch["image"][..., i : i + 1], 3, -1) / 255 for i in (0, 1)
  )


def test_a_bound_of_training_batches_alone(tmp_path, monkeypatch):
  """Pairs of independent noise, which the encoder learns by heart."""
  monkeypatch.setitem(VIEWS, "apart", apart)
  images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 3), np.uint8)
  config = arrays(tmp_path, images, np.arange(80) % 8)
  config.steps = 45
  config.views = dict(name="apart", size=8)
  config.normalize = dict(mean=(0.5,) * 3, std=(0.5,) * 3)
  config.encoder.update(widths=(64,), strides=(2,))
  config.schedule.peak = 1e-2
  config.run.evaluate_every = 15
  found, rows = trained(config, tmp_path / "run")
  assert "nats higher than on held-out" in found["leaking_statistics"]
  known = [row | {"mi_bound": row["contrastive_nats"] - 0.5} for row in rows]
  assert health.leaking_statistics(known, config) is None


@pytest.mark.slow
def test_gradients_on_their_way_to_infinity(tmp_path, capsys):
  """Advice comes before the run breaks."""
  config = small(40)
  config.optimizer = dict(name="sgd", momentum=0.9, weight_decay=0.0, clip=0.0)
  config.objective.contrastive.critic.update(
    normalize=False, batch_norm=False, temperature=100.0
  )
  config.schedule.update(name="constant", peak=100.0, warmup=40)
  config.run.evaluate_every = 100
  with pytest.raises(NotFinite):
    trained(config, tmp_path / "run")
  assert "Advice: The gradient's norm is" in capsys.readouterr().err
  rows = read_metrics(tmp_path / "run")
  # One that falls from a wild start is well.
  assert health.near_infinite(rows[::-1], config) is None


def test_memories_of_random_keys_are_no_leak():
  """Random keys are easy to distinguish, whatever batch norm shows."""
  full = dict(mi_bound=0.0, step=1000, memory_nats=3.0)
  config = dict(batch_size=16, objective={"memory": dict(term="queue")})
  filling = full | dict(memory_filled=0.99)
  assert health.leaking_statistics([filling] * 5, config) is None
  assert health.leaking_statistics([filling, full, full], config) is None
  rows = [filling, *[full | dict(memory_filled=1.0)] * 3]
  assert "3.0 nats higher" in health.leaking_statistics(rows, config)[0]
  bank = dict(term="bank", images=3200, momentum=0.5)
  config["objective"] = {"memory": bank}  # 1000 steps are 5 epochs
  assert "3.0 nats higher" in health.leaking_statistics([full] * 3, config)[0]
  early = full | dict(step=200)
  assert health.leaking_statistics([early] * 3, config) is None


def test_a_queue_of_another_name_grows_stale():
  term = dict(term="queue", size=640)
  config = dict(batch_size=16, ema=0.9, objective={"memory": term})
  assert "40 steps old" in health.stale_queue([], config)[0]


def test_chance_that_two_images_are_of_one_class():
  assert same_class(np.array([0, 0, 1, 2])) == (4 + 1 + 1) / 16
  assert same_class(np.array([7])) == 1
