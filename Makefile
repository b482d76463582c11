# The front door.  make demo, make test: that is all a newcomer needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find src include python/ext python/chiasm meson.build meson.options pyproject.toml -type f -not -name '*.pyc')

.PHONY: help demo test check bench fuzz testdata clean

help:
	@echo "make demo      play the game (a terminal: live; a pipe: 600 frames)"
	@echo "make test      all tests that this machine allows"
	@echo "make check     the quick ones, for every edit (under a minute)"
	@echo "make bench     measure, against the peers that are found (BENCH=--quick: for a look)"
	@echo "make fuzz      a minute of fuzzing (needs clang-19)"
	@echo "make testdata  fetch the official test suite (needs git and the net)"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.tools: requirements-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/.built: $(VENV)/.tools $(SOURCES)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install -q --disable-pip-version-check \
	    --no-build-isolation --no-deps --force-reinstall --config-settings=build-dir=build/python .
	@touch $@

demo: $(VENV)/.built
	@$(BIN)/python examples/game/play.py

test: $(VENV)/.built
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tool/test.py

check: $(VENV)/.built
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tool/test.py --quick

bench: $(VENV)/.built
	@for bench in run programs compile start; do \
	    PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python bench/$$bench.py $(BENCH) || exit; done

fuzz: $(VENV)/.tools
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tool/fuzz.py --seconds 60

testdata:
	@sh tool/testdata.sh

clean:
	rm -rf build $(VENV)
