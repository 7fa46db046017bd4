#!/usr/bin/env bash
# All cases on real clusters, in two lanes at the same time.
#
# The audit breaks its installation for ten minutes, most of which it waits: it has a cluster of its
# own. After it come the outages of the api, for another ten. The reinstallation comes after the cases
# that need an installation.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly main=rollcall-test audit=rollcall-audit log=build/audit.log

ready() {
  python3 hack/cluster up "$1"
  python3 hack/cluster images "$1"
  python3 hack/deploy.py "$1"
}

audit() {
  ready "$audit"
  # The cases themselves ask for more kills, more pods and longer outages.
  ROLLCALL_E2E_CONTEXT="kind-$audit" ROLLCALL_AUDIT_KILLS=3 ROLLCALL_AUDIT_API=30 \
    ROLLCALL_AUDIT_POSTGRES=120 ROLLCALL_REPORT_PODS=15 ROLLCALL_REPORT_KILLS=4 \
    ROLLCALL_REPORT_AWAY=60 .venv/bin/pytest tests/e2e/disruptive/test_audit.py \
    tests/e2e/disruptive/test_reporting_outages.py
}

ready "$main"
mkdir -p build
echo "the audit begins on $audit; $log is shown when it has ended"
set -m # a process group of its own, which can be ended as a whole
audit >"$log" 2>&1 &
lane=$!
set +m
trap 'kill -- "-$lane" 2>/dev/null || true' EXIT

failed=0
.venv/bin/pytest tests/e2e -n 14 --maxschedchunk=1 || failed=1
.venv/bin/pytest tests/e2e/disruptive/test_reinstall.py || failed=1
wait "$lane" || failed=1
cat "$log"
exit "$failed"
