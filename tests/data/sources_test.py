"""Decoding and cropping, split strings, folders and arrays as sources."""

import io
import pickle
from typing import Any

import ml_collections
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from infomin_jax import data
from infomin_jax.data import arrays, decode, folder, sources
from infomin_jax.errors import UserError


def photo(h, w, c=3, seed=0):
  """A smooth uint8 `[h, w, c]`, so that JPEG changes it little."""
  coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, c), np.uint8)
  return decode.resize(coarse, h, w)


def encoded(image, kind="png", **options):
  file = io.BytesIO()
  mode = {2: "LA", 4: "RGBA"}.get(image.shape[-1])
  pixels = image[..., 0] if image.shape[-1] == 1 else image
  picture = Image.fromarray(pixels)
  assert mode is None or picture.mode == mode
  picture.save(file, format=kind, **options)
  return file.getvalue()


def write_image(path, image, **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(encoded(image, **options))


# --- decode -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm"])
def test_decode_returns_the_pixels_in_rgb_order(kind):
  image = photo(20, 30)
  np.testing.assert_array_equal(decode.decode(encoded(image, kind)), image)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_decode_agrees_with_pillow_on_lossy_files(kind):
  content = encoded(photo(20, 30), kind)
  expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
  got = decode.decode(content).astype(int)
  # The two libraries interpolate the chroma of WebP differently.
  assert np.abs(got - expected).mean() < 1.5


@pytest.mark.parametrize("c", [1, 3, 4])
def test_channels_as_stored(c):
  image = photo(12, 9, c)
  np.testing.assert_array_equal(decode.decode(encoded(image)), image)


def test_channels_converted():
  image = photo(12, 9, 4)
  gray = photo(12, 9, 1)
  luma = np.asarray(Image.fromarray(image[..., :3]).convert("L"))
  got = decode.decode(encoded(image), 3)
  np.testing.assert_array_equal(got, image[..., :3])
  got = decode.decode(encoded(gray), 3)
  np.testing.assert_array_equal(got, np.repeat(gray, 3, -1))
  got = decode.decode(encoded(image[..., :3]), 1)[..., 0].astype(int)
  assert np.abs(got - luma).max() <= 1


def test_sixteen_bits_are_scaled():
  gray = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
  got = decode.decode(encoded(gray[..., None] + np.uint16(100)))
  np.testing.assert_array_equal(got[..., 0].ravel()[:-1], np.arange(255))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif"])
def test_exif_orientation_is_applied_if_asked(kind):
  image = photo(20, 30)
  for how in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = how
    content = encoded(image, kind, exif=exif)
    assert np.abs(decode.decode(content, 3) - image.astype(int)).mean() < 10
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    expected = np.asarray(turned.convert("RGB"), int)
    got = decode.decode(content, 3, upright=True)
    assert got.shape == expected.shape
    assert np.abs(got - expected).mean() < 10


@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "avif"])
def test_alpha_shows_the_background(kind):
  image = np.zeros((8, 8, 4), np.uint8)
  image[...] = (250, 0, 100, 0)
  image[:4, :, 3] = 128
  options = {} if kind == "tiff" else {"lossless": True, "exact": True}
  content = encoded(image, kind, **(options if kind == "webp" else {}))
  got = decode.decode(content, 3, background=(0, 200, 40)).astype(int)
  # 250 * 128 / 255 + 0, 200 * 127 / 255, 100 * 128 / 255 + 40 * 127 / 255.
  np.testing.assert_allclose(got[:3], [[[125, 100, 70]] * 8] * 3, atol=3)
  np.testing.assert_allclose(got[5:], [[[0, 200, 40]] * 8] * 3, atol=1)
  if kind != "avif":
    assert decode.decode(content, 4)[0, 0].tolist() == [250, 0, 100, 128]


