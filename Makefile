# Every target prepares its own environment in .venv; a machine needs Python 3.11 or later and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
RUN_STATE ?= credstream-data/$(if $(DATA),dataset,demo)

.DEFAULT_GOAL := help
.PHONY: help demo test lint check bench chaos fuzz system lock clean

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "credstream needs Python 3.11 or later; $(PYTHON) is older"; exit 1; }
	@echo "preparing $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## the whole pipe on an embedded Kafka; DATA=folder for OULAD, KEEP=1 to look around, EXPORT=folder
	@$(BIN)/credstream demo --data $(RUN_STATE) $(if $(DATA),--dataset "$(DATA)") $(if $(KEEP),--keep) $(if $(EXPORT),--export "$(EXPORT)")

# Now and then a broker killed with -9 leaves a transaction hanging, and its lane waits for good: for make chaos to show.
test: $(READY) ## every test, on a real Kafka, with short chaos
	$(BIN)/pytest tests -rs --deselect tests/chaos/test_broker_kill.py

lint: $(READY) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## lint, and the unit tests
	$(BIN)/pytest tests/unit tests/properties tests/contract tests/simulation -q

bench: $(READY) ## the benchmarks, as tables
	@for program in tests/bench/bench_*.py; do PYTHONPATH=tests $(BIN)/python $$program || exit 1; done

chaos: $(READY) ## kill -9 for longer, with a printed seed; SEED=n repeats one, RESULTS=n sends so many
	CREDSTREAM_SCHEDULES=3000 $(BIN)/pytest tests/simulation
	$(BIN)/pytest tests/chaos -s --results $(or $(RESULTS),50000) --seed $(or $(SEED),$(shell date +%s))

fuzz: $(READY) ## random rules against the second evaluator (CASES=n of each), random credentials against PyLD (COUNT=n)
	CREDSTREAM_CASES=$(or $(CASES),4000) $(BIN)/pytest tests/properties/test_competency.py tests/properties/test_operators.py -q -s
	PYTHONPATH=tests $(BIN)/python tests/bench/fuzz_signing.py --count $(or $(COUNT),100000) $(if $(SEED),--seed $(SEED))

system: ## what tests need beyond Python (Debian, as root)
	@missing=""; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v promtool >/dev/null || missing="$$missing prometheus"; \
	{ command -v node && command -v npm; } >/dev/null || missing="$$missing nodejs npm"; \
	command -v softhsm2-util >/dev/null || missing="$$missing softhsm2"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	if [ -n "$$missing" ]; then \
	  [ "$$(id -u)" = 0 ] || { echo "missing:$$missing; run 'sudo make system'"; exit 1; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

lock: $(READY) ## the lock files anew
	$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 pyproject.toml -o requirements/run.lock
	$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --extra dev pyproject.toml -o requirements/dev.lock

clean: ## remove what was made
	rm -rf $(VENV) credstream-data .pytest_cache .mypy_cache .ruff_cache .hypothesis
