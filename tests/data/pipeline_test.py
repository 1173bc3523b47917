"""Batches: their order, threads and workers, epochs, broken records."""

import functools
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import numpy as np
import pytest

from infomin_jax import data
from infomin_jax.data import arrays, batch, decode, order
from infomin_jax.errors import UserError


class Squares:
  """n records whose image is filled with their index; some are broken."""

  name = "squares"

  def __init__(self, n=37, size=4, broken=(), sizes=None):
    self.n, self.size, self.broken, self.sizes = n, size, set(broken), sizes
    self.tasks = {"label": data.Task("label", 10)}
    self.image_shape = None if sizes else (size, size, 3)

  def __len__(self):
    return self.n

  def __getitem__(self, i):
    if i in self.broken:
      raise data.BrokenRecord(f"Record {i} of squares (file {i}) is broken.")
    size = (self.sizes or {}).get(i, self.size)
    image = np.full((size, size, 3), i % 256, np.uint8)
    return {"image": image, "label": i % 10, "index": i}


def noise(record, rng):
  """A host that shows which random numbers a record got."""
  return record | {"noise": rng.integers(0, 2**31, 2)}


def take(stream, count):
  with stream:
    return [next(stream) for _ in range(count)]


def assert_same(got, expected):
  assert len(got) == len(expected)
  for a, b in zip(got, expected, strict=True):
    assert a.keys() == b.keys()
    for name in a:
      assert a[name].dtype == b[name].dtype
      np.testing.assert_array_equal(a[name], b[name])


# --- the order --------------------------------------------------------------


def test_every_epoch_is_another_permutation():
  rows = data.indices(37, seed=5, batch_size=8)
  stream = np.concatenate([next(rows) for _ in range(37)])
  epochs = stream.reshape(8, 37)
  np.testing.assert_array_equal(np.sort(epochs, 1), [np.arange(37)] * 8)
  assert len({tuple(epoch) for epoch in epochs}) == 8
  other = next(data.indices(37, seed=6, batch_size=37))
  assert not (other == epochs[0]).all()
  assert next(data.indices(37, seed=0, batch_size=8)).dtype == np.int32


def test_permutations_are_uniform():
  first = [order.permutation(5, 0, epoch)[:2] for epoch in range(6000)]
  pairs, counts = np.unique(first, axis=0, return_counts=True)
  assert len(pairs) == 20
  # Each pair is expected 300 times: 5 standard deviations either way.
  assert np.abs(counts - 300).max() < 85


def test_unshuffled_order_is_the_sources():
  rows = data.indices(5, seed=0, batch_size=3, shuffle=False)
  assert [next(rows).tolist() for _ in range(4)] == [
    [0, 1, 2],
    [3, 4, 0],
    [1, 2, 3],
    [4, 0, 1],
  ]


def test_seeking_is_skipping_and_is_fast():
  rows = data.indices(37, seed=1, batch_size=8)
  skipped = [next(rows) for _ in range(60)][50:]
  rows = data.indices(37, seed=1, batch_size=8, start_step=50)
  np.testing.assert_array_equal([next(rows) for _ in range(10)], skipped)
  start = time.perf_counter()
  rows = data.indices(60_000, seed=1, batch_size=256, start_step=10**9)
  for _ in range(100):
    next(rows)
  assert time.perf_counter() - start < 0.5  # 0.02 ms a step on an idle core


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_rows_of_the_global_batch(processes):
  parts = np.split(np.random.default_rng(0).permutation(8), processes)
  shares = [data.indices(37, seed=2, batch_size=8, rows=rows) for rows in parts]
  whole = data.indices(37, seed=2, batch_size=8)
  for _ in range(20):
    batch = next(whole)
    for rows, share in zip(parts, shares, strict=True):
      np.testing.assert_array_equal(next(share), batch[rows])


