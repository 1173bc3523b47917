"""`infomin study deep_infomax`: it runs, goes on, counts lost runs, checks."""

import csv
import json
import pathlib

import numpy as np
import pytest
import rich
from helpers import FAKES

from infomin_jax import cli, config_files
from infomin_jax.errors import UserError
from infomin_jax.recipes.deep_infomax import ROWS
from infomin_jax.studies import runner, store, study
from infomin_jax.studies.deep_infomax import (
  claims,
  figures,
  published,
  runs,
  settings,
  table,
)
from infomin_jax.studies.results import Results
from infomin_jax.studies.run_spec import Line
from infomin_jax.train.loop import NotFinite

FASHION = "fashion_mnist_dim"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
  """The whole smoke preset, on eight devices, one run at a time."""
  out = tmp_path_factory.mktemp("deep_infomax")
  data = out / "data"
  FAKES[FASHION](data)
  call(out / "study", data, f"--evidence={out / 'evidence.json'}")
  return out


def call(out, data, *more):
  flags = (f"--out={out}", f"--data_dir={data}", "--jobs=1")
  cli.main(["study", "deep_infomax", "--preset=smoke", *flags, *more])


@pytest.mark.slow
def test_the_smoke_preset_runs_all_of_it(smoke):
  out = smoke / "study"
  found = store.read_runs(out)
  assert {r["status"] for r in found} == {"done"}
  rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
  by_line = {row["line"]: row for row in rows}
  assert list(by_line) == [
    f"{FASHION}-{row}"
    for row in (
      "pixels",
      "untrained",
      "vae",
      "local_jsd",
      "local_jsd-negatives1",
      "local_global-alpha1-beta1-gamma0.1",
      "vae-beta0.5",
    )
  ]
  assert by_line[f"{FASHION}-vae"]["done"] == "2"
  assert 0 <= float(by_line[f"{FASHION}-local_jsd"]["svm_conv"]) <= 1
  assert by_line[f"{FASHION}-pixels"]["mlp_y"]
  for name in ("T1_fashion_mnist_dim", "negatives", "weights", "ndm"):
    assert (out / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
  pictures = out / "pictures" / f"{FASHION}-local_jsd-seed0"
  assert [p.name for p in pictures.iterdir()] == ["neighbours_learned_y.png"]
  claims = json.loads((out / "claims.json").read_text())
  stored = json.loads((smoke / "evidence.json").read_text())
  assert stored["claims"] == claims
  (negatives,) = [c for c in claims if c["id"] == "negatives-jsd-does-not"]
  assert negatives["effect"] is not None


@pytest.mark.slow
def test_a_run_is_what_train_and_evaluate_make(smoke):
  """Its folder is a run's: `infomin evaluate` gives the recorded accuracy."""
  name = f"{FASHION}-vae"
  record = json.loads(
    store.run_path(smoke / "study", f"{name}-mlp", 1).read_text()
  )
  workdir = smoke / "study" / "workdirs" / f"{name}-seed1"
  cli.main(["evaluate", f"--workdir={workdir}", "--protocols=mlp"])
  rows = json.loads((workdir / "evaluation.json").read_text())["rows"]
  assert [r for r in rows if r["features"] == "learned"] == record["rows"]
  assert record["curve"] == [runner.short(record["rows"])]


@pytest.mark.slow
def test_only_what_is_missing_is_run_again(smoke, monkeypatch):
  out, data = smoke / "study", smoke / "data"
  path = store.run_path(out, f"{FASHION}-local_jsd-svm", 0)
  before = json.loads(path.read_text())
  path.unlink()
  ran = []

  def count(run):
    ran.append((run.line.name, run.seed, list(run.probes)))
    return runner.work(run)

  monkeypatch.setattr(
    study, "work_all", lambda study, jobs: (count(run) for run in study)
  )
  call(out, data)
  assert ran == [(f"{FASHION}-local_jsd", 0, ["svm"])]
  after = json.loads(path.read_text())
  assert after["curve"] == before["curve"]


@pytest.mark.slow
def test_a_folder_of_another_preset_is_refused(smoke):
  with pytest.raises(UserError, match="preset 'smoke', not 'paper'"):
    store.open_folder(smoke / "study", "deep_infomax", "paper", {})
  with pytest.raises(UserError, match="study 'deep_infomax', not 'limits'"):
    store.open_folder(smoke / "study", "limits", "smoke", {})


def run_of(tmp_path, row="vae"):
  line = Line(FASHION, row, probes=("mlp",))
  probes = {"mlp": settings.probes("smoke")["mlp"]}
  return runner.Run(line, 0, probes, tmp_path, True, str(tmp_path / "data"))


def test_runs_that_fail_are_recorded(tmp_path, monkeypatch):
  FAKES[FASHION](tmp_path / "data")
  (tmp_path / "runs").mkdir()

  def diverge(*_, **__):
    raise NotFinite("The loss is nan at step 1.")

  monkeypatch.setattr(runner, "train", diverge)
  (record,) = runner.work(run_of(tmp_path))
  assert record["status"] == "nan"
  assert record["error"] == "NotFinite: The loss is nan at step 1."

  def fail(*_, **__):
    raise FloatingPointError("bad")

  monkeypatch.setattr(runner, "evaluate", fail)
  (record,) = runner.work(run_of(tmp_path, "untrained"))
  assert record["status"] == "raised"
  found = study.gather(store.read_runs(tmp_path), {})
  assert found.lost(f"{FASHION}-vae") == 1
  rows = table.rows(found, settings.preset("smoke"))
  assert {row["line"]: row["lost"] for row in rows}[f"{FASHION}-vae"] == 1


def test_data_that_are_not_here_are_named(tmp_path, capsys):
  with pytest.raises(SystemExit, match="2"):
    cli.main(
      [
        *("study", "deep_infomax", "--preset=paper", "--only=T1"),
        *(f"--out={tmp_path / 'out'}", f"--data_dir={tmp_path}"),
      ]
    )
  assert "cifar10" in capsys.readouterr().err
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("preset", settings.CHANGES)
def test_lines_are_configs_rows_and_options(preset):
  """Every run of a preset has a config that knows its row and changes."""
  chosen = settings.preset(preset)
  found = runs.lines(chosen, list(chosen))
  names = [line.name for line in found]
  assert len(set(names)) == len(names)
  for line in found:
    config = line.make_config(True, seed=3)
    assert config.seed == 3
    if line.row == "local_global":
      assert set(config.objective) <= set(runs.WEIGHTS.values())
    for _, path, value in line.changes:
      _, term, option = path.split(".")
      if option == "weight" and not value:
        assert term not in config.objective
      else:
        assert config.objective[term][option] == value


def test_runs_are_shared_between_experiments():
  chosen = settings.preset("paper")
  by_name = {line.name: line for line in runs.lines(chosen, list(chosen))}
  shared = by_name["cifar10_dim-local_jsd"]
  assert shared.seeds == 3  # of the ablation of negatives
  assert set(shared.probes) >= {"mlp", "svm", "mine", "ndm"}
  assert "cifar10_dim-beta_vae" in by_name
  assert "cifar10_dim-vae-beta2" not in by_name
  assert "cifar10_crops-multi" not in by_name
  assert "stl10_crops-multi" in by_name


def test_a_mixture_s_terms_have_its_weights():
  line = Line(FASHION, *runs.mixture(0.5, 0.0, 1.0))
  objective = line.make_config(True).objective
  weights = {name: term.weight for name, term in objective.items()}
  assert weights == {"deep_infomax_global": 0.5, "prior": 1.0}
  assert runs.mixture(0.0, 1.0, 0.1) == ("local_jsd", ())


def test_published_numbers_are_of_rows():
  for name in published.PAPER:
    config, _, row = name.partition("-")
    assert config_files.packaged(f"{config}.py")
    assert row in {*ROWS, "dim", "multi", "cpc"}
  best = published.PAPER["cifar10_dim-local_infonce"]
  assert best["mlp_y"] == pytest.approx(0.6913)
  assert published.PAPER["stl10_dim-local_jsd"]["semi_conv"] == 0.7696


def results(values):
  """Results of seeds 0, 1, ... by row and metric."""
  runs = {
    f"{FASHION}-{row}": {
      seed: {
        "run": row,
        "seed": seed,
        "status": "done",
        "error": "",
        "curve": [{m: table[m][seed] for m in table}],
      }
      for seed in range(3)
    }
    for row, table in values.items()
  }
  return Results(runs, {})


def test_claims_have_the_sign_of_their_words():
  good, bad = [0.80, 0.81, 0.82], [0.70, 0.70, 0.71]
  mlp = {"mlp_y": good}
  found = results(
    {
      "local_infonce": mlp,
      "local_infonce-negatives1": {"mlp_y": bad},
      "local_jsd": mlp | {"ssim_y": [0.3, 0.3, 0.31]},
      "local_jsd-negatives1": {"mlp_y": good},
      "global": {"mlp_y": bad},
      "occlude": {"mlp_y": bad},
      "local_global-alpha0-beta1-gamma0": {"ndm_y": [3.0, 3.1, 3.2]},
      "local_global-alpha0-beta1-gamma1": {"ndm_y": [1.0, 1.1, 1.0]},
      "local_global-alpha1-beta1-gamma0.1": {"ssim_y": [0.4, 0.41, 0.4]},
      "vae": {"mlp_y": bad},
      "ae": {"mlp_y": [0.6, 0.9, 0.6]},
      **{row: {"mlp_y": bad} for row in ("beta_vae", "aae", "bigan")},
    }
  )
  checked = {
    c["id"]: c
    for c in (
      claim.check(found) for claim in claims.claims(settings.preset("local"))
    )
  }
  verdicts = {name: c["verdict"] for name, c in checked.items()}
  assert verdicts["T1-local-above-global-y"] == "holds"
  assert verdicts["T1-infonce-above-jsd"] == "unmeasured"  # no difference
  assert verdicts["negatives-infonce-needs-many"] == "holds"
  assert verdicts["negatives-jsd-does-not"] == "holds"
  assert verdicts["negatives-infonce-loses-more"] == "holds"
  assert verdicts["T5-occlude-helps"] == "fails"
  assert verdicts["weights-gamma-lowers-ndm"] == "holds"
  assert verdicts["weights-alpha-reconstructs"] == "holds"
  # The best of the others, seed by seed: 0.7, 0.9, 0.71.
  generative = checked["T1-local-above-generative-y"]
  assert generative["effect"] == pytest.approx(
    np.mean([0.80 - 0.70, 0.81 - 0.90, 0.82 - 0.71])
  )
  paper = checked["T1-local-above-generative-conv"]["paper_value"]
  assert paper == pytest.approx(0.7521 - 0.6257)


def test_shown_tables_have_the_paper_s_numbers():
  row = {"mlp_y": 0.5, "mlp_y_sd": 0.01, "paper_mlp_y": 0.6913}
  assert table.cell(row, "mlp_y") == "50.0 ± 1.0 (69.1)"
  row = {"ndm_y": None, "ndm_y_sd": None, "paper_ndm_y": 9.18}
  assert table.cell(row, "ndm_y") == "- (9.18)"
  chosen = settings.preset("smoke")
  rows = table.rows(results({"vae": {"mlp_y": [0.1, 0.2, 0.3]}}), chosen)
  (shown,) = table.shown(rows)
  assert isinstance(shown, rich.table.Table)


def test_nothing_is_drawn_of_nothing(tmp_path):
  figures.draw_all(tmp_path, Results({}, {}), settings.preset("local"))
  assert list(tmp_path.iterdir()) == []


def test_jobs_share_the_cores(monkeypatch):
  monkeypatch.setattr(runner.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
  assert runner.core_shares(2) == [[0, 2], [1, 3]]
  monkeypatch.setattr(runner.os, "sched_getaffinity", lambda _: {5})
  assert runner.core_shares(2) == [[5], [5]]


@pytest.mark.slow
def test_processes_run_the_runs(tmp_path):
  """Two workers; their log goes to a file."""
  data = tmp_path / "data"
  FAKES[FASHION](data)
  (tmp_path / "runs").mkdir()
  made = [run_of(tmp_path, row) for row in ("untrained", "supervised")]
  found = list(runner.work_all(made, 2))
  assert sorted(r["run"] for (r,) in found) == [
    f"{FASHION}-supervised",
    f"{FASHION}-untrained",
  ]
  assert "knn" not in (tmp_path / "log.txt").read_text()
  assert pathlib.Path(store.run_path(tmp_path, made[0].line.name + "-mlp", 0))
