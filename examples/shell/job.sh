#!/bin/sh
# A job that reports to Rollcall with curl, and reads what it is told with jq.
set -eu

orders=${ORDERS:-10} broken=${BROKEN:-4} die_at=${DIE_AT:-0}

# Usage: report PATH FIELD=VALUE…
# It fails where there is no Rollcall, or the report was not taken; the work can go on (`|| :`).
report() {
    [ -n "${ROLLCALL_URL:-}" ] || return 1
    path=$1
    shift
    for field; do
        shift
        set -- "$@" --data-urlencode "$field"
    done
    curl -sSf --noproxy '*' --max-time 10 -o /dev/null "$@" "$ROLLCALL_URL/$path" && return
    echo "not reported: $path" >&2
    return 1
}

process() {
    echo "order $1"
}

run='{}'
if [ -n "${ROLLCALL_URL:-}" ]; then
    # The sidecar may listen a moment later than this program starts: refused is not final.
    run=$(curl -sSf --noproxy '*' --max-time 40 --retry 5 --retry-connrefused --retry-delay 1 \
        --retry-max-time 10 "$ROLLCALL_URL/run?wait=30s") || run='{}'
    [ "$(printf '%s' "$run" | jq .complete)" = true ] ||
        echo "where the last run stopped may not be known" >&2
fi

# Dead letters of earlier runs that somebody asked to be tried again.
# (printf, because the echo of some shells reads the backslashes of JSON as its own.)
printf '%s' "$run" | jq -r '.requeued[]? | "\(.id) \(.item)"' | while read -r id item; do
    echo "again $item"
    report handled "id=$id" || :
done

# Where the last run stopped, if it did not finish.
order=$(printf '%s' "$run" | jq '.checkpoint.value.order // 0')
failed=$(printf '%s' "$run" | jq '.checkpoint.value.failed // 0')

while [ "$order" -lt "$orders" ]; do
    order=$((order + 1))
    if [ "$order" -eq "$die_at" ]; then
        report error type=crash "message=died at order $order" class=transient || :
        exit 1
    fi
    if [ "$order" -eq "$broken" ]; then
        failed=$((failed + 1))
        # What is neither done nor kept is not passed over: the next run begins with it.
        report "dead-letter?wait=5s" "item=order-$order" "payload={\"order\": $order}" \
            "error=no such customer" || exit 1
    else
        process "$order"
    fi
    report progress "done=$order" "total=$orders" stage=orders "counters.failed=$failed" || :
    # With ?wait=5s the answer comes when the checkpoint is stored for good.
    report "checkpoint?wait=5s" "value={\"order\": $order, \"failed\": $failed}" || :
done

if [ "$failed" -gt 0 ]; then
    report result result=partial "message=$failed of $orders orders failed" \
        "counters.failed=$failed" || :
else
    report result result=succeeded "counters.failed=0" || :
fi
