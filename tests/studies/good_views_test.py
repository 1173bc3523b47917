"""`infomin study good_views`: two stages, claims with signs, information."""

import csv
import json

import jax
import numpy as np
import pytest
from helpers import FAKES
from matplotlib.figure import Figure

from infomin_jax import cli, config_files
from infomin_jax.estimators import infonce
from infomin_jax.eval.held_out import pair_nats
from infomin_jax.runs.workdir import read_config
from infomin_jax.studies import store
from infomin_jax.studies.good_views import (
  claims,
  figures,
  runs,
  settings,
  table,
)
from infomin_jax.studies.results import Results
from infomin_jax.train import mesh as meshes
from infomin_jax.train.checkpoint import saved

TINTED = "tinted_fashion_views"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
  """The smoke preset, one run at a time, on one device."""
  out = tmp_path_factory.mktemp("good_views")
  FAKES[TINTED](out / "data")
  one = meshes.make_mesh(jax.devices()[:1])
  with pytest.MonkeyPatch.context() as patch:
    # Not optimized, max pooling over devices gives gradients that are not
    # numbers: its maximum is computed twice, and not alike.
    patch.setattr(meshes, "make_mesh", lambda devices=None: one)
    cli.main(
      [
        *("study", "good_views", "--preset=smoke", "--jobs=1"),
        f"--out={out / 'study'}",
        f"--data_dir={out / 'data'}",
        f"--evidence={out / 'evidence.json'}",
      ]
    )
  return out


@pytest.mark.slow
def test_the_smoke_preset_runs_all_of_it(smoke):
  out = smoke / "study"
  found = store.read_runs(out)
  assert {r["status"] for r in found} == {"done"}
  rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
  assert {row["family"] for row in rows} == {"jitter", "colour", "learned"}
  jitter = [row for row in rows if row["family"] == "jitter"]
  assert [row["done"] for row in jitter] == ["2", "2"]
  for row in rows:
    if row["family"] in ("jitter", "colour"):
      assert float(row["shared_views"]) <= np.log(80) + 1e-4
      assert 0 <= float(row["linear_pool"]) <= 1
  claims = json.loads((out / "claims.json").read_text())
  assert {c["id"] for c in claims} >= {"colour-ydbdr-above-rgb"}
  assert (out / "jitter.png").read_bytes()[:4] == b"\x89PNG"
  stored = json.loads((smoke / "evidence.json").read_text())
  assert len(stored["values"]) == len(rows)


@pytest.mark.slow
def test_the_second_stage_keeps_the_generator_of_the_first(smoke):
  folder = smoke / "study" / "workdirs"
  first, then = runs.learned(TINTED, "floor", "rgb")
  before, after = (
    saved(folder / f"{line.name}-seed0").params["encoder"]
    for line in (first, then)
  )
  same = jax.tree.map(np.array_equal, before["generator"], after["generator"])
  assert all(jax.tree.leaves(same))
  config = read_config(folder / f"{then.name}-seed0")
  assert config.encoder.generator_from.endswith(f"{first.name}-seed0")


@pytest.mark.parametrize("preset", settings.CHANGES)
def test_every_line_is_a_config_that_takes_its_changes(preset):
  chosen = settings.preset(preset)
  found = runs.lines(chosen, list(chosen))
  names = [line.name for line in found]
  assert len(set(names)) == len(names)
  probes = settings.probes(preset)
  for line in found:
    assert config_files.packaged(f"{line.config}.py")
    assert set(line.probes) <= set(probes)
    assert not line.after or line.after in names
    config = line.make_config(True, seed=3).to_dict()
    for _, path, value in line.changes:
      at = config
      for key in path.split("."):
        at = at[key]
      assert at == value


def results(values):
  """Results of three seeds by line and metric."""
  runs = {
    name: {
      seed: {
        "run": name,
        "seed": seed,
        "status": "done",
        "error": "",
        "curve": [{m: numbers[seed] for m, numbers in metrics.items()}],
      }
      for seed in range(3)
    }
    for name, metrics in values.items()
  }
  return Results(runs, {})


def sweep(accuracies, shared):
  """Of the local preset's jitter: accuracies and I(v1; v2) by strength."""
  options = settings.preset("local")["jitter"]
  noise = np.array([-0.001, 0.0, 0.001])
  return {
    runs.swept(TINTED, options, value).name: {
      claims.ACCURACY: accuracy + noise,
      claims.SHARED: nats + noise,
    }
    for value, accuracy, nats in zip(
      options["values"], accuracies, shared, strict=True
    )
  }