def test_palettes_and_color_keys_are_transparent_too():
  image = np.zeros((4, 6, 3), np.uint8)
  image[:, 3:] = 90
  flat = Image.fromarray(image).quantize(4)
  zero = flat.getpixel((0, 0))
  for file, key in ((flat, zero), (Image.fromarray(image), (0, 0, 0))):
    content = io.BytesIO()
    file.save(content, "png", transparency=key)
    got = decode.decode(content.getvalue(), 3, background=(9, 8, 7))
    assert got[0, 0].tolist() == [9, 8, 7] and got[0, 5].tolist() == [90] * 3


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "bmp", "gif"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.6, 0.97])
def test_cut_files_are_broken_records(kind, keep):
  content = encoded(photo(40, 60), kind)
  with pytest.raises(decode.BrokenRecord, match=r"bytes|OpenCV"):
    decode.decode(content[: int(len(content) * keep)])


def test_a_small_file_of_a_huge_image_is_refused_at_once():
  buffer = io.BytesIO()
  Image.new("1", (20_000, 20_000)).save(buffer, "png")
  assert len(buffer.getvalue()) < 2**17
  with pytest.raises(decode.BrokenRecord, match="OpenCV"):
    decode.decode(buffer.getvalue())


def test_jpeg_without_its_end_is_cut_though_it_has_a_thumbnail():
  thumbnail = encoded(photo(8, 8), "jpeg")
  content = encoded(photo(40, 60), "jpeg", comment=thumbnail)
  assert decode.decode(content).shape == (40, 60, 3)
  assert decode.decode(content + b"padding").shape == (40, 60, 3)
  with pytest.raises(decode.BrokenRecord, match="end too early"):
    decode.decode(content[:-2])


@pytest.mark.parametrize("content", [b"", b"hello, this is no image"])
def test_other_bytes_are_broken_records(content):
  with pytest.raises(decode.BrokenRecord):
    decode.decode(content)


def test_wrong_channels_and_floats_are_the_users_mistake():
  with pytest.raises(UserError, match="expected 4 channels, got 3") as caught:
    decode.decode(encoded(photo(8, 8)), 4)
  assert not isinstance(caught.value, decode.BrokenRecord)
  file = io.BytesIO()
  Image.fromarray(np.ones((8, 8), np.float32)).save(file, format="tiff")
  with pytest.raises(UserError, match="8 or 16 bits per channel, got float32"):
    decode.decode(file.getvalue())


# --- cropping ---------------------------------------------------------------


@pytest.mark.parametrize("size, most", [(224, 2.0), (96, 2.0), (32, 3.5)])
def test_photographs_shrink_nearly_as_pillow_shrinks_them(size, most):
  def apart(found, window):
    pillow = Image.fromarray(window).resize(
      (size, size), Image.Resampling.BILINEAR
    )
    return np.sqrt(np.mean((found - np.asarray(pillow, float)) ** 2))

  ours, linear = [], []
  for image in (skimage.data.coffee(), skimage.data.astronaut()):
    for h, w in ((400, 512), (300, 320), (300, 200), (100, 120)):
      window = image[:h, :w]
      ours.append(apart(decode.resize(window, size, size), window))
      # Without smoothing, what is finer than a pixel turns into noise.
      linear.append(apart(decode.cv2.resize(window, (size, size)), window))
  assert max(ours) < most
  assert np.mean(ours) < 0.6 * np.mean(linear)


@pytest.mark.parametrize("c", [1, 3, 4, 5, 11])
def test_channels_are_resized_each_alone(c):
  image = np.random.default_rng(0).integers(0, 256, (12, 20, c), np.uint8)
  got = decode.resize(image, 4, 15)
  assert got.shape == (4, 15, c)
  for k in range(c):
    alone = decode.resize(image[..., k : k + 1], 4, 15)
    np.testing.assert_array_equal(got[..., k : k + 1], alone)


def test_an_axis_that_shrinks_is_averaged_while_the_other_grows():
  image = np.zeros((16, 4, 1), np.uint8)
  image[::2] = 200
  got = decode.resize(image, 4, 8)
  np.testing.assert_array_equal(got, np.full((4, 8, 1), 100))


