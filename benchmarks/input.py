"""Images per second and core of the input: decode once, cut two views.

  pip install 'infomin-jax[bench,prepare]'
  python benchmarks/input.py --evidence docs/evidence/input.json

The JPEGs have the size of those of ImageNet, 500 x 375 pixels and about 100
KiB. They are made from photographs of scikit-learn and scikit-image. `bare` is
our decoding and cropping in a loop. `threads` and `processes` are the same
through `data.stream`, one per core. Pillow decodes and crops as in torchvision,
OpenCV without antialiasing. TensorFlow, if installed, uses a compiled graph.
Loops have one process per core.
"""

import argparse
import functools
import importlib
import importlib.util
import io
import json
import multiprocessing
import os
import pathlib
import tempfile
import time
from typing import Any

import numpy as np

FILES, SIZE, VIEWS = 256, 224, 2
SCALE = (0.2, 1.0)
SECONDS = 4.0  # duration of a round
SETTLE = 4.0  # seconds in which the buffer of the pipeline is emptied or filled
SIDES = ["bare", "pillow", "opencv"]
if importlib.util.find_spec("tensorflow"):
  SIDES.append("tensorflow")


def make_files(folder):
  """Writes JPEGs into a folder and returns their mean size in bytes."""
  import skimage.data
  from PIL import Image
  from sklearn.datasets import load_sample_images

  names = ("astronaut", "chelsea", "coffee", "rocket")
  photos = [*load_sample_images().images]
  photos += [getattr(skimage.data, name)() for name in names]
  rng, sizes = np.random.default_rng(0), []
  for i in range(FILES):
    photo = photos[i % len(photos)]
    height, width = photo.shape[:2]
    w = int(min(width, height * 4 / 3) * rng.uniform(0.75, 1))
    h = w * 3 // 4
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    window = Image.fromarray(photo[top : top + h, left : left + w])
    pixels = np.asarray(window.resize((500, 375), Image.Resampling.LANCZOS))
    # Noise makes the files as large as those of ImageNet.
    pixels = pixels + rng.normal(0, 10, pixels.shape)
    path = folder / f"{i:03d}.jpg"
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image.save(path, "JPEG", quality=90, subsampling=2)
    sizes.append(path.stat().st_size)
  return float(np.mean(sizes))


def bare(data, rng):
  """Decodes and crops with our code."""
  from infomin_jax.data import decode

  image = decode.decode(data, 3)
  return [
    decode.random_resized_crop(image, rng, SIZE, SCALE) for _ in range(VIEWS)
  ]


def pillow(data, rng):
  """Decodes and crops as torchvision's RandomResizedCrop on Pillow images."""
  from PIL import Image

  from infomin_jax.data.decode import random_window

  image = Image.open(io.BytesIO(data)).convert("RGB")
  views = []
  for _ in range(VIEWS):
    top, left, h, w = random_window(image.height, image.width, rng, SCALE)
    view = image.crop((left, top, left + w, top + h))
    view = view.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    views.append(np.asarray(view))
  return views


def opencv(data, rng):
  """Decodes and crops with OpenCV, bilinear without antialiasing."""
  import cv2

  from infomin_jax.data.decode import random_window

  cv2.setNumThreads(1)
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
  views = []
  for _ in range(VIEWS):
    height, width = image.shape[:2]
    top, left, h, w = random_window(height, width, rng, SCALE)
    window = image[top : top + h, left : left + w]
    views.append(cv2.resize(window, (SIZE, SIZE)))
  return views


@functools.cache
def _in_tensorflow():
  """Returns a graph of JPEG bytes and windows `[v, 4]`, compiled once."""
  tf: Any = importlib.import_module("tensorflow")
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)

  @tf.function(
    input_signature=[
      tf.TensorSpec([], tf.string),
      tf.TensorSpec([VIEWS, 4], tf.int32),
    ]
  )
  def views(data, windows):
    image = tf.io.decode_jpeg(data, 3)
    crops = []
    for i in range(VIEWS):
      top, left, h, w = tf.unstack(windows[i])
      window = tf.image.crop_to_bounding_box(image, top, left, h, w)
      view = tf.image.resize(window, [SIZE, SIZE], antialias=True)
      crops.append(tf.cast(tf.round(view), tf.uint8))
    return crops

  return views


def tensorflow(data, rng):
  """Decodes and crops with tf.image, bilinear with antialiasing."""
  from infomin_jax.data.decode import random_window

  windows = [random_window(375, 500, rng, SCALE) for _ in range(VIEWS)]
  crops = _in_tensorflow()(data, np.array(windows, np.int32))
  return [view.numpy() for view in crops]


