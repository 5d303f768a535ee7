# Two commands: `make run` (the main job) and `make test` (every check that CI runs). Both make .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint types contracts pytest wheel audit fuzz bench faults judge clean

run: .venv/installed
	$(BIN)/hpsearch run studies/digits_mlp

test: lint types contracts pytest wheel

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable '.[torch,postgres,dev]'
	touch $@

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet -ll --recursive hpsearch api

types: .venv/installed
	$(BIN)/mypy

contracts: .venv/installed
	$(BIN)/lint-imports

# Stolen, not dealt: the slowest tests lie side by side, and one process would end minutes before the other.
pytest: .venv/installed
	$(BIN)/pytest -n 2 --dist worksteal

# The wheel holds the two packages, their templates and migrations, and nothing else.
wheel: .venv/installed
	$(BIN)/python tests/wheel_contents.py

# The exact versions beside published advisories; skipped, in one sentence, where no advisory service answers.
audit: .venv/installed
	$(BIN)/python tests/advisories.py

# schemathesis over the whole API; CI makes 2,000 cases of it.
fuzz: .venv/installed
	$(BIN)/python -m tests.fuzz --cases 20000

# Every figure in the README: ratios beside a floor or a peer, in one run.
bench: .venv/installed
	$(BIN)/python benchmarks/trainer.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/regularizers.py
	$(BIN)/python benchmarks/recipe_against_search.py
	PYTHONPATH=. $(BIN)/python benchmarks/load.py

# The fault tests at their release sizes (seven hours, four of them the simulator's 20,000 seeds, which `-k seeds07`
# runs by the thousand), every guard removed in turn, the peer under the same kills, ten minutes of soak; writes
# benchmarks/faults.md.
faults: .venv/installed
	$(BIN)/python -m benchmarks.faults

# Is the judgement of a run right? Planted faults of the scoring suite, beside four systems' default rules;
# about 15 minutes on two idle cores (`python -m benchmarks.judge --seeds score --quick`: three seeds, 5 minutes).
judge: .venv/installed
	$(BIN)/python -m benchmarks.judge --seeds score --jobs 2

clean:
	rm -rf .venv .hpsearch build dist
