# The entry to everything. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Variables: PROVIDER=bed|kind|kubeconfig NODES=1|2 CNI=cilium|ptp KEEP=1 FILTER=... COLD=1
export PROVIDER ?= bed
export NODES ?= 1
export CNI ?= cilium
export SEALROOM_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sealroom
export CARGO_TARGET_DIR ?= $(SEALROOM_CACHE)/target

# One selection of packages and targets everywhere: another one has other features, and builds all of its
# dependencies again.
CARGO := --profile e2e --workspace --all-targets --locked
BUILT := $(CARGO_TARGET_DIR)/x86_64-unknown-linux-gnu
E2E := $(BUILT)/e2e/sealroom-e2e

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  with PROVIDER=bed|kind|kubeconfig NODES=1|2 CNI=cilium|ptp KEEP=1 FILTER=... COLD=1"

.PHONY: test
test: ## Everything: formatting, lints, unit tests, the cluster; COLD=1 with empty caches
	@e2e/test.sh

.PHONY: unit
unit: ## Unit tests; FILTER=name for some of them
	cargo test $(CARGO) -- $(FILTER)

.PHONY: lint
lint: ## Formatting and lints
	cargo fmt --all --check
	cargo clippy $(CARGO) -- -D warnings
	e2e/bed/packages.sh
	shellcheck -x -P SCRIPTDIR .ci/run e2e/*.sh e2e/bed/*.sh e2e/images/*/*.sh

.PHONY: build
build:
	@e2e/bed/packages.sh
	@cargo build --quiet $(CARGO)

.PHONY: bed
bed: build ## Start a cluster; the last line says how to use it
	@$(E2E) bed up

.PHONY: bed-env
bed-env: ## Where everything of the running cluster is, as KEY=VALUE
	@test -x $(E2E) || { echo "no cluster was started here: make bed" >&2; exit 1; }
	@$(E2E) bed env

.PHONY: bed-down
bed-down: ## Take the cluster down and leave nothing
	@if [ -x $(E2E) ]; then $(E2E) bed down; else e2e/bed/down.sh; fi

.PHONY: image
image: ## The image that is shipped, at most 15 MB, and those of the tests, as OCI layouts in the cache
	@e2e/bed/packages.sh
	cargo build --release --locked --package sealroom
	@$(MAKE) build
	@$(E2E) images --no-push --product $(BUILT)/release/sealroom --shipped
