"""Programs that report: each works through four items, from its last checkpoint on.

Without a checkpoint it fails half way, with exit code 3. All are scripts for `sh`. The sidecar may
listen a moment later than they start: they try a refused connection again for 10 seconds.
"""

PYTHON = """
exec python3 - <<'END'
import json, os, sys, time, urllib.error, urllib.request
def ask(path, body=None, tries=50):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        os.environ["ROLLCALL_URL"] + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.URLError as error:
        if tries == 1 or not isinstance(error.reason, ConnectionRefusedError):
            raise
    time.sleep(0.2)
    return ask(path, body, tries - 1)
run = ask("/run?wait=30s")
checkpoint = run["checkpoint"]
begin = checkpoint["value"]["done"] if checkpoint else 0
for done in range(begin + 1, 5):
    ask("/progress?wait=5s", {"done": done, "total": 4, "stage": "load",
                              "counters": {"rows": 10 * done}})
    ask("/checkpoint?wait=5s", {"value": {"done": done}})
    if done == 2 and not checkpoint:
        ask("/error?wait=5s", {"type": "timeout", "message": "no answer after 30 s", "item": "3"})
        sys.exit(3)
ask("/result?wait=5s", {"result": "succeeded", "message": f"from {begin} to 4",
                        "metadata": {"window": run["window"], "resumed": checkpoint["execution"]}})
END
"""
# Bash speaks HTTP by itself; /dev/tcp and sed stand in for curl and jq, which images may lack.
SHELL = r"""
exec bash -eu <<'END'
ask() {
    for _ in {1..50}; do
        if exec 3<>"/dev/tcp/127.0.0.1/${ROLLCALL_URL##*:}"; then break; fi
        sleep 0.2
    done
    printf '%s %s HTTP/1.0\r\nHost: 127.0.0.1\r\n%s\r\nContent-Length: %d\r\n\r\n%s' \
        "$1" "$2" 'Content-Type: application/x-www-form-urlencoded' "${#3}" "$3" >&3
    sed '1,/^\r*$/d' <&3
    exec 3>&-
}
run=$(ask GET '/run?wait=30s' '')
begin=$(printf '%s' "$run" | sed -n 's/.*"value": *{ *"done": *\([0-9]*\).*/\1/p')
for done in 1 2 3 4; do
    if [ "$done" -le "${begin:-0}" ]; then continue; fi
    ask POST '/progress?wait=5s' "done=$done&total=4&stage=load&counters.rows=${done}0"
    ask POST '/checkpoint?wait=5s' "value={\"done\": $done}"
    if [ "$done" = 2 ] && [ -z "$begin" ]; then
        ask POST '/error?wait=5s' 'type=timeout&message=no answer after 30 s&item=3'
        exit 3
    fi
done
ask POST '/result?wait=5s' "result=succeeded&message=from $begin to 4"
END
"""
