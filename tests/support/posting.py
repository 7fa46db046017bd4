"""Posts reports to the ingest address from a pod that is not tracked."""

import base64
import json

from support import kube as kubes

AUDIENCE = "rollcall.dev/ingest"
INGEST = f"http://rollcall-api.{kubes.SYSTEM}.svc:8080/ingest/v1/reports"
TOKENS = (
    {"serviceAccountToken": {"path": "ours", "audience": AUDIENCE}},
    {"serviceAccountToken": {"path": "others", "audience": "somebody.example.com"}},
    {"serviceAccountToken": {"path": "kubernetes"}},
)
# Prints what one report was answered, without a token and with each token of the pod.
PROGRAM = """
import datetime, json, os, pathlib, sys, urllib.error, urllib.request
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
tokens |= {"none": None, "forged": "a.b.c", "huge": "a.b." + 1_000_000 * "c"}
tokens |= json.loads(os.environ["TOKENS"])
print(json.dumps({name: post(token) for name, token in tokens.items()}))
"""


async def post(place: kubes.Place, pod: str, **tokens: str) -> kubes.Object:
    """Run such a pod and return, for each token, the status and the header Retry-After.

    It sends those of its own and the given ones.
    """
    main = {
        **kubes.container(place.image, ""),
        "command": ["python3", "-c", PROGRAM, INGEST],
        "env": [{"name": "TOKENS", "value": json.dumps(tokens)}],
        "volumeMounts": [{"name": "tokens", "mountPath": "/tokens", "readOnly": True}],
    }
    volume = {"name": "tokens", "projected": {"sources": list(TOKENS)}}
    return await place.run_pod(pod, containers=[main], volumes=[volume])


async def token(place: kubes.Place, pod: kubes.Object | None = None) -> str:
    """Ask the API server for a token of the default account, bound to a pod if there is one."""
    bound = {}
    if pod:
        about = {key: pod["metadata"][key] for key in ("name", "uid")}
        bound = {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", **about}}
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [AUDIENCE], "expirationSeconds": 600, **bound},
    }
    path = f"{place.core('serviceaccounts', 'default')}/token"
    answer = await place.kube.create(path, body)
    return str(answer["status"]["token"])


def tampered(genuine: str) -> dict[str, str]:
    """Make tokens of a genuine one that nobody has signed."""
    head, claims, signature = genuine.split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    later = _part(read | {"exp": read["exp"] + 365 * 24 * 3600})
    other = _part(read | {"sub": "system:serviceaccount:kube-system:default"})
    unsigned = _part({"alg": "none", "typ": "JWT"})
    return {
        "later": f"{head}.{later}.{signature}",
        "other": f"{head}.{other}.{signature}",
        "unsigned": f"{unsigned}.{claims}.{signature}",
        "empty": f"{unsigned}.{claims}.",
    }


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
