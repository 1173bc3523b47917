PYTHON ?= python3
BIN = .venv/bin

.PHONY: install run test soak tables docs

install: .venv/installed

.venv/installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/tested: .venv/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

# Pretrains on colorful digits, evaluates, and prints what was learned.
run: install
	$(BIN)/infomin train --config configs/colorful_digits.py --workdir runs/quickstart
	$(BIN)/infomin evaluate --workdir runs/quickstart

test: .venv/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyrefly check
	$(BIN)/pytest

# The tests that take minutes.
soak: .venv/tested
	$(BIN)/pytest -m long

# The README's tables, from docs/evidence/*.json.
tables: install
	$(BIN)/python docs/tables.py

# The site, in build/site.
docs: install
	$(BIN)/pip install --quiet --editable '.[docs]'
	$(BIN)/mkdocs build --strict
