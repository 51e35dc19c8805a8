# make alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOTESTFLAGS ?=

.PHONY: help build release run cluster test race check lint fuzz simulate bench bench-cluster bench-million soak docs setup clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## build bin/resound and bin/resound-bench
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/resound ./cmd/resound-bench

release: ## build tarballs, Debian packages and checksums into dist/ (VERSION=, ARCHES="amd64 arm64")
	VERSION='$(VERSION)' scripts/release

run: build ## build and start a server (ARGS="--port 9000 --debug")
	bin/resound start $(ARGS)

cluster: build ## try out three nodes with Redis behind nginx, on this machine
	scripts/cluster

setup: ## install what the tests need: npm packages, Chromium, Redis
	scripts/setup

test: setup ## run all tests
	CI=true $(GO) test $(GOTESTFLAGS) ./...

race: setup ## run all tests with the race detector and invariants checked
	CI=true RACE=1 $(GO) test -race -tags invariants $(GOTESTFLAGS) ./...

lint: ## formatting, vet and static checks
	scripts/lint

check: lint race ## what CI runs

fuzz: ## run every fuzz target for FUZZTIME (30s)
	scripts/fuzz

simulate: ## play SEEDS (10,000) random schedules against the model
	scripts/simulate

bench: build ## measure every figure against the floor (ROUNDS=, N=, ONLY=, OUT=)
	scripts/bench

bench-cluster: build ## measure what crosses nodes: three of them and a Redis on this host
	scripts/bench-cluster

bench-million: build ## hold a million connections on this host (N=1000000 HOLD=3m)
	scripts/bench-million

soak: build ## run a mix of all for DURATION (1h); fails when memory, descriptors or goroutines grow
	bin/resound-bench soak --spawn bin/resound --duration $(or $(DURATION),1h)

docs: ## rewrite the generated documents
	$(GO) test ./cmd/internal/config -run TestReferenceIsCurrent -update

clean: ## remove what make built
	rm -rf bin dist
