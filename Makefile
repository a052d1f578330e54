# Everything a fresh machine with Python and make needs: make demo, make test, make check.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
TORCH  ?= torch==2.13.0
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test test-torch check lint types docs examples bench bench-step bench-service \
        bench-tables clean

help:            ## show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(VENV)/.demo  ## measure short prompts here, predict long ones, measure those
	@mkdir -p out
	@$(BIN)/lengthwise demo --plot out/demo.png --report out/demo.html

test: $(VENV)/.dev  ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-torch: $(VENV)/.torch  ## the tests that need torch, where a build for the CPU can be had
	@if $(BIN)/python -c 'import torch' 2>/dev/null; then \
	  $(BIN)/python -m pytest -n 2 --dist loadfile tests/measurement/test_hf_transformers.py \
	    tests/measurement/test_variation.py; fi

check: lint types docs examples  ## lint, types, documentation and examples

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/python docs/generate.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

examples: $(VENV)/.dev
	@for script in examples/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

bench: $(VENV)/.dev  ## run every benchmark again (LENGTHWISE_DATA must be set; about 30 minutes)
	$(BIN)/python benchmarks/attention_prior.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/field.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/client.py
	$(BIN)/python benchmarks/per_token.py
	$(BIN)/python benchmarks/per_token_features.py
	$(BIN)/python benchmarks/import_truth.py
	$(BIN)/python benchmarks/tables.py

bench-step: $(VENV)/.dev  ## benchmarks of the step law (LENGTHWISE_DATA; about two hours, mostly kernel tables)
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/kernels_attention.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/few_shot_steps.py
	$(BIN)/python benchmarks/step_speed.py
	$(BIN)/python benchmarks/energy.py
	$(BIN)/python benchmarks/tables.py

bench-service: $(VENV)/.dev  ## benchmarks of the service (LENGTHWISE_DATA, xgboost, lightgbm; about 30 minutes)
	$(BIN)/python benchmarks/online.py
	$(BIN)/python benchmarks/online_bound.py
	$(BIN)/python benchmarks/online_adaptation.py
	$(BIN)/python benchmarks/exploration.py
	$(BIN)/python benchmarks/serve_speed.py
	$(BIN)/python benchmarks/serve_faults.py
	$(BIN)/python benchmarks/tables.py

bench-tables: $(VENV)/.dev  ## write the committed benchmark results into the README
	$(BIN)/python benchmarks/tables.py

clean:           ## remove the environment and everything built
	rm -rf $(VENV) out site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(PIP) --editable '.[report,openvino]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

# The newest torch of PyPI brings gigabytes of CUDA: it is not installed for the sake of tests.
$(VENV)/.torch: $(VENV)/.dev
	@if $(PIP) --dry-run --report - '$(TORCH)' | grep -q '"nvidia'; then \
	  echo 'no torch for the CPU here: its tests are left out'; \
	else $(PIP) '$(TORCH)' && $(PIP) --editable '.[dev,transformers]'; fi
	@touch $@

$(VENV)/.docs: $(VENV)/.made pyproject.toml
	$(PIP) --editable '.[dev,docs]'
	@touch $@ $(VENV)/.demo $(VENV)/.dev
