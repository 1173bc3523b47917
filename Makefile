PYTHON ?= python3
BIN = .venv/bin
# What `make lowest` runs beside what a user does first.
TESTS = tests/cli/completion_test.py tests/critics/critics_test.py tests/data/tfds_sources_test.py \
	tests/encoders/encoders_test.py::test_remat_changes_neither_parameters_nor_gradients \
	tests/estimators/estimators_test.py tests/scikit_test.py tests/views/image_ops_test.py \
	tests/train/loop_test.py::test_sigterm_saves_and_says_how_to_go_on

# What `make check` runs: all that `make test` may leave out.
CHECKED = slow or needs

.PHONY: install run test check newest soak dist lowest tables docs

install: .venv/installed

.venv/installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/tested: .venv/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

.venv/checked: .venv/tested
	$(BIN)/pip install --quiet --editable '.[check]'
	touch $@

.venv/released: .venv/installed
	$(BIN)/pip install --quiet --editable '.[release]'
	touch $@

# Pretrains on colorful digits, evaluates, and prints what was learned.
run: install
	$(BIN)/infomin train --config configs/colorful_digits.py --workdir runs/quickstart
	$(BIN)/infomin evaluate --workdir runs/quickstart

# Lint, types and the quick tests: needs Python and a package index only.
test: .venv/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyrefly check
	$(BIN)/pytest

# The slow tests, and those that need more: chromium and Debian's
# dataset-fashion-mnist (apt-get), and the packages of the extra `check`.
check: .venv/checked
	$(BIN)/pytest -m "($(CHECKED)) and not long"

# The quick tests with the newest Python and the newest versions there are.
newest:
	.ci/newest

# The tests that take minutes each.
soak: .venv/checked
	$(BIN)/pytest -m long

# Wheel and sdist of HEAD in dist/, tried in an environment of their own.
dist: .venv/released
	.ci/release

# The same wheel with the oldest versions that setup.cfg declares.
lowest: dist
	.ci/release lowest $(TESTS)

# The README's tables, from docs/evidence/*.json.
tables: install
	$(BIN)/python docs/tables.py

# The site, in build/site.
docs: install
	$(BIN)/pip install --quiet --editable '.[docs]'
	$(BIN)/mkdocs build --strict
