# Everything a developer needs. `make demo` and `make test` do all the set-up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
SECONDS ?= 60

.PHONY: help demo test test-all test-lowest test-newest fuzz bench docs lint format clean

help: ## Show this list.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# Installed anew when the list of dependencies changes.
$(VENV)/installed: pyproject.toml constraints/tested.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/tested.txt -e '.[test]'
	touch $@

demo: $(VENV)/installed ## Simulate, train three cells, quantize, export, verify: the whole path, with a table at the end.
	$(BIN)/edge-seq demo --out $(RUN)

test: $(VENV)/installed ## The default tests, under ten minutes.
	$(BIN)/python -m pytest -m 'not slow' -n auto --dist loadfile --no-loadscope-reorder

test-all: $(VENV)/installed ## All tests, the slow ones too.
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# What depends on the versions of other packages; the rest of the tests compiles and runs C.
VERSION_TESTS := tests/unit tests/parity tests/cli tests/device tests/live \
	tests/targets/test_measure.py tests/targets/test_counter_agreement.py --ignore tests/unit/test_constraints.py

$(VENV)-lowest/installed: pyproject.toml constraints/lowest.txt
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/lowest.txt -e '.[test]'
	touch $@

test-lowest: $(VENV)-lowest/installed ## Tests with the oldest supported packages; also try PYTHON=python3.10.
	$(VENV)-lowest/bin/python -m pytest -W error -m 'not slow' -n auto --dist loadfile $(VERSION_TESTS)

test-newest: ## Tests with the newest release of every package.
	$(PYTHON) -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager \
		-e '.[test]'
	$(VENV)-newest/bin/python -m pytest -W error -m 'not slow' -n auto --dist loadfile $(VERSION_TESTS)

fuzz: $(VENV)/installed ## Fuzz all that reads files or bytes of others, SECONDS=60 each, with a table at the end.
	$(BIN)/python -m tests.fuzz.run --guided --seconds $(SECONDS)
	$(BIN)/python -m tests.fuzz.run_c --seconds $(SECONDS)

bench: $(VENV)/installed ## What the reference models cost on every target: BENCH.md and bench.json in docs/results.
	$(BIN)/edge-seq bench --reference docs/results/bench_reference.toml --out docs/results
	$(BIN)/edge-seq bench --reference docs/results/bench_reference.toml --out docs/results --cell fastgrnn
	$(BIN)/edge-seq bench --reference docs/results/bench_reference.toml --out docs/results --target cortex_m0 \
	  --target cortex_m4 --target cortex_m55 --target riscv32imc --model h64 --model h100 --model h128
	$(BIN)/edge-seq bench --reference docs/results/bench_reference.toml --out docs/results --target aarch64 \
	  --target cortex_m0 --target cortex_m4 --target cortex_m55 --target riscv32imc --model deep --cell lstm --cell gru

$(VENV)/docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/tested.txt -e '.[docs]'
	touch $@

docs: $(VENV)/docs ## The documentation as a site, with the reference of commands and API: build/site/index.html.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(VENV)/installed ## ruff and mypy.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed ## Format and mend what ruff can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what was built; the virtual environment and runs stay.
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
