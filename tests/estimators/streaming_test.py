"""Factored scores give what their matrix gives, without holding it.

"Equal" is 1e-6 of the largest entry, for values and for gradients: some ten
roundings of float32, for sums that are taken in another order. Where scores
are s in size, their own rounding moves exponentials by s times as much.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from infomin_jax.estimators import ESTIMATORS, Factored, mine, streaming, tiles
from infomin_jax.estimators.scores import log_sum_exp, positives, total

pytestmark = pytest.mark.usefixtures("optimized")

SCALARS = {**ESTIMATORS, "mine": lambda s, **kept: mine(s, **kept)[0]}
# Most of these tests is compiling, and what is compiled runs once.
QUICKLY = {"xla_backend_optimization_level": 0}
B, N, L, D = 5, 8, 2, 3


@pytest.fixture(autouse=True)
def uneven_strips(monkeypatch):
  set_width(monkeypatch, 3)


def set_width(monkeypatch, width):
  monkeypatch.setattr(tiles, "_NARROWEST", width)
  monkeypatch.setattr(tiles, "_WIDEST", width)


def factors(scale=1.0, b=B, n=N, locations=(), seed=0, dtype=jnp.float32):
  """x and y whose largest score is `scale` in size."""
  keys = jax.random.split(jax.random.key(seed))
  x = jax.random.normal(keys[0], (b, D))
  y = jax.random.normal(keys[1], (n, *locations, D))
  size = jnp.max(jnp.abs(matrix(x, y)))
  return (x * scale / size).astype(dtype), y.astype(dtype)


def matrix(x, y):
  x, y = x.astype(jnp.float32), y.astype(jnp.float32)
  return jnp.einsum("bd,n...d->bn...", x, y, precision="highest")


def masked():
  """A mask without pair 1, some negatives and all of row 3."""
  mask = jnp.ones((B, N), bool).at[1, 1].set(False).at[2, 0].set(False)
  mask = mask.at[3].set(False).at[0, 7].set(False)
  return {"mask": mask}


def assert_same(got, want, tolerance=1e-6):
  paths = jax.tree.leaves_with_path(want)
  for (path, b), a in zip(paths, jax.tree.leaves(got), strict=True):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b), str(path))
    a, b = (np.where(np.isfinite(b), c, 0) for c in (a, b))
    gap, size = np.max(np.abs(a - b)), np.max(np.abs(b), initial=1e-3)
    assert gap <= tolerance * size, (path, gap, size)


@functools.partial(jax.jit, compiler_options=QUICKLY)
def slopes_of_all(scores, options):
  return {
    name: jax.jit(jax.value_and_grad(f))(scores, **options)
    for name, f in SCALARS.items()
  }


@pytest.mark.parametrize("options", [dict, masked], ids=["all", "masked"])
def test_every_estimator(options):
  x, y = factors(3.0, locations=(L,))
  held = slopes_of_all(matrix(x, y), options())
  got = slopes_of_all(Factored(x, y), options())
  want = {}
  _, pull = jax.vjp(matrix, x, y)
  for name, (value, slope) in held.items():
    want[name] = value, Factored(*pull(slope))
  assert_same(got, want, 3e-6)


def reductions(x, y, form, options):
  """A scalar that every kind of reduction moves, and the reductions."""
  scores = form(x, y)
  found = [
    log_sum_exp(scores, 1, **options),
    log_sum_exp(scores, 0, **options),
    log_sum_exp(scores, (1, 0), **options),
    log_sum_exp(scores, (0, 1), joint=True, **options),
    log_sum_exp(scores, fn=halved, **options),
    total(scores, (1, 0), **options),
  ]
  finite = jax.tree.map(lambda a: jnp.where(a > -jnp.inf, a, 0), found)
  return sum(jnp.sum(jnp.sin(a)) for a in jax.tree.leaves(finite)), found


def halved(score, row, col):
  del row, col
  return score / 2


def slopes(form, options=None):
  """Jitted `x, y -> ((value, reductions), gradients)`."""
  run = functools.partial(reductions, form=form, options=options or {})
  run = jax.jit(jax.value_and_grad(run, (0, 1), has_aux=True))
  return jax.jit(run, compiler_options=QUICKLY)


@pytest.mark.parametrize("options", [dict, masked], ids=["all", "masked"])
def test_small_and_huge_scores(options):
  held, streamed = slopes(matrix, options()), slopes(Factored, options())
  for scale in (1.0, 30.0, 1000.0):  # 40 and more are shifted, below not
    x, y = factors(scale)
    got = streamed(x, y)
    assert_same(got, held(x, y), 1e-6 * max(1, scale / 10))
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in got[1])


@pytest.mark.parametrize("width", [1, 4, 100])
def test_any_width_of_strips(width, monkeypatch):
  set_width(monkeypatch, width)
  # A new function, so that it is traced at this width.
  streamed = jax.jit(jax.value_and_grad(lambda *xy: infonce_of(*xy), (0, 1)))
  held = jax.jit(
    jax.value_and_grad(functools.partial(infonce_of, form=matrix), (0, 1))
  )
  for scale, tolerance in ((1.0, 1e-6), (100.0, 1e-5)):
    x, y = factors(scale)
    assert_same(streamed(x, y), held(x, y), tolerance)


def infonce_of(x, y, form=Factored):
  return ESTIMATORS["infonce_symmetric"](form(x, y))


def labelled(score, row, col):
  """Integers that pick, floats that shift."""
  (label, shift), other = row, col
  return jnp.where(label == other, 0.5 * score, score + shift)


@pytest.mark.parametrize("form", [matrix, Factored], ids=["held", "streamed"])
def test_integers_among_what_fn_is_given(form):
  x, y = factors(3.0, locations=(L,))
  labels, shift = jnp.arange(B) % 2, jnp.linspace(-1, 1, B)
  others = (jnp.arange(N * L) % 2).reshape(N, L)

  def value(x, y, shift):
    rows = (labels, shift)
    found = log_sum_exp(form(x, y), (1, 0), fn=labelled, rows=rows, cols=others)
    return sum(jnp.sum(jnp.sin(a)) for a in found)

  def naive(x, y, shift):
    scores = matrix(x, y)
    same = labels[:, None, None] == others[None]
    scores = jnp.where(same, 0.5 * scores, scores + shift[:, None, None])
    apart = ~jnp.eye(B, N, dtype=bool)[..., None]
    logs = [jax.nn.logsumexp(scores, a, where=apart) for a in ((1, 2), 0)]
    return sum(jnp.sum(jnp.sin(a)) for a in logs)

  got, want = (
    jax.jit(jax.value_and_grad(f, (0, 1, 2)))(x, y, shift)
    for f in (value, naive)
  )
  assert_same(got, want, 2e-6)


def test_under_vmap():
  # Small and huge side by side: both branches run, and one of them overflows.
  pairs = [factors(scale) for scale in (1.0, 30.0, 1000.0)]
  x, y = (jnp.stack(a) for a in zip(*pairs, strict=True))
  inside = jax.vmap(jax.value_and_grad(infonce_of, (0, 1)))

  def outside(x, y):
    nats, pull = jax.vjp(jax.vmap(infonce_of), x, y)
    return nats, pull(jnp.ones_like(nats))

  held = functools.partial(infonce_of, form=matrix)
  want = [jax.jit(jax.value_and_grad(held, (0, 1)))(*pair) for pair in pairs]
  got_inside, got_outside = jax.jit(lambda x, y: (inside(x, y), outside(x, y)))(
    x, y
  )
  for i, (one, tolerance) in enumerate(
    zip(want, (1e-6, 3e-6, 1e-4), strict=True)
  ):
    for got in (got_inside, got_outside):
      assert_same(jax.tree.map(lambda a, i=i: a[i], got), one, tolerance)


def test_on_a_mesh():
  mesh = jax.make_mesh((8,), ("data",), (AxisType.Auto,))
  run = jax.jit(jax.value_and_grad(infonce_of, (0, 1)))
  for scale, tolerance in ((3.0, 1e-6), (300.0, 3e-5)):
    x, y = factors(scale, b=16, n=16)
    with jax.set_mesh(mesh):
      sharded = jax.device_put((x, y), jax.P("data"))
      got = run(*sharded)
    assert_same(got, run(x, y), tolerance)


def on_ring():
  return jax.set_mesh(jax.make_mesh((8,), ("data",), (AxisType.Auto,)))


@pytest.mark.parametrize(
  "locations",
  [pytest.param((), id="rows", marks=pytest.mark.slow),
   pytest.param((L,), id="places")],
)  # fmt: skip
def test_every_estimator_in_a_ring(locations):
  x, y = factors(3.0, b=16, n=24, locations=locations)
  want = slopes_of_all(Factored(x, y), {})
  with on_ring():
    sharded = Factored(*jax.device_put((x, y), jax.P("data")))
    got = slopes_of_all(sharded, {})
  assert_same(got, want, 5e-6)  # sums of few terms, some near 0


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_every_reduction_in_a_ring(scale):
  run = slopes(Factored)
  x, y = factors(scale, b=16, n=24)
  want = run(x, y)
  with on_ring():
    got = run(*jax.device_put((x, y), jax.P("data")))
  assert_same(got, want, 1e-6 * max(1, scale))


def test_a_ring_gathers_nothing():
  x = jax.ShapeDtypeStruct((64, D), jnp.float32)
  run = jax.jit(jax.value_and_grad(infonce_of, (0, 1)))
  with on_ring():
    place = jax.NamedSharding(jax.sharding.get_mesh(), jax.P("data"))
    x = jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place)
    program = run.lower(x, x).compile().as_text()
  assert "collective-permute" in program
  assert "all-gather" not in program and f"[64,{D}]" not in program


def test_what_cannot_be_shared_is_not():
  with on_ring():
    assert streaming.ring_size(16, 24) == 8
    assert streaming.ring_size(16, 25) == streaming.ring_size(15, 24) == 1
    assert streaming.ring_size(16, 24, (None, jnp.ones(1))) == 1
  assert streaming.ring_size(16, 24) == 1


def test_bfloat16_is_reduced_in_float32():
  x, y = factors(3.0, dtype=jnp.bfloat16)
  value, slope = jax.jit(jax.value_and_grad(infonce_of, (0, 1)))(x, y)
  held = functools.partial(infonce_of, form=matrix)
  want, want_slope = jax.jit(jax.value_and_grad(held, (0, 1)))(x, y)
  assert value.dtype == jnp.float32
  assert all(g.dtype == jnp.bfloat16 for g in slope)
  np.testing.assert_allclose(value, want, rtol=1e-6)
  assert_same(slope, want_slope, 2**-7)  # rounded to bfloat16
  np.testing.assert_array_equal(positives(Factored(x, y)).dtype, jnp.float32)


def test_no_matrix_is_held(monkeypatch):
  monkeypatch.undo()  # the strips of real use
  b = 8192
  x = jax.ShapeDtypeStruct((b, 16), jnp.float32)

  def compiled(form):
    run = functools.partial(infonce_of, form=form)
    return jax.jit(jax.value_and_grad(run, (0, 1))).lower(x, x).compile()

  streamed = compiled(Factored)
  assert f"[{b},{b}]" not in streamed.as_text()
  used = streamed.memory_analysis().temp_size_in_bytes
  assert used < 4 * b * b / 8
  assert f"[{b},{b}]" in compiled(matrix).as_text()  # a check that can fail
