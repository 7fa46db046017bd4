#!/usr/bin/env bash
# Makes sure that the programs of PostgreSQL are there, for tests that run a server of their own.
set -euo pipefail

if command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "PostgreSQL is needed: install the package postgresql" \
        "(apt-get install --no-install-recommends postgresql)" >&2
    exit 1
fi
echo "installing the package postgresql"
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql
