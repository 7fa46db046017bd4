"""Messages in a channel's own words."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rollcall.core import errors, messages, policies
from rollcall.notify import registry, samples, sandbox, templating, wording
from rollcall.notify.email import messages as email
from rollcall.notify.pagerduty import events
from rollcall.notify.slack import messages as slack
from rollcall.notify.webhook import discord, teams
from rollcall.services import ports
from support import builders, clocks, payloads

NO_CLIENT: Any = None
URL = "https://hooks.test/a"
FOUND = builders.finding(message="1 run failed")


def say(payload: wording.Payload, **templates: str) -> tuple[str | None, str | None]:
    """Return what title and body of a message are."""
    spoken = {**payload, wording.WORDS: templating.Words(templates)}
    return wording.title(spoken), wording.body(spoken)


def title(source: str, payload: wording.Payload | None = None) -> str | None:
    return say(payload or payloads.payload(), title=source)[0]


def body(source: str, payload: wording.Payload | None = None) -> str | None:
    return say(payload or payloads.payload(), body=source)[1]


def digest() -> dict[str, Any]:
    return messages.together([*samples.many(), samples.of_cluster()])


# What a template can name.


def test_fields_are_those_of_the_document_and_texts_made_of_it() -> None:
    told = payloads.payload(execution=payloads.failed("disk full"))
    assert body("{{ incident.kind }} {{ cronjob.name }} {{ execution.exitCode }}", told) == (
        "failing backup 3"
    )
    assert title("[{{ cluster }}] {{ headline }}", told) == "[prod] WARNING: shop/backup is failing"
    assert body("{{ story }}\n{{ facts['Exit code'] }}\n{{ output }}", told) == (
        "1 run failed\n3\ndisk full"
    )


def test_what_a_message_lacks_is_nothing() -> None:
    told = samples.of_cluster()
    asked = "<{{ cronjob.name }}{{ execution.jobName }}{{ facts.Job }}{{ incident.evidence.odd }}>"
    assert body(asked + "{{ output }}{{ lastRuns | length }}{{ 'no' if incidents }}", told) == "<>0"


def test_a_title_is_one_line_and_a_body_has_no_empty_ends() -> None:
    assert title("\n a\n  {{ severity if 0 else 'b' }}\t c ") == "a b c"
    assert body("\n\n a\n\n b \n") == "a\n\n b"


@pytest.mark.parametrize(("name", "longest"), templating.LONGEST.items())
def test_a_text_is_cut(name: str, longest: int) -> None:
    told = payloads.payload(found=replace(FOUND, message="x" * 20_000))
    texts = [text for text in say(told, **{name: "{{ incident.message }}" * 100}) if text]
    assert texts == ["x" * (longest - 1) + "…"]


def test_an_empty_text_leaves_the_built_in_one() -> None:
    assert say(payloads.payload(), title="{{ none }}", body=" \n ") == (None, None)


def test_a_digest_is_told_by_templates_that_name_nothing_of_single_alerts() -> None:
    assert title("[{{ cluster }}] {{ headline }}", digest()) == (
        "[prod] 8 alerts: 3 critical, 4 warning, 1 solved"
    )
    text = body("{{ story }}", digest())
    assert text is not None
    assert text.startswith("CRITICAL: shop/invoices is failing: invoices-29540790 failed")
    assert len(text.splitlines()) == 8


@pytest.mark.parametrize("name", sorted(templating.OF_ONE))
def test_any_other_template_leaves_a_digest_alone(name: str) -> None:
    assert say(digest(), title=f"{{% if {name} %}}{{% endif %}}x") == (None, None)


def test_a_template_that_names_incidents_tells_them_worst_first() -> None:
    source = (
        "{% for one in incidents %}{{ loop.index }}{{ one.cronjob.name }} {{ one.facts.Reason }}"
        " {{ one.headline }}\n{% else %}{{ cronjob.name }}{% endfor %}"
    )
    text = body(source, digest())
    assert text is not None
    lines = text.splitlines()
    assert lines[0] == "1invoices OOMKilled CRITICAL: shop/invoices is failing"
    assert lines[2] == "3 NotStarted CRITICAL: cluster prod has many jobs that do not start"
    assert lines[-1].startswith("8prices OOMKilled RESOLVED:")
    assert body(source) == "backup"


def test_a_long_digest_is_told_by_its_first_hundred() -> None:
    many = messages.together(
        [
            one | {"incident": one["incident"] | {"id": str(number)}}
            for number, one in enumerate([payloads.payload()] * 1000)
        ]
    )
    text = body(
        "{{ incidents | length }}{% for one in incidents %}.{{ one.story[:0] }}{% endfor %}", many
    )
    assert text == "1000" + "." * 100


def test_all_that_a_message_can_have_is_tried() -> None:
    tried: dict[str, set[str]] = {}
    for sample in samples.every():
        tried.setdefault(sample["type"], set()).update(sample)
    real = payloads.payload(execution=payloads.failed("disk full"))
    assert tried["incident.opened"] == real.keys()
    assert tried["digest"] == digest().keys()
    own = {"type", "time", "version", "cluster"}
    assert (real.keys() - own) | {"facts", "output"} == templating.OF_ONE


def test_several_steps_of_one_problem_are_told_as_one_message() -> None:
    story = payloads.Timeline()
    steps = [story.problem(), story.problem(severity=policies.Severity.CRITICAL)]
    together = messages.together(steps)
    assert title("{{ incident.severity }}: {{ headline }}", together) == (
        "critical: CRITICAL: shop/backup is failing"
    )


def test_a_problem_of_the_cluster_is_told_by_the_same_template() -> None:
    source = "{% if cronjob %}{{ cronjob.name }}{% else %}{{ jobs | length }} jobs{% endif %}"
    told = samples.of_cluster()
    assert say(told, title="{{ headline }}", body=source) == (
        "CRITICAL: cluster prod has many jobs that do not start",
        "2 jobs",
    )


def test_the_page_names_all_that_a_template_has_and_may_do() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/templates.md").read_text()
    for name in (*templating.OF_ONE, *sandbox.FILTERS):
        assert f"`{name}`" in page, name


# Broken templates.


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        pytest.param("title", "{{ headlin }}", "line 1: 'headlin' is undefined", id="name"),
        pytest.param(
            "body",
            "a\nb\n{{ incident.sevrity }}",
            "line 3: there is no 'sevrity', but id, kind, severity, status",
            id="field",
        ),
        pytest.param("body", "a\n{{ story", "line 2: unexpected end of template", id="syntax"),
        pytest.param("body", "{% for a in b %}", "line 1: Unexpected end", id="unended"),
        pytest.param("title", "\n{{ range(9) }}", "line 2: call is nothing", id="not-allowed"),
        pytest.param("body", "{{ " + "(" * 2000 + ")" * 2000, "line 1: it is too deep", id="deep"),
        pytest.param("body", "x" * 4097, "line 1: it is longer than 4096 characters", id="long"),
        pytest.param(
            "body", "{{ lastRuns[0].status }}", "line 1: there is no 0 (incident", id="some-lack-it"
        ),
        pytest.param(
            "body",
            "{% if type == 'incident.resolved' %}\n{{ odd }}\n{% endif %}",
            "line 2: 'odd' is undefined (incident.resolved)",
            id="one-type-only",
        ),
        pytest.param(
            "body",
            "{% for one in incidents %}{{ one.advice }}{% endfor %}",
            "line 1: there is no 'advice', but type, time,",
            id="digest-only",
        ),
        pytest.param("title", "{{ incident }}", "line 1: this is no text: name a field", id="map"),
    ],
)
def test_a_broken_template_is_named_with_its_line(name: str, source: str, words: str) -> None:
    with pytest.raises(errors.InvalidSpec) as refused:
        templating.Words({name: source})
    assert refused.value.reason == ports.INVALID_TEMPLATES
    message = str(refused.value)
    assert message.startswith(f"templates.{name}, {words}")
    assert message.endswith("; the built-in text is sent instead")


@dataclass
class Recorder:
    """A sender that renders what it is given, and answers what it is told to."""

    answer: ports.Delivery = field(default_factory=lambda: ports.Delivery(delivered=True))
    said: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        self.said.append(slack.render(notification.payload))
        return self.answer


# It fails with a reason that no sample has.
FRAGILE = "{% if incident.reason == 'Odd' %}{{ odd }}{% endif %}mine"
ODD = payloads.payload(found=replace(FOUND, reason="Odd"))


async def test_a_template_that_fails_with_some_message_sends_it_in_the_built_in_words() -> None:
    sender = Recorder()
    dressed = templating.Dressed(sender, {"title": "mine, too", "body": FRAGILE})
    delivery = await dressed.send(payloads.notification(ODD))
    assert delivery.delivered
    assert delivery.error == (
        "templates.body, line 1: 'odd' is undefined (incident.opened);"
        " the built-in text is sent instead"
    )
    assert "mine, too: 1 run failed" in sender.said[0]["text"]
    delivery = await dressed.send(payloads.notification(payloads.payload()))
    assert (delivery.error, "mine, too: mine" in sender.said[1]["text"]) == (None, True)


@pytest.mark.parametrize(
    "answer",
    [
        ports.Delivery(delivered=False, error="hooks.test answered 500"),
        ports.Delivery(delivered=True, error="one of two was refused"),
    ],
    ids=["failed", "delivered-in-part"],
)
async def test_what_the_receiver_says_counts_more_than_a_template_that_failed(
    answer: ports.Delivery,
) -> None:
    dressed = templating.Dressed(Recorder(answer), {"body": FRAGILE})
    assert await dressed.send(payloads.notification(ODD)) == answer


# Each channel.


def words_of(payload: wording.Payload) -> dict[str, Any]:
    own = {"title": "T {{ headline }}", "body": "B <b> *x* `y` <@U1>\nsecond & last"}
    return {**payload, wording.WORDS: templating.Words(own)}


def test_an_email_has_them_as_subject_and_as_text_in_both_forms() -> None:
    mail = email.render(
        replace(payloads.notification(payloads.payload()), payload=words_of(payloads.payload())),
        domain="example.com",
    )
    assert mail.subject == "T WARNING: shop/backup is failing"
    text, footer = mail.text.split("\n\n-- \n")
    assert text == "B <b> *x* `y` <@U1>\nsecond & last"
    assert footer.startswith("Rollcall in cluster prod, incident ")
    assert "<p>B &lt;b&gt; *x* `y` &lt;@U1&gt;<br>second &amp; last</p>" in mail.html
    assert "Reason" not in mail.html
    assert "Rollcall in cluster prod" in mail.html


def test_a_digest_by_email_has_them_instead_of_the_list() -> None:
    mail = email.render(
        replace(payloads.notification(digest()), payload=words_of(digest())), domain="example.com"
    )
    assert mail.subject == "T 8 alerts: 3 critical, 4 warning, 1 solved"
    assert mail.text == "B <b> *x* `y` <@U1>\nsecond & last\n\n-- \nRollcall in cluster prod\n"
    assert "<li>" not in mail.html
    assert "second &amp; last" in mail.html


@pytest.mark.parametrize("payload", [payloads.payload(), digest()], ids=["one", "digest"])
def test_slack_has_them_as_header_and_section(payload: dict[str, Any]) -> None:
    message = slack.render(words_of(payload))
    header = message["blocks"][0]["text"]["text"]
    assert header[:4] in {"🟠 T ", "🔴 T "}
    section, context = message["attachments"][0]["blocks"]
    assert section["text"]["text"] == "B &lt;b&gt; *x* `y` &lt;@U1&gt;\nsecond &amp; last"
    assert context["elements"][0]["text"].startswith("Rollcall in cluster prod")
    assert header in message["text"]


def test_slacks_first_message_is_written_anew_for_how_things_stand() -> None:
    reminder = payloads.payload() | {"type": "incident.reminder"}
    message = slack.render(slack.standing(words_of(reminder)))
    assert message["blocks"][0]["text"]["text"] == "🟠 T WARNING: shop/backup is failing"


@pytest.mark.parametrize("payload", [payloads.payload(), digest()], ids=["one", "digest"])
def test_discord_has_them_as_title_and_description_without_markdown(
    payload: dict[str, Any],
) -> None:
    (embed,) = discord.render(words_of(payload))["embeds"]
    assert embed["title"].startswith("T ")
    assert embed["description"] == r"B \<b\> \*x\* \`y\` \<@U1\>" + "\nsecond & last"
    assert not embed.get("fields")
    assert embed["footer"]["text"].startswith("Rollcall in cluster prod")


@pytest.mark.parametrize("payload", [payloads.payload(), digest()], ids=["one", "digest"])
def test_teams_has_them_as_title_and_text_without_markdown(payload: dict[str, Any]) -> None:
    card = teams.render(words_of(payload))["attachments"][0]["content"]
    title, text, footer = (block["text"] for block in card["body"])
    assert title.startswith("T ")
    assert text == r"B \<b> \*x\* \`y\` \<@U1>" + "\nsecond & last"
    assert footer.startswith("Rollcall in cluster prod")


def test_pagerduty_has_them_as_summary_and_message_beside_the_details() -> None:
    event = events.render(words_of(payloads.payload()), routing_key="key")["payload"]
    assert event["summary"] == "T WARNING: shop/backup is failing"
    details = event["custom_details"]
    assert details["Message"] == "B <b> *x* `y` <@U1>\nsecond & last"
    assert details["Reason"] == "Error"


@pytest.mark.parametrize("render", [slack.render, discord.render, teams.render])
def test_a_text_of_any_length_is_one_that_a_chat_takes(
    render: Callable[[wording.Payload], Any],
) -> None:
    told = payloads.payload(found=replace(FOUND, message="🔴*" * 9000))
    own = {"title": "{{ story }}", "body": "{{ story }}"}
    message = str(render({**told, wording.WORDS: templating.Words(own)}))
    assert len(message) < 12_000


# Building channels.


def build(kind: str, config: dict[str, str], **templates: str) -> ports.Sender:
    return registry.factories(NO_CLIENT, clocks.Clock())[kind](config, templates)


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        ("alertmanager", {"url": URL}, "an Alertmanager has templates of its own"),
        ("webhook", {"url": URL}, "format: rollcall is read by a program"),
        ("webhook", {"url": URL, "format": "rollcall"}, "format: rollcall is read by a program"),
    ],
)
def test_channels_for_programs_have_no_templates(
    kind: str, config: dict[str, str], words: str
) -> None:
    with pytest.raises(errors.InvalidSpec, match=f"templates: {words}") as refused:
        build(kind, config, title="x")
    assert refused.value.reason == ports.INVALID_TEMPLATES
    assert build(kind, config) is not None


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("webhook", {"url": URL, "format": "discord"}),
        ("slack", {"webhookURL": URL}),
        ("slack", {"botToken": "xoxb-1", "channel": "#a"}),
        ("pagerDuty", {"routingKey": "key"}),
        ("email", {"resendKey": "key", "from": "a@b.test", "to": "c@d.test"}),
    ],
)
def test_channels_for_people_are_built_with_templates_that_are_fine(
    kind: str, config: dict[str, str]
) -> None:
    assert isinstance(build(kind, config, title="{{ headline }}"), templating.Dressed)
    with pytest.raises(errors.InvalidSpec, match=r"templates\.body, line 1"):
        build(kind, config, body="{{ odd }}")


def test_jinja_is_loaded_for_the_first_template_and_not_before() -> None:
    code = (
        "import sys\n"
        "from rollcall.notify import registry\n"
        "slack = registry.factories(None, None)['slack']\n"
        f"slack({{'webhookURL': {URL!r}}})\n"
        "assert 'jinja2' not in sys.modules\n"
        f"slack({{'webhookURL': {URL!r}}}, {{'title': 'x'}})\n"
        "assert 'jinja2' in sys.modules\n"
    )
    operator = Path(registry.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(operator)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
