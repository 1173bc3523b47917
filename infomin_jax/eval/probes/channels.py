"""A picture of the channels of a tap, such as learned views."""

from infomin_jax.eval.probes.protocol import Case, Protocol
from infomin_jax.views.sheet import sheet, stretched

IMAGES = 8  # test images that are drawn
MOST = 8  # channels: beyond are left out


def protocol(options) -> Protocol:
  """Draws images and, next to each, the channels of a tap that is a map.

  Each channel is scaled to [0, 1] over the images that are drawn. For an
  encoder that splits images, the taps `view0` and `view1` are the two parts.
  """
  del options
  name = f"channels (of {IMAGES} test images, at most {MOST})"

  def run(case: Case) -> dict:
    maps, images = case.test.map, case.test.images
    if case.encoder is not None and maps is not None and images is not None:
      planes = stretched(maps[:IMAGES, ..., :MOST])
      columns = [planes[..., i : i + 1] for i in range(planes.shape[-1])]
      path = case.picture("channels")
      title = f"{case.name}: {name}"
      sheet(images[:IMAGES], columns, path, title, heading="channel")
    return {}

  return Protocol(name, run, frozenset({"images"}))
