# make demo   twenty tasks, four at a time, before your eyes
# make quick  the tests that need no process and little time, within a minute
# make test   everything that is tested, within eight minutes on two cores
# make lint   style and types
# make api    the pages of the API, from the docstrings, in build/api
# make bench  what a task costs
# make clean  removes what these have made
#
# Each sets up what it needs in .venv.  ARGS goes to the command that is run:
# make test ARGS='-k lease -x'

VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check install

# the first that is new enough
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)

.PHONY: demo quick test lint api bench clean

demo: $(VENV)/.runs
	@$(BIN)/python examples/demo.py $(ARGS)

# these start processes, or try many orders of events
SLOW := acceptance cli/test_console.py handlers/command/test_handler.py handlers/processes \
	taskqueue/test_machine.py taskqueue/test_tap.py test_examples.py \
	test_handler_examples.py test_init.py command/test_mainloop.py test_plugins.py pipeline/test_machine.py \
	test_plugin.py command/test_daemon.py command/test_signals.py command/test_processlog.py test_tap.py

quick: $(VENV)/.develops
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(SLOW:%=--ignore=tests/%) $(ARGS)

test: $(VENV)/.develops
	@$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

lint: $(VENV)/.develops
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

api: $(VENV)/.develops
	@$(BIN)/pydoctor

# -P: benchmarks/http.py would hide the standard library's http
bench: $(VENV)/.runs
	@$(BIN)/python -P benchmarks/core.py $(ARGS)
	@$(BIN)/python -P benchmarks/http.py $(ARGS)
	@$(BIN)/python -P benchmarks/handlers.py $(ARGS)
	@$(BIN)/python -P benchmarks/taskqueue.py $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* tests.* .hypothesis .*_cache
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name dropin.cache -delete

$(VENV)/.runs: pyproject.toml | $(BIN)/python
	@echo "Installing what it takes to run, into $(VENV) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.develops: pyproject.toml | $(BIN)/python
	@echo "Installing what it takes to develop, into $(VENV) ..."
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.runs

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; if it is not on the PATH: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
