#!/usr/bin/env bash
# Makes sure that promtool is there, for tests that let it check the chart's rules.
set -euo pipefail

if command -v promtool >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "promtool is needed: install the package prometheus" \
        "(apt-get install --no-install-recommends prometheus)" >&2
    exit 1
fi
echo "installing the package prometheus"
apt-get -qq update
# The run level keeps its service from being started: tests need none.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends prometheus
