# Every command a person or CI needs. "make" alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# every file by its hash, and nothing that would have to be built here
LOCKED := --require-hashes --only-binary :all:

# Nothing here phones home.
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- use it ----

.PHONY: demo demo-real up down
demo: $(INSTALLED) ## a simulated chain's members, tills and app, through Airflow to published marts
	@$(BIN)/memberhouse demo

# Two demos are two homes.
REAL := MEMBERHOUSE_HOME=.memberhouse-real
demo-real: $(INSTALLED) ## the same with a year of real purchases (The Complete Journey)
	@$(REAL) $(BIN)/memberhouse demo --data complete-journey

up: $(INSTALLED) ## start the embedded Postgres and Airflow
	@$(BIN)/memberhouse up --airflow

down: $(INSTALLED) ## stop what `make up` and the demos started
	@$(BIN)/memberhouse down
	@if [ -d .memberhouse-real ]; then $(REAL) $(BIN)/memberhouse down; fi

# ---- change it ----

.PHONY: check lint test test-full torture bench fmt
check: lint ## lint, types and every test that needs no services: about a minute
	@$(BIN)/pytest -m "not services and not full"

test: lint ## everything a change must pass, in 20 minutes on two cores (55 when last measured); skips are listed with reasons
	@$(BIN)/pytest -ra -n 2 --no-loadscope-reorder -m "not full"

test-full: lint ## everything, the long campaigns too: hours; the kill campaign goes on where it was interrupted
	@$(BIN)/pytest -ra

N ?= 60
torture: $(INSTALLED) ## N faults in a small real world, from SEED on (make torture N=1 SEED=417: that fault again)
	@$(BIN)/python -m tests.faults.torture --faults $(N) $(if $(SEED),--seed $(SEED)) $(if $(LOG),--log $(LOG))

bench: $(INSTALLED) ## measure the speed, in ratios; writes docs/benchmarks (larger: make bench ARGS="--lines 20000000")
	@$(BIN)/python -m tests.bench $(ARGS)

lint: $(INSTALLED)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy

fmt: $(INSTALLED) ## put Python in the house style
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

# ---- look after it ----

.PHONY: lock clean
lock: $(INSTALLED) ## resolve pyproject.toml into requirements.lock (newest of everything: make lock ARGS=--upgrade)
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet $(ARGS) --output-file requirements.lock

clean: ## stop everything and remove what the commands above made, the environment too
	@if [ -x $(BIN)/memberhouse ]; then $(MAKE) --no-print-directory down; fi
	@for home in .memberhouse .memberhouse-real; do \
		if [ -L $$home/postgres ]; then rm -rf "$$(readlink -f $$home/postgres)"; fi; done
	@rm -rf $(VENV) .memberhouse .memberhouse-real .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The environment, made again only when the lock or the project file changes. uv itself comes from the
# lock too, by hash. Where uv can't reach the index that pip is configured for, pip installs the same files.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Memberhouse needs Python 3.11 or newer; say which one: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing the locked packages into $(VENV) (some minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {own = 1; print; next} /^[^ ]/ {own = 0} own' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LOCKED) --no-deps -r $(VENV)/uv.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python $(LOCKED) requirements.lock || { \
		echo "uv could not install the lock; pip takes over."; \
		$(BIN)/python -m pip install --disable-pip-version-check $(LOCKED) --no-deps \
			--progress-bar off -r requirements.lock; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
