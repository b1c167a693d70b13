# Two commands for a newcomer, as root on Debian 12 or 13:  make demo  and  make check
PYTHON := /usr/bin/python3
VENV := .venv
PYTEST := $(VENV)/bin/python -m pytest
SCRIPTS := tools/demo tools/install-packages .ci/run examples/api/status.sh
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: setup demo lint check check-fast check-slow bench clean

setup: build/.packages $(VENV)/.ready

build/.packages: debian-packages.txt
	mkdir -p build
	tools/install-packages
	touch $@

$(VENV)/.ready: requirements-dev.txt | build/.packages
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(VENV)/bin/python -m pip install --quiet -r requirements-dev.txt
	touch $@

demo: build/.packages
	tools/demo

lint: setup
	$(VENV)/bin/ruff check src tests tools bin examples
	$(VENV)/bin/ruff format --check src tests tools bin examples
	$(VENV)/bin/mypy
	PYTHONPATH=src $(VENV)/bin/lint-imports
	$(VENV)/bin/codespell README.md NEWS.md docs src tests tools examples
	if command -v shellcheck >/dev/null; then shellcheck --external-sources $(SCRIPTS); fi

# All but what takes minutes; needs root and an apt mirror.
check: lint
	$(PYTEST) -m "not slow" --timeout 900

# For the loop while hacking: no root, no network, less than a minute.
check-fast: lint
	$(PYTEST) -m "not slow and not root and not network" --timeout 60

check-slow: setup
	$(PYTEST) -m slow --timeout 3600

bench: setup
	$(PYTHON) tools/bench

clean:
	rm -rf build $(VENV)