def loop(side, folder, core, pipe):
  """Runs a round of reading files per message of the pipe; sends images/s."""
  os.sched_setaffinity(0, {core})
  read = globals()[side]
  files = [path.read_bytes() for path in sorted(folder.glob("*/*.jpg"))]
  rng = np.random.default_rng(core)
  read(files[0], rng)
  pipe.send(0.0)
  while pipe.recv():
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
      read(files[count % len(files)], rng)
      count += 1
    pipe.send(count / (time.perf_counter() - start))


def pipeline(folder, workers, threads, pipe):
  """Runs a round of our stream per message of the pipe; sends images/s."""
  from infomin_jax import data

  source = data.load({"name": "folder", "path": str(folder)}, "all")
  host = data.host_views(VIEWS, SIZE, SCALE)
  options: dict[str, Any] = dict(seed=0, batch_size=64, host=host)
  options |= dict(workers=workers, threads=threads)
  with data.stream(source, **options) as batches:
    next(batches)
    pipe.send(0.0)
    while pipe.recv():
      start = time.perf_counter()
      while time.perf_counter() - start < SETTLE:
        next(batches)  # batches that were read ahead between the rounds
      count, start = 0, time.perf_counter()
      while time.perf_counter() - start < SECONDS:
        count += len(next(batches)["index"])
      pipe.send(count / (time.perf_counter() - start))


def measure(folder, rounds):
  """Returns images per second and core of every round, `{side: [rate]}`."""
  context = multiprocessing.get_context("spawn")
  cores = sorted(os.sched_getaffinity(0))
  rates = {}
  streams = {
    "threads": functools.partial(pipeline, folder, 0, len(cores)),
    "processes": functools.partial(pipeline, folder, len(cores), 1),
  }
  for side in (*SIDES, *streams):
    pipes, processes = [], []
    for core in cores if side in SIDES else cores[:1]:
      near, far = context.Pipe()
      target = functools.partial(loop, side, folder, core)
      if side in streams:
        target = streams[side]
      # Not a daemon: the process of the pipeline has worker processes.
      processes.append(context.Process(target=target, args=(far,)))
      processes[-1].start()
      pipes.append(near)
    rates[side] = (pipes, processes, [])
  # Only one side runs at a time, and the sides take turns.
  for pipes, _, _ in rates.values():
    for pipe in pipes:
      pipe.recv()
  for turn in range(rounds + 1):
    for pipes, _, side_rates in rates.values():
      for pipe in pipes:
        pipe.send(True)
      rate = sum(pipe.recv() for pipe in pipes) / len(cores)
      time.sleep(SETTLE)  # until the pipeline has stopped reading ahead
      if turn:
        side_rates.append(rate)
  for pipes, processes, _ in rates.values():
    for pipe in pipes:
      pipe.send(False)
    for process in processes:
      process.join()
  return {side: side_rates for side, (_, _, side_rates) in rates.items()}


def main():
  """Prints one line per side, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=7)
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    (folder / "photos").mkdir()
    size = make_files(folder / "photos")
    rates = measure(folder, options.rounds)
  ratios = {
    side: {
      other: float(np.median(np.divide(rate, rates[other]))) for other in SIDES
    }
    for side, rate in rates.items()
  }
  values = [
    {
      "side": side,
      "images_per_second_and_core": float(np.median(rate)),
      "times": ratios[side],
      "range": [min(rate), max(rate)],
    }
    for side, rate in rates.items()
  ]
  rows = [
    {
      "case": f"{VIEWS} views of {SIZE} px, {size / 1024:.0f} KiB",
      "who": value["side"],
      "value": value["images_per_second_and_core"],
      "unit": "images/s and core",
      "peak_bytes": None,
    }
    for value in values
  ]
  if options.json:
    print(json.dumps(rows))
  else:
    for row in rows:
      print(f"{row['who']}: {row['value']:.0f} {row['unit']} ({row['case']})")
  if options.evidence:
    from infomin_jax import provenance

    provenance.write(
      options.evidence,
      commands=[f"python benchmarks/input.py --rounds {options.rounds}"],
      config={"rounds": options.rounds, "files": FILES, "bytes": size},
      seeds=[0],
      values=values,
      extra={"interval": "lowest and highest round, in values[].range"},
    )


if __name__ == "__main__":
  main()
