# make demo  replays JetBlue's 2013 through Dagster (UNTIL=2013-12-31 the whole year, DAYS=30 a short look)
# make test  runs the tests
# make spark runs the tests of engines and profiles on a real Spark session (needs Java; installs pyspark)
# All make .venv here first and install what they need; nothing outside this folder is touched.

PYTHON ?= python3
UNTIL ?= 2013-09-30
DAYS ?=
OUTPUT ?= demo_output
ENGINES ?= duckdb

bin := .venv/bin

.PHONY: demo test spark lint types imports docs check ui clean help

help:
	@sed -n 's/^# //p' Makefile

.venv/installed: pyproject.toml .ci/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mlobs needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into .venv (once; a minute or two) ..."
	@test -x $(bin)/python || $(PYTHON) -m venv .venv
	@$(bin)/python -m pip install --quiet --disable-pip-version-check uv
	@$(bin)/uv pip install --quiet --compile-bytecode --python $(bin)/python --constraint .ci/constraints.txt --editable '.[dev]'
	@touch $@

demo: .venv/installed
	@$(bin)/mlobs demo --until $(UNTIL) $(if $(DAYS),--days $(DAYS)) --output $(OUTPUT)

test: .venv/installed
	@MLOBS_TEST_ENGINES=$(ENGINES) $(bin)/python -m pytest -n 2 --dist loadfile

spark: .venv/installed
	@$(bin)/uv pip install --quiet --compile-bytecode --python $(bin)/python --constraint .ci/constraints.txt --editable '.[dev,spark]'
	@MLOBS_TEST_ENGINES=spark $(bin)/python -m pytest -m spark

ui:
	@$(bin)/mlobs demo --ui --output $(OUTPUT)

lint: .venv/installed
	@$(bin)/ruff check .
	@$(bin)/ruff format --check .

types: .venv/installed
	@$(bin)/mypy

imports: .venv/installed
	@$(bin)/lint-imports

docs: .venv/installed
	@$(bin)/python -m pytest --doctest-modules mlobs mlobs_tests/docs

check: lint types imports docs test

clean:
	rm -rf .venv demo_output
