# Few verbs. Each does all its own set-up; nothing is installed by hand.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# the locks name every package, so there is nothing to resolve; what is imported is compiled then
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-compile

.PHONY: demo setup test check types lint bench bench-boards soak hostile power-cuts weeks verify screenshot generate clean

## demo: the example plant, from Modbus registers to a live page; prints the address (Ctrl-C ends it)
demo: setup
	@deploy/debian-packages mosquitto
	@$(BIN)/shopfloor demo $(ARGS)

## setup: .venv with the shopfloor command and everything that runs a plant
setup: .venv/.runtime

## test: lint, types, import rules, generated files, then every test on real servers; files are shared out to WORKERS
# (three on two cores: many tests wait for processes, leases and scans, and leave the machine idle meanwhile)
WORKERS ?= 3
test: check
	@deploy/debian-packages mosquitto influxdb chromium fonts-liberation mbpoll faketime shellcheck systemd
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

## check: lint, types, import rules, generated files; the types beside the others
check: .venv/.development
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target types lint

types:
	$(BIN)/mypy

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.generated --check
	$(BIN)/shopfloor dashboards check plants/ceper/plant.yaml
	$(BIN)/shopfloor check plants/ceper/plant.yaml
	$(BIN)/shopfloor check plants/steel-year/plant.yaml

## generate: write the generated files again (JSON Schema)
generate: .venv/.development
	$(BIN)/python -m tests.generated

## bench: the figures of docs/figures.md, measured here and now
bench: .venv/.development
	@deploy/debian-packages mosquitto influxdb
	$(BIN)/python -m tests.bench_derive
	$(BIN)/python -m tests.bench_query
	$(BIN)/python -m tests.bench_engine
	$(BIN)/python -m tests.bench_publish
	$(BIN)/python -m tests.bench_boards
	$(BIN)/python -m tests.bench_outbox
	$(BIN)/python -m tests.bench_road
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench_ingest

## bench-boards: the slowest query of every board, 200 work units and 90 days on influxd
bench-boards: .venv/.development
	@deploy/debian-packages influxdb
	$(BIN)/python -m tests.bench_boards

## soak: a plant of real processes under faults, then its books beside the simulators' journal; last line a JSON verdict
SECONDS ?= 120
SEED ?= 1
soak: .venv/.development
	@deploy/debian-packages mosquitto influxdb faketime
	$(BIN)/python -m tests.soak --seconds $(SECONDS) --seed $(SEED)

## hostile: so many malformed and hostile messages with good ones in between; last line a JSON verdict
MESSAGES ?= 20000
hostile: .venv/.development
	@deploy/debian-packages mosquitto influxdb
	$(BIN)/python -m tests.soak.hostile --messages $(MESSAGES) --seed $(SEED)

## power-cuts: kill -9 of the whole demo at seeded moments, hours of virtual time; last line a JSON verdict
power-cuts: .venv/.development
	@deploy/debian-packages mosquitto
	$(BIN)/python -m tests.power_cuts --seconds $(SECONDS) --seed $(SEED)

## weeks: simulated weeks through the wire, with late data and edits, against the simulator's truth; last line a JSON verdict
SEEDS ?= 1-5
DAYS ?= 7
weeks: .venv/.development
	@deploy/debian-packages mosquitto
	$(BIN)/python -m tests.weeks --seeds $(SEEDS) --days $(DAYS)

## verify: days of the example plant through the wire into influxd, every query of every board on them, KPIs beside the API's
verify: .venv/.development
	@deploy/debian-packages mosquitto influxdb
	@$(BIN)/python -m tests.verify_boards --days $(DAYS)

## screenshot: docs/overview.png from the running demo in a real Chromium
screenshot: .venv/.development
	@deploy/debian-packages mosquitto chromium
	$(BIN)/python -m tests.screenshot

.venv/bin/python:
	@deploy/debian-packages python3-venv
	$(PYTHON) -m venv .venv

.venv/.runtime: requirements/demo.lock pyproject.toml | .venv/bin/python
	$(INSTALL) --requirement requirements/demo.lock
	$(INSTALL) --editable .
	@touch $@

.venv/.development: requirements/dev.lock .venv/.runtime
	$(INSTALL) --requirement requirements/dev.lock
	@touch $@

clean:
	rm -rf .venv .demo build
