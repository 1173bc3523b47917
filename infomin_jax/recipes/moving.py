"""Digits that move over a photograph, as config sections.

Frames of a moving digit are contrasted with a still image. A row names the
factors that both share.

Source: Tian et al., `What Makes for Good Views for Contrastive Learning?
<https://arxiv.org/abs/2005.10243>`_, 2020, section 4.1.
"""

from typing import Any

from infomin_jax.recipes import contrastive

# Factors that the frames and the still image share.
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
  """Returns `config.views.share` of a row.

  `supervised` shares all factors, so that its still frames are the images of
  the records, and their labels apply.
  """
  named = "background_digit_position" if row == "supervised" else row
  return tuple(named.split("_"))


def objective(
  row: str, *, backgrounds: int, room: int
) -> dict[str, dict[str, Any]]:
  """Returns `config.objective` of a row.

  Args:
    row: one of `ROWS`.
    backgrounds: number of backgrounds.
    room: largest coordinate of the corner of a digit in pixels.
  """
  if row == "supervised":
    return {
      "digit": dict(term="supervised", weight=1.0, classes=10),
      "background": dict(
        term="supervised", weight=1.0, classes=backgrounds, label="background"
      ),
      "position": dict(term="regression", weight=1.0, scale=float(room)),
    }
  # No head: with one, features could keep factors that only the head discards.
  return contrastive.within_batch(contrastive.COSINES)
