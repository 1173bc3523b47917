"""Reports on queues and banks of a wrong size for the data: kind 24."""

from collections.abc import Callable, Mapping

import numpy as np
from evaluating import run
from report import Report, holds, refused


def term(name: str, **options):
  """Returns terms of an objective, one of which has a queue or a bank."""
  from infomin_jax import objectives

  critic = dict(name="separable", dim=4, hidden=(8,), normalize=True)
  own: Mapping = dict(estimator="infonce", critic=critic, term=name)
  return objectives.build_terms({"memory": dict(own) | options})[0]


def advised(word: str, count: int, name: str, **options) -> Callable:
  """Returns a check that one line of advice names the wrong size."""

  def check(folder):
    del folder
    from infomin_jax import objectives

    (line,) = objectives.check_data(term(name, **options), count, 16)
    holds(line, word, "config.objective.memory")

  return check


def shared_entries(entries: int, images: int) -> Callable:
  """Returns a check that a bank of too few entries is refused."""

  def check(folder):
    del folder
    from infomin_jax import objectives

    terms = term("bank", images=entries, size=16)
    refused(
      lambda: objectives.check_data(terms, images, 16),
      f"memory.images is {entries:,}",
      f"Set {images:,}",
    )

  return check


def memory(**options) -> str:
  """Returns lines of a config whose only term has a queue or a bank."""
  critic = dict(name="separable", dim=4, hidden=(), normalize=True)
  critic |= dict(shared=True, temperature=0.1, batch_norm=False)
  (name,) = options
  own = dict(weight=1.0, estimator="infonce", critic=critic) | options[name]
  return f"config.objective = {dict([(name, own)])}; config.ema = 0.9"


def bank_in_training(folder) -> None:
  """Checks that the refusal comes before a folder is created."""
  said, _ = run(folder, np.arange(450) % 3, memory(bank=dict(images=9, size=8)))
  assert said.status == 2, said
  holds(said.err, "config.objective.bank.images is 9", "405 training images")
  assert not (folder / "run").exists()


def queue_in_training(folder) -> None:
  """Checks for advice at the start, and for none that names batch norm."""
  said, last = run(folder, np.arange(450) % 3, memory(queue=dict(size=4096)))
  assert said.status == 0 and "queue_filled" in last, said.err
  holds(said.err, "Advice: config.objective.queue.size is 4,096")
  assert "Batch norm" not in said.err


def leak(wanted: bool, step: int, filled: float | None = None, **options):
  """Returns a check of the rule that batch norm leaks the pairs."""

  def check(folder):
    from infomin_jax.runs import health

    del folder

    row = dict(mi_bound=0.1, mi_ceiling=2.8, memory_nats=4.0, step=step)
    if filled is not None:
      row["memory_filled"] = filled
    config = dict(batch_size=16, ema=0.999, objective={"memory": options})
    rules = [a.rule for a in health.advise([row] * 6, config)]
    assert ("leaking_statistics" in rules) == wanted, rules

  return check


_QUEUE = dict(term="queue", size=64)
_BANK = dict(term="bank", images=3200, size=64, momentum=0.5)
REPORTS: tuple[Report, ...] = tuple(
  Report(kind, given, right, check)
  for kind, given, right, check in (
    (
      24,
      "a queue of 4,096 on 450 images",
      "a line",
      advised("at most 448", 450, "queue", size=4096),
    ),
    (
      24,
      "a queue of 65,536 on 50,000 images",
      "a line",
      advised("about 1.3 keys", 50_000, "queue", size=65_536),
    ),
    (24, "a bank of 100 on 450 images", "refused", shared_entries(100, 450)),
    (24, "a bank of 449 on 450 images", "refused", shared_entries(449, 450)),
    (
      24,
      "a bank of 50,000 on 450 images",
      "a line",
      advised("99% of the negatives", 450, "bank", images=50_000, size=16),
    ),
    (
      24,
      "training with too small a bank",
      "refused before work",
      bank_in_training,
    ),
    (
      24,
      "training with too large a queue",
      "a line, no false one",
      queue_in_training,
    ),
    (
      24,
      "a queue that fills",
      "batch norm is not blamed",
      leak(False, 100, 0.4, **_QUEUE),
    ),
    (
      24,
      "a queue that is full",
      "batch norm is named",
      leak(True, 100, 1.0, **_QUEUE),
    ),
    (
      24,
      "a bank in its first epochs",
      "batch norm is not blamed",
      leak(False, 400, **_BANK),
    ),
    (
      24,
      "a queue of no key",
      "refused",
      lambda folder: refused(lambda: term("queue", size=0), "size is 0"),
    ),
  )
)