def verdicts(found):
  checked = [c.check(found) for c in claims.claims(settings.preset("local"))]
  return {row["id"]: row["verdict"] for row in checked}


def test_claims_have_the_sign_of_their_words():
  falling = [5.0, 4.0, 3.0, 2.0, 1.0, 0.5]
  peak = verdicts(results(sweep([0.5, 0.6, 0.7, 0.6, 0.5, 0.4], falling)))
  assert peak["jitter-reverse-U"] == "holds"
  assert peak["jitter-lowers-information"] == "holds"
  rising = verdicts(
    results(sweep([0.4, 0.5, 0.6, 0.7, 0.8, 0.9], falling[::-1]))
  )
  assert rising["jitter-reverse-U"] == "fails"
  assert rising["jitter-lowers-information"] == "fails"
  good, bad = [0.80, 0.81, 0.82], [0.70, 0.70, 0.71]

  def accuracy(name, values):
    return {f"{TINTED}-{name}": {claims.ACCURACY: values}}

  learned = verdicts(
    results(
      accuracy("ydbdr", good)
      | accuracy("rgb", bad)
      | accuracy("frozen-semi-rgb", good)
      | accuracy("frozen-supervised-rgb", [0.6, 0.6, 0.61])
      | accuracy("frozen-floor-rgb", bad)
    )
  )
  assert learned["colour-ydbdr-above-rgb"] == "holds"
  assert learned["learned-semi-above-raw-rgb"] == "holds"
  assert learned["learned-raw-above-supervised-rgb"] == "holds"
  assert learned["learned-floor-above-semi-rgb"] == "fails"
  assert learned["learned-semi-above-unsupervised-rgb"] == "unmeasured"


def shown_alone(digit, background, pixels):
  noise = np.array([-0.001, 0.0, 0.001])
  return {
    "linear_pool": digit + noise,
    "linear_pool_background": background + noise,
    "pixels_pool": pixels + noise,
  }


def test_moving_claims_are_about_what_is_left_out():
  found = verdicts(
    results(
      {
        "moving_digits-digit": shown_alone(0.9, 0.1, 13),
        "moving_digits-background": shown_alone(0.1, 0.5, 13),
        "moving_digits-position": shown_alone(0.1, 0.1, 4),
        "moving_digits-background_digit": shown_alone(0.1, 0.5, 13),
        "moving_digits-digit_position": shown_alone(0.9, 0.1, 3),
      }
    )
  )
  for name in ("digit-alone", "background-alone", "position-alone"):
    assert found[f"moving-{name}"] == "holds"
  assert found["moving-background-beats-digit"] == "holds"
  assert found["moving-digit-beats-position"] == "fails"


def test_the_sweet_spot_is_where_each_seed_is_best():
  values = sweep([0.5, 0.6, 0.7, 0.6, 0.5, 0.4], [5, 4, 3, 2, 1, 0])
  low, high = figures.sweet_spot(list(values), results(values))
  assert low < 3 < high and high - low < 0.01
  assert figures.sweet_spot(["none"], results(values)) is None


def test_figures_are_drawn_of_what_there_is(tmp_path, monkeypatch):
  drawn = []
  monkeypatch.setattr(
    Figure, "savefig", lambda self, path, **_: drawn.append(path)
  )
  values = sweep([0.5, 0.6, 0.7, 0.6, 0.5, 0.4], [5, 4, 3, 2, 1, 0])
  values |= {
    "moving_digits-digit": shown_alone(0.9, 0.1, 13),
    "moving_digits-background": shown_alone(0.1, 0.5, 13),
  }
  figures.draw_all(tmp_path, results(values), settings.preset("local"))
  assert [path.name for path in drawn] == ["jitter.png", "moving.png"]
  rows = table.rows(results(values), settings.preset("local"))
  assert table.cell(rows[2], "linear_pool") == "70.0 ± 0.1"
  digit = next(row for row in rows if row["row"] == "digit")
  assert table.cell(digit, "pixels_pool") == "13.00 ± 0.00 (13.60)"
  assert len(table.shown(rows)) == 2


def test_pairs_add_up_to_the_bound():
  scores = jax.random.normal(jax.random.key(0), (6, 6))
  each = pair_nats(scores)
  assert each.shape == (6,)
  np.testing.assert_allclose(np.mean(each), infonce(scores), rtol=1e-6)
