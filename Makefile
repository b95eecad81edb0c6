# `make up` is a studio on this machine; `make test` is what must pass. Each target is what a person would type.
.DEFAULT_GOAL := help
.PHONY: up test test-again test-long faults cluster cluster-programs lint fmt bench starter schema lock screenshots image clean help
RUN := .venv/bin/
CLUSTER := tests/cluster
# Containers often say so. Then every start compiles a thousand modules anew: 13 s of CPU for torch and diffusers, not 5.
unexport PYTHONDONTWRITEBYTECODE
# Two more than cores, for half of the time they wait for processes that they started; five have 10 GB.
WORKERS := $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 3 ? cores + 2 : 5)))
# The shorter come first, as CI has an end.
SLOW := $(addprefix tests/,image/test_gateway.py starter studio gateway infra scripts models e2e image/test_studio.py \
  test_fresh_clone.py)

up: .venv/.up ## Start the studio on this machine and print its link; Ctrl-C stops it
	@exec $(RUN)easel up

test: .venv/.dev ## Run every test that takes seconds, on every core
	@$(RUN)pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-again: .venv/.dev ## Run what failed last once more, one after another
	@$(RUN)pytest --last-failed --last-failed-no-failures none -m "slow or cluster or not slow"

test-long: .venv/.dev ## Run the tests that take minutes, one after another
	@$(RUN)pytest -m slow $(SLOW)

faults: .venv/.dev ## Kill the studio again and again under 200 accepted requests (five minutes), and say what became of them
	@EASEL_FAULT_JOBS=200 $(RUN)pytest -m slow -s tests/studio/api/jobs/test_killed_at_random.py

cluster-programs: .venv/.dev
	@$(RUN)python -m tests.cluster.programs

cluster: cluster-programs ## Run the tests on a real Kubernetes control plane; builds it once, from Go modules
	@$(RUN)pytest -m cluster $(CLUSTER)

lint: .venv/.dev ## Check style and types
	@$(RUN)ruff check . && $(RUN)ruff format --check . && $(RUN)mypy && $(RUN)easel schema --check

fmt: .venv/.dev ## Put source files into their form
	@$(RUN)ruff check --fix --quiet . ; $(RUN)ruff format .

bench: .venv/.dev ## Measure against plain diffusers, in one table
	@$(RUN)python -m bench

starter: .venv/.dev ## Train the starter checkpoint anew (hours)
	@$(RUN)python -m scripts.starter.train

schema: .venv/.dev ## Write what comes from tables: stacks/easel.schema.json, docs/reference/spec.md and options.md
	@$(RUN)easel schema

lock: .venv/.dev ## Write requirements/ from pyproject.toml
	@scripts/lock.sh

screenshots: .venv/.dev ## Take the pictures of docs/pictures anew
	@$(RUN)python -m scripts.docs.screenshots

image: .venv/.dev ## Build both container images with docker or buildah, as the cloud does (BASE=… to take another base)
	@scripts/image.sh

clean: ## Remove what can be made again: .venv and caches, never .easel
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

# What the environment holds; a stamp is newer than what it was made from, so that nothing is installed twice.
.venv/.up: requirements/up.txt pyproject.toml scripts/venv.sh
	@scripts/venv.sh up
.venv/.dev: requirements/dev.txt pyproject.toml scripts/venv.sh
	@scripts/venv.sh dev
