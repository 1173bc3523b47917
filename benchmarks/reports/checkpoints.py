"""Reports on checkpoints, and longer training: kinds 16 and 21."""

import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
from report import Report, heard, holds, infomin, one_line, refused

# A device in the record of Orbax, and the name of a CPU device.
HERE = '{\\"id\\": 0}'
HOST = "TFRT_CPU_0"


def config_of(name="convnet", side=8, **options):
  """Returns a small config for images of `side` pixels."""
  import runpy

  from infomin_jax import config_files

  path = config_files.find("configs/colorful_digits.py")
  config = runpy.run_path(path)["get_config"]("tiny")
  if name == "convnet" and not options:
    options = dict(widths=(4,), strides=(2,))
  config.encoder = dict(name=name, **options)
  config.views.size = side
  return config


def run_of(folder, config, step=3, channels=3, spread=False) -> pathlib.Path:
  """Writes the folder of a run with random weights, and returns its path."""
  import jax
  import jax.numpy as jnp

  from infomin_jax.train.checkpoint import save_run
  from infomin_jax.train.experiment import make_learner
  from infomin_jax.train.state import TrainState

  learner, side = make_learner(config), config.views.size
  shapes = jax.eval_shape(
    lambda x: learner.init(jax.random.key(0), x, method="encode"),
    jax.ShapeDtypeStruct((2, side, side, channels), jnp.float32),
  )
  rng = np.random.default_rng(0)
  weights = jax.tree.map(
    lambda x: rng.uniform(0.01, 0.2, x.shape).astype(np.float32), shapes
  )
  stats = {k: weights[k] for k in ("batch_stats",) if k in weights}
  state = TrainState(jnp.int32(step), weights["params"], stats, {})
  mesh = jax.make_mesh((jax.device_count(),), ("data",))
  everywhere = jax.NamedSharding(mesh, jax.P())
  sharding = everywhere if spread else None
  save_run(folder, config, jax.device_put(state, sharding))
  return folder


def features(folder) -> np.ndarray:
  """Returns the features of two random images by `infomin_jax.load`."""
  import infomin_jax

  images = np.random.default_rng(1).random((2, 8, 8, 3), np.float32)
  return infomin_jax.load(folder)(images)


def read_elsewhere(*changes: tuple[str, str], gone: str = ""):
  """Returns a check that a checkpoint of other devices has the same features.

  Args:
    *changes: pairs of a text in the record of the devices and its replacement.
    gone: a file of the checkpoint that is deleted.
  """

  def check(folder: pathlib.Path) -> None:
    workdir = run_of(folder / "run", config_of(), spread=bool(changes))
    expected = features(workdir)
    (record,) = workdir.glob("checkpoints/*/default/_sharding")
    text = record.read_text()
    for old, new in changes:
      assert old in text, text[:200]
      text = text.replace(old, new)
    record.write_text(text)
    if gone:
      record.with_name(gone).unlink()
    np.testing.assert_array_equal(features(workdir), expected)

  return check


def eight_devices(folder: pathlib.Path) -> None:
  """Saves in a process with eight devices and reads in this process."""
  here = pathlib.Path(__file__).parent
  code = (
    f"import sys; sys.path.insert(0, {str(here)!r})\n"
    "import jax; jax.config.update('jax_num_cpu_devices', 8)\n"
    "import checkpoints as c\n"
    "c.run_of('there', c.config_of(), spread=True)\n"
  )
  subprocess.run(
    [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True
  )
  workdir = run_of(folder / "here", config_of())
  np.testing.assert_array_equal(features(folder / "there"), features(workdir))
  said = infomin(
    "export",
    f"--workdir={folder / 'there'}",
    "--format=safetensors",
    f"--out={folder / 'x.safetensors'}",
  )
  assert said.status == 0, said.err


def generator(folder: pathlib.Path) -> None:
  """Reads `generator_from` a run of other devices."""
  from infomin_jax.train.experiment import trained_generator

  options = dict(
    parts=dict(name="learned"),
    encoder=dict(name="convnet", widths=(4,), strides=(2,)),
  )
  config = config_of("split", **options)
  config.normalize = dict(mean=(0.0,), std=(1.0,))
  workdir = run_of(folder / "run", config, spread=True)
  (record,) = workdir.glob("checkpoints/*/default/_sharding")
  record.write_text(record.read_text().replace(HERE, '{\\"id\\": 77}'))
  assert trained_generator(str(workdir))


def unreadable(folder: pathlib.Path) -> None:
  """Refuses a checkpoint with truncated files in one line."""
  workdir = run_of(folder / "run", config_of())
  for path in workdir.glob("checkpoints/*/default/d/*"):
    path.write_bytes(path.read_bytes()[:10])
  for path in workdir.glob("checkpoints/*/default/ocdbt.process_0/d/*"):
    path.write_bytes(path.read_bytes()[:10])
  refused(lambda: features(workdir), "No checkpoint in", "can be read")


CONSTANT = dict(name="constant", peak=1e-3, warmup=0)
COSINE = dict(name="cosine", peak=1e-3, warmup=0)
DROP = dict(name="step", peak=1e-3, at=(0.5,), factor=0.1, warmup=0)


def longer(schedule: dict, steps: int, *words: str, done: int = 100):
  """Returns a check of a run of 100 steps that continues with other steps.

  Args:
    schedule: schedule of the learning rate.
    steps: the new number of steps.
    *words: words of the refusal. Without words the run must continue.
    done: step of its checkpoint.
  """

  def check(folder: pathlib.Path) -> None:
    from infomin_jax.train.checkpoint import check_workdir

    config = config_of()
    config.schedule, config.steps = schedule, 100
    workdir = run_of(folder / "run", config, step=done)
    content = (workdir / "config.json").read_bytes()
    config.steps = steps
    if words:
      line = refused(lambda: check_workdir(workdir, config), *words)
      if steps > done:
        holds(line, f"--config.init_from={workdir}")
    else:
      check_workdir(workdir, config)
    assert (workdir / "config.json").read_bytes() == content

  return check


def started(folder: pathlib.Path) -> None:
  """Starts from the encoder of a run with another critic and seed."""
  import jax

  from infomin_jax.train.checkpoint import saved
  from infomin_jax.train.experiment import make_experiment

  workdir = run_of(folder / "run", config_of(side=32))
  config = config_of(side=32)
  config.init_from, config.seed = str(workdir), 5
  experiment = make_experiment(config, jax.devices()[:1])
  with heard() as said:
    own = experiment.own_weights()
  one_line(said[1], "at its step 3: encoder.", "At random: contrastive")
  params: Any = saved(workdir).params
  expected, actual = params["encoder"], own["params"]["encoder"]
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, expected, actual)))


