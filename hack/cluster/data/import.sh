#!/bin/sh
# Imports image archives into the containerd of this container, which is then committed.
# Usage: import.sh ARCHIVE...
set -eu
log=/tmp/containerd.log
containerd >"$log" 2>&1 &
containerd=$!

waits=0
until ctr version >/dev/null 2>&1; do
    waits=$((waits + 1))
    if [ "$waits" -gt 300 ] || ! kill -0 "$containerd" 2>/dev/null; then
        cat "$log"
        exit 1
    fi
    sleep 0.1
done
for archive in "$@"; do
    ctr -n k8s.io images import --no-unpack --all-platforms --digests "$archive"
done
kill "$containerd"
wait "$containerd" || :
rm -rf /run/containerd "$log"
