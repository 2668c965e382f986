# Builds, checks and installs kubersafe. Needs Go, bash, make and git; everything else is built from pinned Go modules.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE := ghcr.io/kubersafe/kubersafe

# build-installer sets an image only where one is given; the released one stands in config/manager.
INSTALLER_IMG := $(IMG)
INSTALLER_SCANNER_IMG := $(SCANNER_IMG)
IMG ?= $(IMAGE):$(VERSION)
SCANNER_IMG ?= $(IMAGE)-scanner:$(VERSION)
PLATFORMS ?= linux/amd64,linux/arm64

BIN := $(CURDIR)/bin
# A module of its own: go's ./... does not reach into it.
SCANNER := cmd/scanner
KUBECTL ?= kubectl
CONTAINER_TOOL ?= docker

TOOLS := bin/controller-gen bin/kustomize bin/golangci-lint
CONTROLLER_GEN := $(BIN)/controller-gen
KUSTOMIZE := $(BIN)/kustomize
GOLANGCI_LINT := $(BIN)/golangci-lint

# Tests and the demo use the control plane built here, unless the environment names another one.
WITH_ASSETS := KUBEBUILDER_ASSETS="$${KUBEBUILDER_ASSETS:-$(BIN)/controlplane}"

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Prints config/default with the image $(1), or with the released one when $(1) is empty. Tracked files stay as they are.
define render
$(if $(1),rm -rf bin/overlay && mkdir -p bin/overlay && cd bin/overlay && \
	$(KUSTOMIZE) create --resources ../../config/default && \
	$(KUSTOMIZE) edit set image $(IMAGE)=$(1) && \
	$(KUSTOMIZE) build .,$(KUSTOMIZE) build config/default)
endef

# Prints what the component image-scan adds, with the image $(1), or with the released one when $(1) is empty.
define render_scanner
rm -rf bin/overlay && mkdir -p bin/overlay && cd bin/overlay && $(KUSTOMIZE) create && \
	$(KUSTOMIZE) edit add component ../../config/components/image-scan && \
	$(if $(1),$(KUSTOMIZE) edit set image $(IMAGE)-scanner=$(1) &&) $(KUSTOMIZE) build .
