# Everything happens in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TWO := --numprocesses 2 --dist loadfile --no-loadscope-reorder
GRADCAM_TEST_DATA ?=
export GRADCAM_TEST_DATA

.DEFAULT_GOAL := help
.PHONY: help demo test fast hard audit lint type format docs bench wheel clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/ready  ## explain the sample photos, and train and explain a Neural ODE
	PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/demo.sh

test: $(VENV)/ready  ## run all tests (real weights and photos where GRADCAM_TEST_DATA names their folder)
	$(BIN)/python -m pytest $(TWO)

fast: $(VENV)/ready  ## run the tests that take less than two minutes together
	$(BIN)/python -m pytest $(TWO) -m 'not slow'

hard: $(VENV)/ready  ## put hostile files, models, servers and moments before it (half an hour), and tell what was tried
	GRADCAM_TELL_TRIED=1 $(BIN)/python -m pytest tests/test_hostile_*.py tests/test_supply_chain.py
	$(BIN)/python benchmarks/soak.py
	$(MAKE) --no-print-directory audit

audit:  ## look the pinned versions up among the known holes, where the package index tells of them
	$(PYTHON) -m venv .cache/audit
	.cache/audit/bin/python -m pip install --quiet pip-audit
	.cache/audit/bin/python tools/audit.py

lint: $(VENV)/ready  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(VENV)/ready  ## check types
	$(BIN)/mypy

format: $(VENV)/ready  ## bring the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/ready  ## build the documentation: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

bench:  ## measure gradcam and other tools (hours, 16 GB; requires GRADCAM_WEIGHTS and GRADCAM_TEST_DATA)
	$(PYTHON) benchmarks/bench.py

wheel: $(VENV)/ready  ## build the wheel
	$(BIN)/python -m build --wheel

clean:  ## remove what the targets made
	rm -rf $(VENV) .cache build dist site demo_out *.egg-info