def test_resize_crop_is_the_center():
  image = np.zeros((40, 80, 3), np.uint8)
  image[8:32, 28:52] = 255  # and what its edge is smoothed with
  np.testing.assert_array_equal(
    decode.resize_crop(image, 20, 10), np.full((10, 10, 3), 255)
  )
  # torchvision: the longer side becomes int(20 * 77 / 40) = 38.
  tall = photo(77, 40)
  expected = decode.resize(tall, 38, 20)[14:24, 5:15]
  np.testing.assert_array_equal(decode.resize_crop(tall, 20, 10), expected)


def test_a_long_image_is_cut_before_it_is_enlarged():
  # Resized whole, these would take 4.5 GB.
  for shape in ((1, 30_000), (30_000, 1)):
    image = np.zeros((*shape, 3), np.uint8)
    middle = image.reshape(-1, 3)[14_990:15_010]
    middle[:10], middle[10:] = 100, 200
    got = decode.resize_crop(image, 224, 224)
    across = got[:, 100, 0] if shape[1] == 1 else got[100, :, 0]
    # The crop is half a pixel of each value, and between their centers linear.
    expected = 100 + 100 * (np.arange(224) + 0.5) / 224
    np.testing.assert_allclose(across, expected, atol=1)


@pytest.mark.parametrize("shape", [(30, 250), (251, 30), (40, 161)])
def test_the_middle_of_a_long_image_is_that_of_the_whole(shape):
  image = photo(*shape)
  for resize_to, size in ((20, 16), (45, 45)):
    h, w, top, left = decode.center_window(*shape, resize_to, size)
    whole = decode.resize(image, h, w)[top : top + size, left : left + size]
    got = decode.resize_crop(image, resize_to, size)
    assert np.abs(got.astype(int) - whole).max() <= 3


def test_random_windows_have_torchvisions_distribution():
  rng = np.random.default_rng(0)
  windows = [
    decode.random_window(400, 420, rng, (0.1, 0.4), (0.5, 2.0))
    for _ in range(4000)
  ]
  top, left, h, w = np.array(windows).T
  assert (top >= 0).all() and (top + h <= 400).all()
  assert (left >= 0).all() and (left + w <= 420).all()
  area, aspect = h * w / (400 * 420), np.log(w / h)
  assert 0.098 < area.min() and area.max() < 0.402
  assert abs(area.mean() - 0.25) < 0.01
  assert aspect.min() > np.log(0.49) and aspect.max() < np.log(2.05)
  assert abs(aspect.mean()) < 0.03
  assert abs(np.mean(top / (400 - h)) - 0.5) < 0.02
  assert abs(np.mean(left / (420 - w)) - 0.5) < 0.02


@pytest.mark.parametrize(
  "size, expected",
  [
    ((10, 1000), (0, 493, 10, 13)),
    ((1000, 9), (494, 0, 12, 9)),
    ((30, 30), (0, 0, 30, 30)),
  ],
)
def test_random_window_falls_back_to_the_center(size, expected):
  rng = np.random.default_rng(0)
  too_large = (2.0, 3.0)
  assert decode.random_window(size[0], size[1], rng, too_large) == expected


def test_random_resized_crop_is_its_window_resized():
  image = photo(50, 70)
  top, left, h, w = decode.random_window(50, 70, np.random.default_rng(3))
  expected = decode.resize(image[top : top + h, left : left + w], 16, 16)
  got = decode.random_resized_crop(image, np.random.default_rng(3), 16)
  np.testing.assert_array_equal(got, expected)


# --- split strings ----------------------------------------------------------


@pytest.mark.parametrize(
  "split, rows",
  [
    ("train", range(20)),
    ("test", range(20, 25)),
    ("train[:10%]", range(2)),
    ("train[90%:]", range(18, 20)),
    ("train[-3:]", range(17, 20)),
    ("test[1:3]+train[:2]", [21, 22, 0, 1]),
    ("all", range(25)),
  ],
)
def test_select_counts_as_tfds_does(split, rows):
  got = sources.select(split, {"train": 20, "test": 5}, "set")
  np.testing.assert_array_equal(got, list(rows))


