# What a person types. Everything real is in the `watershed` command; these are its short names.
PYTHON ?= python3
BIN := .local/envs/core/bin
WATERSHED := $(BIN)/watershed

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up down status reset test check bench generate new-event screenshots

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Install everything, pinned and checked, under .local/ (idempotent)
	@$(PYTHON) stack/install.py

setup-dev: ## Also install what tests and linters need
	@$(PYTHON) stack/install.py --dev --quiet

demo: setup ## Start the stack, send 35 days of events, and prove the charts equal what was sent (LOG=path: an access log instead)
	@$(WATERSHED) stack up
	@$(WATERSHED) demo run $(if $(LOG),--log $(LOG))

up: setup ## Start every server and wait until all are ready
	@$(WATERSHED) stack up

down: ## Stop every process; the data stays
	@$(WATERSHED) stack down

status: ## Show each process: state, memory, readiness, log
	@$(WATERSHED) stack status

reset: ## Show what would be deleted; YES=1 stops everything and deletes all data
	@$(WATERSHED) stack reset $(if $(YES),--yes)

check: setup-dev ## Lint, types, stale generated files
	@$(BIN)/python -m stack.check

test: check ## check, then unit, integration and end-to-end tests on a stack of their own
	@$(BIN)/python -m pytest tests/unit tests/integration tests/e2e

bench: setup-dev ## Measure collector, lander and micro-batch into docs/performance.md
	@$(BIN)/python -m benchmarks.run

generate: setup-dev ## Write what is derived from contracts and settings anew
	@$(WATERSHED) contracts generate
	@$(BIN)/python -m stack.settings_table

new-event: setup-dev ## Scaffold an event type: make new-event NAME=level_up
	@$(WATERSHED) contracts new-event $(NAME)

screenshots: setup-dev ## Take the pictures of the README from the running stack
	@$(BIN)/python -m stack.screenshots
