"""The networks of train_step.py in plain PyTorch."""

import torch
from torch import nn
from torch.nn import functional


def conv_bn(inputs, outputs, kernel, stride, padding):
  """Returns a convolution with batch norm."""
  conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
  return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Block(nn.Module):
  """The basic residual block."""

  def __init__(self, inputs, outputs, stride):
    super().__init__()
    self.first = conv_bn(inputs, outputs, 3, stride, 1)
    self.second = conv_bn(outputs, outputs, 3, 1, 1)
    same = stride == 1 and inputs == outputs
    self.shortcut = (
      nn.Identity() if same else conv_bn(inputs, outputs, 1, stride, 0)
    )

  def forward(self, x):
    out = self.second(functional.relu(self.first(x)))
    return functional.relu(out + self.shortcut(x))


class ResNet18(nn.Module):
  """Small-stem ResNet-18 with a projection head and the symmetric InfoNCE."""

  def __init__(self):
    super().__init__()
    layers, inputs = [conv_bn(3, 64, 3, 1, 1), nn.ReLU()], 64
    for i, width in enumerate((64, 128, 256, 512)):
      layers += [Block(inputs, width, 2 if i else 1), Block(width, width, 1)]
      inputs = width
    self.trunk = nn.Sequential(*layers)
    self.head = nn.Sequential(
      nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 128)
    )

  def loss(self, images):
    """Returns the loss of images `[2 b, 3, 32, 32]`, all first views first."""
    pooled = self.trunk(images).mean((2, 3))
    first, second = functional.normalize(self.head(pooled), dim=1).chunk(2)
    scores = first @ second.T / 0.1
    target = torch.arange(len(scores))
    rows = functional.cross_entropy(scores, target)
    return (rows + functional.cross_entropy(scores.T, target)) / 2


class Embedding(nn.Module):
  """One side of the encode-and-dot critic."""

  def __init__(self, inputs, units):
    super().__init__()
    self.deep = nn.Sequential(
      nn.Linear(inputs, units, bias=False),
      nn.BatchNorm1d(units),
      nn.ReLU(),
      nn.Linear(units, units),
    )
    self.shortcut = nn.Linear(inputs, units, bias=False)
    self.norm = nn.LayerNorm(units)

  def forward(self, x):
    return self.norm(self.deep(x) + self.shortcut(x))


class Discriminator(nn.Module):
  """Distinguishes codes `[b, 64]` from samples of the unit cube."""

  def __init__(self):
    super().__init__()
    self.net = nn.Sequential(
      nn.Linear(64, 1000),
      nn.ReLU(),
      nn.Linear(1000, 200),
      nn.ReLU(),
      nn.Linear(200, 1),
    )

  def forward(self, y):
    return self.net(y)

  def match(self, y):
    """Returns the discriminator's loss plus 0.1 times the encoder's loss."""
    y = torch.sigmoid(y)
    constants = {name: p.detach() for name, p in self.named_parameters()}
    frozen = torch.func.functional_call(self, constants, (y,))
    encoder = functional.softplus(-frozen).mean()
    sides = [torch.rand_like(y), y.detach()]
    penalty = 0
    for side in sides:
      side.requires_grad_()
      (slope,) = torch.autograd.grad(
        self.net(side).sum(), side, create_graph=True
      )
      penalty = penalty + slope.square().sum(1).mean() / 2
    real, fake = (self.net(side) for side in sides)
    discriminator = (
      functional.softplus(-real).mean() + functional.softplus(fake).mean()
    )
    return 0.1 * encoder + discriminator + penalty


class DeepInfoMax(nn.Module):
  """basic32x32 with the local objective, InfoNCE with exact exclusion.

  With `prior`, the uniform prior is matched, too, with weight 0.1 and the full
  gradient penalty. One optimizer is enough for encoder and discriminator,
  because the loss of each has no gradient in the parameters of the other.
  """

  def __init__(self, prior=False):
    super().__init__()
    self.prior = Discriminator() if prior else None
    self.local = nn.Sequential(
      conv_bn(3, 64, 4, 2, 1), nn.ReLU(), conv_bn(64, 128, 4, 2, 1), nn.ReLU()
    )
    self.last = nn.Sequential(
      conv_bn(128, 256, 4, 2, 1),
      nn.ReLU(),
      nn.Flatten(),
      nn.Linear(4096, 1024, bias=False),
      nn.BatchNorm1d(1024),
      nn.ReLU(),
      nn.Linear(1024, 64),
    )
    self.g, self.h = Embedding(64, 2048), Embedding(128, 2048)

  def loss(self, images):
    """Returns the loss of images `[b, 3, 32, 32]`."""
    maps = self.local(images)
    y = self.last(maps)
    loss = 0 if self.prior is None else self.prior.match(y)
    gx = self.g(y)  # [b, units]
    flat = maps.permute(0, 2, 3, 1).reshape(-1, 128)  # [b l, c]
    scores = gx @ self.h(flat).T
    scores = scores.reshape(len(gx), len(gx), -1)  # [b, b, l]
    own = torch.eye(len(gx), dtype=torch.bool)
    others = scores.masked_fill(own[..., None], -torch.inf)
    negative = torch.logsumexp(others, dim=(1, 2))[:, None]  # [b, 1]
    positive = scores[own]  # [b, l]
    return loss - (positive - torch.logaddexp(positive, negative)).mean()
