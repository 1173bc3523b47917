"""Measures how easily a stranger reads the package, each row with its goal.

  python benchmarks/house.py
  python benchmarks/house.py --evidence docs/evidence/house.json

The files that one image passes are those of the package whose functions run,
from the first read of a record to the loss, while one training step of
`configs/colorful_digits.py` is traced.
"""

import argparse
import ast
import collections
import doctest
import io
import json
import pathlib
import re
import sys
import tokenize

import jax

PACKAGE = pathlib.Path("infomin_jax")
QUESTION = re.compile(r"(What|Of|How|Where|Who|Which|Whether|Whose)\b")
CONFIG = "configs/colorful_digits.py"
SHARED = 12  # configs that a line stands in, to count as repeated


def comment_share() -> float:
  """Returns the percentage of the package's lines that have a comment."""
  comments = lines = 0
  for path in PACKAGE.rglob("*.py"):
    text = path.read_text()
    lines += sum(bool(line.strip()) for line in text.splitlines())
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments += sum(token.type == tokenize.COMMENT for token in tokens)
  return 100 * comments / lines


def question_share() -> float:
  """Returns the percentage of docstrings of functions that ask a question."""
  texts = [
    text
    for path in PACKAGE.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node))
  ]
  return 100 * sum(bool(QUESTION.match(text)) for text in texts) / len(texts)


def example_lines() -> int:
  """Returns the number of lines in docstrings that a test runs."""
  parser = doctest.DocTestParser()
  return sum(
    example.source.count("\n")
    for path in PACKAGE.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
    for example in parser.get_examples(ast.get_docstring(node) or "")
  )


def repeated_names() -> list[str]:
  """Returns base names of files that occur more than once."""
  names = [path.stem for path in PACKAGE.rglob("*.py")]
  counts = collections.Counter(names)
  return sorted(name for name, count in counts.items() if count > 1)


def repeated_config_lines() -> float:
  """Returns the percentage of config lines that stand in 12 or more files.

  Lines without a letter, such as a closing parenthesis, do not count.
  """
  files = [
    [x.strip() for x in path.read_text().splitlines() if re.search(r"\w", x)]
    for path in pathlib.Path("configs").glob("*.py")
  ]
  counts = collections.Counter(line for lines in files for line in set(lines))
  lines = [line for lines in files for line in lines]
  return 100 * sum(counts[line] >= SHARED for line in lines) / len(lines)


def files_of_an_image() -> list[str]:
  """Returns the files that run from the read of a record to its loss."""
  import runpy

  from infomin_jax.train.experiment import make_experiment
  from infomin_jax.train.step import take

  config = runpy.run_path(CONFIG)["get_config"]("tiny")
  config.data.resident = False
  experiment = make_experiment(config, jax.devices()[:1])
  state = experiment.init()
  files, root = [], str(PACKAGE.resolve())

  def profile(frame, event, argument):
    del argument
    file = frame.f_code.co_filename
    if event == "call" and file.startswith(root) and file not in files:
      files.append(file)

  sys.setprofile(profile)
  try:
    experiment.source[0]
    batch = take(experiment.resident, next(experiment.batches(0)))
    jax.eval_shape(
      experiment.objective, state.params, state.stats, batch, jax.random.key(0)
    )
  finally:
    sys.setprofile(None)
  return [str(pathlib.Path(f).relative_to(PACKAGE.resolve())) for f in files]


def rows() -> list[dict]:
  """Returns `measure`, `value`, `goal` and `met` of every row."""
  readme = pathlib.Path("README.md").read_text()
  names, files = repeated_names(), files_of_an_image()
  # measure -> value, lowest and highest goal, and what was counted.
  measured = {
    "comment lines, %": (comment_share(), 4, 8, []),
    "docstrings that ask, %": (question_share(), 0, 0, []),
    "README, lines": (len(readme.splitlines()), 0, 150, []),
    "README, tables": (readme.count("\n|---"), 0, 2, []),
    "runnable lines in docstrings": (example_lines(), 40, 10_000, []),
    "names of several files": (len(names), 0, 6, names),
    "config lines in 12 of 21 files, %": (repeated_config_lines(), 0, 10, []),
    "files that one image passes": (len(files), 0, 25, files),
  }
  return [
    {
      "measure": measure,
      "value": round(value, 1),
      "goal": [low, high],
      "met": low <= round(value, 1) <= high,
      "counted": counted,
    }
    for measure, (value, low, high, counted) in measured.items()
  ]


def main() -> None:
  """Prints the rows, or JSON, and writes the evidence if asked."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--json", action="store_true", help="print JSON")
  parser.add_argument("--evidence", help="also write the result to this file")
  options = parser.parse_args()
  values = rows()
  if options.json:
    print(json.dumps(values, indent=2))
  else:
    for row in values:
      low, high = row["goal"]
      word = "met" if row["met"] else "not met"
      print(f"{row['measure']}: {row['value']} (goal {low} to {high}, {word})")
      if row["counted"]:
        print("  " + " ".join(row["counted"]))
  if options.evidence:
    from infomin_jax import provenance

    provenance.write(
      options.evidence,
      commands=[f"python benchmarks/house.py --evidence {options.evidence}"],
      config={"config": CONFIG},
      seeds=[],
      values=values,
    )


if __name__ == "__main__":
  main()
