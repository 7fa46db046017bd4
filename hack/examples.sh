#!/usr/bin/env bash
# Makes sure that the programs are there which the examples are written in, for tests that run them.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need curl curl
need jq jq
need node nodejs
need go golang-go
if [ ${#missing[@]} = 0 ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "the examples need ${missing[*]}: install these packages" \
        "(apt-get install --no-install-recommends ${missing[*]})" >&2
    exit 1
fi
echo "installing the packages ${missing[*]}"
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}"
