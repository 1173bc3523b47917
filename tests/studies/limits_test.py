"""`infomin study limits`: it runs, resumes, counts lost runs, checks claims."""

import csv
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rich
from helpers import fake_cifar10

from infomin_jax import cli
from infomin_jax.critics import CRITICS as ALL_CRITICS
from infomin_jax.errors import UserError
from infomin_jax.estimators import infonce
from infomin_jax.studies import store
from infomin_jax.studies.claims import Claim, interval
from infomin_jax.studies.limits import (
  claims,
  dependent,
  figures,
  image_halves,
  pairs,
  published,
  runs,
  settings,
  study,
  table,
)
from infomin_jax.studies.limits.measures import (
  in_batches,
  linear_accuracy,
  percentiles,
)
from infomin_jax.studies.limits.modules import CRITICS, count, glorot
from infomin_jax.studies.limits.problem import Problem, State, train
from infomin_jax.studies.results import Results, gather


def study_limits(out, only, *more):
  arguments = ["study", "limits", "--preset=smoke", f"--out={out}"]
  cli.main([*arguments, f"--only={only}", *more])


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
  out = tmp_path_factory.mktemp("limits")
  evidence = out / "evidence.json"
  cli.main(
    [
      *("study", "limits", "--preset=smoke", f"--out={out}"),
      f"--evidence={evidence}",
    ]
  )
  return out


def records(out):
  found = {}
  for path in (out / "runs").glob("*.json"):
    record = json.loads(path.read_text())
    del record["seconds"]
    found[path.name] = record
  return found


