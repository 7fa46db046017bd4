"""What the webhooks of chats get, and that they would take it."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import errors, incidents, reasons
from rollcall.notify import http
from rollcall.notify.slack import messages as slack
from rollcall.notify.webhook import channel, discord, teams
from support import builders, payloads, setups

URL = "https://hooks.test/a"
Render = Callable[[dict[str, Any]], dict[str, Any]]
NASTY = st.text(alphabet=st.sampled_from("a<>&@*_`[]()#\\\n…🔴 "), max_size=4000)


def nasty(text: str, transition: incidents.Transition) -> dict[str, Any]:
    """Build a payload with this text wherever a cluster can put one."""
    body = payloads.payload(
        found=builders.finding(message=text, reason=text),
        transition=transition,
        solved_after=timedelta(minutes=1) if transition in incidents.ENDS else None,
        execution=payloads.failed(text, job_name=text),
        alerts=builders.alerts(owner=text, runbook_url="https://a.test/" + text),
        suppressed=1,
    )
    body["cronjob"] |= {"namespace": "n" * 63, "name": "j" * 150, "group": text}
    body["changes"] = setups.changed() | {"text": text}
    return body


def test_discord_gets_one_embed_with_all_facts() -> None:
    body = payloads.payload(execution=payloads.failed("disk full"))
    assert discord.render(body) == {
        "embeds": [
            {
                "title": "WARNING: shop/backup is failing",
                "description": "1 run failed\n```\ndisk full\n```\n"
                f"What to do: {reasons.REASONS['Error'].action.replace('`', chr(92) + '`')}\n"
                "```\nkubectl -n shop describe job report-1\n"
                "kubectl -n shop logs job/report-1 --all-containers --tail=100\n```",
                "color": discord.AMBER,
                "timestamp": "2026-03-02T12:00:00.000Z",
                "fields": [
                    {"name": name, "value": value, "inline": True}
                    for name, value in {
                        "Reason": "Error",
                        "Since": "2026-03-02 12:00 UTC",
                        "Slot": "2026-03-02 12:00 UTC",
                        "Job": "report-1",
                        "Exit code": "3",
                        "Owner": "team-data",
                        "Runbook": "https://wiki.test/backup?a=1&b=2",
                    }.items()
                ],
                "footer": {"text": f"Rollcall in cluster prod, incident {body['incident']['id']}"},
            }
        ],
        "allowed_mentions": {"parse": []},
    }


def test_teams_gets_a_card_with_all_facts() -> None:
    body = payloads.payload(execution=payloads.failed("disk full"), suppressed=2)
    (attachment,) = teams.render(body)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    title, story, repeats, facts, output, advice, commands, footer = card["body"]
    assert title["text"] == "WARNING: shop/backup is failing"
    assert title["color"] == "warning"
    assert story["text"] == "1 run failed"
    assert repeats["text"] == "2 more since the last message"
    assert {fact["title"]: fact["value"] for fact in facts["facts"]} == {
        "Reason": "Error",
        "Since": "2026-03-02 12:00 UTC",
        "Slot": "2026-03-02 12:00 UTC",
        "Job": "report-1",
        "Exit code": "3",
        "Owner": "team-data",
    }
    assert output["inlines"][0]["text"] == "disk full"
    assert advice["text"] == "What to do: " + reasons.REASONS["Error"].action
    assert commands["inlines"][0]["text"].startswith("kubectl -n shop describe job report-1\n")
    assert body["incident"]["id"] in footer["text"]
    assert card["actions"] == [
        {
            "type": "Action.OpenUrl",
            "title": "Runbook",
            "url": "https://wiki.test/backup?a=1&b=2",
        }
    ]


@pytest.mark.parametrize(
    ("transition", "discord_color", "teams_color"),
    [
        (incidents.Transition.RESOLVED, discord.GREEN, "good"),
        (incidents.Transition.WITHDRAWN, discord.GREY, "default"),
    ],
)
def test_an_end_is_told_by_its_colour_and_without_the_last_words(
    transition: incidents.Transition, discord_color: int, teams_color: str
) -> None:
    body = payloads.payload(
        transition=transition,
        solved_after=timedelta(minutes=1),
        execution=payloads.failed("disk full"),
    )
    (embed,) = discord.render(body)["embeds"]
    card = teams.render(body)["attachments"][0]["content"]
    assert embed["color"] == discord_color
    assert card["body"][0]["color"] == teams_color
    assert "disk full" not in str(embed)
    assert "disk full" not in str(card)


@given(text=NASTY, transition=st.sampled_from(incidents.Transition))
def test_discord_would_take_any_message(text: str, transition: incidents.Transition) -> None:
    message = discord.render(nasty(text, transition))
    (embed,) = message["embeds"]
    assert 0 < len(embed["title"]) <= 256
    assert 0 < len(embed["description"]) <= 4096
    assert len(embed["fields"]) <= 25
    for field in embed["fields"]:
        assert 0 < len(field["name"]) <= 256
        assert 0 < len(field["value"]) <= 1024
    texts = [embed["title"], embed["description"], embed["footer"]["text"]]
    texts += [part for field in embed["fields"] for part in (field["name"], field["value"])]
    assert sum(map(len, texts)) <= 6000


@given(text=NASTY, transition=st.sampled_from(incidents.Transition))
def test_teams_would_take_any_message(text: str, transition: incidents.Transition) -> None:
    assert len(http.encode(teams.render(nasty(text, transition)))) <= 28 * 1024


def test_teams_would_take_a_message_of_emojis_alone() -> None:
    body = nasty("🔴" * 20_000, incidents.Transition.OPENED)
    assert 5_000 < len(http.encode(teams.render(body))) <= 28 * 1024


def test_nothing_from_a_cluster_is_markdown_or_mentions_anybody() -> None:
    evil = "**bold** [click](https://evil.test) <@123> `code` ``` # title"
    body = nasty(evil, incidents.Transition.OPENED)
    (embed,) = discord.render(body)["embeds"]
    fields = [field["value"] for field in embed["fields"] if field["name"] != "Runbook"]
    story, _, output = embed["description"].partition("```")
    for text in (embed["title"], story, *fields):
        assert not re.search(r"(?<!\\)[*\[\]<`#]", text)
    assert output.count("```") == 3
    card = teams.render(body)["attachments"][0]["content"]
    blocks = [block["text"] for block in card["body"] if block["type"] == "TextBlock"]
    facts = [fact["value"] for block in card["body"] for fact in block.get("facts", ())]
    for text in blocks + facts:
        assert not re.search(r"(?<!\\)[*\[\]<`#]", text)


@given(text=NASTY.filter(bool), limit=st.integers(5, 80))
def test_what_is_escaped_for_discord_is_cut_between_characters(text: str, limit: int) -> None:
    escaped = discord._escape(text, limit)  # noqa: SLF001 - the limit is a parameter of it alone
    assert 0 < len(escaped) <= limit
    whole = re.sub(r"\\(.)", r"\1", escaped.removesuffix("…"), flags=re.DOTALL)
    assert text.startswith(whole)
    assert escaped.endswith("…") or text == whole


@pytest.mark.parametrize(
    ("form", "render"),
    [("slack", slack.render), ("discord", discord.render), ("teams", teams.render)],
)
def test_a_format_is_chosen_by_its_name(form: str, render: Render) -> None:
    body = payloads.payload()
    settings = channel.read({"url": URL, "format": form})
    assert channel.FORMATS[settings.format](body) == render(body)


def test_our_own_format_is_the_payload_itself() -> None:
    body = payloads.payload()
    assert channel.FORMATS[channel.read({"url": URL}).format](body) == body


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(errors.InvalidSpec, match="write one of rollcall, slack, discord, teams"):
        channel.read({"url": URL, "format": "matrix"})
