"""Words of a program that mean something elsewhere, and what they must not do where they arrive.

A judge takes what a sink was given, and fails where it is more than text there.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

from typing_extensions import override  # typing has it from 3.12 on

ARRIVED = "c0rpus"  # the last word of each piece: what stands before it got that far
FORGED = "2026-03-02T12:00:00Z forged: line"
# Short enough for a stage.
PIECES: Mapping[str, str] = {
    name: f"{words} {ARRIVED}"
    for name, words in {
        "mentions": "<!channel> <!here> <@U012AB> @everyone @channel <@&1> <at>all</at>",
        "html": "</td></pre><script>alert(1)</script> &lt;b&gt; <img src=x onerror=a()>",
        "terminal": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J\x7f\b \u202etxt.exe\u2066",
        "lines": f'\r\n{{"level": "error"}}\u2028\x85\x0b\n{FORGED}\nBcc: a@b.test\r',
        "markdown": "*b* _i_ ~x~ `c` ```\n# t\n[l](https://evil.test) <https://evil.test|bank>",
        "formats": "{0} {message} {{7*7}} {% raw %} %s %(name)s %n ${HOME} \\*x\\*",
    }.items()
}
EVERYTHING = "\n".join(PIECES.values())

_UNESCAPED = re.compile(r"(?<!\\)(?:\\\\)*[*_~`\[\]<#]")
_TAGS = {"html", "body", "h2", "p", "br", "table", "tr", "th", "td", "pre"}
_HEADERS = {
    "from", "to", "subject", "date", "message-id", "references", "auto-submitted", "mime-version",
    "content-type",
}  # fmt: skip


def texts(document: object) -> Iterator[str]:
    """Yield every text of a document."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from texts(value)
    elif isinstance(document, list):
        for value in document:
            yield from texts(value)


def obeyed(text: str) -> list[str]:
    """Return the characters of a text that a terminal or a program would obey, but for lines."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return [c for c in text if unicodedata.category(c) in kinds and c not in "\n\t"]


def judge_slack(told: dict[str, Any]) -> None:
    """Find no mention in Slack's text, no link, and code that ends where it should."""
    for one in [told["text"], *_mrkdwn(told)]:
        assert not set("<>") & set(one)
        assert not one.startswith("```") or one.count("```") == 2


def judge_discord(told: dict[str, Any]) -> None:
    """Find nobody mentioned by Discord's embed, and no Markdown that applies outside of code."""
    assert told["allowed_mentions"] == {"parse": []}
    assert set(told) == {"embeds", "allowed_mentions"}
    (embed,) = told["embeds"]
    plain = [embed["title"], *(field["value"] for field in embed.get("fields", ()))]
    *_, after = parts = embed["description"].split("```")
    assert len(parts) % 2 == 1, after
    for text in (*plain, *parts[::2]):
        assert not _UNESCAPED.search(text), text


def judge_teams(told: dict[str, Any]) -> None:
    """Find nobody mentioned by a card of Teams, and no Markdown that applies."""
    (attachment,) = told["attachments"]
    card = attachment["content"]
    assert card["msteams"] == {"width": "Full"}  # here would be the entities
    blocks = [block["text"] for block in card["body"] if block["type"] == "TextBlock"]
    facts = [fact["value"] for block in card["body"] for fact in block.get("facts", ())]
    for text in (*blocks, *facts):
        assert not _UNESCAPED.search(text), text


def judge_pagerduty(told: dict[str, Any]) -> None:
    """Find an event whose summary is one line."""
    assert told["event_action"] == "trigger"
    assert "\n" not in told["payload"]["summary"]


def judge_alertmanager(told: list[dict[str, Any]]) -> None:
    """Find an alert that is known by nothing that a program says."""
    (alert,) = told
    assert not [value for value in alert["labels"].values() if ARRIVED in value]
    assert "\n" not in alert["annotations"]["summary"]


def judge_email(told: dict[str, Any]) -> None:
    """Find one line for a subject, and no element that is not ours."""
    assert "\n" not in told["subject"]
    _Page().judge(told["html"])


def judge_mime(message: EmailMessage) -> dict[str, str]:
    """Return subject and bodies of what a mail server took: it has no header that is not ours."""
    assert {name.lower() for name in message.keys()} == _HEADERS  # noqa: SIM118 - no dict
    told = {"subject": str(message["subject"])}
    assert not message.defects
    for name, kind in (("text", "plain"), ("html", "html")):
        part = message.get_body((kind,))
        assert part
        assert not part.defects
        told[name] = str(part.get_content()).replace("\r\n", "\n")
    return told


JUDGES: Mapping[str, Callable[[Any], None]] = {
    "slack": judge_slack,
    "discord": judge_discord,
    "teams": judge_teams,
    "pagerduty": judge_pagerduty,
    "alertmanager": judge_alertmanager,
    "email": judge_email,
}


def judge(form: str, body: bytes) -> None:
    """Judge the body of a request by its form."""
    assert body.isascii()
    assert body.decode().isprintable()  # one line, whatever writes it to a log
    told = json.loads(body)
    JUDGES[form](told)
    said = list(texts(told))
    assert not [one for one in said if obeyed(one)]
    assert any(ARRIVED in one for one in said)


def judge_printed(printed: str) -> None:
    """Find nothing printed that a terminal obeys, and no line that a command would not begin so."""
    assert not [line for line in printed.split("\n") if obeyed(line)]
    begins = ("2026-03-02", "Bcc", '{"level')
    assert not [line for line in printed.split("\n") if line.startswith(begins)]


def judge_logged(line: str) -> None:
    """Find a line of the log that is one object, in ASCII."""
    assert line.isascii()
    assert line.isprintable()
    assert set(json.loads(line)) >= {"time", "level", "logger", "message"}


def _mrkdwn(document: object) -> Iterator[str]:
    """Yield the texts that Slack formats."""
    if isinstance(document, dict):
        if document.get("type") == "mrkdwn":
            yield document["text"]
        for value in document.values():
            yield from _mrkdwn(value)
    elif isinstance(document, list):
        for value in document:
            yield from _mrkdwn(value)


class _Page(HTMLParser):
    """Knows the elements and attributes that we write."""

    def judge(self, page: str) -> None:
        self.feed(page)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS
        assert {name for name, _ in attrs} <= {"style", "cellpadding"}
