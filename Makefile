# `make demo` shows the program at work; `make test` runs every check. Both set themselves up in
# .venv, once, with pip; the second call finds it ready. Needs Python 3.11 or newer, nothing else.

VENV := .venv
BIN := $(VENV)/bin
# Choose the interpreter with `make demo PYTHON=python3.13`.
PYTHON ?=
# Further words for pip, such as an index that offers a smaller torch.
PIP_ARGS ?=

SAMPLE := demo/sample.mkv
COLOUR := demo/sample.color.mkv
PICTURE := demo/sample.preview.png

.DELETE_ON_ERROR:
.PHONY: help demo test test-long torture bench bench-all pictures lint format clean

help:
	@echo "make demo       make a black-and-white film, colorize it, put the two side by side"
	@echo "make test       lint, formatting, types and tests; the one check of everything"
	@echo "make test-long  the slower tests"
	@echo "make torture    kill jobs and break films by the thousand, and see that nothing is lost"
	@echo "make bench      time it beside ffmpeg, a quarter of an hour on two cores; fails when it got slow"
	@echo "make bench-all  every figure of docs/performance.md, in about an hour and a half"
	@echo "make pictures   make the pictures of docs/ again"
	@echo "make lint       lint, formatting and types only"
	@echo "make format     put the code into the house's format"
	@echo "make clean      remove what these made, except $(VENV)"

demo: $(VENV)/demo.stamp $(SAMPLE)
	$(BIN)/vidcolor run $(SAMPLE) -o $(COLOUR) --overwrite
	@$(BIN)/vidcolor preview $(SAMPLE) -o $(PICTURE) --overwrite
	@echo
	@echo "The black-and-white film:     $(SAMPLE)"
	@echo "The colour film:              $(COLOUR)"
	@echo "Frames of both in a picture:  $(PICTURE)"
	@echo "Now your own:                 $(BIN)/vidcolor preview your-film.mp4"

$(SAMPLE): examples/make_sample.py | $(VENV)/demo.stamp
	$(BIN)/python examples/make_sample.py $@

test: lint
	$(BIN)/pytest -n logical --dist loadfile

test-long: $(VENV)/dev.stamp
	$(BIN)/pytest -m long

torture: $(VENV)/dev.stamp
	$(BIN)/pytest -m torture -s tests/torture

# Give INTO=docs/performance.md to print that page's tables and plots anew.
INTO ?=

bench: $(VENV)/dev.stamp
	$(BIN)/python benchmarks/performance.py --short $(if $(INTO),--into $(INTO))

bench-all: $(VENV)/dev.stamp
	$(BIN)/python benchmarks/performance.py $(if $(INTO),--into $(INTO))

pictures: $(VENV)/demo.stamp
	$(BIN)/python examples/make_pictures.py docs/pictures

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist demo .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# Stamps: newer than pyproject.toml means installed as it says.

$(VENV)/demo.stamp: pyproject.toml
	@$(call install,demo)
	@touch $@

$(VENV)/dev.stamp: pyproject.toml
	@$(call install,dev)
	@touch $@ $(VENV)/demo.stamp

# Editable, so that the program run is the source at hand. OpenCV is imported once, because its
# wheel leans on system libraries that a bare machine lacks.
define install
set -e; \
if ! test -x $(BIN)/python; then $(make_venv); fi; \
echo "Installing vidcolor and what it needs into $(VENV); the first time takes minutes."; \
$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -e '.[$(1)]'; \
problem=$$($(BIN)/python -c 'import cv2' 2>&1) || { \
	echo "$$problem" | tail -n 1; \
	echo "OpenCV can't be loaded: it needs the system's libGL, libxcb and glib. On Debian and Ubuntu:"; \
	echo "    sudo apt-get install libgl1 libxcb1 libglib2.0-0"; \
	echo "then call make again."; exit 1; } >&2
endef

# The first interpreter that runs and is new enough; a name given as PYTHON is the only one tried.
define make_venv
	found=; \
	for name in $(or $(PYTHON),python3.11 python3 python3.12 python3.13 python3.14); do \
		if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			found=$$name; break; fi; \
	done; \
	if test -z "$$found"; then \
		echo "vidcolor needs Python 3.11 or newer; $(or $(PYTHON),python3) says:" \
			"$$($(or $(PYTHON),python3) --version 2>&1 | head -n 1)." \
			"Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
		exit 1; fi; \
	$$found -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$$found can't make a virtual environment. On Debian and Ubuntu:" \
			"sudo apt-get install python3-venv" >&2; exit 1; }
endef
