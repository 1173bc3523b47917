"""Plans are read from the compiled step: they are checked against counting."""

import json
import runpy

import jax
import pytest

from infomin_jax import cli, data
from infomin_jax.cli.plan import changed
from infomin_jax.data import Absent
from infomin_jax.errors import UserError
from infomin_jax.plan import chips, compile
from infomin_jax.train.mesh import make_mesh

pytestmark = pytest.mark.usefixtures("optimized")

SMALL = "configs/colorful_digits.py"


def small(batch, path=SMALL):
  config = runpy.run_path(path)["get_config"]()
  config.batch_size = batch
  return config


def test_collectives_are_counted_by_kind_and_size():
  program = """
    %a = f32[64,128]{1,0} all-gather(%x), dimensions={0}
    %b = (f32[3,3]{1,0}, bf16[4]{0}) all-reduce(%y, %z), to_apply=%add
    %c = f32[64,128]{1,0} all-gather(%w), dimensions={0}
    %d = (f32[8]{0}, f32[64]{0}) all-gather-start(%v), dimensions={0}
    %e = f32[64]{0} all-gather-done(%d)
    %f = f32[2]{0} add(%q, %r)
  """
  assert compile.collectives(program) == [
    ("all-gather", 4 * 64 * 128, 2, "f32[64,128]"),
    ("all-gather", 4 * 64, 1, "f32[64]"),
    ("all-reduce", 4 * 9 + 2 * 4, 1, "f32[3,3]"),
  ]


@pytest.mark.parametrize(
  "name, words",
  [
    ("v7:4x4", "chip"),
    ("v5e", "expected 2 sides, as in v5e:4x4"),
    ("v5e:4", "expected 2 sides"),
    ("v5p:4x4", "expected 3 sides, as in v5p:4x4x4"),
    ("v5e:0x4", "expected 2 sides"),
  ],
)
def test_other_chips_are_refused(name, words):
  with pytest.raises(UserError, match=words):
    chips.absent(name)


@pytest.mark.needs("libtpu")
def test_a_form_that_does_not_exist_is_refused_in_one_line():
  with pytest.raises(UserError, match="v5e:3x5 cannot be compiled for"):
    chips.absent("v5e:3x5")


@pytest.mark.needs("libtpu")
def test_a_mesh_over_slices_has_each_in_one_piece():
  joined = chips.absent("v5e:2x4", 2)
  assert (joined.slices, joined.chips) == (2, 16)
  order = [device.slice_index for device in make_mesh(joined.devices).devices]
  assert order == [0] * 8 + [1] * 8


def test_changes_are_those_of_the_configs_keys():
  config = small(128)
  assert changed(config, "accumulate=4").accumulate == 4
  assert changed(config, "encoder.name=resnet18").encoder.name == "resnet18"
  assert changed(config, "data.resident=False").data.resident is False
  assert config.accumulate == 1
  for wrong in ("accumulate", "encoder.nothing=1", "no=1", "accumulate=x"):
    with pytest.raises(UserError, match="--compare"):
      changed(config, wrong)


def test_an_absent_set_has_the_form_of_its_records():
  cifar = Absent("cifar10")
  assert cifar.image_shape == (32, 32, 3)
  assert cifar[5]["image"].shape == (32, 32, 3) and cifar[5]["index"] == 5
  assert Absent("imagenet2012").image_shape is None
  assert Absent("imagenet2012").tasks["label"].classes == 1000


@pytest.fixture(scope="module")
def rows():
  """A small step on 4 and on 16 chips, 32 images on each."""
  found = {}
  for name, batch in (("v5e:2x2", 128), ("v5e:4x4", 512)):
    found[name] = compile.plan(small(batch), chips.absent(name), 500)
  return found


@pytest.mark.needs("libtpu")
@pytest.mark.slow
def test_a_chips_share_does_not_grow_with_the_chips(rows):
  few, many = rows["v5e:2x2"], rows["v5e:4x4"]
  assert (few["chips"], many["chips"]) == (4, 16)
  assert few["fits"] and many["fits"]
  # But for its rows of scores with four times the candidates.
  for key in ("flops_per_chip", "bytes_moved_per_chip"):
    assert few[key] <= many[key] < 1.1 * few[key]
  assert few["bytes_per_chip"]["peak"] < 2**30


@pytest.mark.needs("libtpu")
@pytest.mark.slow
def test_only_gradients_and_embeddings_are_sent(rows):
  config = small(512)
  found = rows["v5e:4x4"]["collectives"]
  params = jax.eval_shape(
    compile.make_experiment(config, jax.devices()[:1]).init
  ).params
  weights = 4 * sum(x.size for x in jax.tree.leaves(params))
  reduced = sum(
    row["bytes"] * row["count"] for row in found if row["kind"] == "all-reduce"
  )
  # All gradients, in float32; batch statistics and embeddings are little.
  assert weights <= reduced < 1.5 * weights
  embeddings = 4 * config.batch_size * config.objective.contrastive.critic.dim
  for row in found:
    if row["what"].startswith(("u8", "s8")):
      raise AssertionError(f"images are sent: {row}")
    # What the views draw is sent too: it is small.
    if row["kind"] != "all-reduce":
      assert row["bytes"] <= embeddings


