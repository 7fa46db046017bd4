"""An incident, told to a receiver that behaves as PagerDuty's documentation says."""

from datetime import timedelta

import pytest

from rollcall.core import policies
from rollcall.notify import http, registry
from rollcall.services import ports
from support import pagerduty, payloads, receiver
from support.delivering import now
from support.receiver import Answer

KEY = "0123456789abcdef0123456789abcdef"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def service(hook: receiver.Receiver) -> pagerduty.PagerDuty:
    service = pagerduty.PagerDuty(routing_key=KEY)
    hook.otherwise = service.answer
    return service


@pytest.fixture
def sender(hook: receiver.Receiver, client: http.Client) -> ports.Sender:
    return make(hook, client, KEY)


def make(hook: receiver.Receiver, client: http.Client, key: str) -> ports.Sender:
    return registry.factories(client, now)["pagerDuty"]({"routingKey": key, "url": hook.url})


async def test_one_incident_is_one_alert_from_opened_to_resolved(
    service: pagerduty.PagerDuty, sender: ports.Sender
) -> None:
    story = payloads.Timeline()

    async def send(body: dict[str, object]) -> None:
        assert (await sender.send(payloads.notification(body))).delivered

    await send(story.problem(execution=payloads.failed("disk full")))
    (alert,) = service.open()
    assert alert.payload["severity"] == "warning"
    await send(story.problem(HOUR, severity=policies.Severity.CRITICAL, message="3 runs failed"))
    assert service.open() == [alert]
    assert alert.payload["severity"] == "critical"
    assert alert.payload["summary"] == "shop/backup is failing: 3 runs failed"
    reminder = story.problem(6 * HOUR, severity=policies.Severity.CRITICAL)
    await send(reminder)
    assert (service.open(), alert.triggers) == ([alert], 3)
    await send(reminder | {"type": "incident.acknowledged"})
    assert (service.open(), alert.status) == ([alert], "acknowledged")
    await send(story.solved(HOUR))
    assert (service.open(), service.alerts) == ([], [alert])


async def test_a_problem_that_comes_again_is_another_alert(
    service: pagerduty.PagerDuty, sender: ports.Sender
) -> None:
    for hours in range(2):
        story = payloads.Timeline()
        for body in (story.problem(hours * HOUR), story.solved(MINUTE)):
            assert (await sender.send(payloads.notification(body))).delivered
    first, second = service.alerts
    assert first.key != second.key


async def test_an_event_whose_answer_got_lost_changes_nothing_the_second_time(
    service: pagerduty.PagerDuty, sender: ports.Sender
) -> None:
    body = payloads.notification(payloads.Timeline().problem())
    for _ in range(2):
        assert (await sender.send(body)).delivered
    (alert,) = service.alerts
    assert alert.triggers == 2


async def test_a_problem_that_was_resolved_by_hand_and_lasts_is_opened_again_by_its_reminder(
    service: pagerduty.PagerDuty, sender: ports.Sender
) -> None:
    story = payloads.Timeline()
    await sender.send(payloads.notification(story.problem()))
    service.alerts[0].status = "resolved"
    await sender.send(payloads.notification(story.problem(6 * HOUR)))
    assert [alert.status for alert in service.alerts] == ["resolved", "triggered"]


async def test_a_wrong_routing_key_is_refused_for_good_and_not_repeated(
    service: pagerduty.PagerDuty, hook: receiver.Receiver, client: http.Client
) -> None:
    body = payloads.notification(payloads.Timeline().problem())
    short = await make(hook, client, "too-short").send(body)
    assert short.permanent
    assert short.error is not None
    assert short.error.startswith('127.0.0.1 answered 400 Bad Request: {"status": "invalid event"')
    assert "should be 32 characters" in short.error
    hook.answers(Answer(status=400, body=f"no such key: {'x' * 32}".encode()))
    unknown = await make(hook, client, "x" * 32).send(body)
    assert unknown.error == "127.0.0.1 answered 400 Bad Request: no such key: ***"
    assert service.alerts == []


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        pytest.param(Answer(status=429), timedelta(seconds=30), id="limited"),
        pytest.param(Answer(status=500), None, id="down"),
        pytest.param(Answer(hang=True), None, id="silent", marks=pytest.mark.slow),
    ],
)
async def test_what_can_pass_is_tried_again(
    hook: receiver.Receiver, sender: ports.Sender, answer: Answer, pause: timedelta | None
) -> None:
    hook.answers(answer)
    delivery = await sender.send(payloads.notification(payloads.Timeline().problem()))
    assert (delivery.delivered, delivery.permanent) == (False, False)
    assert delivery.retry_after == pause


async def test_the_longest_messages_are_taken(
    service: pagerduty.PagerDuty, sender: ports.Sender
) -> None:
    story = payloads.Timeline()
    body = story.problem(
        execution=payloads.failed("ü\0\ud800" * 50_000),
        message="🔴" * 5000,
        evidence={"list": ["ü" * 1000] * 200},
    )
    assert (await sender.send(payloads.notification(body))).delivered
    assert len(service.open()) == 1
