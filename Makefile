# Shorthands for what is done by hand; see test.sh and internal/bench.
BIN := .testbed/bin
# How long `make soak` lasts, as a Go duration.
SOAK ?= 10m
# Flags for `make bench`, such as BENCH='-servers dens -transports udp,doh'; -large 1000000 adds the memory
# of a million names, and -h says what else there is.
BENCH ?= -tests all -json docs/bench.json -svg docs/bench.svg

.PHONY: build test soak bench bench-install

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(BIN)/dens ./cmd/dens

test:
	./test.sh

soak:
	internal/e2e/install.sh
	DENS_SOAK=$(SOAK) go test ./internal/e2e/ -run '^TestSoak$$' -count 1 -timeout 0 -v

bench: bench-install
	go run ./internal/bench $(BENCH)

bench-install:
	internal/bench/install.sh