@pytest.mark.slow
def test_one_experiment_runs_alone(tmp_path):
  study_limits(tmp_path, "E6")
  rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
  assert {row["done"] for row in rows} == {"2"}
  claims = json.loads((tmp_path / "claims.json").read_text())
  by_id = {row["id"]: row for row in claims}
  assert by_id["E6-dependent-infonce-above-true"]["effect"] > 0.03
  assert by_id["E6-independent-infonce-not-above-true"]["effect"] < 0.01
  assert by_id["E4-concat-highest-nwj"]["verdict"] == "unmeasured"
  assert (tmp_path / "figure4.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_smoke_preset_runs_all_of_it(smoke):
  found = records(smoke)
  assert {r["line"]["experiment"] for r in found.values()} == {
    *("E1", "E2", "E3", "E4", "E5", "E6", "metric")
  }
  rows = list(csv.DictReader((smoke / "table.csv").read_text().splitlines()))
  by_line = {row["line"]: row for row in rows}
  assert by_line["E4-bilinear-infonce"]["paper_accuracy"] == "0.8802"
  assert "steps 20 (paper 20000)" in by_line["E4-concat-infonce"]["changed"]
  assert "not prepared" in by_line["E7-bilinear-infonce"]["unmeasured"]
  for number in (1, 2, 3, 4, 5, 6, 7):
    header = (smoke / f"figure{number}.png").read_bytes()[:4]
    assert header == b"\x89PNG"


@pytest.mark.slow
def test_every_claim_has_a_verdict_and_a_reason(smoke):
  rows = json.loads((smoke / "claims.json").read_text())
  assert len({row["id"] for row in rows}) == len(rows) > 40
  for row in rows:
    assert row["verdict"] in ("holds", "fails", "unmeasured")
    assert row["verdict"] == "holds" or row["why"]
  by_id = {row["id"]: row for row in rows}
  assert by_id["metric-kpair-is-infonce"]["verdict"] == "holds"
  assert by_id["E1-infonce-invertible"]["verdict"] == "holds"
  assert by_id["E6-dependent-infonce-above-true"]["effect"] > 0.03
  assert by_id["E6-independent-infonce-not-above-true"]["effect"] < 0.01
  stored = json.loads((smoke / "evidence.json").read_text())
  assert stored["claims"] == rows


@pytest.mark.slow
def test_a_run_that_goes_nan_is_counted_and_shown(smoke, capsys, monkeypatch):
  """At the smoke preset's learning rate NWJ overflows on raw pixels."""
  record = json.loads((smoke / "runs" / "E3-nwj-seed0.json").read_text())
  assert record["status"] == "nan"
  assert "not finite at step" in record["error"]
  assert record["curve"][0]["accuracy"] > 0
  found = gather(store.read_runs(smoke), {})
  chosen = settings.preset("smoke")
  result = {
    "rows": table.rows(found, chosen),
    "claims": [claim.check(found) for claim in claims.claims({})],
    "settings": chosen,
    "changed": settings.changed(chosen),
  }
  monkeypatch.setenv("COLUMNS", "160")
  rich.print(*table.shown(result["rows"]), *table.changes(result))
  assert "0 + 2 nan" in capsys.readouterr().out
  rows = json.loads((smoke / "claims.json").read_text())
  (claim,) = [r for r in rows if r["id"] == "E3-nwj-ill-conditioned"]
  assert claim["verdict"] == "unmeasured"
  assert claim["lost_runs"] == 2


@pytest.mark.slow
def test_a_resumed_study_equals_an_uninterrupted_one(smoke):
  before = records(smoke)
  table = (smoke / "table.csv").read_text()
  stamps = {}
  for path in (smoke / "runs").glob("*.json"):
    stamps[path.name] = path.stat().st_mtime_ns
  # One seed of a line, and one of a group that trains together.
  lost = ("E4-bilinear-infonce-seed1.json", "E6-dependent-infonce-seed0.json")
  for name in lost:
    (smoke / "runs" / name).unlink()
  study_limits(smoke, "E4,E6")
  assert records(smoke) == before
  kept = (smoke / "runs" / "E4-bilinear-infonce-seed0.json").stat().st_mtime_ns
  assert kept == stamps["E4-bilinear-infonce-seed0.json"]
  # Experiments that were not asked for this time keep their lines.
  without_reason = [
    line for line in table.splitlines() if not line.startswith("E7")
  ]
  assert (smoke / "table.csv").read_text().splitlines() == without_reason


@pytest.mark.slow
def test_another_preset_is_refused(smoke, capsys):
  with pytest.raises(SystemExit) as error:
    cli.main(
      ["study", "limits", "--preset=local", f"--out={smoke}", "--only=E6"]
    )
  assert error.value.code == 2
  lines = capsys.readouterr().err.strip().splitlines()
  assert len(lines) == 1
  assert "preset 'smoke', not 'local'" in lines[0]


@pytest.mark.parametrize(
  "arguments,words",
  [
    (("study",), "name one study"),
    (("study", "limits"), "--out is missing"),
    (("study", "limit", "--out=x"), "did you mean limits?"),
    (("study", "limits", "--out=x", "--only=E9"), "--only E9"),
    (("study", "limits", "--out=x", "--preset=big"), "Unknown preset"),
  ],
)
def test_a_wrong_call_gets_one_line(arguments, words, capsys, tmp_path):
  with pytest.raises(SystemExit) as error:
    cli.main([a.replace("=x", f"={tmp_path}") for a in arguments])
  assert error.value.code == 2
  lines = capsys.readouterr().err.strip().splitlines()
  assert len(lines) == 1
  assert words in lines[0]


def test_missing_data_is_one_line(tmp_path):
  with pytest.raises(UserError, match="cifar10 is not prepared"):
    study.run(tmp_path / "out", "smoke", ["E7"], str(tmp_path))
  assert not (tmp_path / "out").exists()


def test_cifar_halves_and_networks(tmp_path):
  fake_cifar10(tmp_path)
  images = image_halves.load("cifar10", str(tmp_path))
  assert images.view == (16, 32, 3)
  chosen = settings.preset("paper")["E7"]
  parameters = {}
  for variant in runs.variants("E7", chosen):
    if variant.kind == "pair":
      pair = pairs.make_pair(variant, images)
      blank = jnp.zeros((2, *images.view))
      shapes = jax.eval_shape(pair.init, jax.random.key(0), blank, blank)
      parameters[variant.encoder] = count(shapes["params"]["g1"])
  assert parameters == {"mlp": 581_500, "convnet": 222_948}
  top, bottom = images.split(images.train[:3])
  whole = np.concatenate([top, bottom], axis=1)
  np.testing.assert_allclose(whole, images.train[:3] / 255, rtol=1e-6)


# --- parts ------------------------------------------------------------------


@pytest.mark.parametrize(
  "name,parameters",
  [("bilinear", 10_000), ("separable", 40_400), ("concat", 40_401)],
)
def test_published_critics(name, parameters):
  x = np.random.default_rng(0).normal(size=(5, 100)).astype(np.float32)
  critic = CRITICS[name](100)
  params = critic.init(jax.random.key(0), x, x)["params"]
  assert count(params) == parameters
  joint = ("Dense_0", "Dense_1") if name == "concat" else ()
  params = glorot(jax.random.key(1), params, joint)
  # Both halves of the first layer of [x, y] have its limit.
  limits = {"bilinear": 200, "separable": 200, "concat": 400}
  kernels = [v for v in jax.tree.leaves(params) if v.ndim == 2]
  largest = max(float(jnp.max(abs(v))) for v in kernels if v.shape[1] > 1)
  assert largest == pytest.approx((6 / limits[name]) ** 0.5, rel=0.01)
  assert critic.apply({"params": params}, x, x).shape == (5, 5)
  assert name == "concat" or type(critic) in ALL_CRITICS.values()


def test_dependent_pairs_have_the_published_covariances():
  keys = jax.random.split(jax.random.key(0), 20_000)
  x, y = jax.vmap(lambda key: dependent.pairs(key, 3, True))(keys)
  both = np.concatenate([x, y], axis=1)[..., 0]  # [20000, 6]
  got = np.cov(both.T)
  own = [[2, 0.4], [0.4, 2]]
  np.testing.assert_allclose(got[np.ix_([0, 3], [0, 3])], own, atol=0.1)
  cross = [[1, -0.5], [-0.5, 1]]  # of two different pairs of one batch
  np.testing.assert_allclose(got[np.ix_([0, 3], [1, 4])], cross, atol=0.1)
  x, y = dependent.pairs(jax.random.key(1), 60_000, False)
  got = np.cov(np.concatenate([x, y], axis=1).T)
  np.testing.assert_allclose(got, own, atol=0.05)
  assert pytest.approx(0.020411, abs=1e-6) == dependent.TRUE_MI


def toy(values, raises=()):
  """Seed s gives `values[s]` at every step."""

  def evaluate(state, seed, step, found):
    if seed in raises and step:
      raise RuntimeError("lost")
    return {"accuracy": float(state.params)}

  return Problem(
    init=lambda seed: State(jnp.float32(seed), ()),
    step=lambda state, data, row: (
      State(state.params + 1, ()),
      row,
    ),
    inputs=lambda seed, first, stop: np.full(
      stop - first, values[seed], np.float32
    ),
    evaluate=evaluate,
  )


@pytest.mark.parametrize("scanned", [False, True])
def test_one_lost_run_does_not_stop_the_others(scanned):
  problem = toy([1.0, math.nan, 2.0], raises=(2,))
  problem = Problem(**{**vars(problem), "scanned": scanned})
  together = train(problem, [0, 1, 2], steps=4, every=2)
  apart = [train(problem, [seed], 4, 2)[0] for seed in (0, 1, 2)]
  assert together == apart
  assert [curve.status for curve in together] == ["done", "nan", "raised"]
  assert [len(curve.rows) for curve in together] == [3, 1, 1]
  assert together[0].rows[-1] == {"step": 4, "accuracy": 4.0}
  assert together[1].error == "not finite at step 1"
  assert "RuntimeError: lost" in together[2].error


def results(table, status="done"):
  return gather(
    [
      {
        "run": line,
        "seed": seed,
        "status": status,
        "error": "" if status == "done" else "not finite at step 3",
        "curve": [{"step": 0, "accuracy": value}],
      }
      for line, values in table.items()
      for seed, value in enumerate(values)
    ],
    {},
  )


@pytest.mark.parametrize(
  "first,verdict",
  [
    ([0.9, 0.91, 0.92], "holds"),
    ([0.5, 0.49, 0.5], "fails"),
    ([0.9, 0.4, 0.9], "unmeasured"),
    ([0.9], "unmeasured"),
  ],
)
def test_verdicts(first, verdict):
  claim = claims.above("id", "a is above b", "a", "b", 0.1)
  row = claim.check(results({"a": first, "b": [0.8, 0.8, 0.8]}))
  assert row["verdict"] == verdict
  assert row["effect"] == pytest.approx(np.mean(first) - 0.8)
  assert row["seeds"] == list(range(len(first)))
  below = Claim("id", "", None, ("a",), claim.effect, below=True)
  other = {"holds": "fails", "fails": "holds"}.get(verdict, verdict)
  found = below.check(results({"a": first, "b": [0.8, 0.8, 0.8]}))
  assert found["verdict"] == other


def test_lost_runs_are_told_in_a_claim():
  claim = claims.above("id", "", "a", "b", 0.1)
  row = claim.check(results({"a": [0.1, 0.2], "b": [0.1, 0.2]}, "nan"))
  assert row["lost_runs"] == 4
  assert "not finite at step 3" in row["why"]


def test_interval_is_student_t():
  low, high = interval(np.array([1.0, 2.0, 3.0]))
  assert (low, high) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)


