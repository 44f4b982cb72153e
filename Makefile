# Two commands for a new machine: `make demo` and `make test`. Both set up what they need first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FUZZ_MINUTES ?= 10
INSTALLED := $(VENV)/.installed

.PHONY: demo test check format bench chaos fuzz docs clean

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "orstate needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing; llama-cpp-python is compiled, which takes about 5 minutes on 2 cores"
	$(BIN)/python -m pip install --quiet -e '.[embedded,dev]'
	touch $@

demo: $(INSTALLED)  ## replay the shipped session through all processes with the embedded model
	$(BIN)/python run_pipeline.py models fetch gemma-3-270m-taught
	$(BIN)/python run_pipeline.py replay examples/pcnl_session.jsonl

test: $(INSTALLED)  ## all tests, those with the real model and real processes too
	$(BIN)/python -m pytest

check: $(INSTALLED)  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)  ## the machinery beside bare ZeroMQ hops
	$(BIN)/python run_pipeline.py bench pipeline

chaos: $(INSTALLED)  ## faults of every kind, many times: killed, hung, flooded, out of space
	$(BIN)/python run_pipeline.py bench chaos --json benchmarks/results/chaos.json

fuzz: $(INSTALLED)  ## FUZZ_MINUTES for each reader of what comes from outside; two at a time
	$(BIN)/python -m pip install --quiet -e '.[fuzz]'
	$(BIN)/python run_pipeline.py bench fuzz --minutes $(FUZZ_MINUTES)

docs: $(INSTALLED)  ## the documentation as pages, in build/site
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	$(BIN)/python -m docs.reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html; searching in it needs a server: $(PYTHON) -m http.server -d build/site"

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
