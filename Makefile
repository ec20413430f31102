# make run    process the bundled recording and a minute of phantom, write two reports
# make test   linters, types, layers, all tests but the slow ones
# make help   the other targets
#
# Needs Linux and Python >= 3.11; everything else goes into .venv, from the locks.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PYTHONSAFEPATH := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# settings of a user's own pip that would fight with --require-hashes
unexport PIP_REQUIRE_VIRTUALENV PIP_USER PIP_TARGET PIP_PREFIX

VENV ?= .venv
PY := $(VENV)/bin/python
ARGS ?=
export VENV

UV_LOCK = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock' --upgrade pyproject.toml

.PHONY: help run test lint test-slow bench lock docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: $(VENV)/run.stamp ## process the bundled recording and a minute of phantom (ARGS="--json" ...)
	@$(VENV)/bin/brainforge demo $(ARGS)

test: lint ## linters, types, layers and all tests but the slow ones (ARGS goes to pytest)
	@echo "== pytest (without what is marked slow)"
	@$(PY) -m pytest -q -m "not slow" $(ARGS)

lint: $(VENV)/test.stamp ## linters, types and layers only
	@echo "== ruff check"
	@$(VENV)/bin/ruff check .
	@echo "== ruff format --check"
	@$(VENV)/bin/ruff format --check .
	@echo "== mypy"
	@$(VENV)/bin/mypy
	@echo "== lint-imports (the layers)"
	@$(VENV)/bin/lint-imports --no-logo --no-cache

test-slow: $(VENV)/test.stamp ## the slow tests only
	@$(PY) -m pytest -q -m slow $(ARGS)

bench: $(VENV)/test.stamp ## the benchmark against peers, each stage with its accuracy
	@PYTHONSAFEPATH= $(PY) -m benchmarks $(ARGS)

lock: $(VENV)/test.stamp ## resolve the locks anew
	@$(UV_LOCK) --extra test -o requirements-test.lock
	@$(UV_LOCK) --extra build --extra lsl -c requirements-test.lock -o requirements.lock
	@$(UV_LOCK) --extra build --extra lsl --extra cuda12 -c requirements-test.lock -o requirements-cuda12.lock
	@$(UV_LOCK) --extra build --extra lsl --extra cuda13 -c requirements-test.lock -o requirements-cuda13.lock

docs: $(VENV)/test.stamp ## pages about functions and classes, into build/docs
	@$(PY) -m pdoc --docformat numpy --output-directory build/docs brainforge $$($(PY) -c "import \
		pkgutil, brainforge as b; print(*(m.name for m in pkgutil.walk_packages(b.__path__, \
		'brainforge.') if '__main__' not in m.name))")
	@echo "build/docs/index.html"

clean: ## remove what builds and tests leave behind, .venv included
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache brainforge-demo
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@.ci/make-venv $(VENV)

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python
	@.ci/install $(VENV) requirements.lock
	@touch $@

$(VENV)/test.stamp: requirements-test.lock pyproject.toml | $(VENV)/bin/python
	@.ci/install $(VENV) requirements-test.lock
	@.ci/debian-packages
	@touch $@ $(VENV)/run.stamp
