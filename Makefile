# `make help` lists what there is. Needs Python 3.10 or newer and make; everything else is set up here, from the locks.

# The first Python that is new enough and that torch has wheels for.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do \
  "$$p" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV ?= .venv
INTEGRATIONS_VENV ?= .venv-integrations
CLUSTERS_VENV ?= .venv-clusters
LOCK_VENV ?= .venv-lock
# Which build of torch is audited: cpu, cuda, or auto (cpu where the index has it for this Python, else cuda).
LOCK ?= auto
# How many tests run at a time.
JOBS ?= 2
# Arguments for pytest, such as ARGS="-k compare -x".
ARGS ?=

PIP = -m pip --quiet --disable-pip-version-check
PYTEST = $(VENV)/bin/python -m pytest $(ARGS)
# More threads than cores make small models slow, not fast; tests of thread counts set their own.
export OMP_NUM_THREADS ?= 1

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help audit test lint test-programs test-docker test-integrations test-clusters test-interpreters test-slow bench calibrate lock image clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

audit: $(VENV)/.runtime ## Set up what is needed and audit the example: about two minutes once set up, then a verdict.
	@cd examples/turbofan && export PATH="$(abspath $(VENV))/bin:$$PATH" && \
	echo "in examples/turbofan: auditor run --require bit-exact -- python train.py --seed {seed}" && \
	code=0 && { auditor run --require bit-exact -- python train.py --seed {seed} || code=$$?; } && \
	evidence=$$(ls -td .auditor/*/ 2>/dev/null | head -n 1) && \
	echo "auditor is $(VENV)/bin/auditor$${evidence:+; again: $(VENV)/bin/auditor report examples/turbofan/$$evidence}" && \
	exit $$code

test: lint ## Set up what is needed, check style, types and layers, and run the tests.
	$(PYTEST) --numprocesses $(JOBS) -m "not programs and not docker and not integrations and not clusters and not interpreters and not slow"

lint: $(VENV)/.dev ## Check style, types and layers.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

test-programs: $(VENV)/.dev ## Audit and diagnose programs with planted causes, and test interventions and captures.
	$(PYTEST) --numprocesses $(JOBS) -m "programs and not interpreters and not slow"

test-docker: $(VENV)/.dev ## Build and run the image, and audit in containers; needs a Docker engine.
	$(PYTEST) -m "docker and not slow"

test-integrations: $(INTEGRATIONS_VENV)/.integrations ## Audit programs of other projects, in an environment of their own.
	$(INTEGRATIONS_VENV)/bin/python -m pytest $(ARGS) -m "integrations and not slow" tests/integrations

test-clusters: $(CLUSTERS_VENV)/.clusters ## Run seeds on a Ray and a Slurm that are started for it, in an environment of their own.
	$(CLUSTERS_VENV)/bin/python -m pytest $(ARGS) -m "clusters and not slow" tests/clusters

test-interpreters: $(VENV)/.dev ## Audit with the other Python interpreters on this machine.
	$(PYTEST) -m "interpreters and not slow"

test-slow: $(VENV)/.dev ## Train the example on the real data; takes minutes.
	$(PYTEST) -m slow

bench: $(INTEGRATIONS_VENV)/.integrations ## Measure what the probe and an audit cost.
	$(INTEGRATIONS_VENV)/bin/python benchmarks/overhead.py
	$(INTEGRATIONS_VENV)/bin/python benchmarks/audit_cost.py
	$(INTEGRATIONS_VENV)/bin/python benchmarks/startup.py
	$(INTEGRATIONS_VENV)/bin/python benchmarks/compare.py

calibrate: $(VENV)/.runtime ## Simulate how often the verdict on fresh seeds is wrong, and write docs/calibration.md.
	$(VENV)/bin/python benchmarks/calibrate.py --out docs/calibration.md

image: ## Build the image; LOCK=cpu for the CPU build of torch.
	docker build --tag auditor:0.1.0 --build-arg LOCK=$(if $(filter auto,$(LOCK)),cuda,$(LOCK)) .

lock: $(LOCK_VENV)/.lock ## Write the locks from pyproject.toml; UPGRADE=1 takes the newest versions.
	$(LOCK_VENV)/bin/python lockfiles/make_locks.py $(if $(UPGRADE),--upgrade)

clean: ## Remove what the targets above have set up.
	rm -rf $(VENV) $(INTEGRATIONS_VENV) $(CLUSTERS_VENV) $(LOCK_VENV) .venv-interpreters

# A stamp in each environment is as old as the locks it was made from: a changed lock makes it anew.

define make-venv
	@test -n "$(PYTHON)" || { echo "no Python from 3.10 to 3.14 on PATH: install one, or name it with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: \
	install its venv module (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(1)
endef

# $(1) environment: the auditor, editable, and torch. Only where torch's CPU build cannot be had is the CUDA build taken.
define install-runtime
	@echo "installing what is locked into $(1) (minutes; about 200 MB to download with the CPU build of torch) ..."
	$(1)/bin/python $(PIP) install --require-hashes -r lockfiles/auditor.txt
	@case "$(LOCK)" in \
	cpu|cuda) $(1)/bin/python $(PIP) install --require-hashes -r lockfiles/$(LOCK).txt ;; \
	*) $(1)/bin/python $(PIP) install --require-hashes -r lockfiles/cpu.txt 2>$(1)/cpu-lock.log || { \
	  grep -q -i 'hash\|no matching distribution' $(1)/cpu-lock.log || { cat $(1)/cpu-lock.log >&2; exit 1; }; \
	  echo "The package index has no CPU build of torch for this Python that the lock knows; taking the CUDA build" >&2; \
	  echo "(several gigabytes). A CPU wheel in a directory that PIP_FIND_LINKS names avoids that." >&2; \
	  $(1)/bin/python $(PIP) install --require-hashes -r lockfiles/cuda.txt; } ;; \
	esac
	$(1)/bin/python $(PIP) install --no-deps --no-build-isolation --no-index --editable .
endef

$(VENV)/.runtime: lockfiles/auditor.txt lockfiles/cpu.txt lockfiles/cuda.txt pyproject.toml
	$(call make-venv,$(VENV))
	$(call install-runtime,$(VENV))
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime lockfiles/dev.txt
	$(VENV)/bin/python $(PIP) install --require-hashes -r lockfiles/dev.txt
	@touch $@

$(INTEGRATIONS_VENV)/.integrations: lockfiles/auditor.txt lockfiles/cpu.txt lockfiles/cuda.txt lockfiles/dev.txt lockfiles/integrations.txt pyproject.toml
	$(call make-venv,$(INTEGRATIONS_VENV))
	$(call install-runtime,$(INTEGRATIONS_VENV))
	$(INTEGRATIONS_VENV)/bin/python $(PIP) install --require-hashes -r lockfiles/dev.txt -r lockfiles/integrations.txt
	@touch $@

# No torch: what is run there is not trained.
$(CLUSTERS_VENV)/.clusters: lockfiles/auditor.txt lockfiles/dev.txt lockfiles/clusters.txt pyproject.toml
	$(call make-venv,$(CLUSTERS_VENV))
	$(CLUSTERS_VENV)/bin/python $(PIP) install --require-hashes -r lockfiles/auditor.txt -r lockfiles/dev.txt -r lockfiles/clusters.txt
	$(CLUSTERS_VENV)/bin/python $(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(LOCK_VENV)/.lock: lockfiles/lock.txt
	$(call make-venv,$(LOCK_VENV))
	$(LOCK_VENV)/bin/python $(PIP) install --require-hashes -r lockfiles/lock.txt
	@touch $@
