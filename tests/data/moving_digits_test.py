"""Moving digits: geometry, what views share, sequences, places."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infomin_jax import cli, data
from infomin_jax.data import moving_digits
from infomin_jax.data.colorful_digits import DIGIT, SIZE
from infomin_jax.encoders import ENCODERS, Features
from infomin_jax.errors import UserError
from infomin_jax.eval.probes import localization
from infomin_jax.objectives.targets import Regression
from infomin_jax.objectives.term import Seen
from infomin_jax.views import make_views

FACTORS = ("digit", "position", "background")
SUBSETS = [s for n in (1, 2, 3) for s in itertools.combinations(FACTORS, n)]


def bounced(place, velocity, steps, room):
  """Step by step, in tiny steps, turned at the walls."""
  parts = 1000
  for _ in range(steps * parts):
    place += velocity / parts
    if place < 0 or place > room:
      place, velocity = np.clip(place, 0, room), -velocity
  return place


@pytest.mark.parametrize(
  "place,velocity,steps", [(3.0, 1.7, 2), (15.0, 3.2, 7), (1.0, -3.0, 12)]
)
def test_digits_are_reflected_at_the_borders(place, velocity, steps):
  want = bounced(place, velocity, steps, 16.0)
  got = moving_digits.bounce(place, velocity, steps, 16.0)
  np.testing.assert_allclose(got, want, atol=0.05)


def test_time_runs_backwards_along_the_same_path():
  there = [moving_digits.bounce(2.0, 3.0, t, 16.0) for t in range(9)]
  # At frame 8 the digit moves to the left.
  back = [moving_digits.bounce(there[8], -3.0, -t, 16.0) for t in range(9)]
  np.testing.assert_allclose(back[::-1][8], there[8], atol=1e-5)
  assert 0 <= min(back) and max(back) <= 16


def drawn_naively(ground, digit, place):
  image = np.array(ground, float)
  for i, j in np.ndindex(digit.shape):
    ink = digit[i, j] / 255
    at = place[0] + i, place[1] + j
    image[at] = image[at] * (1 - ink) + 255 * ink
  return image


def test_records_are_drawn_of_their_fields():
  source = data.load({"name": "moving_digits", "light": 0.5}, "test")
  for index in (0, 7, len(source) - 1):
    record = source[index]
    want = drawn_naively(record["ground"], record["digit"], record["place"])
    np.testing.assert_allclose(record["image"], want, atol=0.5 + 1e-6)
    assert record["ground"].max() <= 127 and record["index"] == index
    np.testing.assert_array_equal(record["image"], source[index]["image"])
  with pytest.raises(IndexError):
    source[len(source)]
  assert {int(source[i]["background"]) for i in range(80)} == set(range(8))


@pytest.fixture(scope="module")
def batch():
  """Digits and grounds that a pixel tells: record i has gray 10 i, ink i."""
  n = 8
  rng = np.random.default_rng(0)
  digit = np.zeros((n, DIGIT, DIGIT), np.uint8)
  for i in range(n):
    digit[i, 0, : 2 + i] = 255
  gray = 10 * np.arange(n, dtype=np.uint8)[:, None, None, None]
  return {
    "index": np.arange(n, dtype=np.int32),
    "digit": digit,
    "ground": np.broadcast_to(gray, (n, SIZE, SIZE, 3)).copy(),
    "place": rng.integers(0, SIZE - DIGIT + 1, (n, 2)).astype(np.int32),
  }


def read(image):
  """Ink, ground and place of an image of `batch`."""
  white = np.argwhere(image[..., 0] > 0.9)
  ground = np.median(image[..., 0])
  return len(white) - 2, round(float(ground) * 255 / 10), white.min(axis=0)


@pytest.mark.parametrize("share", SUBSETS)
def test_views_share_the_chosen_factors_and_no_other(share, batch):
  options = dict(name="moving", share=share, size=SIZE, frames=3, still=4)
  views = make_views(options, (SIZE, SIZE, 3))
  still, frames = jax.jit(views)(jax.random.key(0), batch)
  assert frames.shape == (8, 3, SIZE, SIZE, 3)
  far = []
  for i in range(8):
    ink, ground, place = read(np.asarray(still[i]))
    seen = [read(np.asarray(frame)) for frame in frames[i]]
    assert ink == i
    assert {s[0] == ink for s in seen} == {"digit" in share}
    assert {s[1] == ground for s in seen} == {"background" in share}
    assert (ground == i) == ("background" in share)
    if "position" in share:
      np.testing.assert_array_equal(place, batch["place"][i])
    # A frame before the still one the digit was a step away, or less at walls.
    far.append(np.linalg.norm(seen[-1][2] - place))
  step = 0.1 * SIZE
  assert (np.max(far) <= step + 1) == ("position" in share)


def test_views_do_not_depend_on_other_records_where_all_is_shared(batch):
  options = dict(name="moving", share=FACTORS, size=SIZE)
  views = make_views(options, (SIZE, SIZE, 3))
  whole = views(jax.random.key(1), batch)
  some = views(jax.random.key(1), {k: x[2:5] for k, x in batch.items()})
  for a, b in zip(whole, some, strict=True):
    np.testing.assert_array_equal(a[2:5], b)


@pytest.mark.parametrize(
  "options,message",
  [
    (dict(share=("digits",)), "config.views.share has 'digits'"),
    (dict(share=("digit",), size=40), "config.views.size is 40"),
    (dict(share=("digit",), frames=9, still=9), "frames is 9 and still 9"),
  ],
)
def test_bad_options_are_refused(options, message):
  with pytest.raises(UserError, match=message):
    make_views({"name": "moving", "size": SIZE, **options}, (SIZE, SIZE, 3))


def test_records_of_other_sets_are_refused(batch):
  views = make_views(
    dict(name="moving", share=FACTORS, size=SIZE), (SIZE, SIZE, 3)
  )
  with pytest.raises(UserError, match="expected a field 'digit'"):
    views(jax.random.key(0), {"index": batch["index"]})


def test_a_sequence_is_an_lstm_over_its_frames():
  encoder = ENCODERS["convnet_lstm"](widths=(4, 8), strides=(2, 2))
  frames = jax.random.uniform(jax.random.key(0), (2, 3, 8, 8, 3))
  variables = encoder.init(jax.random.key(1), frames, False, method="sequence")
  got = encoder.apply(variables, frames, False, method="sequence").global_
  params = jax.tree.map(np.asarray, variables["params"])
  cell = params["lstm"]["cell"]
  network = encoder.bind(variables).frame

  def sigmoid(x):
    return 1 / (1 + np.exp(-x))

  for row in range(2):
    h = c = np.zeros(8)
    for frame in frames[row]:
      x = np.asarray(network(frame[None], False).taps["conv"]).mean((0, 1, 2))
      gate = {
        g: x @ cell[f"i{g}"]["kernel"]
        + h @ cell[f"h{g}"]["kernel"]
        + cell[f"h{g}"]["bias"]
        for g in "ifgo"
      }
      c = sigmoid(gate["f"]) * c + sigmoid(gate["i"]) * np.tanh(gate["g"])
      h = sigmoid(gate["o"]) * np.tanh(c)
    dense = params["output"]["dense"]
    want = h @ dense["kernel"] + dense["bias"]
    np.testing.assert_allclose(got[row], want, rtol=1e-4, atol=1e-5)


def test_regression_is_the_mean_squared_error_in_units_of_its_scale():
  rng = np.random.default_rng(0)
  x, place = rng.normal(size=(6, 3)), rng.integers(0, 16, (6, 2))
  features = {0: Features(None, jnp.asarray(x), {})}
  seen = Seen(features, {}, {"place": jnp.asarray(place)})
  term = Regression(scale=16.0)
  variables = term.init(jax.random.key(0), seen, True)
  out = term.apply(variables, seen, True)
  (dense,) = jax.tree.map(np.asarray, variables["params"]["Head_0"]).values()
  guess = x @ dense["kernel"] + dense["bias"]
  want = np.mean((guess - place / 16) ** 2)
  np.testing.assert_allclose(out.loss, want, rtol=1e-5)
  np.testing.assert_allclose(out.metrics["error"], 16 * want**0.5, rtol=1e-5)
  with pytest.raises(UserError, match="field: records have no 'spot'"):
    Regression(field="spot").init(jax.random.key(0), seen, True)


def test_places_are_told_from_features_that_hold_them():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(300, 5))
  places = 3 * x[:, :2] @ np.array([[1.0, 2.0], [0.5, -1.0]]) + 20
  found = localization.mean_distance(
    x[:200], places[:200], x[200:], places[200:]
  )
  assert found < 0.01
  noise = rng.normal(size=(300, 5))
  blind = localization.mean_distance(
    noise[:200], places[:200], noise[200:], places[200:]
  )
  chance = np.linalg.norm(places[200:] - places[:200].mean(0), axis=1).mean()
  np.testing.assert_allclose(blind, chance, rtol=0.1)


def test_frames_are_drawn(tmp_path, capsys):
  out = tmp_path / "moving.png"
  config = "--config=configs/moving_digits.py:tiny"
  cli.main(["views", config, f"--out={out}", "--count=2"])
  assert out.read_bytes().startswith(b"\x89PNG")
  assert "Drew 2 images" in capsys.readouterr().out
