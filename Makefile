# Everything that is done to this repository by hand. make alone lists it.

VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BUILD        = go build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)'
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 30s
ROUNDS      ?= 5
RUNS        ?= 12
MESSAGES    ?= 5000

help: ## list what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

build: ## build bin/mailweir
	@$(BUILD) -o bin/mailweir ./cmd/mailweir

run: build ## try mailweir on 127.0.0.1:2525, with an upstream of its own
	@bin/mailweir demo

test: ## run all tests, and first install the programs they need, if root may
	@.ci/peers
	@go test -race -shuffle=on ./...

lint: ## check formatting, suspicious code and known vulnerabilities
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	@go vet ./...
	@go run $(STATICCHECK) ./...
	@.ci/vulnerabilities

bench: ## measure mailweir beside haproxy, nginx and Postfix, and write down the figures
	@.ci/peers
	@go test -run '^$$' -bench . -benchmem ./filters/... ./rules/... ./proxy/...
	@go run ./proxy/internal/bench -rounds $(ROUNDS) -o cmd/mailweir/docs/performance.md

fuzz: ## run every fuzz target for FUZZTIME
	@grep -rE --include='*_test.go' '^func Fuzz' . | sed -E 's|/[^/]*:func (Fuzz[A-Za-z0-9_]*).*| \1|' | \
	while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

ordeal: ## send MESSAGES each way through a mailweir that is killed, and write down what came of it
	@ORDEAL_MESSAGES=$(MESSAGES) ORDEAL_REPORT=$(CURDIR)/cmd/mailweir/docs/reliability.md \
		go test -race -timeout 12h -run '^TestNoLoss$$' -v ./proxy/internal/ordeal

flood: ## let floods come over mailweir in great numbers while mail passes, and write down what was seen
	@FLOOD_FULL=1 FLOOD_REPORT=$(CURDIR)/cmd/mailweir/docs/reliability.md \
	go test -timeout 30m -run '^Test(Floods|IdleMemory)$$' -v ./proxy/internal/flood

failover: ## kill upstreams under load RUNS times, and tell what clients hear of it
	@.ci/failover $(RUNS)

.PHONY: help build run test lint bench fuzz ordeal flood failover
