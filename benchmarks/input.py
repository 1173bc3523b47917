"""Images a second that a core reads: decode once, cut two views, keep up.

  pip install 'infomin-jax[bench,prepare]'
  python benchmarks/input.py --evidence docs/evidence/input.json

JPEGs of ImageNet's size, 500 x 375 and about 100 KiB, made from photographs of
scikit-learn and scikit-image. `bare` is our decoding and two crops in a loop;
`threads` and `processes` are the same through `data.stream`, one a core. Pillow
decodes and crops as torchvision does it; OpenCV without antialiasing;
TensorFlow, where it is installed, as a compiled graph. The loops have a process
a core; two views an image.
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
SECONDS = 4.0  # of a round
SETTLE = 4.0  # until the pipeline has used up, and again read, what it can hold
SIDES = ["bare", "pillow", "opencv"]
if importlib.util.find_spec("tensorflow"):
  SIDES.append("tensorflow")


def make_files(folder):
  """Writes the JPEGs and returns their mean size in bytes."""
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
    # Noise brings the files to the size that they have in ImageNet.
    pixels = pixels + rng.normal(0, 10, pixels.shape)
    path = folder / f"{i:03d}.jpg"
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image.save(path, "JPEG", quality=90, subsampling=2)
    sizes.append(path.stat().st_size)
  return float(np.mean(sizes))


def bare(data, rng):
  """Our decoding, and our crops."""
  from infomin_jax.data import decode

  image = decode.decode(data, 3)
  return [
    decode.random_resized_crop(image, rng, SIZE, SCALE) for _ in range(VIEWS)
  ]


def pillow(data, rng):
  """As torchvision's RandomResizedCrop on Pillow images, bilinear."""
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
  """OpenCV's usual way: bilinear, not antialiased."""
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
  """A function of JPEG bytes and windows `[v, 4]`, compiled once."""
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
    found = []
    for i in range(VIEWS):
      top, left, h, w = tf.unstack(windows[i])
      window = tf.image.crop_to_bounding_box(image, top, left, h, w)
      view = tf.image.resize(window, [SIZE, SIZE], antialias=True)
      found.append(tf.cast(tf.round(view), tf.uint8))
    return found

  return views


def tensorflow(data, rng):
  """tf.image: decode once, bilinear with antialiasing, as a graph."""
  from infomin_jax.data.decode import random_window

  windows = [random_window(375, 500, rng, SCALE) for _ in range(VIEWS)]
  made = _in_tensorflow()(data, np.array(windows, np.int32))
  return [view.numpy() for view in made]


def loop(side, folder, core, pipe):
  """Reads files one after another whenever asked; answers with images/s."""
  os.sched_setaffinity(0, {core})
  read = globals()[side]
  files = [path.read_bytes() for path in sorted(folder.glob("*/*.jpg"))]
  rng = np.random.default_rng(core)
  read(files[0], rng)
  pipe.send(0.0)
  while pipe.recv():
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
      read(files[count % len(files)], rng)
      count += 1
    pipe.send(count / (time.perf_counter() - began))


def pipeline(folder, workers, threads, pipe):
  """The stream that `infomin train` reads; answers with images/s."""
  from infomin_jax import data

  source = data.load({"name": "folder", "path": str(folder)}, "all")
  host = data.host_views(VIEWS, SIZE, SCALE)
  options: dict[str, Any] = dict(seed=0, batch_size=64, host=host)
  options |= dict(workers=workers, threads=threads)
  with data.stream(source, **options) as batches:
    next(batches)
    pipe.send(0.0)
    while pipe.recv():
      began = time.perf_counter()
      while time.perf_counter() - began < SETTLE:
        next(batches)  # what was read ahead while others had their turn
      count, began = 0, time.perf_counter()
      while time.perf_counter() - began < SECONDS:
        count += len(next(batches)["index"])
      pipe.send(count / (time.perf_counter() - began))


def measure(folder, rounds):
  """Images a second and core of every round, `{side: [rate]}`."""
  context = multiprocessing.get_context("spawn")
  cores = sorted(os.sched_getaffinity(0))
  rates = {}
  through = {
    "threads": functools.partial(pipeline, folder, 0, len(cores)),
    "processes": functools.partial(pipeline, folder, len(cores), 1),
  }
  for side in (*SIDES, *through):
    pipes, processes = [], []
    for core in cores if side in SIDES else cores[:1]:
      mine, other = context.Pipe()
      target = functools.partial(loop, side, folder, core)
      if side in through:
        target = through[side]
      # Not daemons: the pipeline's process has workers of its own.
      processes.append(context.Process(target=target, args=(other,)))
      processes[-1].start()
      pipes.append(mine)
    rates[side] = (pipes, processes, [])
  # Only one side works at a time, and sides take turns.
  for pipes, _, _ in rates.values():
    for pipe in pipes:
      pipe.recv()
  for turn in range(rounds + 1):
    for pipes, _, found in rates.values():
      for pipe in pipes:
        pipe.send(True)
      rate = sum(pipe.recv() for pipe in pipes) / len(cores)
      time.sleep(SETTLE)  # the pipeline reads ahead for a while
      if turn:
        found.append(rate)
  for pipes, processes, _ in rates.values():
    for pipe in pipes:
      pipe.send(False)
    for process in processes:
      process.join()
  return {side: found for side, (_, _, found) in rates.items()}


def main():
  """Prints a line, or JSON, and stores the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=7)
  parser.add_argument("--json", action="store_true")
  parser.add_argument("--evidence", help="also store the result as this file")
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
