"""Digits that move over a photograph, as config sections.

Frames of a moving digit are contrasted with a still image; a row names what
both share.

Source: Tian et al., `What Makes for Good Views for Contrastive Learning?
<https://arxiv.org/abs/2005.10243>`_, 2020, section 4.1.
"""

from typing import Any

from infomin_jax.recipes import contrastive

# What frames and a still image share.
ROWS = (
  "digit",
  "background",
  "position",
  "background_digit_position",
  "background_digit",
  "background_position",
  "digit_position",
  "supervised",
)


def shared(row: str) -> tuple[str, ...]:
  """`config.views.share` of a row.

  `supervised` shares all, so that its still frames are the records' images.
  """
  named = "background_digit_position" if row == "supervised" else row
  return tuple(named.split("_"))


def objective(
  row: str, *, backgrounds: int, room: int
) -> dict[str, dict[str, Any]]:
  """`config.objective` of a row.

  Args:
    row: one of them.
    backgrounds: classes of backgrounds.
    room: pixels that a digit's corner may move along a side.
  """
  if row == "supervised":
    return {
      "digit": dict(term="supervised", weight=1.0, classes=10),
      "background": dict(
        term="supervised", weight=1.0, classes=backgrounds, label="background"
      ),
      "position": dict(term="regression", weight=1.0, scale=float(room)),
    }
  # Features are compared as they are: what the head would drop stays in them.
  return contrastive.within_batch(contrastive.COSINES)
