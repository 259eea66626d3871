#!/usr/bin/env bash
# Installs the servers and clients that the benchmark needs, on a Debian machine with root (or sudo). What is
# there already is not installed again.
set -euo pipefail

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
for package in unbound pdns-recursor knot-resolver bind9 dnsdist dnsperf nghttp2-client iproute2; do
	dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit
echo "install: Debian packages: ${missing[*]}"
as_root apt-get update -qq
# The servers are started by the benchmark, never by the system: a policy says so while they are installed.
policy=/usr/sbin/policy-rc.d
[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null; as_root chmod +x $policy; trap "as_root rm -f $policy" EXIT; }
DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
