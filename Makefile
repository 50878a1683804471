# Two commands for a newcomer: `make run` and `make test`. Both set up what is missing, say what they do, and are quick
# the second time: each step leaves a stamp in .setup/ that is older than what it depends on when it must run again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLAN ?= smoke
APPIUM := device_matrix/appium_server
DEBIAN_PACKAGES := chromium chromium-driver espeak-ng iproute2 iputils-ping util-linux kmod user-mode-linux fonts-dejavu-core sip-tester
SAY := @printf '\033[1mringfence:\033[0m %s\n'

.PHONY: help setup run test quick test-slow test-beside lint format words structure types contracts lock clean
.DEFAULT_GOAL := help

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: setup ## set up, then run the smoke plan (PLAN=name for another)
	$(SAY) 'running the plan "$(PLAN)"'
	@$(BIN)/ringfence run --plan $(PLAN)

test: ## set up, then lint, types, import contracts and the whole test suite; every part runs, whatever fails
	@begun=$$(date +%s); $(MAKE) --no-print-directory setup && \
		$(BIN)/python tests/suite/run.py --setup-s $$(( $$(date +%s) - begun ))

quick: ## set up, then lint, types and the unit tests, in under two minutes
	@begun=$$(date +%s); $(MAKE) --no-print-directory setup && \
		$(BIN)/python tests/suite/run.py quick --setup-s $$(( $$(date +%s) - begun ))

test-slow: setup ## the whole suite on half of each core (a control group; needs root)
	@RINGFENCE_TEST_PATIENCE=2 $(BIN)/python tests/suite/half_speed.py -- $(BIN)/python tests/suite/run.py

test-beside: setup ## the whole suite beside a neighbour that wants every core (stress-ng)
	@command -v stress-ng >/dev/null || apt-get install -y -qq stress-ng > .setup/apt-stress.log 2>&1 || \
		{ echo 'ringfence: stress-ng is missing: apt-get install stress-ng'; exit 5; }
	@stress-ng --cpu $$(nproc) --timeout 3600 --quiet & neighbour=$$!; \
		trap 'kill $$neighbour 2>/dev/null' EXIT INT TERM; \
		RINGFENCE_TEST_PATIENCE=2 $(BIN)/python tests/suite/run.py

setup: .setup/python .setup/appium .setup/system .setup/packets ## install everything that is missing

lint:
	$(SAY) 'lint'
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python tests/suite/words.py
	@$(BIN)/python tests/suite/structure.py

format: ## put every Python file into the one form, and sort its imports
	@$(BIN)/ruff check --quiet --fix --select I .
	@$(BIN)/ruff format .

words: ## name every puzzling phrase and every sentence over 35 words
	@$(BIN)/python tests/suite/words.py

structure: ## name doubled class names, long functions and files, and circles of imports
	@$(BIN)/python tests/suite/structure.py

types:
	$(SAY) 'types'
	@$(BIN)/mypy

contracts:
	$(SAY) 'import contracts'
	@$(BIN)/lint-imports

lock: ## pin every package again (records hashes, no addresses)
	@echo "# Every package that 'make' installs, pinned with its hashes. Made by 'make lock'; records no address." > requirements.lock
	@# libsvm-official needs a compiler, and serves a mode of ViSQOL (music) that we do not use.
	@$(BIN)/uv pip compile pyproject.toml --extra dev --no-emit-index-url --no-annotate --no-header --generate-hashes \
		--python-version 3.11 --no-emit-package libsvm-official --quiet >> requirements.lock

clean: ## remove the environment and the stamps (not the runs)
	rm -rf $(VENV) .setup $(APPIUM)/node_modules

.setup/system: Makefile
	@mkdir -p .setup
	@missing=''; \
	for package in $(DEBIAN_PACKAGES); do \
		dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then :; \
	elif ! command -v apt-get >/dev/null; then \
		echo "ringfence: this is no Debian: fetching Playwright's own browser; see 'ringfence doctor' for the rest"; \
		$(BIN)/python -m playwright install chromium; \
	elif [ "$$(id -u)" != 0 ]; then \
		echo "ringfence: these packages are missing, and installing them needs root:$$missing"; \
		echo "ringfence: run: sudo apt-get install$$missing"; exit 5; \
	else \
		echo "ringfence: installing Debian packages:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing \
			> .setup/apt.log 2>&1 || { tail -5 .setup/apt.log; exit 5; }; \
	fi
	@touch $@

.setup/python: requirements.lock pyproject.toml
	@mkdir -p .setup
	@command -v $(PYTHON) >/dev/null || { echo "ringfence: '$(PYTHON)' is not on this machine: apt-get install python3"; exit 5; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "ringfence: Python 3.11 or newer is needed; name one with: make PYTHON=python3.11"; exit 5; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'ringfence: installing python3-venv'; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv > .setup/apt-venv.log 2>&1; }
	$(SAY) 'installing the Python environment from the lock into $(VENV)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.setup/packets: .setup/python $(wildcard calls/media/*.py calls/media/*/*.py) calls/histograms.py calls/compiled.py \
		bedrock/compiled.py $(wildcard network_profiles/*/*.py network_profiles/*/*/*.py)
	$(SAY) 'compiling the packet paths of engine and links (some 45 s; they run without it too, at a higher price)'
	@$(BIN)/python -m calls.compiled
	@$(BIN)/python -m network_profiles.links.compiled
	@touch $@

.setup/appium: $(APPIUM)/package.json $(APPIUM)/package-lock.json
	@mkdir -p .setup
	@command -v npm >/dev/null || { echo 'ringfence: npm is not on this machine: install Node.js 20 or newer'; exit 5; }
	$(SAY) 'installing Appium and its Chromium driver'
	@cd $(APPIUM) && npm ci --loglevel=error --no-progress --ignore-scripts
	@touch $@