def test_names_of_claims_targets_and_figures_are_lines():
  chosen = settings.preset("paper")
  known = {v.name for key in chosen for v in runs.variants(key, chosen[key])}
  assert set(published.PAPER) <= known
  assert {line for claim in claims.claims({}) for line in claim.lines} <= known
  drawn = {
    f"{experiment}-{line}".rstrip("-")
    for panels in figures.FIGURES.values()
    for _, experiment, shown, _ in panels
    for line, _ in shown
  }
  assert drawn | {n for n in known if n.endswith("pixels")} == known


def test_paper_preset_is_the_published_setting():
  chosen = settings.preset("paper")
  assert settings.changed(chosen) == {key: {} for key in chosen}
  assert chosen["E1"]["couplings"] == 30
  assert chosen["E7"]["lr"] == 1e-5


def test_linear_accuracy_is_min_max_saga():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 3, 600)
  x = rng.normal(size=(600, 5)) + np.eye(5)[labels] * 6
  x[:, 4] = 7  # a feature without a range
  scaled = x * [1e-6, 1, 1e6, 1, 1]
  split = (labels[:400], x[400:], labels[400:])
  got = linear_accuracy(x[:400], *split, seed=0)
  assert got > 0.9
  again = linear_accuracy(
    scaled[:400], labels[:400], scaled[400:], labels[400:], seed=0
  )
  assert again == got
  with pytest.raises(ValueError, match="NaN"):
    linear_accuracy(x[:400] * math.nan, *split, seed=0)


