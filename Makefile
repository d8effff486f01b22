# `make run` and `make test` need only Python >= 3.11 and make; both install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
UV := $(BIN)/uv --quiet

.DEFAULT_GOAL := help
.PHONY: help run test test-long ui docs docs-serve lint format lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: $(READY) ## set up, then the main job: three learning rates on real digits
	$(BIN)/python run.py -m lr=0.05,0.1,0.5
	@echo
	@echo "To look at the runs: make ui"

test: $(DEV) ## set up, then the tests (under 5 minutes)
	$(BIN)/python -m pytest

test-long: $(DEV) ## the tests that take minutes
	$(BIN)/python -m pytest -m long

ui: $(READY) ## open the tracking UI on this machine
	$(BIN)/nnlab ui

# Without the variable, Material prints a notice of its successor at each build.
docs: $(DEV) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html"

docs-serve: $(DEV) ## show the documentation at 127.0.0.1:8000, built again at each change
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --strict --dev-addr 127.0.0.1:8000

lint: $(DEV) ## what CI checks besides the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV) ## rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(DEV) ## pin the newest versions that pyproject.toml allows
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --upgrade \
	  -o requirements.lock

clean: ## remove the virtual environment; runs are kept
	rm -rf $(VENV)

# What running needs, in the versions and with the hashes of the lock. uv, itself from the lock, is
# several times as fast as pip. It does not read pip's settings: where it fails, pip does the work.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "nnlab needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/# via/p' requirements.lock > $(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r $(VENV)/uv.txt && \
	$(UV) pip install --python $(VENV) --constraint requirements.lock \
	  --build-constraint requirements.lock --editable . || { \
	  $(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .; }
	@touch $(READY)

# What tests, documentation and checks need: the whole lock.
$(DEV): $(READY)
	$(UV) pip install --python $(VENV) --no-deps --require-hashes -r requirements.lock || \
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	@touch $(DEV)
