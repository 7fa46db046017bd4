# Everything that people and CI do here. Each target installs what it needs; `make help` explains.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

BIN := .venv/bin
# New whenever the pinned packages or our own metadata change.
VENV := .venv/.installed
# Compiled once, also where the environment says otherwise: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
# All clones share it: mypy goes by what files contain, and begins with half a minute of packages.
export MYPY_CACHE_DIR := $(or $(ROLLCALL_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rollcall)/mypy
TYPED := operator/rollcall sidecar/rollcall_sidecar tests/support hack bench
# What `make test` asks of the audit, in percent, kills and seconds; `make audit` asks for more.
SHORT := AUDIT_LOAD=30 AUDIT_KILLS=2 AUDIT_API=20 AUDIT_POSTGRES=$${AUDIT_POSTGRES:-60}
# Both try properties with more examples than `check` does.
PROCESSES := tests/integration/processes
PROPERTIES := tests/unit/core/test_schedule_properties.py tests/unit/core/test_manifests_properties.py
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## A real cluster, Rollcall, five jobs and the alerts that they cause
	python3 hack/cluster up rollcall-demo
	python3 hack/cluster images rollcall-demo
	python3 hack/deploy.py rollcall-demo
	python3 hack/demo.py rollcall-demo

.PHONY: demo-down
demo-down: ## Remove the demo; only the cache stays
	python3 hack/cluster down rollcall-demo

.PHONY: test
test: check ## check, slow tests, the chart, cases on a real cluster, and a short audit
	bash hack/examples.sh
	$(BIN)/pytest $(PROCESSES) $(PROPERTIES) -n 4
	python3 hack/cluster up rollcall-test
	bash hack/promtool.sh
	$(BIN)/pytest tests/chart -n 2
	python3 hack/cluster images rollcall-test
	python3 hack/deploy.py rollcall-test
	$(BIN)/pytest tests/e2e -n 14 --maxschedchunk=1
	@echo "Rollcall, its database and the API server are killed and stopped, one after the other;"
	@echo "slow tests on Postgres run beside. Both speak when they have ended, in about eight minutes."
	$(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync test-audit test-slow

# The audit mostly waits for the cluster; what computes beside it gives way.
.PHONY: test-audit test-slow
test-audit: $(VENV)
	$(SHORT) $(BIN)/pytest tests/e2e/disruptive/test_audit.py
test-slow: $(VENV)
	nice -n 19 $(BIN)/pytest tests/integration --ignore $(PROCESSES) -m slow --hypothesis-profile quick -n 2

.PHONY: audit
audit: $(VENV) ## Long outages, kills, reinstallation: what is kept must be true afterwards (an hour)
	python3 hack/cluster up rollcall-test
	python3 hack/cluster images rollcall-test
	python3 hack/deploy.py rollcall-test
	$(BIN)/pytest $(addprefix tests/e2e/disruptive/,$(or $(CASES),.))

.PHONY: bench
bench: $(VENV) ## Measure; ONLY=schedule takes one of the benchmarks
	bash hack/postgres.sh
	bash hack/wrk.sh
	$(BIN)/python -m bench $(ONLY)

.PHONY: check
check: $(VENV) ## Style, types, layers, unit and Postgres tests
	bash hack/postgres.sh
	bash hack/alertmanager.sh
	$(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync check-code check-postgres

# The two halves of `check`: what computes, and what waits for Postgres and others.
.PHONY: check-code check-postgres
check-code: $(VENV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports
	$(BIN)/python hack/manifests.py --check
	$(BIN)/pytest tests/unit --hypothesis-profile quick
check-postgres: $(VENV)
	$(BIN)/pytest tests/integration -m "not slow" --hypothesis-profile quick -n 2

.PHONY: fmt
fmt: $(VENV) ## Put the code into its form and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: manifests
manifests: $(VENV) ## Write what follows from crds/ and values.yaml into the chart
	$(BIN)/python hack/manifests.py

.PHONY: docs
docs: $(VENV) ## Write what follows from the code into docs/reference
	$(BIN)/python hack/docs.py

.PHONY: dev
dev: $(VENV) ## A temporary Postgres and the api process, restarted at every change
	bash hack/postgres.sh
	$(BIN)/python hack/dev.py

.PHONY: lock
lock: $(VENV) ## Pin the newest packages that fit pyproject.toml, with hashes
	$(LOCK) --upgrade --extra server --extra dev --output-file requirements/dev.txt
	$(LOCK) --extra server --constraint requirements/dev.txt --output-file requirements/server.txt

$(VENV): requirements/dev.txt pyproject.toml hack/venv.sh
	bash hack/venv.sh .venv
	@# Else all workers of the first run compile the same modules, each for itself.
	@$(BIN)/pytest tests/unit tests/integration --collect-only -qq >/dev/null 2>&1 || true
	touch $@