@pytest.mark.parametrize(
  "split, message",
  [
    ("tset", "Unknown split 'tset'.*Its splits: {'train': 20, 'test': 5}"),
    ("train[", "Error parsing split"),
    ("", "Error parsing split"),
    ("train[:99]", "incompatible with 20 examples"),
    ("train[3:3]", "is empty"),
  ],
)
def test_bad_splits_are_one_line(split, message):
  with pytest.raises(UserError, match=message) as caught:
    sources.select(split, {"train": 20, "test": 5}, "set")
  assert "\n" not in str(caught.value)


# --- folders ----------------------------------------------------------------


def test_sub_folders_are_classes(tmp_path):
  for kind, count in (("dog", 3), ("cat", 2)):
    for i in range(count):
      write_image(tmp_path / kind / "deep" / f"{i}.PNG", photo(6 + i, 7, 3, i))
  (tmp_path / "dog" / "notes.txt").write_text("no image")
  source = folder.load("all", str(tmp_path))
  assert source.tasks == {"label": data.Task("label", 2, ("cat", "dog"))}
  assert source.image_shape is None
  # Every tenth is test: five images are all in train.
  assert len(source) == len(folder.load("train", str(tmp_path))) == 5
  records = [source[i] for i in range(5)]
  assert [r["label"] for r in records] == [0, 0, 1, 1, 1]
  assert [r["image"].shape[0] for r in records] == [6, 7, 6, 7, 8]
  assert [r["index"] for r in records] == list(range(5))
  np.testing.assert_array_equal(records[4]["image"], photo(8, 7, 3, 2))


def test_flat_folder_has_no_labels_and_every_tenth_is_test(tmp_path):
  for i in range(23):
    write_image(tmp_path / f"{i:02d}.png", np.full((4, 5, 3), i, np.uint8))

  def pick(split):
    return [int(r["image"][0, 0, 0]) for r in folder.load(split, str(tmp_path))]

  assert pick("test") == [9, 19]
  assert pick("train") == [i for i in range(23) if i not in (9, 19)]
  assert pick("train[:2]+test") == [0, 1, 9, 19]
  source = folder.load("train", str(tmp_path))
  assert source.tasks == {} and "label" not in source[0]


def test_split_folders_share_their_classes(tmp_path):
  for split, kinds in (("train", "abc"), ("val", "bc")):
    for kind in kinds:
      write_image(tmp_path / split / kind / "1.png", photo(4, 4))
  test = folder.load("test", str(tmp_path))
  assert [r["label"] for r in test] == [1, 2]
  assert test.tasks["label"].classes == 3
  assert len(folder.load("train", str(tmp_path))) == 3
  assert len(folder.load("train+validation", str(tmp_path))) == 5


def test_image_size_and_channels(tmp_path):
  image = photo(40, 60)
  write_image(tmp_path / "1.png", image)
  source = folder.load("train", str(tmp_path), image_size=16, channels=1)
  assert source.image_shape == (16, 16, 1) == source[0]["image"].shape
  source = folder.load("train", str(tmp_path), image_size=20, channels=3)
  expected = decode.resize_crop(image, 20, 20)
  np.testing.assert_array_equal(source[0]["image"], expected)


def test_broken_files_are_named(tmp_path):
  write_image(tmp_path / "0.png", photo(4, 4))
  (tmp_path / "1.png").write_bytes(b"nothing")
  write_image(tmp_path / "2.png", photo(4, 4))
  source = folder.load("train", str(tmp_path))
  with pytest.raises(data.BrokenRecord, match=r"Record 1 of .*1\.png"):
    source[1]
  (tmp_path / "2.png").unlink()
  with pytest.raises(data.BrokenRecord, match=r"Record 2 .*2\.png.*No such"):
    source[2]
  strict = folder.load("train", str(tmp_path), channels=4)
  with pytest.raises(UserError, match=r"Record 0 .*0\.png.*4 channels, got 3"):
    strict[0]


