# Two commands, from nothing but Python 3.11:
#   make demo [CLIP=path]   depth of a real clip, into demo/
#   make test               lint, types, all tests
# Also: make check (lint, types, the fast tests), make bench, make clean. The environment is .venv in this folder.

# Any POSIX shell and GNU make from 3.81 on, which is macOS's. Recipes are single commands or joined with &&: make 3.81
# knows no .SHELLFLAGS.
SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --progress-bar off --quiet
# Where the small CPU build of torch lies; `make demo TORCH_INDEX=` takes the default build, with CUDA, instead, and so
# does pip by itself where that place cannot be reached.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
WORKERS ?= 2

# Nothing is downloaded once the packages are installed.
export HF_HUB_OFFLINE := 1

.PHONY: help demo test check bench clean

help:
	@sed -n 's/^#  //p' Makefile

demo: $(VENV)/installed-demo
	@$(VENV)/bin/dvd demo $(if $(CLIP),--clip "$(CLIP)") --output demo

test: $(VENV)/installed-dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) --durations=10

check: $(VENV)/installed-dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) -m "not slow" --ignore=tests/golden/test_diffusers_oracle.py tests/golden tests/unit

bench: $(VENV)/installed-dev
	@$(VENV)/bin/dvd bench

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing dvd with its '$*' extra into $(VENV); once, a few minutes."
	@$(PIP) --no-deps --retries 1 $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) "$$(grep '^torch==' constraints.txt)"
	@$(PIP) -c constraints.txt -e '.[$*]'
	@touch $@

$(VENV)/bin/python:
	@for python in python3.11 python3; do \
	    if "$$python" -c 'import sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	        exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo "make: Python 3.11 was not found as python3.11 or python3; install it (Debian: python3.11 and python3.11-venv) or put it on PATH" >&2; \
	exit 1
