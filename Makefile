# Everything a fresh machine with Python and make needs: make demo, make test, make check.
# Paths are relative, so that the checkout may lie anywhere; programs are run as modules, because
# the first line of an installed script cannot hold every path.
PYTHON      ?= python3
PYTEST_ARGS ?=
VENV        ?= .venv
PY          := "$(VENV)/bin/python"
TORCH       ?= torch==2.13.0
PIP         := $(PY) -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-torch check lint types docs examples bench bench-step bench-service \
        bench-tables clean wheels sbom licences image

help:            ## show this help
	@grep -E '^[a-z-]+:.*##' Makefile | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(VENV)/.demo  ## measure short prompts here, predict long ones, measure those
	@mkdir -p out
	@$(PY) -m lengthwise demo --plot out/demo.png --report out/demo.html

test: $(VENV)/.dev  ## run the tests (PYTEST_ARGS="tests/cli -x" for some of them)
	$(PY) -m pytest -n 3 --dist loadfile $(PYTEST_ARGS)

test-slow: $(VENV)/.dev  ## the few tests that take 7 to 110 s each
	$(PY) -m pytest -m slow $(PYTEST_ARGS)

test-torch: $(VENV)/.torch  ## the tests that need torch, where a build for the CPU can be had
	@if $(PY) -c 'import torch' 2>/dev/null; then \
	  $(PY) -m pytest -n 2 --dist loadfile tests/measurement/test_hf_transformers.py \
	    tests/measurement/test_variation.py; fi

check: lint types docs examples  ## lint, types, documentation and examples

lint: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(VENV)/.dev
	$(PY) -m mypy

docs: $(VENV)/.docs
	$(PY) docs/generate.py --check
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

examples: $(VENV)/.dev
	@for script in examples/*.py; do echo "== $$script"; $(PY) "$$script" || exit 1; done

bench: $(VENV)/.dev  ## run every benchmark again (LENGTHWISE_DATA must be set; about 30 minutes)
	$(PY) benchmarks/attention_prior.py
	$(PY) benchmarks/accuracy.py
	$(PY) benchmarks/field.py
	$(PY) benchmarks/speed.py
	$(PY) benchmarks/cold.py
	$(PY) benchmarks/demo.py
	$(PY) benchmarks/client.py
	$(PY) benchmarks/per_token.py
	$(PY) benchmarks/per_token_features.py
	$(PY) benchmarks/import_truth.py
	$(PY) benchmarks/tables.py

bench-step: $(VENV)/.dev  ## benchmarks of the step law (LENGTHWISE_DATA; about two hours, mostly kernel tables)
	$(PY) benchmarks/kernels.py
	$(PY) benchmarks/kernels_attention.py
	$(PY) benchmarks/serving.py
	$(PY) benchmarks/few_shot_steps.py
	$(PY) benchmarks/step_speed.py
	$(PY) benchmarks/energy.py
	$(PY) benchmarks/tables.py

bench-service: $(VENV)/.dev  ## benchmarks of the service (LENGTHWISE_DATA, xgboost, lightgbm; about 30 minutes)
	$(PY) benchmarks/online.py
	$(PY) benchmarks/online_bound.py
	$(PY) benchmarks/online_adaptation.py
	$(PY) benchmarks/exploration.py
	$(PY) benchmarks/serve_speed.py
	$(PY) benchmarks/serve_faults.py
	$(PY) benchmarks/poison.py --write
	$(PY) benchmarks/tables.py

bench-tables: $(VENV)/.dev  ## write the committed benchmark results into the README
	$(PY) benchmarks/tables.py

wheels: $(VENV)/.made  ## build both distributions, lengthwise and lengthwise-llmd, into dist
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist . ./packages/lengthwise-llmd

sbom: out/env-image/.made out/tools/.made  ## software bill of materials of the image (CycloneDX) into dist
	@mkdir -p dist
	out/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/lengthwise.cdx.json out/env-image/bin/python

licences: out/env-all/.made out/tools/.made  ## list the licences of everything we build on
	{ cat deploy/licences-head.md; out/tools/bin/pip-licenses --python=out/env-all/bin/python \
	  --from=mixed --format=markdown --with-urls --order=name \
	  --ignore-packages lengthwise lengthwise-llmd; } > deploy/third-party-licences.md

image:           ## build the image and run it read-only as any user (ENGINE=podman for another)
	$(or $(ENGINE),docker) build -f deploy/Dockerfile -t lengthwise .
	deploy/check_image.sh

clean:           ## remove the environment and everything built
	rm -rf "$(VENV)" out site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.made:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.12 ...' >&2; exit 1; }
	@echo 'making an environment in $(VENV): a minute or two, once'
	@"$(PYTHON)" -m venv "$(VENV)"
	@touch "$@"

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@$(PIP) --editable '.[report,openvino]'
	@touch "$@"

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(PIP) --editable '.[dev]'
	@touch "$@" "$(VENV)/.demo"

# What the image holds, and all that can be had besides engines with wheels of gigabytes.
EXTRAS-image := serve,postgres
EXTRAS-all   := report,hub,formats,measure,openvino,llamacpp,serve,postgres,explore

out/env-%/.made: pyproject.toml packages/lengthwise-llmd/pyproject.toml
	@"$(PYTHON)" -m venv "$(@D)"
	@"$(@D)/bin/python" -m pip install --quiet '.[$(EXTRAS-$*)]' ./packages/lengthwise-llmd
	@"$(@D)/bin/python" -m pip check
	@touch "$@"

out/tools/.made:
	@"$(PYTHON)" -m venv "$(@D)"
	@"$(@D)/bin/python" -m pip install --quiet cyclonedx-bom pip-licenses
	@touch "$@"

# The newest torch of PyPI brings gigabytes of CUDA: it is not installed for the sake of tests.
$(VENV)/.torch: $(VENV)/.dev
	@if $(PIP) --dry-run --report - '$(TORCH)' | grep -q '"nvidia'; then \
	  echo 'no torch for the CPU here: its tests are left out'; \
	else $(PIP) '$(TORCH)' && $(PIP) --editable '.[dev,transformers]'; fi
	@touch "$@"

$(VENV)/.docs: $(VENV)/.made pyproject.toml
	$(PIP) --editable '.[dev,docs]'
	@touch "$@" "$(VENV)/.demo" "$(VENV)/.dev"
