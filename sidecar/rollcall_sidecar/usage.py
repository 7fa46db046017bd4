"""What `GET /` answers, and what every complaint about a wrong path ends with."""

OFFER = (
    "This is the Rollcall sidecar. It offers GET /run, GET /run?wait=30s and GET /healthz, and "
    "POST /progress, /checkpoint, /error, /dead-letter, /result and /handled; GET / explains them."
)

TEXT = """\
Rollcall sidecar: what this run is, and how to report what it does.

What the run is (add ?wait=30s to wait until all is known):
  curl -s --retry 5 --retry-connrefused --retry-delay 1 "$ROLLCALL_URL/run?wait=30s"
(The retries are for the first moments of a pod, in which the sidecar may not listen yet.)

How far it is; only the latest is kept:
  curl -d done=40 -d total=100 -d stage=load -d counters.rows=400 "$ROLLCALL_URL/progress"

Where a later run can go on; GET /run hands it over under checkpoint.value:
  curl -d value='{"page": 7}' "$ROLLCALL_URL/checkpoint?wait=5s"

What went wrong, although the run goes on (also type, item, class=transient|permanent, retryAfter):
  curl -d type=timeout -d message="no answer from the shop" "$ROLLCALL_URL/error"

An item that could not be processed, kept for later (also error, requeueOf):
  curl -d item=order-17 -d payload='{"id": 17}' -d error="no customer" "$ROLLCALL_URL/dead-letter"

An item of GET /run's list "requeued" is done:
  curl -d id=ID "$ROLLCALL_URL/handled"

How it went: succeeded, partial or failed (also counters, metadata):
  curl -d result=partial -d message="2 of 100 orders failed" "$ROLLCALL_URL/result"

Fields may be sent as JSON, too. The answer 202 means taken; with ?wait=5s, 200 means stored for
good and 202 not yet. A 4xx says what to change.
"""
