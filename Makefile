# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export LC_ALL := C.UTF-8
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# Docker and debootstrap need root; the settings of the caller's pip and proxy go along.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E)
# What `make test` does in turn, and what it does beside that and the building of images: so three lanes end at about the
# time at which the first scenario begins, and its hosts have the machine to themselves.
STEPS := hubs faults collection lint sanity molecule
STEPS_BESIDE := unit cores newest
# Two at a time, the output of each in one piece.
BESIDE := $(MAKE) --jobs=2 --output-sync=target --keep-going
BY_WORKERS := -n auto --dist worksteal
# LobeHub takes longest to build: what needs it comes last. With four engines to start, twice, `models` is a long one.
SCENARIOS = gpu split default $(if $(LONG),models)

.PHONY: help demo survey test in-turn lint lint-ansible lint-yaml lint-python lint-types sanity sanity-pylint sanity-others unit
.PHONY: cores core-2.17 core-2.18 newest hubs faults collection images molecule
.PHONY: bench facts docs changelog requirements clean packages venv-run venv-test

help: ## this text
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 22

demo: venv-run ## a private chat on this machine: the demo host, the whole run, and where to find it
	$(AS_ROOT) .venv/bin/python molecule/world/world.py up inventories/demo
	ansible-playbook site.yml -i inventory
	@.venv/bin/python molecule/world/world.py tell inventories/demo

INVENTORY ?= inventory
survey: venv-run ## what each host of INVENTORY is, runs and lacks
	@.venv/bin/python deploys/survey.py --inventory $(INVENTORY)

# A session is a group to the kernel's scheduler, so that neither lane starves the other.
test: packages venv-test ## everything that CI runs: lint, sanity, unit tests, each core, hubs, faults, collection, molecule
	@mkdir -p artifacts; \
	$(MAKE) images >artifacts/images.log 2>&1 & images=$$!; \
	setsid $(MAKE) in-turn STEPS="$(STEPS_BESIDE)" >artifacts/beside.log 2>&1 & beside=$$!; \
	trap 'kill $$images 2>/dev/null || true; kill -- -$$beside 2>/dev/null || true' EXIT; \
	$(MAKE) in-turn; \
	wait $$beside && passed=0 || passed=$$?; \
	cat artifacts/beside.log; \
	exit $$passed

in-turn:
	@times=; \
	for step in $(STEPS); do \
	    echo "== $$step"; SECONDS=0; \
	    $(MAKE) -k $$step || { echo "== $$step failed after $$SECONDS s"; exit 1; }; \
	    echo "== $$step passed after $$SECONDS s"; times+=" $$step $$SECONDS s,"; \
	done; \
	echo "== all passed:$${times%,}"

lint: venv-test ## ansible-lint, yamllint, ruff, mypy
	@$(BESIDE) lint-ansible lint-types lint-python lint-yaml

lint-ansible: venv-test
	ansible-lint --offline

lint-yaml: venv-test
	yamllint --strict .

lint-python: venv-test
	ruff check .
	ruff format --check .

