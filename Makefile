# The entry to everything. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Variables: PROVIDER=bed|kind|kubeconfig NODES=1|2 CNI=cilium|ptp KEEP=1 FILTER=..., COLD=1 for demo and test, and
# KUBERNETES=1.33 for bed
export PROVIDER ?= bed
export NODES ?= 1
export CNI ?= cilium
export SEALROOM_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sealroom
export CARGO_TARGET_DIR ?= $(SEALROOM_CACHE)/target

# One selection of packages and targets everywhere: another one has other features, and builds all of its
# dependencies again. What needs programs and no tests calls e2e/products.sh, which knows how.
CARGO := --profile e2e --workspace --all-targets --locked
E2E := $(CARGO_TARGET_DIR)/x86_64-unknown-linux-gnu/e2e/sealroom-e2e
BIN := $(SEALROOM_CACHE)/bin
GO := $(SEALROOM_CACHE)/go

# Empty caches are gigabytes, and only these two remove them again.
ifneq ($(COLD),)
ifneq ($(filter-out help demo test,$(MAKECMDGOALS)),)
$(error COLD=1 is for `make demo` and `make test` alone: they begin with empty caches and remove them at the end)
endif
endif

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  with PROVIDER=bed|kind|kubeconfig NODES=1|2 CNI=cilium|ptp KEEP=1 FILTER=...; demo and test also with COLD=1"

.PHONY: demo
demo: ## A cluster, a model, an answer, a hole, the model shut, the model back; KEEP=1 leaves it up, COLD=1 with empty caches
	@e2e/demo.sh

.PHONY: test
test: ## Everything: formatting, lints, unit tests, the cluster; COLD=1 with empty caches
	@e2e/test.sh

.PHONY: unit
unit: export KUBE_APISERVER_BIN := $(GO)/kubernetes/kube-apiserver
unit: export ETCD_BIN := $(GO)/etcd/etcd
unit: export SEALROOM_REQUIRE_APISERVER := 1
unit: ## Unit, golden and API-server tests; FILTER=name for some of them
	@e2e/with-go.sh "etcd kubernetes" cargo build $(CARGO)
	cargo test $(CARGO) -- $(FILTER)

.PHONY: lint
lint: export HELM := $(GO)/helm/helm
lint: export PROMTOOL := $(GO)/prometheus/promtool
lint: export DASHBOARD := $(GO)/dashboard/dashboard
lint: ## Formatting, lints, documents, the chart, the dependencies
	cargo fmt --all --check
	@e2e/with-go.sh "helm prometheus dashboard" cargo clippy $(CARGO) -- -D warnings
	e2e/shell-lint.sh
	docs/check.sh
	charts/sealroom/tests/render.sh | grep -v '^ok '
	e2e/deps.sh

.PHONY: e2e
e2e: export NODES := 2
e2e: ## The tests on the cluster, with two nodes; FILTER=name for some of them, KEEP=1 leaves it up
	@e2e/with-go.sh "" e2e/products.sh unlocked programs
	@$(E2E) test --operator $(BIN)/sealroom-locked --unlocked $(BIN)/sealroom-unlocked --filter "$(FILTER)"

.PHONY: floor
floor: export KUBERNETES := 1.33
floor: export KUBE_APISERVER_BIN := $(GO)/kubernetes-1.33/kube-apiserver
floor: export ETCD_BIN := $(GO)/etcd/etcd
floor: export SEALROOM_REQUIRE_APISERVER := 1
floor: ## The oldest Kubernetes that is supported: the tests with an API server, and the demo
	@e2e/with-go.sh "etcd kubernetes kubernetes-1.33" cargo build $(CARGO)
	@$(KUBE_APISERVER_BIN) --version
	cargo test $(CARGO) -- api::
	@e2e/demo.sh

.PHONY: soak
soak: ## All end-to-end tests, with 200 generated policies against packets
	@POLICY_SAMPLES=$${POLICY_SAMPLES:-200} $(MAKE) e2e

.PHONY: bed
bed: ## Start a cluster with the operator in it, and Ollama where it is built; the last line says how to use it
	@e2e/with-go.sh "" e2e/products.sh programs shipped
	@$(E2E) bed up | sed '/^export KUBECONFIG=/d'
	@$(E2E) install --operator $(BIN)/sealroom-shipped
	@$(E2E) bed env | sed -n 's/^KUBECONFIG=/export &/p'

.PHONY: bed-env
bed-env: ## Where everything of the running cluster is, and what the examples need, as KEY=VALUE
	@test -x $(E2E) || { echo "no cluster was started here: make bed" >&2; exit 1; }
	@$(E2E) bed env

.PHONY: bed-down
bed-down: ## Take the cluster down and leave nothing
	@if [ -x $(E2E) ]; then $(E2E) bed down; else e2e/bed/down.sh; fi

.PHONY: image
image: ## The image that is shipped, at most 20 MB, and those of the tests, as OCI layouts in the cache
	@e2e/bed/packages.sh
	@e2e/products.sh programs shipped
	@$(E2E) images --no-push --product $(BIN)/sealroom-shipped --shipped

.PHONY: crds
crds: ## Write crds/ from the types, and the chart's copy
	@e2e/bed/packages.sh
	@e2e/products.sh programs
	$(BIN)/sealroom-locked crds --to crds
	cp crds/*.yaml charts/sealroom/crd-files/

.PHONY: conformance
conformance: ## MCP's official suite, directly and behind gate and bridge; writes docs/mcp-conformance.md
	@e2e/bed/packages.sh
	@e2e/products.sh programs
	@SEALROOM=$(BIN)/sealroom-locked e2e/mcp/conformance.sh

.PHONY: bench
bench: ## Measure what docs/benchmarks.md lists, with the shipped binary; asserts nothing
	@e2e/with-go.sh "" e2e/products.sh programs shipped
	@$(E2E) bench gate --operator $(BIN)/sealroom-shipped --nginx "$$(e2e/debian.sh nginx)/usr/sbin/nginx"
	@$(E2E) bench mcp --operator $(BIN)/sealroom-shipped --proxies "$$(e2e/node.sh e2e/mcp/proxies)"
	@$(E2E) bench cluster --operator $(BIN)/sealroom-shipped
