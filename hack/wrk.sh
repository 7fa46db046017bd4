#!/usr/bin/env bash
# Installs the load generator wrk if it can: `make bench ONLY=ingest` has a slower one of its own.
set -euo pipefail

if command -v wrk >/dev/null; then
    exit 0
fi
own="the benchmark's own client takes its place"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "wrk was not found, $own: better install the package wrk" >&2
    exit 0
fi
echo "installing the package wrk"
apt-get -qq update &&
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends wrk ||
    echo "wrk could not be installed, $own" >&2
