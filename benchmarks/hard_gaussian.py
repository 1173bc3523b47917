"""Bounds against 18.4 nats in batches of 128: what each of them can show.

  python benchmarks/hard_gaussian.py --evidence docs/evidence/hard_gaussian.json

x and y have 128 dimensions with correlation 0.5 in each, I = 18.41 nats. A
separable critic (two layers of 256, embeddings of 128) is trained with each
bound on fresh batches of 128, and its value is the mean over 200 further ones.
The difference of entropies has Gaussians fitted to 10,000 samples and is taken
on 10,000 others; `infomin estimate` has 10,000 in all.
"""

import argparse
import functools
import json
import time
from typing import Any

# Karl Stratos' `doe`, README: the same task, its networks and training.
PUBLISHED = {
  "infonce": 4.82,
  "js_nwj": 5.55,
  "nwj": 9.25,
  "mine": 9.38,
  "dv": 10.27,
  "difference_of_entropies": 18.38,
}
BATCH, SAMPLES, FRESH = 128, 10_000, 200


def trained(name, task, steps, seed):
  """Nats of one bound on fresh batches, after training with it."""
  import jax
  import jax.numpy as jnp
  import optax

  from infomin_jax.critics import Separable
  from infomin_jax.estimators import ESTIMATORS, mine

  critic = Separable(128, (256, 256))
  dim, rho = task.dim_x, 0.5

  def batch(key):
    x, noise = jax.random.normal(key, (2, BATCH, dim))
    return x, rho * x + (1 - rho**2) ** 0.5 * noise

  def bound(params, average, key):
    scores: Any = critic.apply(params, *batch(key))
    if name == "mine":
      return mine(scores, average)
    shift = 1.0 if name == "nwj" else 0.0
    return ESTIMATORS[name](scores + shift), average

  tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-4))
  key = jax.random.key(seed)
  params = critic.init(key, *batch(key))

  @functools.partial(jax.jit, static_argnums=1)
  def run(state, count, key):
    def step(state, key):
      params, opt_state, average = state
      grads, average = jax.grad(
        lambda p: (-(found := bound(p, average, key))[0], found[1]),
        has_aux=True,
      )(params)
      updates, opt_state = tx.update(grads, opt_state, params)
      return (optax.apply_updates(params, updates), opt_state, average), None

    return jax.lax.scan(step, state, jax.random.split(key, count))[0]

  state = run((params, tx.init(params), jnp.zeros(())), steps, key)
  fresh = jax.random.split(jax.random.key(seed + 1), FRESH)
  values = jax.lax.map(lambda key: bound(state[0], state[2], key)[0], fresh)
  return float(jnp.mean(values)), float(jnp.std(values) / FRESH**0.5)


def entropies(task, seed):
  """Difference of entropies of Gaussians, on samples that they never saw."""
  import jax.numpy as jnp

  from infomin_jax.estimators import difference_of_entropies
  from infomin_jax.estimators.densities import fit_linear_gaussian

  x, y = map(jnp.asarray, task.sample(2 * SAMPLES, seed))
  fitted, held = slice(SAMPLES), slice(SAMPLES, None)
  conditional = fit_linear_gaussian(y[fitted], x[fitted])
  marginal = fit_linear_gaussian(y[fitted])
  nats = conditional.log_prob(y[held], x[held]) - marginal.log_prob(y[held])
  value = difference_of_entropies(
    conditional.log_prob(y[held], x[held]), marginal.log_prob(y[held])
  )
  return float(value), float(jnp.std(nats) / SAMPLES**0.5)


def main():
  """Prints a line a bound, or JSON, and stores the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--steps", type=int, default=3000)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also store the result as this file")
  options = parser.parse_args()
  from infomin_jax import runtime

  runtime.configure()
  from infomin_jax.data.synthetic import TASKS
  from infomin_jax.estimation import estimate

  task = TASKS["gaussian_128v128_rho0.5"]
  rows = []

  def add(name, nats, error, seconds):
    rows.append(
      {
        "estimator": name,
        "truth": task.mi,
        "nats": nats,
        "standard_error": error,
        "published": PUBLISHED.get(name),
        "seconds": seconds,
      }
    )
    if not options.json:
      print(f"{name:24s} {nats:6.2f} +- {error:.2f} ({seconds:.0f} s)")

  for name in PUBLISHED:
    began = time.perf_counter()
    if name == "difference_of_entropies":
      nats, error = entropies(task, options.seed)
    else:
      nats, error = trained(name, task, options.steps, options.seed)
    add(name, nats, error, time.perf_counter() - began)
  found = estimate(*task.sample(SAMPLES, options.seed), seed=options.seed)
  low, high = found.interval
  add("infomin estimate", found.nats, (high - low) / 4, found.seconds)
  if options.json:
    print(json.dumps(rows))
  if options.evidence:
    from infomin_jax import evidence

    evidence.write(
      options.evidence,
      commands=[f"python benchmarks/hard_gaussian.py --steps {options.steps}"],
      config={"steps": options.steps, "batch": BATCH, "samples": SAMPLES},
      seeds=[options.seed],
      values=rows,
      extra={"interval": "standard error over fresh batches or samples"},
    )


if __name__ == "__main__":
  main()
