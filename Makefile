# Firstmate: `make help` lists what there is. All of it runs in an environment of its own, .venv.

# The first Python on PATH that is new enough; set PYTHON to choose another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
ROUNDS ?= 300
SEED ?= 1

.PHONY: help demo test fast lint bench soak docs
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/'

demo: .venv/run ## show two sequences from trigger to answer, on this machine
	@$(BIN)/python examples/demo.py

test: .venv/dev ## lint, then every test but the soak
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -q

fast: .venv/dev ## the tests that take no time
	@$(BIN)/python -m pytest -q -m "not slow" -p no:schemathesis

lint: .venv/dev ## ruff, mypy, import-linter, sizes
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tests.sizes

bench: .venv/dev ## rates and latencies, each beside its baseline
	@$(BIN)/python -m tests.bench

soak: .venv/dev ## the crash matrix for long: make soak ROUNDS=300 SEED=1
	@$(BIN)/python -m tests.crash.soak --rounds $(ROUNDS) --seed $(SEED)

docs: .venv/run ## write docs/settings.md anew from app/settings.py
	@$(BIN)/python docs/settings.py > docs/settings.md

.venv/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none is on PATH"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) lacks venv or ensurepip: install python3-venv (Debian, Ubuntu) or python3-pip"; \
	  exit 1; }
	@$(PYTHON) -m venv .venv && touch $@

.venv/run: .venv/python requirements.txt pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --no-build-isolation --editable .
	@touch $@

.venv/dev: .venv/run requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
