#!/usr/bin/env bash
# Runs all tests of dens, after installing what they need on a Debian machine (see internal/e2e/install.sh).
#
#   ./test.sh            everything: formatting, vet, staticcheck, unit tests, fuzzing, static build, end-to-end
#   ./test.sh STEP...    only these: lint unit fuzz build e2e
#
# FUZZTIME (default 2s) is how long each fuzz target runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export GOTOOLCHAIN=${GOTOOLCHAIN:-auto}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
# static runs a command that compiles as the release does. Whatever is not built for the race detector or the
# fuzzer is, so that all packages are compiled but once.
static() { CGO_ENABLED=0 GOFLAGS=-trimpath "$@"; }
step() { printf '\n== %s (%d s so far)\n' "$*" "$SECONDS"; }

install() {
	step "install"
	command -v go >/dev/null || {
		as_root apt-get update -qq
		DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends golang-go gcc libc6-dev ca-certificates
	}
	internal/e2e/install.sh
}

lint() {
	step "formatting, vet, staticcheck"
	local unformatted
	unformatted=$(gofmt -l $(git ls-files '*.go'))
	[ -z "$unformatted" ] || { echo "not formatted: $unformatted"; return 1; }
	go mod tidy -diff
	static go vet ./...
	GOARCH=386 static go vet ./configs ./server/packet ./server/stream # whose sizes depend on the processor
	static .testbed/bin/staticcheck ./...
}

unit() {
	step "unit tests with the race detector"
	go test -race $(go list ./... | grep -v '/internal/e2e')
	step "what the race detector would add to: memory and allocations of connections"
	static go test -run '^(TestIdleMemory|TestHitsDoNotAllocate)$' ./server/stream
}

# fuzz builds each package once for all its targets.
fuzz() {
	step "fuzz targets, ${FUZZTIME:-2s} each"
	local dir target cache=$PWD/.testbed/fuzz binary=$PWD/.testbed/fuzz.test log=$PWD/.testbed/fuzz.log
	mkdir -p "$cache"
	for dir in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | xargs -n 1 dirname | sort -u); do
		go test -c -fuzz . -o "$binary" "./$dir"
		for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go); do
			echo "$dir $target"
			(cd "$dir" && fuzz_target "$target") || { cat "$log"; return 1; }
		done
	done
}

# fuzz_target runs one target. Go's fuzzer at times takes its own time limit for a failure, with no input
# that fails: then, and only then, it gets a second run.
fuzz_target() {
	local run=("$binary" -test.run '^$' -test.fuzz "^$1\$" -test.fuzztime "${FUZZTIME:-2s}" -test.fuzzminimizetime 1x -test.fuzzcachedir "$cache")
	"${run[@]}" >"$log" 2>&1 && return
	grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log" || return 1
	"${run[@]}" >"$log" 2>&1
}

build() {
	step "static build"
	static go build -ldflags '-s -w' -o .testbed/bin/dens ./cmd/dens
	ls -l .testbed/bin/dens
}

e2e() {
	step "end-to-end tests"
	static go test -count=1 -timeout 15m ./internal/e2e/...
}

if [ $# = 0 ]; then set -- lint unit fuzz build e2e; fi
for s in "$@"; do
	case $s in
	lint | unit | fuzz | build | e2e) ;;
	*) echo "test.sh: no step '$s'; there are: lint unit fuzz build e2e" >&2; exit 2 ;;
	esac
done
install
for s in "$@"; do $s; done
step "all passed"
