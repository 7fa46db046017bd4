"""What a Slack message says, and that Slack would take it."""

from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.core import errors, incidents, policies
from rollcall.notify import http, wording
from rollcall.notify.slack import bot, channel
from rollcall.notify.slack import messages as slack
from rollcall.services import ports
from support import builders, setups
from support.payloads import failed, payload


def texts(message: object) -> list[str]:
    """Return every text of a message."""
    if isinstance(message, dict):
        own = [message["text"]] if isinstance(message.get("text"), str) else []
        return own + [text for value in message.values() for text in texts(value)]
    if isinstance(message, list):
        return [text for item in message for text in texts(item)]
    return []


def header(message: dict[str, Any]) -> str:
    return str(message["blocks"][0]["text"]["text"])


def test_a_failing_job_is_told_with_all_its_facts() -> None:
    message = slack.render(payload(execution=failed(message="disk full")))
    assert header(message) == "🟠 WARNING: shop/backup is failing"
    assert message["text"] == "🟠 WARNING: shop/backup is failing: 1 run failed"
    (attachment,) = message["attachments"]
    assert attachment["color"] == slack.AMBER
    story, output, advice, commands, facts, footer = attachment["blocks"]
    assert story["text"]["text"] == "1 run failed"
    assert output["text"]["text"] == "```\ndisk full\n```"
    assert advice["text"]["text"].startswith("What to do: Read the message and the container")
    assert commands["text"]["text"].startswith("```\nkubectl -n shop describe job report-1\n")
    assert [field["text"] for field in facts["fields"]] == [
        "*Reason*\nError",
        "*Since*\n2026-03-02 12:00 UTC",
        "*Slot*\n2026-03-02 12:00 UTC",
        "*Job*\nreport-1",
        "*Exit code*\n3",
        "*Owner*\nteam-data",
        "*Runbook*\n<https://wiki.test/backup?a=1&amp;b=2>",
    ]
    assert footer["elements"][0]["text"].startswith("Rollcall in cluster prod, incident ")


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        pytest.param(kind, f"🔴 CRITICAL: shop/backup {words}", id=kind)
        for kind, (words, _) in wording.KINDS.items()
    ],
)
def test_every_kind_has_plain_words(kind: str, title: str) -> None:
    body = payload(found=builders.finding(policies.Kind(kind), severity=policies.Severity.CRITICAL))
    assert header(slack.render(body)) == title


@pytest.mark.parametrize(
    ("transition", "title"),
    [
        pytest.param(incidents.Transition.CHANGED, "🟠 NOW WARNING", id="changed"),
        pytest.param(incidents.Transition.REMINDER, "🟠 STILL WARNING", id="reminder"),
        pytest.param(
            incidents.Transition.ESCALATED, "🟠 NOBODY ACKNOWLEDGED WARNING", id="escalated"
        ),
    ],
)
def test_a_later_message_says_that_it_is_not_the_first(
    transition: incidents.Transition, title: str
) -> None:
    message = slack.render(payload(transition=transition, suppressed=4))
    assert header(message) == f"{title}: shop/backup is failing"
    assert "4 more since the last message" in texts(message)


@pytest.mark.parametrize(
    ("reason", "story"),
    [
        ("disk is full", "ada looks after it: disk is full. It is: 1 run failed"),
        (None, "ada looks after it. It is: 1 run failed"),
    ],
)
def test_an_acknowledged_problem_says_who_looks_after_it(reason: str | None, story: str) -> None:
    body = payload(transition=incidents.Transition.ACKNOWLEDGED)
    body["incident"] |= {"acknowledged": {"at": body["time"], "by": "ada", "reason": reason}}
    message = slack.render(body)
    assert header(message) == "🟠 ACKNOWLEDGED WARNING: shop/backup is failing"
    assert story in texts(message)


def test_a_problem_that_nobody_looks_after_any_more_says_so() -> None:
    message = slack.render(payload(transition=incidents.Transition.UNACKNOWLEDGED))
    assert header(message) == "🟠 STILL WARNING: shop/backup is failing"
    assert "nobody looks after it any more. It is: 1 run failed" in texts(message)


def test_a_solved_problem_is_green_and_says_how_long_it_lasted() -> None:
    body = payload(solved_after=timedelta(hours=2, minutes=5), execution=failed(message="boom"))
    message = slack.render(body)
    assert header(message) == "✅ RESOLVED: shop/backup (was failing)"
    assert message["attachments"][0]["color"] == slack.GREEN
    assert "solved after 2h5m. It was: 1 run failed" in texts(message)
    assert not any("boom" in text for text in texts(message))


def test_a_withdrawn_problem_says_that_the_job_is_gone() -> None:
    body = payload(solved_after=timedelta(minutes=1), transition=incidents.Transition.WITHDRAWN)
    message = slack.render(body)
    assert header(message) == "⚪ WITHDRAWN: shop/backup (was failing)"
    assert "the job was deleted, 1m after this was reported: 1 run failed" in texts(message)


def test_a_slot_that_never_ran_shows_the_slot_of_its_evidence() -> None:
    body = payload(
        found=builders.finding(
            policies.Kind.LATE, evidence={"slotTime": builders.SLOT_AT.isoformat()}
        )
    )
    assert "*Slot*\n2026-03-02 12:00 UTC" in texts(slack.render(body))


def test_nothing_from_a_cluster_can_mention_people_or_forge_a_link() -> None:
    evil = "<!channel> <https://evil.test|click> & ``` @here"
    body = payload(
        found=builders.finding(message=evil, reason=evil),
        execution=failed(message=evil, job_name=evil),
        alerts=builders.alerts(owner=evil, runbook_url="javascript:alert(1)<!here>"),
    )
    message = slack.render(body)
    everything = "".join(texts(message))
    assert "<" not in everything
    assert ">" not in everything
    assert "&lt;!channel&gt;" in everything
    fenced = [text for text in texts(message) if text.startswith("```")]
    assert [text.count("```") for text in fenced] == [2, 2]


