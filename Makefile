# `make demo` and `make test` need Python 3.11 or newer; they create the virtual environment that they use.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check -c constraints.txt -e
# Each file of tests stays in one process. Windows leave memory behind, so it takes four processes on two cores, too.
# The order of tests/conftest.py counts: the largest networks come while processes are small.
PYTEST := -m pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder
# Named one by one: pytest would load all plugins there are, and compile the modules of their packages anew.
PYTEST += --disable-plugin-autoload -p slipcover.pytest_plugin -p xdist.plugin -p npe2._pytest_plugin
WINDOWS := -p pytestqt.plugin -p napari.utils._testsupport
# SlipCover takes a few per cent of the time; coverage.py took two fifths before Python 3.12.
# Its report is a step of its own: --fail-under leaves out the other processes in what it prints (1.1.0).
COVERAGE := -m slipcover --source=src/napari_darl --json --out=build/coverage.json
REPORT := $(BIN)/python -m slipcover --merge build/coverage.json --out=build/coverage.json --skip-covered --fail-under=92
# libglib2.0-bin brings GLib, whose own package is named differently from one Debian to the next.
WINDOW_PACKAGES := libdbus-1-3 libegl1 libfontconfig1 libgl1 libgl1-mesa-dri libglib2.0-bin libopengl0 \
	libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 \
	libxcb-shape0 libxcb-xinerama0 libxkbcommon-x11-0
DISPLAYS := $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter-out Linux,$(shell uname -s)))

.PHONY: demo test lint docs wheel venv models clean
.DELETE_ON_ERROR:

# Without a display, or without the system libraries of a window, the demo only writes its files.
demo: $(if $(DISPLAYS),.venv/all,.venv/base)
	@if [ -z "$(DISPLAYS)" ] || ! scripts/system-libraries "napari's window" $(WINDOW_PACKAGES); then \
		set -x; $(BIN)/napari-darl demo --output demo --no-window; \
	else \
		set -x; $(BIN)/napari-darl demo --output demo --window; \
	fi

# Threads share one heap, since each heap of their own would keep what they have freed.
test: export MALLOC_ARENA_MAX := 1
# Without the system libraries, pytest's plugins for windows can't be loaded: tests that need them are skipped, and the
# coverage isn't measured.
test: .venv/dev
	@mkdir -p build
	@if ! scripts/system-libraries "the tests that open a window" $(WINDOW_PACKAGES) xauth xvfb; then \
		$(BIN)/python $(PYTEST); \
	elif command -v xvfb-run >/dev/null; then \
		xvfb-run -a $(BIN)/python $(COVERAGE) $(PYTEST) $(WINDOWS) && $(REPORT); \
	else \
		$(BIN)/python $(COVERAGE) $(PYTEST) $(WINDOWS) && $(REPORT); \
	fi

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/npe2 validate napari-darl
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*_*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

# Builds the docs site into build/site: runs the notebooks, and fails at any warning, such as a broken link.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Builds the wheel and uses it; no network is needed.
wheel: .venv/dev
	rm -rf dist
	$(BIN)/python -m hatchling build --target wheel
	$(BIN)/python scripts/smoke.py dist/*.whl

venv: .venv/dev

# Retrains the bundled models, which takes hours without a GPU: make models DATA=folder of the data sets
models: .venv/base
	$(BIN)/python scripts/make_models.py --data "$(or $(DATA),$(error Pass the folder of the data sets: make models DATA=folder))" --output runs

clean:
	rm -rf .venv build demo dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/base: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) .
	@touch $@

.venv/all: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) '.[all]'
	@touch .venv/base $@

.venv/dev: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) '.[all,dev]'
	@touch .venv/base .venv/all $@

.venv/docs: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) '.[docs]'
	@touch .venv/base $@

# On Debian, `ensurepip` is in a separate package.
.venv/bin/python:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/system-libraries "a virtual environment" \
		"$$($(PYTHON) -c 'import sys; print("python{}.{}-venv".format(*sys.version_info))')"
	$(PYTHON) -m venv .venv
