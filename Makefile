# What a person types. Everything real is in the `watershed` command; these are its short names.

# The interpreter that set-up ran with last, as long as it is there: what it made is its own.
KEPT_PYTHON := $(shell cat .local/setup/python 2>/dev/null)
PYTHON ?= $(or $(wildcard $(KEPT_PYTHON)),python3)
BIN := .local/envs/core/bin
WATERSHED := $(BIN)/watershed

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up down status reset test faults check bench generate rehearse new-event screenshots \
	has-python

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: | has-python ## Install everything, pinned and checked, under .local/ (idempotent)
	@$(PYTHON) -m stack.install

setup-dev: | has-python ## Also install what tests and linters need
	@$(PYTHON) -m stack.install --dev --quiet

demo: setup ## Start all, send events (DAYS= TOTAL= SEED= RATE=, or LOG=path), prove the charts equal them
	@$(WATERSHED) stack up
	@$(WATERSHED) demo run $(if $(LOG),--log "$(LOG)") $(if $(DAYS),--days $(DAYS)) $(if $(TOTAL),--total $(TOTAL)) \
		$(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE))

up: setup ## Start every server and wait until all are ready
	@$(WATERSHED) stack up

down: | $(WATERSHED) ## Stop every process; the data stays
	@$(WATERSHED) stack down

status: | $(WATERSHED) ## Show each process: state, memory, readiness, log
	@$(WATERSHED) stack status

reset: | $(WATERSHED) ## Show what would be deleted; YES=1 stops everything and deletes all data
	@$(WATERSHED) stack reset $(if $(YES),--yes)

check: setup-dev ## Lint, types, stale generated files
	@$(BIN)/python -m stack.check

test: check ## check, then unit, integration and end-to-end tests, on two stacks of their own at once (WORKERS=)
	@$(BIN)/python -m pytest -n $(or $(WORKERS),2) --dist loadfile --no-loadscope-reorder --durations=25 \
		tests/unit tests/integration tests/e2e

faults: setup-dev ## Ten minutes of fuzzing the collector (SECONDS=), then every server killed, stopped and cut off (FAULT_SECONDS= KILLS= EVENTS= ONLY=)
	@$(BIN)/python -m tests.faults.fuzz_verdicts $(if $(SECONDS),--seconds $(SECONDS))
	@$(BIN)/python -m tests.faults.run $(if $(FAULT_SECONDS),--seconds $(FAULT_SECONDS)) \
		$(if $(KILLS),--kills $(KILLS)) $(if $(EVENTS),--events $(EVENTS)) $(if $(ONLY),--only "$(ONLY)")

bench: setup-dev ## Measure every part, on the running stack, into docs/performance.md
	@$(BIN)/python -m benchmarks.run

generate: setup-dev ## Write what is derived from contracts, settings, DAGs, metrics, dashboards and the tracker's source anew
	@$(WATERSHED) contracts generate
	@$(BIN)/python -m stack.settings_table
	@$(BIN)/python -m stack.dags_page
	@$(BIN)/python -m collector.tracker_build
	@$(BIN)/python -m superset_config.carry
	@$(BIN)/python -m superset_config.exposures
	@$(BIN)/python -m tests.faults.page

rehearse: | $(WATERSHED) ## Whom a proposed contract would break: make rehearse CONTRACT=path/to/signup/v2.schema.json (DAYS= TENANT=)
	@$(WATERSHED) rehearse "$(CONTRACT)" $(if $(DAYS),--days $(DAYS)) $(if $(TENANT),--tenant $(TENANT))

new-event: setup-dev ## Scaffold an event type: make new-event NAME=level_up
	@$(WATERSHED) contracts new-event $(NAME)

screenshots: setup-dev ## Take the pictures of the README from the running stack (LOG=path: also of that access log)
	@$(BIN)/python -m stack.screenshots $(if $(LOG),--log "$(LOG)")

has-python:
	@command -v "$(PYTHON)" >/dev/null || { echo "setup: $(PYTHON) is missing: install Python 3.11 to 3.13" >&2; exit 1; }

$(WATERSHED):
	@echo "nothing is installed here yet: \`make setup\` does it, \`make up\` also starts the servers" >&2; exit 1