@pytest.mark.parametrize(
  "options, message",
  [
    (dict(batch_size=0), "expected 1 or more, got 0"),
    (dict(batch_size=38), "38 is more than the 37 records"),
    (dict(batch_size=8, seed=-1), "seed: expected an int >= 0"),
  ],
)
def test_impossible_orders_are_refused(options, message):
  options = dict(seed=0) | options
  with pytest.raises(UserError, match=message):
    data.indices(37, **options)
  with pytest.raises(UserError, match=message):
    data.stream(Squares(37), **options)


# --- streams ----------------------------------------------------------------


def test_batches_hold_the_records_that_indices_names():
  rows = data.indices(37, seed=3, batch_size=8)
  for got in take(data.stream(Squares(), seed=3, batch_size=8), 12):
    index = next(rows)
    np.testing.assert_array_equal(got["index"], index)
    np.testing.assert_array_equal(got["label"], index % 10)
    expected = np.broadcast_to(index[:, None, None, None], (8, 4, 4, 3))
    np.testing.assert_array_equal(got["image"], expected)
    dtypes = {name: part.dtype for name, part in got.items()}
    assert dtypes == {"image": np.uint8, "label": np.int32, "index": np.int32}


@pytest.mark.parametrize("threads", [0, 1, 8])
def test_threads_change_nothing(threads):
  options = dict(seed=3, batch_size=8, host=noise)
  expected = take(data.stream(Squares(), **options), 10)
  got = take(data.stream(Squares(), threads=threads, **options), 10)
  assert_same(got, expected)
  got = take(data.stream(Squares(), start_step=6, **options), 4)
  assert_same(got, expected[6:])
  assert type(expected[0]["image"]) is np.ndarray


def test_host_randomness_is_per_position_and_seed():
  def noises(seed, **options):
    options: Any = dict(seed=seed, batch_size=8, host=noise) | options
    batches = take(data.stream(Squares(), **options), 15)
    return np.concatenate([b["noise"] for b in batches])

  one = noises(0)
  assert len(np.unique(one)) == one.size  # also over three epochs
  assert not (one == noises(1)).any()
  halves = [noises(0, rows=np.arange(p, 8, 2)) for p in (0, 1)]
  np.testing.assert_array_equal(np.stack(halves, 1).reshape(one.shape), one)


def test_workers_change_nothing(tmp_path):
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (41, 24, 20, 3), np.uint8)
  np.savez(tmp_path / "a.npz", x=images, y=np.arange(41))
  source = arrays.load("all", str(tmp_path / "a.npz"))
  host = data.host_views(2, 8)
  options = dict(seed=1, batch_size=8, host=host, start_step=3)
  expected = take(data.stream(source, **options), 9)
  assert expected[0]["image"].shape == (8, 2, 8, 8, 3)
  got = take(data.stream(source, workers=2, threads=2, **options), 9)
  assert_same(got, expected)
  assert type(got[0]["image"]) is np.ndarray
  # Worker 1 has no batch of this epoch, and still both end.
  with data.epoch(source, 41, workers=2) as batches:
    (only,) = batches
  np.testing.assert_array_equal(only["index"], np.arange(41))


CHILD = """
  import multiprocessing, sys
  from infomin_jax import data
  if __name__ == "__main__":
    source = data.load({"name": "arrays", "path": sys.argv[1]}, "all")
    stream = data.stream(source, seed=0, batch_size=4, workers=2)
    next(stream), next(stream)  # one from each worker
    print(*[p.pid for p in multiprocessing.active_children()], flush=True)
    while True:
      next(stream)
"""


