# Everything a developer or a newcomer types. `make demo` and `make test` need only Python 3.11+, make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: help install demo test test-slow test-all test-real lint format bench dev lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed  ## create the environment from the locked, hashed requirements

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	UV_COMPILE_BYTECODE=1 VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

demo: install  ## generate a small company, attribute 13 days and one night, say what was found
	$(BIN)/apportion demo

test: install  ## the default suite (under 10 minutes on 2 cores)
	$(BIN)/python -m pytest -m "not slow and not real" -n 2 --dist loadfile --no-loadscope-reorder

test-all: install  ## the default suite and the slow tests
	$(BIN)/python -m pytest -m "not real" -n 2 --dist loadfile --no-loadscope-reorder

test-slow: install  ## whole nights and long repetitions (over half an hour)
	$(BIN)/python -m pytest -m "slow and not real" -n 2 --dist loadfile --no-loadscope-reorder || [ $$? -eq 5 ]

test-real: install  ## the tests on real traces: APPORTION_REAL_DATA names their folder
	$(BIN)/python -m pytest tests -m real

lint: install  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install  ## let ruff rewrite
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## ratios to a scan of the same columns, measured in one run
	$(BIN)/python -m bench

dev: install  ## the Dagster UI on http://127.0.0.1:3000
	DAGSTER_HOME=$$($(BIN)/python -m pipelines.dagster_home) $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

lock:  ## resolve the requirements again: hashes, no addresses
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 --universal pyproject.toml --group dev --extra record -o requirements.lock

clean:  ## remove what runs wrote (not the environment)
	chmod -R u+w data 2>/dev/null || true
	rm -rf data dbt_project/target dbt_project/logs .pytest_cache .ruff_cache .hypothesis