def test_percentiles_and_batches():
  values = np.arange(11.0)[::-1]
  assert percentiles(values)["p40"] == 4
  x = np.arange(14.0).reshape(7, 2)
  key = jax.random.key(0)
  got = in_batches(lambda v, key: 2 * v, x, key, size=3)
  np.testing.assert_array_equal(got, 2 * x)


def test_noise_is_shared_between_views():
  x, y = jnp.zeros((3, 2, 2, 1)), jnp.ones((3, 2, 2, 1))
  a, b = image_halves.noisy(jax.random.key(0), x, y, sd=0.05)
  np.testing.assert_allclose(b - a, 1, atol=1e-6)
  assert 0.01 < float(jnp.std(a)) < 0.1


def test_held_bounds_are_pulled_to_their_target():
  chosen = settings.preset("smoke")["E5"]
  variants = {v.name: v for v in runs.variants("E5", chosen)}
  variant = variants["E5-mlp-t2-infonce"]

  class Identity:
    @staticmethod
    def apply(params, x, y):
      return x, y, x

  loss = pairs.make_loss(variant, Identity)
  for scores in (jnp.zeros((8, 8)), 50 * jnp.eye(8)):
    value, _ = loss(None, scores, scores)
    assert float(value) == pytest.approx(abs(float(infonce(scores)) - 2))


def test_results_without_runs_say_why():
  empty = Results({}, {"E7": "no data"})
  rows = [claim.check(empty) for claim in claims.claims({})]
  assert {row["verdict"] for row in rows} == {"unmeasured"}
  assert all(
    row["why"] == "no data" for row in rows if row["id"].startswith("E7")
  )
