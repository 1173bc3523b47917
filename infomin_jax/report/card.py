"""The model card of a shared encoder."""

import pathlib
import re
from typing import Any

from infomin_jax.output import read_json
from infomin_jax.report.page import Table
from infomin_jax.report.run import probe_table, probed_rows
from infomin_jax.runs.progress import read_metrics

_CARD = """# {title}

An image encoder for infomin_jax: its training data, its objective and its use.

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

{probes}

## Limits

- It was trained on one data set. Evaluate it before you use it on images of
  another kind, size or number of channels.
- Its features keep what its views share. What they do not share, training
  removed. Biases of the data are also in the features.
- The figures above come from one run. Another seed gives other figures.
"""
# Characters with a meaning in Markdown or HTML.
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#|~!&$])")


def model_card(
  workdir: pathlib.Path, config, repo: str, step: int, terms: str
) -> str:
  """Returns the text of a model card, in Markdown, without its header.

  Args:
    workdir: the run's folder.
    config: the run's configuration.
    repo: the name under which the encoder is shared.
    step: the last step of training.
    terms: its license, such as `apache-2.0`, or `unknown`.
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
      ("license", "not given" if terms == "unknown" else terms),
      *_versions(workdir),
    ],
  )
  probes = "It has not been evaluated."
  if probed:
    probes = (
      f"{_markdown(probe_table(probed))}\n\nFor comparison, the table has raw "
      "pixels and the same encoder before training."
    )
  title = _plain(repo.rpartition("/")[2])
  return _CARD.format(
    title=title, repo=repo, facts=_markdown(facts), probes=probes
  )


def _training(workdir: pathlib.Path, config, step: int) -> str:
  if not read_metrics(workdir):
    return "elsewhere: it was imported or pulled"
  return f"{step} steps of {config.batch_size} images"


def _named(options) -> str:
  """Returns a function and its arguments, as `resnet18: width 64, ...`."""
  rest = [f"{k} {_short(x)}" for k, x in options.items() if k != "name"]
  return f"{options['name']}: {', '.join(rest)}" if rest else options["name"]


def _objective(terms) -> str:
  """Returns the names of the terms, with their estimators."""
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
  versions = read_json(path)["versions"] if path.exists() else {}
  return [(f"{name}, version", version) for name, version in versions.items()]


def _markdown(table: Table) -> str:
  """Returns a table in Markdown, with its texts escaped."""
  rows = [table.headings, ["---"] * len(table.headings), *table.rows]
  lines = [
    [x if x == "---" else _plain(x) for x in map(str, row)] for row in rows
  ]
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
  """Returns the text on one line, with Markdown's characters escaped."""
  return _MARKS.sub(r"\\\1", " ".join(text.split()))
