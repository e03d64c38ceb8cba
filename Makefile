# `make demo` and `make test` need only Python 3.11 or newer and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
# Byte code makes imports of aws_cdk four times faster, so this overrides the machine's setting.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/.venv/bin:$(PATH)
UV := .venv/bin/uv
ENVIRONMENTS := .venvs/floor .venvs/cfn-lint .venvs/checkov .venvs/parliament .venvs/airflow-3.3.2 .venvs/airflow-2.11.2 .venvs/local

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-13s %s\n", $$1, $$2}'

.venv/.ready: requirements/uv.txt requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(UV) pip sync --quiet --python .venv/bin/python --require-hashes requirements/dev.txt requirements/uv.txt
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --editable .
	@touch $@

# Airflow and third-party tools have separate environments, because their requirements conflict.
.venvs/%/.ready: requirements/%.txt .venv/.ready
	$(UV) venv --quiet --clear --python $(or $(BASE),.venv/bin/python) .venvs/$*
	$(UV) pip sync --quiet --python .venvs/$*/bin/python --require-hashes $<
	@touch $@

# The oldest dependencies run on the oldest Python, if installed; otherwise tests/test_floor.py reports it.
.venvs/floor/.ready: BASE = $(shell for python in python3.10 "$$HOME"/.pyenv/versions/3.10.*/bin/python; do \
	"$$python" -c "import sys; print(sys.executable)" 2>/dev/null && break; done)
.venvs/floor/.ready: Makefile

.PHONY: environments
environments: .venv/.ready $(ENVIRONMENTS:%=%/.ready)

.PHONY: demo
demo: .venv/.ready .venvs/local/.ready ## Synthesize and run the quickstart, without Docker, Node.js and an AWS account.
	.venv/bin/python examples/demo.py
	.venvs/local/bin/python examples/demo_run.py

.PHONY: test
test: environments ## Run all tests and linters.
	.venv/bin/ruff check . && .venv/bin/ruff format --check .
	.venv/bin/pytest -n 3 --dist loadgroup --no-loadscope-reorder

.PHONY: fast
fast: .venv/.ready ## Run only the fast tests.
	.venv/bin/pytest -q -m "not slow and not airflow and not e2e"

.PHONY: e2e
e2e: environments ## Run whole clusters on this machine (two hours).
	.venv/bin/pytest -m e2e

.PHONY: bench
bench: .venv/.ready ## Measure a synthesis and update docs/concepts/benchmarks.md (minutes, on an idle machine).
	.venv/bin/python benchmarks/synthesis.py --write

.PHONY: bench-run
bench-run: environments ## Measure running clusters and update docs/concepts/benchmarks-run.md (15 minutes).
	.venv/bin/python benchmarks/run.py --write

.PHONY: bench-scaling
bench-scaling: .venv/.ready .venvs/plots/.ready ## Simulate scaling policies and update docs/concepts/benchmarks-scaling.md (minutes).
	PYTHONPATH=benchmarks .venv/bin/python -m scaling --write

.PHONY: docs
docs: .venv/.ready ## Build the documentation into site/.
	.venv/bin/zensical build --strict