@pytest.mark.needs("libtpu")
@pytest.mark.slow
def test_what_does_not_fit_says_how_much_it_needs():
  config = small(2**20, "configs/fashion_mnist.py")
  config.data.update(name="cifar10", resident=False)
  row = compile.plan(config, chips.absent("v5e:2x2"), 500)
  assert not row["fits"] and "B of 15.75GB" in row["why"]


@pytest.mark.needs("libtpu")
@pytest.mark.slow
def test_the_command_prints_what_programs_read(capsys):
  cli.main(
    [
      "plan",
      f"--config={SMALL}",
      "--topology=v5e:2x2",
      "--compare=accumulate=2",
      "--json",
    ]
  )
  rows = json.loads(capsys.readouterr().out)
  assert [row["change"] for row in rows] == ["as it is", "accumulate=2"]
  assert rows[0].keys() >= {
    "topology",
    "chips",
    "batch",
    "fits",
    "bytes_per_chip",
    "flops_per_chip",
    "collectives",
    "roofline_seconds",
    "images_per_second",
  }
  assert rows[0]["limit"] in rows[0]["seconds"]


@pytest.mark.long
@pytest.mark.needs("libtpu")
def test_the_imagenet_step_sends_gradients_and_embeddings():
  """ResNet-50, 32 images a chip, of 4 chips and of 16."""
  config = runpy.run_path("configs/imagenet_infomin.py")["get_config"]("large")
  images = data.load_or_absent(config.data, config.data.split)
  experiment = compile.make_experiment(config, jax.devices()[:1], images)
  params = jax.eval_shape(experiment.init).params
  weights = 4 * sum(x.size for x in jax.tree.leaves(params))
  rows = []
  for name, chip_count in (("v5e:2x2", 4), ("v5e:4x4", 16)):
    config.batch_size = 32 * chip_count
    rows.append(compile.plan(config, chips.absent(name), 500))
    large = [x for x in rows[-1]["collectives"] if x["bytes"] >= 1e6]
    assert {x["kind"] for x in large} <= {"all-reduce", "all-gather"}
    reduced = sum(
      x["bytes"] * x["count"]
      for x in rows[-1]["collectives"]
      if x["kind"] == "all-reduce"
    )
    assert weights <= reduced < 1.2 * weights
    for x in rows[-1]["collectives"]:
      # Neither images nor maps, whose first axis is the batch's; all float32.
      assert x["what"].startswith(("f32", "s32", "u32", "pred")), x
      if x["kind"] != "all-reduce":
        assert x["bytes"] < weights / 50, x
  few, many = rows
  for key in ("flops_per_chip", "bytes_moved_per_chip"):
    assert many[key] == pytest.approx(few[key], rel=0.03)
  assert many["bytes_per_chip"]["peak"] < 1.05 * few["bytes_per_chip"]["peak"]


@pytest.mark.long
@pytest.mark.needs("libtpu")
def test_slices_are_joined_by_a_network():
  row = compile.plan(small(256), chips.absent("v5e:2x2", 2), 500)
  assert row["fits"] and (row["slices"], row["chips"]) == (2, 8)
  kinds = {found["kind"] for found in row["collectives"]}
  assert kinds >= {"all-reduce", "reduce-scatter"}  # within, then between


@pytest.mark.parametrize(
  "flags, words",
  [
    ([], "--topology is missing"),
    (["--topology=v5e:2x2", "--batch=many"], "--batch is 'many'"),
    (["--topology=v5e:2x2", "--batch=130"], "config.batch_size is 130"),
  ],
)
@pytest.mark.needs("libtpu")
def test_mistakes_get_one_line(flags, words, capsys):
  with pytest.raises(SystemExit):
    cli.main(["plan", f"--config={SMALL}", *flags])
  assert words in capsys.readouterr().err


def test_without_libtpu_the_extra_is_named(monkeypatch):
  def missing(**_):
    raise RuntimeError("JAX TPU support not installed; cannot generate it.")

  monkeypatch.setattr(chips.topologies, "get_topology_desc", missing)
  with pytest.raises(UserError, match=r"pip install 'infomin-jax\[tpu\]'"):
    chips.absent("v5e:2x2")


@pytest.mark.needs("libtpu")
@pytest.mark.slow
def test_gradients_are_summed_in_float32_where_networks_compute_in_bfloat16():
  config = small(128)
  config.encoder.dtype = "bfloat16"
  row = compile.plan(config, chips.absent("v5e:2x2"), 500)
  kinds = {found["what"].partition("[")[0] for found in row["collectives"]}
  assert "f32" in kinds and "bf16" not in kinds
