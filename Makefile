# make help lists the targets.
.DEFAULT_GOAL := build
.PHONY: help build install test lint fmt demo bench bench-deps bench-fleet uplot deps clean

PREFIX ?= /usr/local
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/sarn, one static binary
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/sarn ./cmd/sarn

# The packages' tests run two at a time: several measure time, on few cores. TestAlone... are
# those that change the machine itself (its clock), while no other runs.
test: deps build ## run every test; needs root for the network namespaces
	@go vet ./...
	@SARN_REQUIRE_NETNS=1 go test -count=1 -timeout 5m -run '^TestAlone' ./internal/e2e
	@SARN_REQUIRE_NETNS=1 go test -count=1 -p 2 -timeout 20m -skip '^TestAlone' ./...

install: build ## put bin/sarn into PREFIX/bin (/usr/local), and its units for systemd beside it
	@install -D -m 755 bin/sarn $(DESTDIR)$(PREFIX)/bin/sarn
	@for u in packaging/systemd/*.service; do \
		install -d $(DESTDIR)$(PREFIX)/lib/systemd/system; \
		sed 's|/usr/local/bin/|$(PREFIX)/bin/|' $$u >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/}; \
	done

lint: ## run the linters, at the version that tools/go.mod pins
	@go tool -modfile=tools/go.mod golangci-lint run

fmt: ## format the Go files
	@gofmt -w cmd internal *.go

demo: build ## bring up two hosts, a router and two networks, and show them
	@.ci/deps run
	@sh examples/demo.sh

bench: bench-deps build ## measure everything, one bench/*.sh after the other (one alone: make bench-net)
	@for b in bench/*.sh; do sh $$b || exit; done
	@go run ./bench/fleet -o docs/img

bench-deps:
	@.ci/deps bench

bench-fleet: build ## measure the controller with up to 1,000 nodes: see docs/scale.md
	@go run ./bench/fleet -o docs/img

bench-%: bench-deps build
	@sh bench/$*.sh

# uPlot, which the monitor's pages draw charts with: its version and the package's hash
# stand in the README.md beside it.
uplot: web := internal/monitor/web/assets/uplot
uplot: ## fetch the monitor's charting library from npm again
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && want=$$(sed -n 's/^ *\([0-9a-f]\{64\}  .*tgz\)$$/\1/p' $(web)/README.md) && \
	version=$$(echo "$$want" | sed 's/.*uplot-\(.*\)\.tgz/\1/') && (cd "$$dir" && npm pack --silent "uplot@$$version" >/dev/null && \
	echo "$$want" | sha256sum -c --quiet && tar xzf "uplot-$$version.tgz") && \
	cp "$$dir"/package/LICENSE "$$dir"/package/dist/uPlot.iife.min.js "$$dir"/package/dist/uPlot.min.css $(web)/

deps: ## install the programs that the lab and the tests need (Debian, root)
	@.ci/deps

clean: ## remove what the other targets made
	@rm -rf bin .cache
