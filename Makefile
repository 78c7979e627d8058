# Two commands do all the set-up: `make run` and `make test`. Nothing but Python 3.11+ and make is needed.
PYTHON ?= python3
ARGS ?= --auto-approve
TAG := $(shell $(PYTHON) -c 'import sys; print("py%d.%d" % sys.version_info[:2])')
VENV := .venv/$(TAG)
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
TEST_READY := $(VENV)/.test-ready
NODE_READY := $(VENV)/.node-ready
WORKERS ?= 2

.PHONY: run up test check bench soak layers docs lock clean fast synth cost cdk smoke

run: $(RUN_READY)
	@$(BIN)/chimera run $(ARGS)

up: $(RUN_READY)
	@$(BIN)/chimera up $(UPARGS)

# -- set-up ---------------------------------------------------------------------------------------------------------
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Chimera needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say: make run PYTHON=python3.13")'
	@echo "setting up $(VENV) (once)" >&2
	@$(PYTHON) -m venv $(VENV)

$(RUN_READY): requirements/run.lock pyproject.toml | $(VENV)/bin/pip
	@echo "installing what running needs (about 300 MB to fetch, once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/run.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(TEST_READY): requirements/test.lock $(RUN_READY)
	@echo "installing what the tests add (once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/test.lock
	@touch $@

$(NODE_READY): package-lock.json .npmrc $(TEST_READY)
	@$(BIN)/python tools/npm.py ci --silent
	@touch $@

# -- habits ---------------------------------------------------------------------------------------------------------
test: check
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" tests --ignore tests/soak

fast: $(TEST_READY)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup tests/unit tests/workflows

check: $(TEST_READY) $(NODE_READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python tools/check_imports.py
	@$(BIN)/python tools/check_machines.py
	@$(BIN)/python tools/draw_machines.py --check
	@$(BIN)/python tools/make_docs.py --check

bench: $(TEST_READY)
	@$(BIN)/python bench/all.py

soak: $(TEST_READY)
	@$(BIN)/python -m pytest -n0 tests/soak
	@$(BIN)/python -m pytest -n0 -m slow tests/e2e tests/integration

layers:
	@$(PYTHON) tools/build_layers.py

# cdk.out, offline: no Docker, no account. Settings: make synth SYNTH='-c profile=production -c name=studio'
synth: $(TEST_READY)
	@$(BIN)/python tools/synth.py $(SYNTH)

# the CDK command line that fits this library, with our Python and Node: make cdk CDK='deploy --all -c name=studio'
cdk: $(TEST_READY)
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/npm.py exec --yes --package aws-cdk@2.1148.1 -- cdk $(CDK)

cost: $(TEST_READY)
	@$(BIN)/python tools/cost.py

# one whole run over the API of a deployment (docs/aws/deploy.md): make smoke SMOKE='https://STUDIO --token-file token.txt'
smoke: $(TEST_READY)
	@$(BIN)/python tools/smoke.py $(SMOKE)

docs: $(TEST_READY)
	@$(BIN)/python tools/draw_machines.py
	@$(BIN)/python tools/make_docs.py

lock: $(TEST_READY)
	@$(BIN)/python tools/lock.py

clean:
	rm -rf .venv node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist cdk.out