def test_bad_folders_are_refused(tmp_path):
  for path in ("", str(tmp_path / "absent")):
    with pytest.raises(UserError, match="expected a folder of images"):
      folder.load("train", path)
  with pytest.raises(UserError, match=r"no image below .*\.webp"):
    folder.load("train", str(tmp_path))
  write_image(tmp_path / "a" / "1.png", photo(4, 4))
  # One class says nothing: an ordinary folder with a sub-folder.
  assert folder.load("train", str(tmp_path)).tasks == {}
  with pytest.raises(UserError, match=r"'test' of folder .* is empty"):
    folder.load("test", str(tmp_path))
  write_image(tmp_path / "2.png", photo(4, 4))
  with pytest.raises(UserError, match="both next to and in its class folders"):
    folder.load("train", str(tmp_path))
  with pytest.raises(UserError, match="must be >= 0"):
    folder.load("train", str(tmp_path / "a"), image_size=-1)


# --- arrays -----------------------------------------------------------------


def test_npy_is_memory_mapped_and_split(tmp_path):
  images = np.random.default_rng(0).integers(0, 256, (21, 5, 6), np.uint8)
  np.save(tmp_path / "x.npy", images)
  source = arrays.load("all", str(tmp_path / "x.npy"))
  assert isinstance(source._images[0], np.memmap)
  assert source.image_shape == (5, 6, 1) and source.tasks == {}
  test = arrays.load("test", str(tmp_path / "x.npy"))
  assert len(test) == 2 and len(source) == 21
  np.testing.assert_array_equal(test[1]["image"][..., 0], images[19])
  assert test[1].keys() == {"image", "index"}
  with pytest.raises(IndexError):
    test[2]
  again = pickle.loads(pickle.dumps(test))
  assert len(pickle.dumps(test)) < 1000
  np.testing.assert_array_equal(again[1]["image"], test[1]["image"])


@pytest.mark.parametrize(
  "names",
  [
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("image_train", "label_train", "image_val", "label_val"),
  ],
)
def test_npz_with_splits_and_labels(tmp_path, names):
  rng = np.random.default_rng(0)
  train, test = rng.random((6, 4, 4, 7)), rng.random((3, 4, 4, 7))
  fields = (train, np.arange(6), test, np.arange(3))
  named: Any = dict(zip(names, fields, strict=True))
  np.savez(tmp_path / "a.npz", **named)
  path = str(tmp_path / "a.npz")
  assert arrays.load("train", path).image_shape == (4, 4, 7)
  assert arrays.load("train", path).tasks["label"] == data.Task("label", 6)
  last = "validation" if "val" in names[2] else "test"
  both = arrays.load(f"{last}+train[4:]", path)
  assert [r["label"] for r in both] == [0, 1, 2, 4, 5]
  expected = np.round(np.concatenate([test, train[4:]]) * 255)
  np.testing.assert_array_equal([r["image"] for r in both], expected)
  again = pickle.loads(pickle.dumps(both))
  np.testing.assert_array_equal(again[4]["image"], both[4]["image"])


IMAGES = np.zeros((4, 5, 5, 3), np.uint8)


@pytest.mark.parametrize(
  "fields, message",
  [
    (dict(pictures=IMAGES), "needs images under the name.*it has pictures"),
    (dict(x=IMAGES, x_test=IMAGES), "both with and without a split"),
    (dict(x=IMAGES.astype(int)), r"must be uint8.*got int64.*astype"),
    (dict(x=IMAGES[0, 0]), r"shape \[n, h, w\] or .*got \[5, 3\]"),
    (dict(x=IMAGES[:0]), r"got \[0, 5, 5, 3\]"),
    (dict(x=IMAGES.transpose(0, 3, 1, 2)), "channels first"),
    (dict(x=np.zeros((4, 6, 9, 9), np.uint8)), "channels first"),
    (dict(x_train=IMAGES, x_test=IMAGES[:, 1:]), "different image shapes"),
    (dict(x=IMAGES, y=np.zeros(3, int)), r"must be 4 class numbers.*\[3\]"),
    (dict(x=IMAGES, y=np.zeros(4)), "integer type; got float64"),
    (
      dict(x=IMAGES, y=np.full(4, -2)),
      "from -2 to -2; expected class numbers from 0 on, .*or -1 for unknown",
    ),
    (dict(x_train=IMAGES, y_test=np.zeros(4, int)), "both or neither"),
  ],
)
def test_bad_arrays_are_refused(tmp_path, fields, message):
  np.savez(tmp_path / "a.npz", **fields)
  with pytest.raises(UserError, match=message):
    arrays.load("train", str(tmp_path / "a.npz"))


