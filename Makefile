# The only task runner. `make` alone lists the targets; their own virtual environment (.venv) is made by those that need it.

PYTHON ?= python3
VENV ?= .venv
# What the contract must not break: a branch, tag or commit.
BASE ?= main

# Many tests wait for servers: two for each core, and no more than memory is sure to hold.
TEST_PROCESSES ?= $(shell $(PYTHON) -c 'import os; print(min(8, 2 * (os.cpu_count() or 1)))')

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test bench accuracy association lint format types protos check-protos wheel constraints clean

help: ## Lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /:/' | while IFS=: read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done
	@echo
	@echo '  PYTHON=python3.12   the interpreter to build .venv with (3.11 or newer)'
	@echo '  BASE=main           the branch, tag or commit whose callers the contract must not break (lint)'
	@echo '  ARGS="..."          more arguments for demo (tertium demo), test (pytest) and bench'

demo: $(VENV)/.server ## Plays two cameras through a real server and shows what is judged and why
	@$(BIN)/tertium demo $(ARGS)

# Kernels are compiled once beforehand: processes that begin side by side would each compile the same ones.
test: $(VENV)/.dev ## Runs the tests
	$(BIN)/python -c 'from tertium_server.rpc.warm_up import warm_up; warm_up()'
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) $(ARGS)

bench: $(VENV)/.dev ## Measures speed and memory; writes JSON and a plot
	$(BIN)/python benchmarks/run.py $(ARGS)

accuracy: $(VENV)/.dev ## Measures probabilities on labelled recordings beside scores and rules of thumb (DATA="FOLDER ...")
	@test -n "$(DATA)" || { echo 'Name labelled recordings: make accuracy DATA="FOLDER ..."' >&2; exit 1; }
	$(BIN)/python benchmarks/accuracy.py $(DATA) $(ARGS)

association: $(VENV)/.dev ## Measures tracks beside other trackers' on labelled recordings (DATA="FOLDER ...")
	@test -n "$(DATA)" || { echo 'Name labelled recordings: make association DATA="FOLDER ..."' >&2; exit 1; }
	$(BIN)/python benchmarks/association.py $(DATA) $(ARGS)

lint: $(VENV)/.dev ## Checks style of Python and .proto files, and that the contract breaks no caller of BASE
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/buf lint protos
	$(BIN)/buf format --diff --exit-code protos
	@if git rev-parse --quiet --verify '$(BASE):protos' > /dev/null 2>&1; then \
	echo 'buf breaking, against $(BASE)'; git archive --format=tar '$(BASE):protos' | $(BIN)/buf breaking protos --against '-#format=tar'; \
	else echo 'buf breaking: left out, there is no $(BASE) here to compare with'; fi

format: $(VENV)/.dev ## Formats Python and .proto files and mends what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/buf format --write protos

types: $(VENV)/.dev ## Checks types with mypy (strict) and pyright
	$(BIN)/mypy
	$(BIN)/pyright

protos: $(VENV)/.dev ## Compiles the .proto files into the Python stubs beside them
	PYTHON=$(CURDIR)/$(BIN)/python protos/compile.sh

check-protos: protos ## Checks that the committed stubs are those of the .proto files
	@test -z "$$(git status --porcelain protos)" || { git status --short protos; \
	echo 'protos/ differs from the last commit. If .proto files were changed on purpose, commit the stubs with them.'; exit 1; }

wheel: $(VENV)/.dev ## Builds the wheel into dist/
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist

# uv resolves for all Pythons and platforms at once; the pins of the server are those of dev. It asks the index that UV_DEFAULT_INDEX names.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --custom-compile-command "make constraints"
# All extras but those of the clouds' buckets, which bring a hundred packages that no test needs.
DEV_EXTRAS := --extra server --extra postgres --extra plot --extra parquet --extra dev
constraints: $(VENV)/.dev ## Renews the pinned versions and hashes of everything that is installed
	$(LOCK) pyproject.toml constraints/build.in $(DEV_EXTRAS) --output-file constraints/dev.txt
	$(LOCK) pyproject.toml constraints/build.in --extra server --constraints constraints/dev.txt --output-file constraints/server.txt

clean: ## Removes the virtual environment, caches and build results
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find client server tests protos $(wildcard benchmarks) -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp tells that what its constraints name is installed. Everything comes pinned, with hashes; then the project itself, editable, built by
# the pinned hatchling: nothing is fetched that is not in the list.
$(VENV)/.server: pyproject.toml constraints/server.txt | $(BIN)/python
	@echo 'Installing the server into $(VENV) (once; 0.6 GB)'
	@$(PIP) install --require-hashes --requirement constraints/server.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints/dev.txt | $(BIN)/python
	@echo 'Installing the server and the tools into $(VENV) (once; 1.1 GB)'
	@$(PIP) install --require-hashes --requirement constraints/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.server $@

$(BIN)/python:
	@command -v '$(PYTHON)' > /dev/null || { echo 'There is no "$(PYTHON)". Name a Python >= 3.11: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Tertium needs Python >= 3.11, but $(PYTHON) is $$('$(PYTHON)' -V 2> /dev/null || echo none that runs). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' || { \
	echo '$(PYTHON) lacks the modules venv and ensurepip. On Debian and Ubuntu they come with the package python3-venv.' >&2; exit 1; }
	@'$(PYTHON)' -m venv '$(VENV)'
