#!/usr/bin/env bash
# Makes sure that a Prometheus Alertmanager is there, for tests that send alerts to a real one.
set -euo pipefail

if command -v prometheus-alertmanager >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Alertmanager is needed: install the package prometheus-alertmanager" \
        "(apt-get install --no-install-recommends prometheus-alertmanager)" >&2
    exit 1
fi
echo "installing the package prometheus-alertmanager"
apt-get -qq update
# The run level keeps its service from being started: tests run their own.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends prometheus-alertmanager
