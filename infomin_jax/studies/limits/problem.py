"""The training loop of the study: chunks of steps, with evaluations between."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from infomin_jax.errors import UserError
from infomin_jax.studies.results import one_line


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
  """Parameters and the state of their optimizer."""

  params: Any
  opt_state: Any


def start(params, tx: optax.GradientTransformation) -> State:
  """Returns the state before the first step."""
  return State(params, tx.init(params))


def descend(loss: Callable, tx: optax.GradientTransformation) -> Callable:
  """Returns `(state, *inputs) -> (state, value)`, one step that lowers `loss`.

  Args:
    loss: `(params, *inputs) -> (loss, value)`, both scalars.
    tx: the optimizer.
  """

  def step(state: State, *inputs):
    (_, value), grads = jax.value_and_grad(loss, has_aux=True)(
      state.params, *inputs
    )
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    return State(optax.apply_updates(state.params, updates), opt_state), value

  return step


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
  """An experiment without its seed.

  Attributes:
    init: `seed -> state`.
    step: `(state, data, inputs) -> (state, value)`, a pure function.
    inputs: `(seed, first, stop) -> pytree` with one row per step.
    evaluate: `(state, seed, step, values) -> {name: float or list}`. `values`
      are the values of the steps since the last evaluation.
    data: arrays that every step can read.
    about: facts for the record that are no settings, such as parameter counts.
    scanned: whether a whole chunk of steps is compiled as one loop. On a CPU,
      XLA runs convolutions in loops eight times slower than outside. Hence
      convolutional problems dispatch every step.
  """

  init: Callable
  step: Callable
  inputs: Callable
  evaluate: Callable
  data: Any = None
  about: dict = dataclasses.field(default_factory=dict)
  scanned: bool = True

  @functools.cached_property
  def chunk(self) -> Callable:
    """Compiled `(state, data, inputs) -> (state, values)` of one seed."""
    return self._chunk(self.step)

  @functools.cached_property
  def chunk_of_many(self) -> Callable:
    """`chunk` for several seeds: axis 0 of the state, axis 1 of the inputs."""
    return self._chunk(jax.vmap(self.step, in_axes=(0, None, 0)))

  def _chunk(self, step):
    one = functools.partial(jax.jit, donate_argnums=0)
    if self.scanned:
      return one(
        lambda state, data, inputs: jax.lax.scan(
          lambda s, row: step(s, data, row), state, inputs
        )
      )
    step = one(step)

    def chunk(state, data, inputs):
      values = []
      for i in range(len(jax.tree.leaves(inputs)[0])):
        row = jax.tree.map(lambda x: x[i], inputs)  # noqa: B023
        state, value = step(state, data, row)
        values.append(value)
      return state, jnp.stack(values)

    return chunk


@dataclasses.dataclass
class Curve:
  """The results of one run.

  Attributes:
    rows: one `{"step", name: value}` per evaluation. A number that is not
      finite is None.
    status: `done`, `nan` (a value was not finite) or `raised`.
    error: the reason if the status is not `done`.
  """

  rows: list[dict] = dataclasses.field(default_factory=list)
  status: str = "done"
  error: str = ""


def train(
  problem: Problem, seeds: list[int], steps: int, every: int
) -> list[Curve]:
  """Trains one run per seed. Several seeds are one program.

  The curve of a run ends if a value is not finite or the evaluation raises an
  error. The other seeds continue.

  Args:
    problem: the experiment.
    seeds: the seeds. With more than one, the step is `vmap`ped over them.
    steps: total number of steps.
    every: steps between evaluations. The first one is before the first step.

  Returns:
    One curve per seed.

  Raises:
    UserError: `steps` is not a multiple of `every`.
  """
  if every < 1 or steps % every:
    raise UserError(f"steps: {steps} is not a multiple of every={every}.")
  curves = [Curve() for _ in seeds]
  many = len(seeds) > 1
  states = [problem.init(seed) for seed in seeds]
  state = jax.tree.map(lambda *x: jnp.stack(x), *states) if many else states[0]
  del states
  values = np.zeros((len(seeds), 0))
  for first in range(0, steps + 1, every):
    for i, (seed, curve) in enumerate(zip(seeds, curves, strict=True)):
      one = jax.tree.map(lambda x: x[i], state) if many else state  # noqa: B023
      if curve.status == "done":
        _evaluate(problem, one, seed, first, values[i], curve)
    if first == steps or all(curve.status != "done" for curve in curves):
      break
    rows = [problem.inputs(seed, first, first + every) for seed in seeds]
    if many:
      inputs = jax.tree.map(lambda *x: np.stack(x, axis=1), *rows)
      state, values = problem.chunk_of_many(state, problem.data, inputs)
    else:
      state, values = problem.chunk(state, problem.data, rows[0])
    values = np.asarray(values, np.float64).reshape(every, len(seeds)).T
    for curve, seed_values in zip(curves, values, strict=True):
      if curve.status == "done" and not np.all(np.isfinite(seed_values)):
        at = first + 1 + int(np.argmin(np.isfinite(seed_values)))
        curve.status, curve.error = "nan", f"not finite at step {at}"
  return curves


def _evaluate(problem, state, seed, step, values, curve):
  try:
    metrics = problem.evaluate(state, seed, step, values)
  except UserError:
    raise  # an error of the user, not of this run
  except Exception as error:  # reported as a lost run, as in the paper
    curve.status = "raised"
    curve.error = f"step {step}: {one_line(error)}"
    return
  curve.rows.append({"step": step} | {k: plain(v) for k, v in metrics.items()})


def plain(value):
  """Returns a float, or None if it is not finite. Lists are mapped."""
  if isinstance(value, list):
    return [plain(v) for v in value]
  return float(value) if math.isfinite(value) else None
