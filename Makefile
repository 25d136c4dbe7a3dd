# Needs Python >= 3.11 and make; everything else comes from requirements.txt, pinned by hash.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check format torture bench lock clean

demo: $(READY)
	@$(BIN)/remit demo $(if $(KEEP),--keep)

# Files run side by side, each worker with its own PostgreSQL; ARGS="-n0 -k name" runs in this one process.
test: $(READY)
	$(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# A million random decisions beside stock Casbin and a reference, 100,000 pairs of reads on stores that differ out of
# sight, Schemathesis at length, a thousand gateways killed while they alert and a hundred while they contain, 10,000
# changes to ledgers, every system call of a read and of a checkpoint made to fail, 1,000 kills under load; about two
# hours. The results go to benchmarks/torture.md. ARGS=mutations runs one part.
torture: $(READY)
	$(BIN)/python tests/torture.py $(ARGS)

# Every speed that the design promises, beside its opponent's; about eleven minutes, best on a machine that does nothing else.
# ARGS=--growth: how cost grows, up to 10,000,000 entries; up to half an hour and 20 GB of disk.
bench: $(READY)
	@$(BIN)/python -m benchmarks $(ARGS)

# Needs uv on PATH; only whoever changes a dependency needs it.
lock:
	uv pip compile --universal --generate-hashes --no-header --no-annotate pyproject.toml --group dev -o requirements.txt

clean:
	rm -rf $(VENV) .demo

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "remit needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 2; }
	@echo "setting up $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes -r requirements.txt
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --no-deps --no-build-isolation --no-index -e .
	@touch $@
