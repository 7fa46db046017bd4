"""What an answer of Slack's Web API means for a message.

Slack answers 200 to what it refuses, too: `{"ok": false, "error": "channel_not_found"}`. A word
that is not listed here is tried again: an alert that comes late is better than none.
https://docs.slack.dev/reference/methods/chat.postMessage, https://docs.slack.dev/apis/web-api/rate-limits
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from rollcall.notify import http
from rollcall.services import ports

# Both are written, for whole applications and for single methods.
LIMITED = frozenset({"ratelimited", "rate_limited"})
# The first message is not there (any more), or not for this bot.
LOST = frozenset({"message_not_found", "thread_not_found", "channel_not_found"})
# Nobody may answer in a thread there.
UNTHREADED = frozenset({"cannot_reply_to_message", "restricted_action_non_threadable_channel"})
# What is said of blocks that are too long or not as Slack wants them: plain text may still pass.
TOO_MUCH = frozenset(
    {
        "invalid_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "msg_too_long",
        "too_many_attachments",
    }
)
_INVITE = "invite the app to the channel"
_RENEW = "write a new bot token into the Secret"
# What only a person can mend, and how where that is not plain from the word.
REFUSALS: Mapping[str, str] = {
    **dict.fromkeys(sorted(LOST | UNTHREADED | TOO_MUCH), ""),
    "channel_not_found": f"write the channel's ID, and {_INVITE} if it is private",
    "not_in_channel": f"{_INVITE}, or give it the scope chat:write.public",
    "is_archived": "write another channel",
    "missing_scope": "give the app the scope chat:write and install it again",
    **dict.fromkeys(
        ("account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"), _RENEW
    ),
    "not_allowed_token_type": "write the token of a bot, it begins with xoxb-",
    **dict.fromkeys(
        (
            "access_denied",
            "accesslimited",
            "as_user_not_supported",
            "deprecated_endpoint",
            "ekm_access_denied",
            "enterprise_is_restricted",
            "invalid_arguments",
            "is_inactive",
            "messages_tab_disabled",
            "method_deprecated",
            "no_permission",
            "no_text",
            "restricted_action",
            "restricted_action_read_only_channel",
            "restricted_action_thread_only_channel",
            "team_access_not_granted",
            "team_not_found",
            "two_factor_setup_required",
        ),
        "",
    ),
}


def judge(host: str, reply: http.Reply, now: datetime) -> ports.Delivery:
    """Say what an answer means; the detail of one that was taken says where the message is."""
    if reply.status not in http.SUCCESS:
        return http.by_status(host, reply, now)
    answer = _object(reply.body)
    if answer.get("ok") is True:
        place = {name: answer.get(name) for name in ("channel", "ts")}
        return ports.Delivery(delivered=True, detail={"status": reply.status, **place})
    word = str(answer.get("error") or "")
    if word in LIMITED:
        limited = replace(reply, status=HTTPStatus.TOO_MANY_REQUESTS, text=word)
        return http.by_status(host, limited, now)
    said = http.shown(word, ()) or f"no answer of Slack's: {reply.text}"
    advice = REFUSALS.get(word)
    return ports.Delivery(
        delivered=False,
        permanent=advice is not None,
        error=f"{host} answered {said}" + (f": {advice}" if advice else ""),
        detail={"status": reply.status, "error": word},
    )


def word_of(delivery: ports.Delivery) -> str:
    """Return the word that Slack refused a message with, if it did so by a word."""
    return str(delivery.detail.get("error") or "")


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):  # a proxy's page, say
        return {}
    return answer if isinstance(answer, dict) else {}