def test_a_label_of_minus_one_is_unknown(tmp_path):
  path = str(tmp_path / "a.npz")
  np.savez(path, x=np.zeros((30, 4, 4), np.uint8), y=np.arange(30) % 4 - 1)
  source = arrays.load("train", path)
  assert source.tasks["label"] == data.Task("label", 3)
  assert [source[i]["label"] for i in range(4)] == [-1, 0, 1, 2]
  np.savez(path, x=IMAGES, y=np.full(4, -1))
  assert arrays.load("train", path).tasks == {}


def test_rows_of_one_group_are_on_one_side(tmp_path):
  path = str(tmp_path / "a.npz")
  patient = np.arange(60) // 3
  np.savez(path, x=np.zeros((60, 4, 4), np.uint8), patient=patient)
  test = arrays.load("test", path, group="patient")
  assert test._rows.tolist() == [27, 28, 29, 57, 58, 59]
  assert arrays.load("test", path, group="blocks")._rows[0] == 54
  with pytest.raises(UserError, match=r"name of an array .* it has x, patient"):
    arrays.load("test", path, group="video")
  np.savez(path, x_train=IMAGES, x_test=IMAGES)
  with pytest.raises(UserError, match="names its splits"):
    arrays.load("test", path, group="blocks")


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan])
def test_floats_out_of_range_are_refused(tmp_path, value):
  images = np.zeros((4, 5, 5, 3), np.float32)
  images[2, 1, 1, 1] = value
  np.save(tmp_path / "a.npy", images)
  source = arrays.load("all", str(tmp_path / "a.npy"))
  assert source[1]["image"].dtype == np.uint8
  with pytest.raises(UserError, match=r"Record 2 .*floats in \[0, 1\]"):
    source[2]


class Bomb:
  def __reduce__(self):
    return (exec, ("raise SystemExit('loaded')",))


@pytest.mark.parametrize("kind", ["npy", "npz", "raw", "junk"])
def test_pickled_objects_are_never_loaded(tmp_path, kind):
  path = tmp_path / ("a.npz" if kind in ("npz", "junk") else "a.npy")
  objects = np.array([Bomb()], dtype=object)
  if kind == "npy":
    np.save(path, objects, allow_pickle=True)
  elif kind == "npz":
    np.savez(path, x=objects)
  else:
    path.write_bytes(pickle.dumps(Bomb()) if kind == "raw" else b"PK\3\4junk")
  with pytest.raises(UserError, match="never loaded") as caught:
    arrays.load("train", str(path))
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "absent.npz", "a.txt"])
def test_other_files_are_refused(tmp_path, name):
  (tmp_path / "a.txt").write_text("1")
  with pytest.raises(UserError, match=r"expected an \.npy or \.npz file"):
    arrays.load("train", str(tmp_path / name) if name else "")


# --- load -------------------------------------------------------------------


def test_load_passes_what_the_source_takes(tmp_path):
  np.save(tmp_path / "x.npy", IMAGES)
  options = dict(
    name="arrays",
    data_dir="",
    path=str(tmp_path / "x.npy"),
    image_size=0,
    builder="",
    workers=3,
  )
  config: Any = ml_collections.ConfigDict(options)
  assert len(data.load(options, "train")) == 4
  assert len(data.load(config, "train")) == 4


@pytest.mark.parametrize(
  "options, message",
  [
    (
      dict(name="cifar11"),
      "Unknown data set .*'cifar11': did you mean cifar10",
    ),
    (dict(), "config.data.name is missing"),
    (dict(name="folder"), "config.data.path is missing: 'folder' needs it"),
    (
      dict(name="arrays", path="a.npy", image_size=32),
      "config.data.image_size=32 has no effect on 'arrays', but on folder",
    ),
  ],
)
def test_load_refuses_bad_options(options, message):
  with pytest.raises(UserError, match=message):
    data.load({"data_dir": "", **options}, "train")
