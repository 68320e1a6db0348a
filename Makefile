PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
READY := .venv/.ready
BUILD := artifacts/build
NAME ?= reference
CORES := $(shell nproc 2>/dev/null || echo 2)
WORKERS ?= $(shell echo $$(($(CORES) + 1)))
PARALLEL ?= -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export TF_CPP_MIN_LOG_LEVEL ?= 2
export TF_ENABLE_ONEDNN_OPTS ?= 1
unexport PYTHONDONTWRITEBYTECODE # tests start Python hundreds of times, and compile their own assertions

.DEFAULT_GOAL := help
.PHONY: help env export photos train bench figures-graph figures-runtime figures-reading report quantization reference readme pictures bundle web fuzz test test-fast durations faults docs lint wheel-test oldest-test test-pi clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(READY) ## set up the pinned environment in .venv

$(READY): .ci/constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"edgecnn needs Python 3.11 to 3.13, got {v[0]}.{v[1]}: run make PYTHON=python3.12 …")'
	@echo "Setting up .venv (TensorFlow is large: two to four minutes the first time)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --no-deps --require-hashes --requirement .ci/constraints.txt
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --no-deps --no-build-isolation --editable . # or warns of all editables
	@echo "The environment is ready"
	@touch $@

export: $(READY) ## export the trained reference to ONNX, TFLite and NCNN, verify, print the table
	@$(PY) -m pipeline export --model artifacts/reference/model.keras --out $(BUILD) --formats ncnn

photos: $(READY) ## from your photos to files for a board: DATA=DIR, one folder per class; FLAGS="--skip-bad …"
	@test -n "$(DATA)" || { echo 'say which photos: make photos DATA=DIR, a folder with one folder for each class'; exit 2; }
	@$(PY) -m pipeline photos "$(DATA)" $(FLAGS)

train: $(READY) ## train the network on all of CIFAR-10, into artifacts/train
	@$(PY) -m pipeline train --out artifacts/train

bench: $(BUILD)/manifest.json ## measure the exported files on every engine
	@$(PY) -m pipeline bench $(BUILD)

figures-graph: $(BUILD)/manifest.json ## compare our graphs with those of the stock converters and quantizers
	@$(PY) -m docs.figures graph $(BUILD)

figures-reading: $(READY) ## compare reading photos with Keras's own loader
	@$(PY) -m docs.figures reading --out $(BUILD)

$(BUILD)/manifest.json: | $(READY)
	@$(MAKE) --no-print-directory export

figures-runtime: $(BUILD)/manifest.json ## compare the runtime with hand-written code; PHOTOS=DIR adds real photos
	@$(PY) -m docs.figures runtime $(BUILD) $(if $(PHOTOS),--photos "$(PHOTOS)")

report: $(BUILD)/manifest.json $(BUILD)/drift.json ## write a page with all results; ADD="pi4.json pi5.json" adds devices
	@$(PY) -m pipeline report $(BUILD) $(foreach file,$(ADD),--add "$(file)")

$(BUILD)/drift.json: $(BUILD)/manifest.json
	@$(PY) -m pipeline drift $(BUILD)

bundle: $(BUILD)/manifest.json ## pack the exported files for a board into dist/; SIGN_KEY=KEY signs, FLAGS="--python 3.13 …"
	@$(PY) -m pipeline bundle $(BUILD) --name $(NAME) $(if $(SIGN_KEY),--sign-key "$(SIGN_KEY)") $(FLAGS)

web: $(BUILD)/manifest.json ## write a page that runs the exported model in a browser
	@$(PY) -m pipeline web $(BUILD)

fuzz: $(READY) ## open 20,000 mutated image files and thousands of mutated model files
	@PYTHONPATH=tests $(PY) -m fuzz

reference: $(READY) ## make artifacts/train the new reference (export, verify, README tables)
	@$(PY) -m docs.figures reference --train artifacts/train --out artifacts/reference
	@$(MAKE) --no-print-directory readme

pictures: report web ## make the documents' pictures of report, web page and command lines
	@$(PY) -m docs.figures pictures $(BUILD)

readme: export ## export the reference, measure it, print the README's tables; needs all of CIFAR-10
	@$(PY) -m pipeline bench $(BUILD)
	@$(PY) -m docs.figures readme $(BUILD)

test: $(READY) ## run all tests
	@$(PY) -m pytest $(PARALLEL)

durations: $(READY) ## run all tests on an idle machine; test-fast then skips those that took longer than 0.2 s
	@UPDATE_DURATIONS=1 $(PY) -m pytest $(PARALLEL)

test-fast: WORKERS = $(CORES) # nothing waits, and a process takes ten seconds to import all
test-fast: $(READY) ## run the tests that take less than a fifth of a second each and need no browser
	@$(PY) -m pytest $(PARALLEL) -m "not slow"

faults: $(READY) ## put 62 faults into a copy of the source, one at a time; the tests must catch nine in ten
	@PYTHONPATH=tests $(PY) -m faults

docs: $(READY) ## update the outputs in docs/runtime.md
	@UPDATE_DOCS=1 $(PY) -m pytest --quiet tests/runtime/test_docs.py

quantization: $(READY) ## export with all formats into artifacts/build, measure, print docs/quantization.md's figures
	@$(PY) -m pipeline export --model artifacts/reference/model.keras --out $(BUILD) --formats fp16 dynamic
	@$(PY) -m pipeline bench $(BUILD)
	@$(PY) -m docs.figures graph $(BUILD)
	@$(PY) -m pipeline drift $(BUILD)
	@$(PY) -m docs.figures quantization $(BUILD)

lint: $(READY) ## ruff, mypy and the layers of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

oldest-test: ## run tests/runtime with the oldest supported numpy, Pillow and onnxruntime (Bookworm)
	@sh .ci/oldest-test

wheel-test: ## build the wheel, install only it in a new environment, run tests/runtime there
	@PYTHON=$(PYTHON) sh .ci/wheel-test

test-pi: $(READY) ## as root: test bundles on emulated Raspberry Pis 4 and 5; PI=cortex-a76 tests only one
	@sh tests/pi/need
	@PYTHONPATH=tests $(PY) -m pi $(if $(PI),"$(PI)")

clean: ## delete the environment and everything built
	rm -rf .venv $(BUILD) artifacts/train build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
