"""Every form of scores has one meaning: locations, masks, bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax.estimators import (
  ESTIMATORS,
  infonce_ceiling,
  mine,
)

SCALARS = {**ESTIMATORS, "mine": lambda s, **kept: mine(s, **kept)[0]}
# What asks which x belongs to a y has no use for columns past b.
COLUMNS = {"infonce_columns", "infonce_symmetric", "tnce", "leave_one_out"}
SCORES = jax.random.normal(jax.random.key(0), (4, 6))


def masked():
  """A mask without pair 1 and some negatives."""
  mask = jnp.ones((4, 6), bool).at[1, 1].set(False).at[2, 0].set(False)
  return {"mask": mask.at[0, 3].set(False).at[3, 5].set(False)}


@jax.jit
def all_nats(scores, **kept):
  """`{name: value}`: one compilation for all."""
  return {name: f(scores, **kept) for name, f in SCALARS.items()}


@jax.jit
def all_slopes(scores, **kept):
  """`{name: (value, gradient)}`."""
  return {
    name: jax.jit(jax.value_and_grad(f))(scores, **kept)
    for name, f in SCALARS.items()
  }


def assert_close(got, want, names=SCALARS, **tolerance):
  assert set(names) <= got.keys()
  for name in names:
    leaves = map(jax.tree.leaves, (got[name], want[name]))
    for one, other in zip(*leaves, strict=True):
      np.testing.assert_allclose(one, other, err_msg=name, **tolerance)


def test_one_location_is_the_plain_matrix():
  one = all_nats(SCORES[..., None], **masked())
  assert_close(one, all_nats(SCORES, **masked()), rtol=1e-5)


def test_a_masked_sample_might_as_well_not_be_there():
  mask = jnp.ones((4, 6), bool).at[1].set(False).at[:, 1].set(False)
  # What is masked may hold anything.
  found = all_slopes(jnp.where(mask, SCORES, 1e9), mask=mask)
  smaller = jnp.delete(jnp.delete(SCORES, 1, axis=0), 1, axis=1)
  nats = {name: value for name, (value, _) in found.items()}
  assert_close(nats, all_nats(smaller), rtol=1e-5, atol=1e-6)
  for name, (_, slope) in found.items():
    assert bool(jnp.all(jnp.isfinite(slope))), name
    assert bool(jnp.all(jnp.where(mask, 0, slope) == 0)), name


def test_a_mask_of_columns_is_that_of_rows_transposed():
  options = {"mask": jnp.ones((4, 4), bool).at[2, 0].set(False)}
  square = all_nats(SCORES[:, :4], **options)
  options = {key: value.T for key, value in options.items()}
  turned = all_nats(SCORES[:, :4].T, **options)
  np.testing.assert_allclose(
    square["infonce_columns"], turned["infonce"], rtol=1e-5
  )
  both = (square["infonce"] + turned["infonce"]) / 2
  np.testing.assert_allclose(square["infonce_symmetric"], both, rtol=1e-5)


def test_the_ceiling_counts_what_counts():
  options = masked()
  perfect = jnp.full((4, 6), -1e4) + 2e4 * jnp.eye(4, 6)
  for anchors in ("rows", "columns", "both"):
    ceiling = infonce_ceiling((4, 6), anchors, **options)
    got = ESTIMATORS["infonce"](perfect, anchors, **options)
    np.testing.assert_allclose(got, ceiling, rtol=1e-5)
  mask = np.array(options["mask"], float)
  own = np.diag(mask)
  want = np.sum(own * np.log1p(mask.sum(axis=1) - own)) / np.sum(own)
  got = infonce_ceiling((4, 6), **options)
  np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gradients_stay_finite_for_huge_scores(dtype):
  far = 1e4 * jax.random.normal(jax.random.key(3), (8, 12))
  for scores in (1e4 * jnp.eye(8, 12), far.at[:, 2].set(1e4), far):
    found = all_slopes(scores.astype(dtype))
    for name, (value, slope) in found.items():
      assert bool(jnp.all(jnp.isfinite(slope))), name
      assert slope.dtype == dtype, name
      assert value.dtype == jnp.float32, name
      assert not jnp.isnan(value), name
  assert all(bool(jnp.any(slope != 0)) for _, slope in found.values())


def test_rows_with_a_queue_of_their_own():
  # As a momentum queue asks: [1, 1 + size] at a time, the positive first.
  got = jax.vmap(all_nats)(SCORES[:, None])
  rows = [all_nats(row[None]) for row in SCORES]
  want = jax.tree.map(lambda *row: jnp.stack(row), *rows)
  names = SCALARS.keys() - COLUMNS - {"i_alpha"}  # which compare rows
  assert_close(got, want, names, rtol=1e-5)
  assert all(bool(jnp.all(jnp.isfinite(got[name]))) for name in names)


def test_shifting_scores_moves_what_depends_on_it():
  invariant = {"dv", "mine", "club", "wasserstein", "infonce", *COLUMNS}
  scores = 5 * SCORES
  before, after = all_nats(scores), all_nats(scores + 0.5)
  for name in SCALARS:
    same = bool(jnp.allclose(before[name], after[name], atol=1e-5))
    assert same == (name in invariant), name
