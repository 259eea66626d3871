#!/usr/bin/env bash
# Installs what the end-to-end tests need into .testbed/ at the project's root, on a Debian machine with
# Go and root (or sudo): DNS servers and clients, reverse proxies, a browser, an Ethereum node, the real ENS
# contracts, Ethereum clients, a Solidity compiler, CoreDNS, kubo and Pebble. What is there already is not
# installed again.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bed=$(cd "$here/../.." && pwd)/.testbed
mkdir -p "$bed/bin"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install_debian() {
	local want="bind9 nsd unbound dnsutils knot knot-dnsutils ldnsutils iproute2 curl openssl chromium libnss3-tools nginx haproxy ca-certificates libcap2-bin systemd nodejs npm" missing=()
	for package in $want; do
		[ "$package" = nodejs ] && command -v node >/dev/null && continue
		[ "$package" = npm ] && command -v npm >/dev/null && continue
		dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
	done
	[ ${#missing[@]} = 0 ] && return
	echo "install: Debian packages: ${missing[*]}"
	as_root apt-get update -qq
	# The daemons are started by the tests, never by the system: a policy says so while they are installed.
	local policy=/usr/sbin/policy-rc.d
	[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null; as_root chmod +x $policy; trap "as_root rm -f $policy" EXIT; }
	DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# install_resolved unpacks systemd-resolved, since its package would make itself the resolver of the machine.
install_resolved() {
	[ -x "$bed/bin/systemd-resolved" ] && return
	echo "install: systemd-resolved"
	local tmp; tmp=$(mktemp -d)
	(cd "$tmp" && apt-get download -qq systemd-resolved libsystemd-shared) 2>/dev/null || {
		as_root apt-get update -qq
		(cd "$tmp" && apt-get download -qq systemd-resolved libsystemd-shared)
	}
	for package in "$tmp"/*.deb; do dpkg -x "$package" "$bed/resolved"; done
	local program library
	program=$(find "$bed/resolved" -type f -name systemd-resolved -path '*/systemd/systemd-resolved')
	library=$(dirname "$(find "$bed/resolved" -type f -name 'libsystemd-shared-*.so')")
	printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$library" "$program" >"$bed/bin/systemd-resolved"
	chmod +x "$bed/bin/systemd-resolved"
	rm -rf "$tmp"
}

install_npm() {
	cmp -s "$here/js/package-lock.json" "$bed/package-lock.json" && [ -d "$bed/node_modules/playwright-core" ] || {
		echo "install: npm packages"
		cp "$here/js/package.json" "$here/js/package-lock.json" "$here/js/.npmrc" "$bed/"
		(cd "$bed" && npm ci --silent)
	}
	[ -d "$bed/uns-1.0.17" ] || {
		echo "install: compiled ENS contracts"
		local tmp; tmp=$(mktemp -d)
		(cd "$tmp" && npm pack --silent @unstoppabledomains/uns@1.0.17 >/dev/null && tar xzf ./*.tgz && mv package "$bed/uns-1.0.17")
		rm -rf "$tmp"
	}
	ln -sf "$bed/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil" "$bed/bin/anvil"
	chmod +x "$bed/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
}

install_go() {
	echo "install: CoreDNS, kubo, Pebble, h2spec and staticcheck"
	local -x CGO_ENABLED=0 GOFLAGS=-trimpath # as test.sh builds dens, so that what they share is compiled once
	(cd "$here/peers/coredns" && go build -o "$bed/bin/coredns" .)
	(cd "$here/peers/kubo" && go build -o "$bed/bin/ipfs" github.com/ipfs/kubo/cmd/ipfs)
	(cd "$here/peers/h2spec" && go build -o "$bed/bin/h2spec" github.com/summerwind/h2spec/cmd/h2spec)
	(cd "$here/peers/pebble" && go build -o "$bed/bin/pebble" github.com/letsencrypt/pebble/v2/cmd/pebble)
	GOBIN="$bed/bin" go install honnef.co/go/tools/cmd/staticcheck@v0.7.0
}

install_debian
install_resolved
install_npm
install_go
