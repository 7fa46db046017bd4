"""Posts reports to the ingest address from a pod that is not tracked."""

from support import kube as kubes

INGEST = f"http://rollcall-api.{kubes.SYSTEM}.svc:8080/ingest/v1/reports"
TOKENS = (
    {"serviceAccountToken": {"path": "ours", "audience": "rollcall.dev/ingest"}},
    {"serviceAccountToken": {"path": "others", "audience": "somebody.example.com"}},
    {"serviceAccountToken": {"path": "kubernetes"}},
)
# Prints what one report was answered, without a token and with each token of the pod.
PROGRAM = """
import datetime, json, pathlib, sys, urllib.error, urllib.request
now = datetime.datetime.now(datetime.timezone.utc).isoformat()
body = json.dumps({"v": 1, "seq": 1, "sentAt": now, "startedAt": now,
                   "heartbeat": {"uptimeSeconds": 1}}).encode()
def post(token):
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = "Bearer " + token
    request = urllib.request.Request(sys.argv[1], body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return {"status": answer.status}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "retryAfter": error.headers.get("Retry-After")}
    except OSError as error:
        return {"status": repr(error)}
tokens = {path.name: path.read_text() for path in pathlib.Path("/tokens").glob("[a-z]*")}
found = {name: post(token) for name, token in tokens.items()}
print(json.dumps(found | {"none": post(None), "forged": post("a.b.c")}))
"""


async def post(place: kubes.Place, pod: str) -> kubes.Object:
    """Run such a pod and return, for each token, the status and the header Retry-After."""
    main = {
        **kubes.container(place.image, ""),
        "command": ["python3", "-c", PROGRAM, INGEST],
        "volumeMounts": [{"name": "tokens", "mountPath": "/tokens", "readOnly": True}],
    }
    volume = {"name": "tokens", "projected": {"sources": list(TOKENS)}}
    return await place.run_pod(pod, containers=[main], volumes=[volume])
