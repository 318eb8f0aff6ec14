# Every command of this project. Each target installs what it needs, once; repeats are instant.
PYTHON ?= python3
WORKERS ?= 2
NODE ?= node
NPM ?= npm

VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
DEV := $(VENV)/.dev
CHAIN := node_modules/.installed
PACKAGES := domain tools guards prompts collectors memory chain graph backtest app

# Without compiled bytecode every start pays seconds for compilation; some machines switch it off globally.
unexport PYTHONDONTWRITEBYTECODE
# One thread per process: two-thread BLAS is slower on the small matrices that we solve.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export UV_LINK_MODE := copy

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo run serve test check mutants bench quality lock clean redteam redteam-long

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*##/\1:/p' Makefile | awk -F': ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

install: $(CORE) $(CHAIN)  ## install what the product needs into .venv and node_modules

demo: $(CORE) $(CHAIN)  ## decide, refuse and execute on a real local chain, then verify the audit trail
	@$(BIN)/autofi demo

run: $(CORE) $(CHAIN)  ## one run of the treasury in AUTOFI_HOME
	@$(BIN)/autofi run

serve: $(CORE) $(CHAIN)  ## the HTTP API on the loopback interface
	@$(BIN)/autofi serve

check: $(DEV)  ## format, lint, types, import contracts, structure and documents
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q tests/test_structure.py tests/test_documents.py
	@echo "make check: ok"

test: $(DEV) $(CHAIN)  ## every test, and branch coverage of domain, tools and guards
	@mkdir -p build
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile \
		--cov --cov-report=json:build/coverage.json --cov-report=term:skip-covered
	@$(BIN)/python -m bench.coverage build/coverage.json build/test.json

mutants: $(DEV)  ## plant faults in guards/ and see that its tests notice; SAMPLE=100 takes less than a minute
	@$(BIN)/python -m tests.mutation.run $(if $(SAMPLE),--sample $(SAMPLE))

redteam: $(DEV) $(CHAIN)  ## attack the whole product, fuzz its guards and plant faults in them, in three minutes
	@$(BIN)/python -m tests.redteam.runner --short
	@$(BIN)/python -m tests.oracle.run --evaluations 12000
	@$(BIN)/python -m tests.mutation.run --sample 40

redteam-long: $(DEV) $(CHAIN)  ## the same with every case, a million evaluations and every fault, in hours
	@$(BIN)/python -m tests.redteam.runner --long
	@$(BIN)/python -m tests.oracle.run --evaluations 1000000
	@$(BIN)/python -m tests.mutation.run

bench: $(DEV) $(CHAIN)  ## measure every number that the README states
	@$(BIN)/python -m bench.run

quality: $(DEV)  ## score the tools on real markets: DATA=folder of the history, TEST=folder whose rows count
	@$(BIN)/python -m bench.quality $(if $(DATA),--data "$(DATA)") $(if $(TEST),--test "$(TEST)")

lock: $(DEV)  ## write both requirements files again from pyproject.toml
	@$(BIN)/uv pip compile $(LOCK) --group dev -o requirements-dev.txt pyproject.toml
	@$(BIN)/uv pip compile $(LOCK) -c requirements-dev.txt -o requirements.txt pyproject.toml

LOCK := --quiet --group build --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

clean:  ## remove what was built and installed here
	rm -rf $(VENV) node_modules build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage

$(BIN)/uv: | $(BIN)/python
	@mkdir -p build && sed -n '/^uv==/,/[^\\]$$/p' requirements.txt > build/requirements-uv.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r build/requirements-uv.txt \
	  || echo "uv could not be installed; pip takes its place and is slower" >&2

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python >= 3.11 is needed; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing)." \
	       "Install it, or name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) cannot make virtual environments: install its venv module" \
	       "(Debian, Ubuntu: apt-get install python3-venv) and remove $(VENV)" >&2; exit 1; }

# $(call packages,file): install the pinned packages of a file and this project, with uv or else with pip.
define packages
	@echo "installing $(1)" && mkdir -p build
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r $(1) 2>build/uv.log \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) \
	  || { cat build/uv.log >&2; exit 1; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . 2>build/uv.log \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q $(PACKAGES)
endef

$(CORE): requirements.txt pyproject.toml | $(BIN)/uv
	$(call packages,requirements.txt)
	@touch $@

$(DEV): requirements-dev.txt requirements.txt pyproject.toml | $(BIN)/uv
	$(call packages,requirements-dev.txt)
	@touch $(CORE) $@

$(CHAIN): package.json package-lock.json
	@$(NODE) -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null || { \
	  echo "Node >= 18 is needed for the local chain; $(NODE) is $$($(NODE) --version 2>/dev/null || echo missing)." \
	       "Install it, or name another one: make $(MAKECMDGOALS) NODE=/path/to/node" >&2; exit 1; }
	@echo "installing package.json"
	@$(NPM) install --ignore-scripts --legacy-peer-deps --no-audit --no-fund --omit-lockfile-registry-resolved --loglevel=error
	@touch $@