def not_started(*words: str, given: str = "run", **options):
  """Returns a check that `init_from` is refused in one line.

  Args:
    *words: words of the line.
    given: the folder that `init_from` names.
    **options: options of the encoder that is to be trained.
  """

  def check(folder: pathlib.Path) -> None:
    run_of(folder / "run", config_of(side=32))
    said = infomin(
      "train",
      "--config=configs/colorful_digits.py:tiny",
      f"--workdir={folder / 'new'}",
      f"--config.init_from={folder / given}",
      *(f"--config.encoder.{key}={x}" for key, x in options.items()),
    )
    assert said.status == 2, said
    one_line(said.err.strip().splitlines()[-1], *words)
    assert not (folder / "new").exists()

  return check


def pulled(folder: pathlib.Path) -> None:
  """Refuses training in the folder of an encoder that was pulled."""
  from infomin_jax.train.checkpoint import check_workdir

  workdir = run_of(folder / "run", config_of())
  (workdir / "origin.json").write_text(json.dumps({"repo": "a/b"}))
  line = refused(lambda: check_workdir(workdir, config_of()), "pulled")
  holds(line, f"--config.init_from={workdir}")


_READS = "the same features as where it was saved"
REPORTS: tuple[Report, ...] = (
  Report(16, "a run that eight devices saved", _READS, eight_devices),
  Report(
    16,
    "a run of device 131072, of a second process",
    _READS,
    read_elsewhere((HERE, '{\\"id\\": 131072}')),
  ),
  Report(
    16,
    "a run of 2 of 16 devices, none of which is here",
    _READS,
    read_elsewhere(
      ('\\"shape\\": [1]', '\\"shape\\": [2]'),
      (HERE, '{\\"id\\": 14}, {\\"id\\": 15}'),
    ),
  ),
  Report(
    16,
    "a checkpoint without Orbax's record of devices",
    _READS,
    read_elsewhere(gone="_sharding"),
  ),
  Report(
    16,
    "generator_from a run of other devices",
    "the generator's arrays",
    generator,
  ),
  Report(16, "a checkpoint copied by halves", "one line", unreadable),
  Report(21, "more steps at a constant rate", "goes on", longer(CONSTANT, 900)),
  Report(
    21,
    "more steps, where a cosine has ended",
    "one line that offers init_from",
    longer(COSINE, 900, "'cosine' depends on it", "step 2 of the 100"),
  ),
  Report(
    21,
    "more steps, before the rate has dropped",
    "goes on",
    longer(DROP, 400, done=40),
  ),
  Report(
    21,
    "more steps, after the rate has dropped",
    "one line that offers init_from",
    longer(DROP, 400, "step 51 of the 60", done=60),
  ),
  Report(
    21,
    "fewer steps than are done",
    "one line",
    longer(CONSTANT, 50, "is at step 100 already"),
  ),
  Report(21, "init_from with another critic", "the encoder's weights", started),
  Report(
    21,
    "init_from with another width",
    "one line with both shapes",
    not_started("[4] there, [32] here"),
  ),
  Report(
    21,
    "init_from a folder of something else",
    "one line",
    not_started("holds no config.json", given="photos"),
  ),
  Report(
    21,
    "init_from a checkpoint within a run",
    "one line that names the run",
    not_started("Did you mean", given="run/checkpoints/3"),
  ),
  Report(
    21, "training where an encoder was pulled", "offers init_from", pulled
  ),
)