@pytest.mark.slow
def test_workers_die_with_their_parent(tmp_path):
  np.save(tmp_path / "a.npy", np.zeros((40, 4, 4), np.uint8))
  script = tmp_path / "child.py"
  script.write_text(textwrap.dedent(CHILD))
  root = str(pathlib.Path(data.__file__).parents[2])
  # Output to a file: orphans would keep a pipe open.
  with open(tmp_path / "out", "w") as out:
    child = subprocess.Popen(
      [sys.executable, str(script), str(tmp_path / "a.npy")],
      stdout=out,
      stderr=subprocess.STDOUT,
      env=os.environ | {"PYTHONPATH": root},
    )
    try:
      wait_for(lambda: (tmp_path / "out").read_text().endswith("\n"), 60)
      workers = [int(word) for word in (tmp_path / "out").read_text().split()]
      assert len(workers) == 2 and all(is_running(pid) for pid in workers)
    finally:
      child.send_signal(signal.SIGKILL)
      child.wait()
  wait_for(lambda: not any(is_running(pid) for pid in workers), 20)


def wait_for(condition, seconds):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, "waited too long"
    time.sleep(0.05)


def is_running(pid):
  try:
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
  except FileNotFoundError:
    return False
  return stat.rpartition(")")[2].split()[0] != "Z"


# --- epochs and resident arrays ---------------------------------------------


def test_epoch_is_one_ordered_pass():
  with data.epoch(Squares(37), 10) as batches:
    rows = [b["index"].tolist() for b in batches]
  assert [len(r) for r in rows] == [10, 10, 10, 7]
  assert np.concatenate(rows).tolist() == list(range(37))
  with pytest.raises(UserError, match="batch_size: expected 1 or more, got 0"):
    data.epoch(Squares(10), 0)


def test_resident_rows_and_indices_are_the_stream():
  source = Squares(601)  # more than one chunk
  arrays: Any = data.resident(source)
  assert {k: v.shape for k, v in arrays.items()} == {
    "image": (601, 4, 4, 3),
    "label": (601,),
    "index": (601,),
  }
  rows = data.indices(601, seed=4, batch_size=64, start_step=5)
  options = dict(seed=4, batch_size=64, start_step=5)
  for got in take(data.stream(source, **options), 12):
    index = next(rows)
    picked = {name: part[index] for name, part in arrays.items()}
    assert_same([picked], [got])


def test_resident_is_none_if_it_does_not_fit():
  assert data.resident(Squares(10), limit_bytes=10 * 48 - 1) is None
  assert data.resident(Squares(10), limit_bytes=10 * 48) is not None
  assert data.resident(Squares(10, sizes={1: 5})) is None


# --- broken and odd records -------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_record_stops_with_its_name(workers):
  source = Squares(40, broken=[11])
  stream = data.stream(source, seed=0, batch_size=8, workers=workers)
  with pytest.raises(data.BrokenRecord, match=r"Record 11 .*\(file 11\)"):
    take(stream, 5)
  with pytest.raises(data.BrokenRecord, match="Record 11 "):
    data.resident(source)


def test_a_broken_record_is_replaced_by_the_next_readable(capsys):
  source = Squares(40, broken=[11, 12, 39])
  options = dict(seed=0, batch_size=8, host=noise)
  whole = take(data.stream(Squares(40), **options), 10)
  stream = data.stream(source, broken="skip", **options)
  got = take(stream, 10)
  stand_ins = {11: 13, 12: 13, 39: 0}
  for a, b in zip(got, whole, strict=True):
    expected = [stand_ins.get(i, i) for i in b["index"].tolist()]
    assert a["index"].tolist() == expected
    assert a["image"][:, 0, 0, 0].tolist() == expected
    assert a.keys() == b.keys()
    np.testing.assert_array_equal(a["noise"], b["noise"])
  # Ten batches of eight are two epochs: each was met twice, and told once.
  assert stream.broken == 6 and stream.broken_indices == {11, 12, 39}
  lines = sorted(capsys.readouterr().err.splitlines())
  assert [line.split(" of ")[0] for line in lines] == [
    "Record 11",
    "Record 12",
    "Record 39",
  ]
  assert all("(file " in line and "replaces" in line for line in lines)


