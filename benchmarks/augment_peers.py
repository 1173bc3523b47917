"""The views of `benchmarks/augment.py` in other libraries.

Each function takes a recipe and images, uint8 `[b, s, s, 3]`, and returns a
function that makes one view per image. Libraries that draw one set of
parameters per call get one image at a time, as in a data loader. All use crops
of scale 0.2 to 1 and jitter (0.8, 0.8, 0.8, 0.2) with probability 0.8. The
probability of gray is 0.2. That of a Gaussian blur, sigma 0.1 to 2, is 0.5.
"""

JITTER = (0.8, 0.8, 0.8, 0.2)
SCALE, SIGMA = (0.2, 1.0), (0.1, 2.0)


def kernel(recipe: str, size: int) -> int:
  """Returns the taps of the blur: 23 in InfoMin, about size / 10 in SimCLR."""
  radius = 11 if recipe == "infomin" else size // 20
  return 2 * max(1, min(radius, size - 1)) + 1


def torchvision(recipe, images):
  """Uses v2 on uint8 tensors, one at a time, with torchvision's RandAugment."""
  import torch
  from torchvision.transforms import v2

  torch.set_num_threads(1)
  size = images.shape[1]
  blur = v2.RandomApply([v2.GaussianBlur(kernel(recipe, size), SIGMA)], 0.5)
  gray = v2.RandomGrayscale(0.2)
  rest = [gray, blur]
  if recipe == "infomin":
    rest = [blur, v2.RandAugment(num_ops=2, magnitude=10), gray]
  view = v2.Compose(
    [
      v2.RandomResizedCrop(size, SCALE, antialias=True),
      v2.RandomHorizontalFlip(),
      v2.RandomApply([v2.ColorJitter(*JITTER)], 0.8),
      *rest,
      v2.ToDtype(torch.float32, scale=True),
    ]
  )
  tensors = list(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous())
  return lambda: [view(x) for x in tensors]


def kornia(recipe, images):
  """Uses a batch of float tensors, each image with its own parameters."""
  import kornia.augmentation as K
  import torch

  size = images.shape[1]
  taps = kernel(recipe, size)
  blur = K.RandomGaussianBlur((taps, taps), SIGMA, p=0.5)
  gray = K.RandomGrayscale(p=0.2)
  view = K.AugmentationSequential(
    K.RandomResizedCrop((size, size), scale=SCALE),
    K.RandomHorizontalFlip(),
    K.ColorJitter(*JITTER, p=0.8),
    *(gray, blur),
    same_on_batch=False,
  )
  batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
  batch = batch.to(torch.float32) / 255

  def run():
    with torch.inference_mode():
      return view(batch)

  return run


def albumentations(recipe, images):
  """Uses OpenCV on 8-bit images, one at a time."""
  import albumentations as A
  import cv2

  cv2.setNumThreads(0)
  size = images.shape[1]
  taps = kernel(recipe, size)
  brightness, contrast, saturation, hue = JITTER
  view = A.Compose(
    [
      A.RandomResizedCrop(size=(size, size), scale=SCALE),
      A.HorizontalFlip(p=0.5),
      A.ColorJitter(
        brightness=(1 - brightness, 1 + brightness),
        contrast=(1 - contrast, 1 + contrast),
        saturation=(1 - saturation, 1 + saturation),
        hue=(-hue, hue),
        p=0.8,
      ),
      A.ToGray(p=0.2),
      A.GaussianBlur(blur_limit=(taps, taps), sigma_limit=SIGMA, p=0.5),
    ]
  )
  return lambda: [view(image=x)["image"] for x in images]