endef

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"; printf "\nUsage:\n  make \033[36m<target>\033[0m\n"} /^[a-zA-Z_0-9-]+:.*?##/ { printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2 } /^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) } ' $(MAKEFILE_LIST)

##@ Development

.PHONY: manifests
manifests: bin/controller-gen ## Generate the CRDs and the operator's ClusterRole.
	$(CONTROLLER_GEN) crd paths="./api/..." output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=kubersafe paths=".;./controllers/...;./internal/..." output:rbac:dir=config/rbac
	cp config/crd/bases/audit.kubersafe.io_imagereports.yaml config/components/image-scan/crd.yaml

.PHONY: generate
generate: bin/controller-gen ## Generate the DeepCopy methods of the API, the dashboards, and docs/checks.md, compliance.md, dashboards.md, metrics.md.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths="./api/..."
	go run ./hack/checks

.PHONY: rbac-data
rbac-data: ## Regenerate what internal/rbac has from the sources of Kubernetes: default roles, resources, verdicts. Downloads several versions.
	go -C hack/controlplane/kubernetes run ./rbac $(CURDIR)/internal/rbac

.PHONY: dashboards-pictures
dashboards-pictures: controlplane ## Draw docs/dashboards anew, from what a real Prometheus answers to the dashboards' queries. Needs prometheus.
	@mkdir -p bin
	$(WITH_ASSETS) CI=true go test -count=1 ./test/dashboards -args -results $(BIN)/dashboards.json
	go -C hack/pictures run . $(BIN)/dashboards.json $(CURDIR)/docs/dashboards

.PHONY: new-check
new-check: ## Write the two files of a new check: make new-check FILE=pod_host_aliases [ID=host-aliases].
	@go run ./hack/checks -new "$(FILE)" -id "$(ID)"

.PHONY: fmt
fmt: bin/golangci-lint ## Format the code and sort its imports.
	$(GOLANGCI_LINT) fmt

.PHONY: vet
vet: ## Run go vet.
	go vet ./...
	go -C $(SCANNER) vet ./...

.PHONY: lint
lint: bin/golangci-lint ## Run golangci-lint.
	$(GOLANGCI_LINT) run --allow-parallel-runners
	cd $(SCANNER) && $(GOLANGCI_LINT) run --allow-parallel-runners

.PHONY: test
test: controlplane ## Run all tests, those with a real API server too. TEST_ARGS is passed on to go test.
	$(WITH_ASSETS) go test -timeout 20m $(TEST_ARGS) ./...
	$(WITH_ASSETS) go -C $(SCANNER) test -timeout 20m $(TEST_ARGS) ./...

# Tests at random are shorter: they find what they can without the detector, which makes them many times slower. A process ends at its first race.
# Of the scanner it is what has goroutines and tests without an API server.
.PHONY: test-race
test-race: controlplane ## Run the unit tests, and the operator under random faults, with the race detector. Needs a C compiler.
	GORACE=halt_on_error=1 go test -race -short -timeout 20m . ./api/... ./controllers/... ./internal/...
	$(WITH_ASSETS) GORACE=halt_on_error=1 go test -race -timeout 20m ./test/faults -run TestModel -args -model=30s
	GORACE=halt_on_error=1 go -C $(SCANNER) test -race -short -timeout 20m $(addprefix ./internal/,cluster repository work)

# The image that the node of test-e2e starts with. A reference of its own: it must not pass for a release.
E2E_IMG := $(IMAGE):e2e

.PHONY: test-e2e
test-e2e: ## Install, use and remove the operator in the cluster of KUBECONFIG, which can pull IMG; without KUBECONFIG on a node of its own.
	@if [ -n "$${KUBECONFIG:-}" ]; then KUBERSAFE_E2E_IMAGE="$(IMG)" go test -count=1 -timeout 30m -v ./test/e2e; \
		else $(MAKE) --no-print-directory node test-e2e-node; fi

.PHONY: node
node: # What a node of its own needs. First it is looked at whether this machine can run one.
	@bash hack/node/run.sh --check
	@bash hack/node/packages.sh
	@bash hack/controlplane/build.sh bin/controlplane node
	@bash hack/node/images.sh "$(E2E_IMG)"

.PHONY: test-e2e-node
test-e2e-node: # The node has no network, so that go test could not download modules there.
	go test -c -o bin/node/e2e.test ./test/e2e
	bash hack/node/run.sh bin/node/operator.tar bin/node/pause.tar -- \
		env KUBERSAFE_E2E_IMAGE="$(E2E_IMG)" bin/node/e2e.test -test.timeout=30m -test.v

.PHONY: check
check: bin/golangci-lint ## Regenerate, format, vet, lint; fail on any difference from what is committed or staged.
	$(MAKE) --no-print-directory manifests generate
	$(MAKE) --no-print-directory build-installer IMG= SCANNER_IMG=
	@echo "$(GOLANGCI_LINT) fmt --diff"; \
		$(GOLANGCI_LINT) fmt --diff || { echo "error: the code is not formatted: run 'make fmt'" >&2; exit 1; }
	$(MAKE) --no-print-directory vet lint
	@for module in . hack/pictures $(SCANNER); do echo "go -C $$module mod tidy -diff"; \
		go -C $$module mod tidy -diff || { echo "error: go.mod or go.sum is not tidy: run 'go -C $$module mod tidy'" >&2; exit 1; }; done
	$(MAKE) --no-print-directory check-tree

.PHONY: check-tree
check-tree: # Fails when files differ from what is committed or staged, or are not known to git.
	@git --no-pager diff --exit-code || { echo "error: the files above differ from what is committed or staged. Generated ones are regenerated by now: commit them" >&2; exit 1; }
	@untracked="$$(git ls-files --others --exclude-standard)"; \
		if [ -n "$$untracked" ]; then printf 'error: files that are neither committed nor ignored:\n%s\n' "$$untracked" >&2; exit 1; fi

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities that the code can reach. Asks vuln.go.dev.
	@for module in . $(SCANNER); do echo "govulncheck in $$module"; (cd $$module && go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...); done

.PHONY: verify
verify: ## Everything that must pass before a commit: check, then test.
	$(MAKE) --no-print-directory check
	$(MAKE) --no-print-directory test
	$(MAKE) --no-print-directory check-tree

.PHONY: demo
demo: controlplane build ## Show the operator at work on a local control plane. KEEP=1 leaves it running.
	$(WITH_ASSETS) go run ./hack/demo -operator bin/kubersafe $(if $(filter 1,$(KEEP)),-keep) $(DEMO_ARGS)

.PHONY: bench
bench: controlplane build ## Measure the operator with 5,000 Pods on a local control plane, in minutes. BENCH_ARGS is passed on.
	$(WITH_ASSETS) go run ./test/bench -operator bin/kubersafe -ranges test/bench/ranges.yaml -table bin/bench.md $(BENCH_ARGS)

.PHONY: bench-large
bench-large: controlplane build ## Measure it at the size that Kubernetes supports: needs 24 GB of memory and half an hour.
	$(WITH_ASSETS) go run ./test/bench -operator bin/kubersafe -pods 150000 -namespaces 10000 -policies 20000 \
		-apiserver-memory 11GiB -table bin/bench-large.md -scenario empty,cold-start,latency,restart,status $(BENCH_ARGS)

.PHONY: bench-network
bench-network: ## Measure network policies alone at that size, on one core, for benchstat: make -s bench-network | tee new.txt
	GOMAXPROCS=1 go test ./internal/netpol -run '^$$' -bench . -count $(if $(COUNT),$(COUNT),6)

##@ Build

.PHONY: build
build: ## Build bin/kubersafe.
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/kubersafe .

.PHONY: build-scanner
build-scanner: ## Build bin/kubersafe-scanner.
	CGO_ENABLED=0 go -C $(SCANNER) build -trimpath -ldflags "-X main.version=$(VERSION)" -o $(BIN)/kubersafe-scanner .

.PHONY: run
run: build ## Run the operator here, against the cluster of the current kubeconfig. RUN_ARGS is passed on.
	bin/kubersafe operator --leader-elect=false $(RUN_ARGS)

.PHONY: docker-build
docker-build: ## Build the image IMG.
	$(CONTAINER_TOOL) build --build-arg VERSION="$(VERSION)" --target kubersafe -t "$(IMG)" .

.PHONY: docker-build-scanner
docker-build-scanner: ## Build the scanner's image SCANNER_IMG.
	$(CONTAINER_TOOL) build --build-arg VERSION="$(VERSION)" --target scanner -t "$(SCANNER_IMG)" .

.PHONY: docker-buildx
docker-buildx: ## Build the images IMG and SCANNER_IMG for all PLATFORMS and push them.
	$(CONTAINER_TOOL) buildx build --push --platform="$(PLATFORMS)" --build-arg VERSION="$(VERSION)" --target kubersafe -t "$(IMG)" .
	$(CONTAINER_TOOL) buildx build --push --platform="$(PLATFORMS)" --build-arg VERSION="$(VERSION)" --target scanner -t "$(SCANNER_IMG)" .

.PHONY: build-installer
build-installer: bin/kustomize ## Write dist/install.yaml and dist/image-scan.yaml: the released images, or IMG and SCANNER_IMG where they are given.
	@mkdir -p dist bin
	{ $(call render,$(INSTALLER_IMG)); } > bin/install.yaml
	mv bin/install.yaml dist/install.yaml
	{ $(call render_scanner,$(INSTALLER_SCANNER_IMG)); } > bin/image-scan.yaml
	mv bin/image-scan.yaml dist/image-scan.yaml

##@ Deployment

ignore-not-found ?= false

.PHONY: install
install: bin/kustomize ## Install the CRDs into the cluster of the current kubeconfig.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply -f -

.PHONY: uninstall
uninstall: bin/kustomize ## Delete the CRDs and, with them, all reports. ignore-not-found=true forgives what is gone.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found=$(ignore-not-found) -f -

.PHONY: deploy
deploy: bin/kustomize ## Deploy the operator with the image IMG, CRDs included.
	{ $(call render,$(IMG)); } | $(KUBECTL) apply -f -

.PHONY: undeploy
undeploy: bin/kustomize ## Delete all that deploy made, and with it all reports. ignore-not-found=true forgives what is gone.
	$(KUSTOMIZE) build config/default | $(KUBECTL) delete --ignore-not-found=$(ignore-not-found) -f -

##@ Tools

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver, kube-controller-manager and kubectl, unless KUBEBUILDER_ASSETS is set.
	@if [ -n "$${KUBEBUILDER_ASSETS:-}" ]; then echo "using the control plane in $$KUBEBUILDER_ASSETS"; \
		else bash hack/controlplane/build.sh bin/controlplane; fi

.PHONY: tools
tools: $(TOOLS) ## Build the development tools.

$(TOOLS): bin/%: hack/tools/%/go.mod hack/tools/%/go.sum
	@echo "building $@ from source, once; golangci-lint takes some minutes"
	@mkdir -p bin
	CGO_ENABLED=0 go build -C hack/tools/$* -trimpath -o $(BIN)/ tool
	@touch $@
