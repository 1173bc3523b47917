"""The card of an encoder that is shared: what it is and how to use it."""

import pathlib
import re
from typing import Any

from infomin_jax.output import read_json
from infomin_jax.report.page import Table
from infomin_jax.report.run import probe_table, probed_rows
from infomin_jax.runs.progress import read_metrics

_CARD = """# {title}

An encoder of images, for infomin_jax: what it was trained on, and to do what.

{facts}

## Use

```bash
pip install 'infomin-jax[hub]'
infomin pull {repo} --workdir encoder
```

```python
import infomin_jax

encode = infomin_jax.load("encoder")
features = encode(images)  # [n, h, w, c], uint8 or in [0, 1] -> [n, d]
```

`infomin embed`, `evaluate` and `export` take the folder too.

## What probes read from its features

{found}

## Limits

- It was trained on one data set: images of another kind, size or number of
  channels may be told apart badly, and are for you to evaluate.
- Its features keep what its views share; what they do not share, it was made to
  forget. Whatever is lopsided in the data is so in the features.
- Figures above are of one run; another seed gives others.
"""
# Whatever Markdown or HTML would read as more than text.
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#|~!&$])")


def model_card(
  workdir: pathlib.Path, config, repo: str, step: int, terms: str
) -> str:
  """The text of a model card, Markdown without its header.

  Args:
    workdir: of the run.
    config: of the run.
    repo: the name under which it is shared.
    step: the last one of training.
    terms: what others may do with it, such as `apache-2.0`.
  """
  probed = probed_rows(workdir)
  facts = Table(
    "",
    ("what", "which"),
    [
      ("data set", config.data.name),
      ("images", f"{config.views.size} x {config.views.size}"),
      ("encoder", _named(config.encoder)),
      ("objective", _objective(config.objective)),
      ("views", _named(config.views)),
      ("training", _training(workdir, config, step)),
      ("optimizer", _named(config.optimizer)),
      ("features", ", ".join(config.evaluate.taps)),
      ("licence", "not named" if terms == "unknown" else terms),
      *_versions(workdir),
    ],
  )
  found = "It has not been evaluated."
  if probed:
    found = (
      f"{_markdown(probe_table(probed))}\n\nBeside what it learned stand raw "
      "pixels and the same encoder before training."
    )
  title = _plain(repo.rpartition("/")[2])
  return _CARD.format(
    title=title, repo=repo, facts=_markdown(facts), found=found
  )


def _training(workdir: pathlib.Path, config, step: int) -> str:
  if not read_metrics(workdir):
    return "elsewhere: it was imported or pulled"
  return f"{step} steps of {config.batch_size} images"


def _named(options) -> str:
  """`resnet18: width 64, ...`: a function and its arguments."""
  rest = [f"{k} {_short(x)}" for k, x in options.items() if k != "name"]
  return f"{options['name']}: {', '.join(rest)}" if rest else options["name"]


def _objective(terms) -> str:
  """Names of the terms, with their estimators."""
  return " + ".join(
    f"{name} ({term['estimator']})" if "estimator" in term else name
    for name, term in terms.items()
  )


def _short(value: Any) -> str:
  if isinstance(value, list | tuple):
    return " ".join(map(str, value))
  return repr(value) if value == "" else str(value)


def _versions(workdir: pathlib.Path) -> list[tuple[str, str]]:
  path = workdir / "summary.json"
  found = read_json(path)["versions"] if path.exists() else {}
  return [(f"{name}, version", version) for name, version in found.items()]


def _markdown(table: Table) -> str:
  """A table, its texts escaped."""
  rows = [table.headings, ["---"] * len(table.headings), *table.rows]
  lines = [
    [x if x == "---" else _plain(x) for x in map(str, row)] for row in rows
  ]
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
  """Text that Markdown shows as it is, on one line."""
  return _MARKS.sub(r"\\\1", " ".join(text.split()))