def test_workers_and_resident_skip_alike(capsys):
  source = Squares(40, broken=[11, 12])
  options = dict(seed=0, batch_size=8, broken="skip")
  expected = take(data.stream(source, **options), 5)
  stream = data.stream(source, workers=1, **options)
  assert_same(take(stream, 5), expected)
  assert stream.broken == 2
  capsys.readouterr()
  arrays: Any = data.resident(source, broken="skip")
  rows = data.indices(40, seed=0, batch_size=8)
  picked = [
    {name: part[index] for name, part in arrays.items()}
    for index in (next(rows) for _ in range(5))
  ]
  assert_same(picked, expected)
  assert "Record 11 " in capsys.readouterr().err


def test_nothing_readable_is_an_error():
  source = Squares(8, broken=range(8))
  with pytest.raises(UserError, match="None of the 8 records"):
    take(data.stream(source, seed=0, batch_size=4, broken="skip"), 1)
  with pytest.raises(UserError, match="broken: expected stop or skip"):
    data.stream(source, seed=0, batch_size=4, broken="ignore")
  with pytest.raises(UserError, match="workers and threads"):
    data.stream(source, seed=0, batch_size=4, workers=-1)


def test_shapes_must_agree_within_a_batch():
  source = Squares(40, sizes={7: 5})
  expected = r"Record 7 .*shape \[4, 4, 3\] .*got \[5, 5, 3\].*image_size"
  with pytest.raises(UserError, match=expected) as caught:
    with data.epoch(source, 8) as batches:
      list(batches)
  assert "\n" not in str(caught.value)
  crops = data.epoch(source, 8, host=data.host_center(4, 4))
  assert [b["image"].shape for b in take(crops, 5)] == [(8, 4, 4, 3)] * 5
  source = Squares(8)
  source.image_shape = (6, 6, 3)
  with pytest.raises(UserError, match=r"Record 0 .*\[6, 6, 3\].*\[4, 4, 3\]"):
    data.resident(source)


def test_collate_checks_fields_and_types():
  record: Any = Squares()[3] | {"bits": np.ones(2, np.float32), "flag": True}
  got = batch.collate([record, record], 2)
  assert got["bits"].dtype == np.float32 and got["bits"].shape == (2, 2)
  assert got["flag"].dtype == np.int32
  other = {k: v for k, v in record.items() if k != "label"}
  with pytest.raises(UserError, match=r"Record 3 .*fields bits, flag, image"):
    batch.collate([record, other], 2)
  floats = record | {"image": record["image"].astype(np.float32)}
  with pytest.raises(UserError, match="image of uint8, got float32"):
    batch.collate([floats], 1)


# --- host crops -------------------------------------------------------------


def test_host_views_cut_as_random_resized_crop():
  image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
  record = {"image": image, "label": 4, "index": 2}
  host = data.host_views(3, 16, (0.3, 0.9), (0.5, 2.0))
  got = host(record, np.random.default_rng(7))
  rng = np.random.default_rng(7)
  crop = functools.partial(
    decode.random_resized_crop, image, rng, 16, (0.3, 0.9), (0.5, 2.0)
  )
  np.testing.assert_array_equal(got["image"], [crop() for _ in range(3)])
  assert got["label"] == 4 and got["index"] == 2
  assert record["image"] is image


def test_host_center_is_resize_crop():
  image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
  got = data.host_center(20, 16)({"image": image}, np.random.default_rng(0))
  expected = decode.resize_crop(image, 20, 16)
  np.testing.assert_array_equal(got["image"], expected)


@pytest.mark.parametrize(
  "make, message",
  [
    (lambda: data.host_views(0, 8), "count, size >= 1"),
    (lambda: data.host_views(2, 8, (0.5, 1.5)), "scale: expected"),
    (lambda: data.host_views(2, 8, ratio=(2.0, 1.0)), "ratio: expected"),
    (lambda: data.host_center(8, 9), "size <= resize, got 9 and 8"),
  ],
)
def test_impossible_crops_are_refused(make, message):
  with pytest.raises(UserError, match=message):
    make()
