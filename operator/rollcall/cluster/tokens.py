"""Tokens of pods, checked by the API server (TokenReview) and remembered by their hash.

Invariants:
- No token is kept or logged, only its SHA-256.
- An answer counts for a minute at most. Only while the API server does not answer does a yes count
  for ten (for nine at least, where it was the first), so that its outage silences nobody who was
  known.
- Refused tokens are kept apart, so that garbage cannot push out the good ones.
- Tokens that were never good have a share of their own of the way to the API server, and a pause of
  their own when it fails them: whose token was accepted waits for none of them. The token of a new
  pod, and one that the kubelet has renewed, waits with them: what it claims anybody can claim.
"""

import functools
import hashlib
import re
import time
from collections.abc import Callable

from rollcall.cluster import client, fields
from rollcall.core import errors, names
from rollcall.services import limits, recent, reporters, sharing, turns

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
TIMEOUT = 3.0  # seconds; a sidecar waits for 5 in all
FRESH = 60.0  # seconds; a deleted pod's token is good for no longer than this
# Of the first minute, of which each token misses a part of its own: else all pods that were heard
# at once, as after a restart, are asked about within the same seconds of every minute from then on.
SPREAD = 45.0  # seconds
OUTAGE = 600.0  # seconds
REFUSED = 5.0  # seconds
# After a failure nobody asks for this long: in an outage each would wait for the same time-out.
PAUSE = 2.0  # seconds
RETRY_AFTER = 5.0  # seconds
SIZE = 20_000  # tokens; about 0.5 KB each
# Tokens that were never good, of the requests that the client sends at a time. At a few
# milliseconds each, all pods of a large cluster are known within seconds of a restart.
STRANGERS = 8
STRANGERS_EACH_SECOND = 500
STRANGERS_IN_A_BURST = SIZE  # whatever reviews cost, all pods are known soon after a restart
TOO_MANY = "too many tokens are to be checked that nobody knows"
MOST_WAITING = 1_000
WAIT = 1.0  # seconds
LARGEST = 16 * 1024  # characters; a service-account token has about 1,200
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_ACCOUNT = "system:serviceaccount:"
_POD = "authentication.kubernetes.io/pod-"


class Tokens:
    """services.reporters.Reviewer on the API server."""

    def __init__(
        self, *, kube: client.KubeClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._paused_until = {True: 0.0, False: 0.0}  # for the known, and for strangers
        self._asking = sharing.Sharing[bytes, reporters.Caller | None]("token-review")
        self._strangers = turns.Turns(
            at_once=STRANGERS,
            waiting=MOST_WAITING,
            within=WAIT,
            refusal=TOO_MANY,
        )
        self._often = limits.Limiter(
            rate=STRANGERS_EACH_SECOND, burst=STRANGERS_IN_A_BURST, size=1, clock=clock
        )
        self._good = recent.Recent[bytes, reporters.Caller](lifetime=OUTAGE, size=SIZE, clock=clock)
        self._bad = recent.Recent[bytes, bool](lifetime=REFUSED, size=SIZE, clock=clock)

    def known(self, token: str) -> reporters.Caller | None:
        """Return whose token it is if it was good less than a minute ago."""
        return self._good.get(_key(token), within=FRESH)

    async def review(self, token: str) -> reporters.Caller | None:
        """Return whose token it is, None if it is not good for us.

        Raises errors.Unavailable if that cannot be known now and the token is new.
        """
        if len(token) > LARGEST:
            return None
        key = _key(token)
        caller = self._good.get(key, within=FRESH)
        if caller or self._bad.get(key) or not _JWT.fullmatch(token):
            return caller
        return await self._asking.get(key, functools.partial(self._review, key, token))

    async def _review(self, key: bytes, token: str) -> reporters.Caller | None:
        known = self._good.get(key)
        try:
            caller = await (self._ask(token, is_known=True) if known else self._ask_in_turn(token))
        except errors.ClusterUnavailable:
            if known is None:
                raise
            return known
        self._keep(key, caller, age=0.0 if known else recent.part(key, SPREAD))
        return caller

    def _keep(self, key: bytes, caller: reporters.Caller | None, *, age: float) -> None:
        if caller:
            self._good.put(key, caller, age=age)
        else:
            self._good.drop(key)
            self._bad.put(key, value=True)

    async def _ask_in_turn(self, token: str) -> reporters.Caller | None:
        async with self._strangers.one(retry_after=RETRY_AFTER):
            try:
                self._often.take("strangers")
            except limits.TooMany as error:
                raise errors.Unavailable(TOO_MANY, retry_after=RETRY_AFTER) from error
            return await self._ask(token, is_known=False)

    async def _ask(self, token: str, *, is_known: bool) -> reporters.Caller | None:
        if self._clock() < self._paused_until[is_known]:
            raise errors.ClusterUnavailable("tokens cannot be checked", retry_after=RETRY_AFTER)
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [names.TOKEN_AUDIENCE]},
        }
        try:
            answer = await self._kube.request("POST", PATH, body=body, within=TIMEOUT, is_safe=True)
        except errors.RollcallError as error:
            # Refused too: that we may not ask says nothing about the token.
            self._paused_until[is_known] = self._clock() + PAUSE
            raise errors.ClusterUnavailable(
                f"tokens cannot be checked: {error}", retry_after=RETRY_AFTER
            ) from error
        return caller_of(answer)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def caller_of(review: client.Object) -> reporters.Caller | None:
    """Read the answer to a TokenReview; None if the token is not good for our audience."""
    status = fields.mapping(review, "status")
    audiences = status.get("audiences")
    if status.get("authenticated") is not True or not isinstance(audiences, list):
        return None
    if names.TOKEN_AUDIENCE not in audiences:
        return None
    user = fields.text(status, "user", "username") or ""
    return reporters.Caller(user=user, pod=_pod(user, fields.mapping(status, "user", "extra")))


def _pod(user: str, extra: object) -> reporters.Pod | None:
    namespace, _, account = user.removeprefix(_ACCOUNT).partition(":")
    name, uid = _only(extra, _POD + "name"), _only(extra, _POD + "uid")
    if not (user.startswith(_ACCOUNT) and namespace and account and name and uid):
        return None
    return reporters.Pod(namespace=namespace, name=name, uid=uid)


def _only(extra: object, key: str) -> str | None:
    values = fields.mapping(extra).get(key)
    one = values[0] if isinstance(values, list) and len(values) == 1 else None
    return one if isinstance(one, str) and one else None