@pytest.mark.parametrize(
    "url", ["https://wiki.test/a b", "wiki.test", "https://wiki.test/" + "x" * 3000]
)
def test_a_runbook_that_is_no_link_is_shown_as_text(url: str) -> None:
    message = slack.render(payload(alerts=builders.alerts(runbook_url=url)))
    (runbook,) = [text for text in texts(message) if text.startswith("*Runbook*")]
    assert "<" not in runbook


def test_a_pipe_in_a_runbook_does_not_rename_the_link() -> None:
    message = slack.render(payload(alerts=builders.alerts(runbook_url="https://a.test/|x")))
    assert "*Runbook*\n<https://a.test/%7Cx>" in texts(message)


def test_of_long_output_the_end_is_kept() -> None:
    message = slack.render(payload(execution=failed(message="start" + "x" * 5000 + "the end")))
    output, _ = [text for text in texts(message) if text.startswith("```")]
    assert output.endswith("the end\n```")
    assert "start" not in output


@given(
    text=st.text(alphabet=st.sampled_from("a<>&`\n…🔴"), max_size=4000),
    transition=st.sampled_from(incidents.Transition),
)
def test_slack_would_take_any_message(text: str, transition: incidents.Transition) -> None:
    body = payload(
        found=builders.finding(message=text, reason=text),
        transition=transition,
        solved_after=timedelta(minutes=1) if transition in incidents.ENDS else None,
        execution=failed(message=text, job_name=text),
        alerts=builders.alerts(owner=text, runbook_url="https://a.test/" + text),
        suppressed=1,
    )
    body["cronjob"] |= {"namespace": "n" * 63, "name": "j" * 150, "group": text}
    body["changes"] = setups.changed() | {"text": text}
    message = slack.render(body)
    assert 0 < len(header(message)) <= 150
    assert 0 < len(message["text"]) <= 3000
    (attachment,) = message["attachments"]
    assert len(attachment["blocks"]) <= 50
    for block in attachment["blocks"]:
        for item in block.get("fields", []) + block.get("elements", []):
            assert 0 < len(item["text"]) <= 2000
        if "text" in block:
            assert 0 < len(block["text"]["text"]) <= 3000
        assert len(block.get("fields", [])) <= 10


@given(text=st.text(alphabet="a<>&", max_size=60), limit=st.integers(5, 80))
def test_escaped_text_is_cut_between_characters(text: str, limit: int) -> None:
    escaped = slack.escape(text, limit)
    assert len(escaped) <= limit
    whole = escaped.removesuffix("…").replace("&lt;", "<").replace("&gt;", ">")
    assert text.startswith(whole.replace("&amp;", "&"))


def test_a_payload_of_a_later_version_is_still_shown() -> None:
    body = payload() | {"type": "incident.exploded"}
    body["incident"] |= {"kind": "odd", "severity": "fatal", "openedAt": "yesterday"}
    assert header(slack.render(body)) == "⚪ FATAL: shop/backup odd"


def made(**config: str) -> ports.Sender:
    return channel.make(cast("http.Client", None), config)  # it only keeps it


@pytest.mark.parametrize("given", [{}, {"webhookURL": "https://a.test", "botToken": "xoxb-1"}])
def test_one_way_to_send_is_required(given: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidSpec, match="exactly one of botTokenSecretRef and webhook"):
        made(**given)


def test_a_wrong_address_is_refused_without_repeating_it() -> None:
    with pytest.raises(errors.InvalidSpec) as refused:
        made(webhookURL="hooks.slack.com/services/T0/B0/secret")
    assert "secret" not in str(refused.value)
    assert refused.value.reason == "InvalidURL"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        pytest.param({"botToken": "xoxb-1"}, "slack.channel: write the channel's ID", id="none"),
        pytest.param({"channel": "team data"}, "slack.channel: write the channel's", id="spaces"),
        pytest.param({"channel": "#" + "x" * 81}, "slack.channel: write the", id="too-long"),
        pytest.param({"channel": "#a", "botToken": "xoxb\n1"}, "one line of ASCII", id="lines"),
        pytest.param({"channel": "#a", "url": "slack.com"}, "slack.url: write an", id="address"),
    ],
)
def test_a_bot_needs_a_token_and_a_channel(config: dict[str, str], reason: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=reason) as refused:
        made(**{"botToken": "xoxb-1"} | config)
    assert "xoxb" not in str(refused.value)


def test_the_settings_of_a_bot_do_not_show_its_token() -> None:
    assert "xoxb" not in repr(bot.read({"botToken": "xoxb-1", "channel": "#alerts"}))


@pytest.mark.parametrize(
    ("transition", "title"),
    [
        pytest.param(transition, "🟠 WARNING: shop/backup is failing", id=transition)
        for transition in sorted(bot.CALLING)
    ],
)
def test_how_things_stand_is_told_without_what_happened_last(transition: str, title: str) -> None:
    body = payload(suppressed=2) | {"type": transition}
    message = slack.render(slack.standing(body))
    assert header(message) == title
    assert "2 more since the last message" not in texts(message)


def test_a_problem_that_somebody_looks_after_stands_as_that() -> None:
    body = payload(transition=incidents.Transition.CHANGED)
    body["incident"] |= {"acknowledged": {"at": body["time"], "by": "ada", "reason": None}}
    message = slack.render(slack.standing(body))
    assert header(message) == "🟠 ACKNOWLEDGED WARNING: shop/backup is failing"
