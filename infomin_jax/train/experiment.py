"""Builds and checks the parts of a run from its config, before any long work.

The commands `train`, `evaluate` and `views` all start here, so they agree.
"""

import dataclasses
import functools
from collections.abc import Callable, Generator, Mapping
from typing import Any

import jax
import ml_collections
import numpy as np
import optax
from jax.dtypes import canonicalize_dtype
from jax.sharding import Mesh

from infomin_jax import data, encoders, objectives
from infomin_jax.errors import UserError, build, check_kind, check_tuple
from infomin_jax.runs.workdir import read_config
from infomin_jax.train import mesh as meshes
from infomin_jax.train.checkpoint import saved
from infomin_jax.train.config import check_keys
from infomin_jax.train.optimizers import make_optimizer
from infomin_jax.train.own_weights import own_weights
from infomin_jax.train.state import TrainState, init_state
from infomin_jax.train.step import make_train_step
from infomin_jax.views import make_views


@dataclasses.dataclass(frozen=True)
class Experiment:
  """The parts of one run."""

  config: ml_collections.ConfigDict
  mesh: Mesh
  source: data.Source
  learner: objectives.Learner
  views: Callable
  objective: Callable
  tx: optax.GradientTransformation
  learning_rate: Callable
  generator: dict  # parameters of another run's view generator; {} for none

  @functools.cached_property
  def resident(self) -> dict:
    """The training set on every device, or {} if it is streamed."""
    options = self.config.data
    if not options.resident or options.host_crops:
      return {}
    reading = dict(threads=options.threads, broken=options.broken)
    arrays = data.resident(self.source, **reading)
    return meshes.replicate(self.mesh, arrays) if arrays else {}

  def own_weights(self) -> dict:
    """Reads the weights of the run `config.init_from`; see `own_weights.py`."""
    params, stats, _ = self._shapes
    return own_weights(self.config, params, stats)

  def init(self, own: Mapping[str, Mapping] | None = None) -> TrainState:
    """Returns the state before the first step, a copy on every device.

    Args:
      own: parts that start from given weights, as `own_weights` returns them.
    """
    config = self.config

    def make(batch, own):
      key = jax.random.key(config.seed)
      params, stats = objectives.init_learner(
        self.learner, self.views, key, batch
      )
      if own:
        params = {**params, **own["params"]}
        if "batch_stats" in stats:
          moving = {**stats["batch_stats"], **own["batch_stats"]}
          stats = {**stats, "batch_stats": moving}
      if self.generator:
        params = {
          **params,
          "encoder": {**params["encoder"], "generator": self.generator},
        }
      return init_state(params, stats, self.tx, config.ema)

    # Two examples determine every shape; only the queue has another size, and
    # that comes from the config.
    first = {name: np.stack([x, x]) for name, x in self._example().items()}
    replicated = jax.sharding.NamedSharding(
      self.mesh, jax.sharding.PartitionSpec()
    )
    return jax.jit(make, out_shardings=replicated)(first, own)

  def _example(self) -> dict:
    record = data.example(self.source, self.config.data.broken)
    if host := self.host_map():
      record = host(record, np.random.default_rng(0))
    return {name: np.asarray(x) for name, x in record.items()}

  @functools.cached_property
  def _shapes(self) -> tuple:
    """Shapes and dtypes of parameters, statistics and the batch of one pass."""
    state = jax.eval_shape(self.init)
    size = self.config.batch_size // self.config.accumulate
    return state.params, state.stats, self.shape_of_batch(size)

  def shape_of_batch(self, size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns shape and dtype of each array of a batch, `[size, ...]`."""
    return {
      # Without x64, JAX turns 64-bit host integers into 32-bit ones.
      name: jax.ShapeDtypeStruct((size, *x.shape), canonicalize_dtype(x.dtype))
      for name, x in self._example().items()
    }

  def check(self) -> None:
    """Traces one step without running it, so that shape errors come early."""
    jax.eval_shape(self.objective, *self._shapes, jax.random.key(0))

  def forms(self) -> dict[str, str]:
    """Returns, per term, how it computes its scores in training."""

    def encode(params, stats, batch, key):
      views = self.views(key, batch)
      moving = {name: s for name, s in stats.items() if name != "ema"}
      return self.learner.apply(
        {"params": params, **moving},
        views,
        self.learner.read(len(views)),
        train=False,
        method="encode_views",
      )

    features = jax.eval_shape(encode, *self._shapes, jax.random.key(0))
    with jax.set_mesh(self.mesh):
      return {
        name: form
        for name, term in self.learner.terms.items()
        if (form := term.form(features))
      }

  def step(self) -> Callable:
    """Returns jitted `(state, batch, resident) -> (state, metrics)`."""

    def step(state, batch, resident):
      # Reductions of scores read the ring of devices from the current mesh.
      with jax.set_mesh(self.mesh):
        return self._step(state, batch, resident)

    return step

  def lowered_step(self, state, batch, resident) -> Any:
    """Lowers the step for arguments that have shapes only, to be compiled."""
    with jax.set_mesh(self.mesh):
      step: Any = self._step
      return step.func.lower(state, batch, resident, **step.keywords)

  @functools.cached_property
  def _step(self) -> Callable:
    return make_train_step(
      self.objective,
      self.tx,
      seed=self.config.seed,
      ema=self.config.ema,
      accumulate=self.config.accumulate,
    )

  def host_map(self) -> Callable | None:
    """Returns the host's function of a training record, or None.

    It cuts the crops, if `config.data.host_crops` asks for it.
    """
    if not self.config.data.host_crops:
      return None
    return data.crops_for(self.config.views)

  def batches(self, start: int) -> Generator[dict]:
    """Yields global batches from step `start` on.

    They are the same for any number of devices.
    """
    config, options = self.config, self.config.data
    share = dict(
      seed=config.seed,
      batch_size=config.batch_size,
      start_step=start,
      rows=meshes.local_rows(self.mesh, config.batch_size),
    )
    if self.resident:
      for index in data.indices(len(self.source), **share):
        yield meshes.shard(self.mesh, {"index": index})
      return
    stream = data.stream(
      self.source,
      host=self.host_map(),
      workers=options.workers,
      threads=options.threads,
      broken=options.broken,
      **share,
    )
    try:
      for batch in stream:
        yield meshes.shard(self.mesh, batch)
    finally:
      stream.close()


def make_experiment(
  config, devices=None, source: data.Source | None = None
) -> Experiment:
  """Builds and checks the parts that `config` names.

  Args:
    config: a resolved configuration; every key of `KEYS` is in it.
    devices: the devices to train on (default: all).
    source: the training set (default: the one that `config.data` names).

  Raises:
    UserError: a key or name is unknown or missing, data are missing, or sizes
      do not fit. Nothing has been written or computed yet.
  """
  check_keys(config)
  mesh = meshes.make_mesh(devices)
  meshes.check_batch_size(config, mesh)
  learner = make_learner(config)
  players = {**learner.terms, "encoder": learner.encoder}
  adversaries = {
    name: player.adversary
    for name, player in players.items()
    if player.adversary
  }
  if learner.encoder.frozen:
    # An optimizer of its own: zero gradients alone would leave weight decay.
    adversaries["encoder"] = dict(name="none", peak=0.0)
  tx, rate = make_optimizer(
    config.optimizer, config.schedule, config.steps, adversaries
  )
  if source is None:
    source = data.load(config.data, config.data.split)
  if len(source) < config.batch_size:
    raise UserError(
      f"config.batch_size is {config.batch_size}, but {config.data.name} has "
      f"only {len(source)} training images: make it smaller."
    )
  views = make_views(config.views, source.image_shape, config.data.host_crops)
  objective = objectives.make_objective(learner, views)
  generator = trained_generator(learner.encoder.generator_from)
  experiment = Experiment(
    config, mesh, source, learner, views, objective, tx, rate, generator
  )
  experiment.check()
  return experiment


def make_learner(config) -> objectives.Learner:
  """Returns the network that `config` describes; needs no data.

  Raises:
    UserError: a name or option is unknown, or terms do not fit together.
  """
  encoder = build("encoder", config.encoder, encoders.ENCODERS)
  check_kind("config.encoder", encoder, encoders.Encoder)
  for key, values in config.normalize.items():
    check_tuple(f"config.normalize.{key}", values, tuple[float, ...])
    if any(abs(x) > 1e30 for x in values):  # float32 ends at 3.4e38
      raise UserError(
        f"config.normalize.{key} is {tuple(values)}: expected numbers up to "
        "1e30."
      )
  mean, std = tuple(config.normalize.mean), tuple(config.normalize.std)
  if not all(x > 0 for x in std):
    raise UserError(f"config.normalize.std is {std}: expected above 0.")
  moved = any(mean) or any(x != 1 for x in std)
  if moved and isinstance(encoder, encoders.Split):
    raise UserError(
      f"config.normalize has mean {mean}, std {std}, but the encoder 'split' "
      "takes images in [0, 1]: set mean to (0.0,) and std to (1.0,)."
    )
  terms, weights = objectives.build_terms(config.objective)
  if objectives.needs_ema(terms) and not 0 < config.ema < 1:
    raise UserError(
      f"config.ema is {config.ema}: a term with momentum targets "
      "(config.objective.queue) needs a decay between 0 and 1, such as 0.999."
    )
  return objectives.Learner(
    encoder, terms, weights, mean, std, config.grad_cache
  )


def trained_generator(workdir: str) -> dict:
  """Returns the parameters of a run's view generator; {} if no run is named.

  Raises:
    UserError: the folder holds no run, or a run that learned no views.
  """
  if not workdir:
    return {}
  read_config(workdir, "config.encoder.generator_from")
  params: Any = saved(workdir).params
  if "generator" not in params["encoder"]:
    raise UserError(
      f"config.encoder.generator_from {workdir}: the run there has learned no "
      "views; expected a run whose encoder splits images into learned parts."
    )
  return params["encoder"]["generator"]
