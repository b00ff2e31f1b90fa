# Every target runs in .venv, created by the first target that needs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := .cache/build
SMOKE := .cache/smoke
AXE := .cache/node/node_modules/axe-core/axe.min.js
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder --max-worker-restart 0
ROBUSTNESS := tests/robustness tests/models/test_malformed_models.py tests/models/test_download_errors.py
GRADCAM_TEST_DATA ?=
export GRADCAM_TEST_DATA

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-fast test-robustness coverage check lint typecheck format docs man bench wheel smoke clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(BUILD)/ready: constraints.txt
	$(PYTHON) -m venv $(BUILD)
	$(BUILD)/bin/python -m pip install --quiet --constraint constraints.txt build
	touch $@

$(AXE):  # without npm the accessibility tests are skipped
	-npm install --silent --no-save --prefix .cache/node axe-core@4.14.1

demo: $(VENV)/ready  ## explain the sample images; train and explain a Neural ODE
	PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/demo.sh

test: $(VENV)/ready  ## run the tests (with real weights and images if GRADCAM_TEST_DATA names their directory)
	$(PYTEST)

test-all: $(VENV)/ready $(AXE)  ## run all tests: also fuzzing, all applications, kill series, browser, Ray failures, soak
	$(PYTEST) --extended
	$(BIN)/python benchmarks/soak.py --images 5000

test-fast: $(VENV)/ready  ## run the tests that need neither seconds each nor the real weights
	$(PYTEST) -m 'not slow'

test-robustness: $(VENV)/ready  ## run malformed inputs, fuzzing, kill series and a long soak (half an hour)
	$(PYTEST) --extended $(ROBUSTNESS)
	$(BIN)/python benchmarks/soak.py

coverage: $(VENV)/ready  ## run the tests and print the branch coverage
	$(PYTEST) --cov

check: lint typecheck test  ## decide whether a change can be merged: lint, types, import contract, tests

lint: $(VENV)/ready  ## check style and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

typecheck: $(VENV)/ready  ## check types
	$(BIN)/mypy

format: $(VENV)/ready  ## fix style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/ready  ## build the documentation: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

man: $(VENV)/ready  ## write the man page, docs/gradcam.1, from the help
	$(BIN)/python tools/man_page.py

bench:  ## measure gradcam and other tools (hours, 16 GB; requires GRADCAM_WEIGHTS and GRADCAM_TEST_DATA)
	$(PYTHON) benchmarks/bench.py

wheel: $(BUILD)/ready  ## build the wheel into dist/
	rm -rf dist
	$(BUILD)/bin/python -m build --wheel

smoke: wheel  ## install the wheel without extras into a new environment and explain an image
	rm -rf $(SMOKE)
	$(PYTHON) -m venv $(SMOKE)/venv
	$(SMOKE)/venv/bin/python -m pip install --quiet --constraint constraints.txt dist/*.whl
	mkdir $(SMOKE)/empty
	cd $(SMOKE)/empty && ../venv/bin/gradcam --version && ../venv/bin/gradcam models
	cd $(SMOKE)/empty && ../venv/bin/gradcam "$(CURDIR)/sample_images/chelsea.png" --model lite0 --layer auto
	test -s $(SMOKE)/empty/chelsea_gradcam.png

clean:  ## remove everything the targets created
	rm -rf $(VENV) .cache build dist site demo_out *.egg-info