lint-types: venv-test
	python tools/stage.py build
	MYPYPATH=build mypy -p ansible_collections.gpuchat.stack.plugins.modules \
	    -p ansible_collections.gpuchat.stack.plugins.module_utils
	MYPYPATH=molecule/world mypy molecule/world tools
	MYPYPATH=module_utils:deploys mypy $(wildcard deploys/*.py)
	mypy $(wildcard roles/*/files/*.py)

sanity: venv-test ## ansible-test sanity on the staged collection
	@$(BESIDE) sanity-pylint sanity-others

# Of what a user gets; what stays in the repository is ruff's and mypy's to read.
sanity-pylint: venv-test
	tools/sanity.sh .venv pylint --test pylint plugins/

# But for what `make lint` sees by ruff (pep8) and yamllint.
sanity-others: venv-test
	tools/sanity.sh .venv others --skip-test pylint --skip-test pep8 --skip-test yamllint

unit: venv-test ## unit tests
	@tools/nginx.sh .cache/nginx
	python -m pytest $(BY_WORKERS)

# On the older versions of ansible-core, what they can change: the tests that touch it (tests/conftest.py says which),
# and of the sanity tests those that read or import by that core. The others read text, and would read it alike.
SANITY_OF_CORE := --python default --test ansible-doc --test import --test validate-modules

# Between the oldest and the one that everything runs on: what differs there differs on the oldest too.
CORES = core-2.17 $(if $(LONG),core-2.18)

cores: ## what another ansible-core can change, on 2.17; LONG=yes takes 2.18 along
	@$(BESIDE) $(CORES)

# The second number is the newest minor version of Python 3 that a core runs on. Where this machine has none that will
# do, that is said, and CI runs it.
core-2.17: newest_python := 12
core-2.18: newest_python := 13
core-2.17 core-2.18: core-%:
	@folder=.cache/cores/$*; \
	if ! tools/venv.sh $$folder requirements/core-$*.txt $(newest_python); then \
	    echo "== ansible-core $* was NOT run here"; [ -z "$${CI:-}" ]; exit; \
	fi; \
	$$folder/bin/python -m pytest -m of_core; \
	tools/sanity.sh $$folder core-$* $(SANITY_OF_CORE)

newest: packages venv-test ## its tests on the newest one, in a container with its Python; LONG=yes takes sanity and the build along
	$(AS_ROOT) .venv/bin/python tools/newest.py

hubs: packages ## the hubs' own clients download from the world's hub
	@tools/venv.sh .cache/hubs requirements/hubs.txt
	.cache/hubs/bin/python -m pytest $(BY_WORKERS) tests/hub

faults: packages venv-test ## what a model's transfer makes of broken networks, disks and processes
	python -m pytest $(BY_WORKERS) $(if $(LONG),,-m "not long") tests/faults

collection: venv-test ## build, install and document the collection
	tools/collection.sh build/collection

images: packages venv-test ## the images of the test world, each once for each state of its recipe
	$(AS_ROOT) .venv/bin/python molecule/world/world.py build

molecule: packages venv-test ## the Molecule scenarios, in the test world; LONG=yes takes along what is marked long, and models
	@for scenario in $(SCENARIOS); do \
	    rm -f artifacts/$$scenario.log; \
	    molecule test -s $$scenario && status=0 || status=$$?; \
	    cat artifacts/$$scenario.log; \
	    [ $$status = 0 ] || exit $$status; \
	done

bench: venv-test ## what is measured, and against whom
	@tools/venv.sh .cache/hubs requirements/hubs.txt
	python benchmarks/plan_accuracy.py
	python benchmarks/plan_speed.py
	python benchmarks/model.py
	python benchmarks/run.py
	python benchmarks/survey.py

facts: venv-test ## read vLLM's newest releases into the tables
	python tools/vllm_facts.py

docs: venv-test ## write anew what is made of roles and inventories: READMEs, tables, the drawing
	python tools/inventory_variables.py
	python tools/role_readmes.py
	python tools/planning_docs.py
	python tools/alerts_docs.py
	python tools/architecture.py

changelog: venv-test ## build CHANGELOG.rst from changelogs/fragments
	antsibull-changelog release --update-existing --refresh --reload-plugins

requirements: ## pin requirements/*.in anew
	tools/requirements.sh

# Not by `git clean -X`: git ignores the secrets of the user's own inventories too.
MADE_IN = .ssh .gpuchat
clean: ## remove what the other targets made, containers and images included
	$(AS_ROOT) $(firstword $(wildcard .venv/bin/python) python3) molecule/world/world.py clean
	$(AS_ROOT) rm -rf $(addprefix inventories/demo/,$(MADE_IN)) $(foreach one,$(MADE_IN),molecule/*/inventory/$(one))
	$(AS_ROOT) rm -rf .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache artifacts build
	$(AS_ROOT) find . -path ./.git -prune -o -name __pycache__ -prune -exec rm -rf {} +
	$(AS_ROOT) rm -rf .cache .venv

packages:
	@tools/packages.sh

venv-run:
	@tools/venv.sh .venv requirements/run.txt

venv-test:
	@tools/venv.sh .venv requirements/test.txt
