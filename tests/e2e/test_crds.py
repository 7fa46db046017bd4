"""The schemas on a real API server: what they let in, and what they tell a person to write instead.

The server judges by dry run. The definitions are there before, from the chart; in an empty cluster
they are created as they stand in `crds/`.
"""

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollcall.cluster import client
from rollcall.core import errors, policies
from support import kube as kubes

Object = dict[str, Any]

ROOT = Path(__file__).parents[2]
WANTED = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
VECTORS = ROOT / "tests/vectors/cron-vectors.jsonl"
GROUP = "rollcall.dev"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AT_ONCE = 16  # requests; the vectors are thousands

POD = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/a:1"}]}
JOB = {
    "schedule": "30 2 * * *",
    "jobTemplate": {
        "metadata": {"labels": {"tier": "gold"}, "annotations": {"note": "kept"}},
        "spec": {"backoffLimit": 2, "template": {"spec": POD}},
    },
}
MAIL = {"from": "rollcall@example.com", "to": ["team@example.com"]}


@pytest.fixture(autouse=True)
async def definitions(kube: client.KubeClient) -> list[Object]:
    """Make sure of the definitions and return them as the server has them."""
    return [await _established(kube, wanted) for wanted in WANTED]


async def _established(kube: client.KubeClient, wanted: Object) -> Object:
    address = f"{DEFINITIONS}/{wanted['metadata']['name']}"
    async with asyncio.timeout(30):
        while True:
            try:
                found = await kube.get(address)
            except errors.NotFound:
                await _create(kube, wanted)
                continue
            conditions = (found.get("status") or {}).get("conditions") or ()
            if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                return found
            await asyncio.sleep(0.2)


async def _create(kube: client.KubeClient, body: Object) -> None:
    try:
        await kube.create(DEFINITIONS, body)
    except errors.Conflict:
        return  # another worker was faster


class Server:
    """Asks the API server whether it would take an object."""

    def __init__(self, kube: client.KubeClient, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace

    async def job(self, name: str = "nightly", /, **spec: object) -> Object:
        """Return the TrackedCronJob as it would be stored."""
        path = f"/apis/{GROUP}/v1alpha1/namespaces/{self._namespace}/trackedcronjobs"
        body = {"kind": "TrackedCronJob", "metadata": {"name": name}, "spec": {**JOB, **spec}}
        return await self._create(path, body)

    async def channel(self, **spec: object) -> Object:
        """Return the AlertChannel as it would be stored."""
        body = {"kind": "AlertChannel", "metadata": {"name": "crd-test"}, "spec": spec}
        return await self._create(f"/apis/{GROUP}/v1alpha1/alertchannels", body)

    async def _create(self, path: str, body: Object) -> Object:
        whole = {"apiVersion": f"{GROUP}/v1alpha1", **copy.deepcopy(body)}
        return await self._kube.create(path, whole, dryRun="All", fieldValidation="Strict")


@pytest.fixture
def server(kube: client.KubeClient) -> Server:
    return Server(kube, "default")  # nothing is stored there


def test_the_server_has_the_schemas_of_this_tree(definitions: list[Object]) -> None:
    for found, wanted in zip(definitions, WANTED, strict=True):
        has = [version["schema"] for version in found["spec"]["versions"]]
        assert has == [version["schema"] for version in wanted["spec"]["versions"]]


async def test_every_field_of_a_cronjob_stands_at_the_same_place(server: Server) -> None:
    spec = {
        "timeZone": "America/Argentina/Salta",
        "startingDeadlineSeconds": 10,
        "concurrencyPolicy": "Replace",
        "suspend": True,
        "successfulJobsHistoryLimit": 0,
        "failedJobsHistoryLimit": 7,
    }
    stored = await server.job(**spec)
    assert stored["spec"] == {**JOB, **spec}  # nothing is added, nothing is lost


async def test_all_that_rollcall_adds_is_accepted(server: Server) -> None:
    spec = {
        "tracking": {
            "sidecar": "Auto",
            "container": "main",
            "heartbeatInterval": "1m30s",
            "port": 65535,
            "group": "billing",
        },
        "rules": {
            "late": {"enabled": True, "info": "90s", "warning": "5m", "critical": "1h30m"},
            "missed": {"warning": 1, "critical": 2},
            "cannot_start": {"critical": "5m", "unschedulable": {"warning": "1h"}},
            "skipped": {"info": 1},
            "failure_rate": {"warning": 1, "critical": 100, "window": "7d", "minExecutions": 1},
            "slow": {"info": "auto", "warning": "2h"},
            "failing": {"enabled": False},
            "stale": {"warning": "auto", "critical": "3650d"},
            "overrunning": {"critical": "1d2h3m4s"},
            "too_fast": {"warning": "2s"},
            "suspended": {"warning": "30d"},
            "silent": {"warning": "1m"},
            "no_progress": {"warning": "10m"},
            "errors": {"warning": 1, "critical": 100, "types": ["timeout", "quota"]},
            "counter": {
                "warning": 1,
                "counters": [
                    {"name": "rows", "min": 0.5, "deviates": True},
                    {"name": "skipped", "maxPercentOf": {"counter": "rows", "percent": 5}},
                ],
            },
        },
        "concurrencyPolicy": "Forbid",
        "window": {"initial": "30d", "max": "1h30m"},
        "alerts": {
            "channels": ["team-data", "pager"],
            "cooldown": "6h",
            "recoveryThreshold": 100,
            "runbookURL": "https://wiki.example.com/nightly?section=2#restore",
            "owner": "team-data",
        },
    }
    stored = await server.job(**spec)
    assert stored["spec"] == {**JOB, **spec}


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        pytest.param("schedule", "@every 5m", "*/5 * * * *", id="every"),
        pytest.param("schedule", "TZ=Europe/Berlin 0 3 * * *", "spec.timeZone", id="zone-inside"),
        pytest.param("schedule", "CRON_TZ=UTC @daily", "spec.timeZone", id="cron-zone-inside"),
        pytest.param("schedule", "@Daily", "write exactly @yearly", id="descriptor-in-capitals"),
        pytest.param("schedule", "@reboot", "write exactly @yearly", id="unknown-descriptor"),
        pytest.param("schedule", "", "exactly five fields", id="empty-schedule"),
        pytest.param("schedule", "0 0 * *", "exactly five fields", id="four-fields"),
        pytest.param("schedule", "0 0 0 * * *", "no seconds and no years", id="six-fields"),
        pytest.param("schedule", "every day", "exactly five fields", id="prose"),
        pytest.param("schedule", "60 * * * *", "minute, the first field", id="minute-60"),
        pytest.param("schedule", "0 24 * * *", "hour, the second field", id="hour-24"),
        pytest.param("schedule", "0 0 L * *", "does not know L", id="last-day"),
        pytest.param("schedule", "0 0 1 13 *", "month, the fourth field", id="month-13"),
        pytest.param("schedule", "0 0 * * 7", "Sunday is 0 or sun", id="sunday-7"),
        pytest.param("schedule", "*/0 * * * *", "minute, the first field", id="step-zero"),
        pytest.param("schedule", "0 22-2 * * *", "22-23,0-2", id="range-backwards"),
        pytest.param("schedule", "0 0 * * fri-mon", "fri-sat,sun-mon", id="days-backwards"),
        pytest.param("schedule", "0 0 1 nov-feb *", "nov-dec,jan-feb", id="months-backwards"),
        pytest.param("timeZone", "Mars/Olympus", "such as Europe/Berlin", id="unknown-zone"),
        pytest.param("timeZone", "", "leave the field out", id="empty-zone"),
        pytest.param("timeZone", "Local", "offsets and Local are refused", id="local"),
        pytest.param("timeZone", "localtime", "offsets and Local are refused", id="localtime"),
        pytest.param("timeZone", "+02:00", "offsets and Local are refused", id="offset"),
        pytest.param("timeZone", "UTC+2", "such as Europe/Berlin", id="utc-offset"),
        pytest.param("startingDeadlineSeconds", 9, "write at least 10", id="short-deadline"),
        pytest.param("concurrencyPolicy", "Queue", '"Allow", "Forbid"', id="unknown-policy"),
        pytest.param("failedJobsHistoryLimit", -1, "greater than or equal to 0", id="limit"),
        pytest.param("jobTemplate", None, "spec.jobTemplate: Required", id="no-template"),
        pytest.param("tracking", {"sidecar": "On"}, '"Auto", "Always"', id="sidecar"),
        pytest.param("tracking", {"port": 80}, "greater than or equal to 1024", id="low-port"),
        pytest.param("tracking", {"port": 65536}, "less than or equal to 65535", id="high-port"),
        pytest.param("tracking", {"heartbeatInterval": "1s"}, "from 5s to 1h", id="fast-heart"),
        pytest.param("tracking", {"heartbeatInterval": "2h"}, "from 5s to 1h", id="slow-heart"),
        pytest.param("tracking", {"heartbeatInterval": "soon"}, "from 5s to 1h", id="no-heart"),
        pytest.param("rules", {"late": {"info": "5 min"}}, "such as 90s, 6h", id="duration"),
        pytest.param("rules", {"late": {"info": ""}}, "such as 90s, 6h", id="empty-duration"),
        pytest.param("rules", {"late": {"info": "0s"}}, "above zero", id="zero-duration"),
        pytest.param("rules", {"late": {"info": "1m1h"}}, "in this order", id="wrong-order"),
        pytest.param("rules", {"late": {"info": "auto"}}, "such as 90s, 6h", id="no-auto-here"),
        pytest.param("rules", {"stale": {"info": "3651d"}}, "at most 3650d", id="long-duration"),
        pytest.param("rules", {"stale": {"info": "never"}}, "write auto, or a", id="auto-or"),
        pytest.param("rules", {"missed": {"info": 0}}, "equal to 1", id="count-zero"),
        pytest.param("rules", {"missed": {"info": "1h"}}, "integer", id="count-as-duration"),
        pytest.param("rules", {"retrying": {"info": 2}}, 'unknown field "spec.rules', id="rule"),
        pytest.param("alerts", {"cooldown": "6 hours"}, "such as 90s, 6h", id="cooldown"),
        pytest.param("alerts", {"recoveryThreshold": 0}, "equal to 1", id="recovery-zero"),
        pytest.param("alerts", {"runbookURL": "wiki/x"}, "begins with https://", id="runbook"),
        pytest.param("alerts", {"channels": ["a", "a"]}, "Duplicate value", id="same-channel"),
        pytest.param("rules", {"errors": {"types": []}}, "at least 1 items", id="no-types"),
        pytest.param("rules", {"no_progress": {"info": "auto"}}, "such as 90s", id="still"),
        pytest.param("window", {}, "write concurrencyPolicy: Forbid", id="window-under-allow"),
        pytest.param("window", {"max": "0s"}, "above zero", id="window-of-nothing"),
        pytest.param(
            "rules",
            {"cannot_start": {"unschedulable": {"info": "auto"}}},
            "such as 90s",
            id="unschedulable",
        ),
        pytest.param("rules", {"failure_rate": {"info": 101}}, "equal to 100", id="percent"),
        pytest.param(
            "rules", {"failure_rate": {"window": "day"}}, "such as 90s", id="window-words"
        ),
        pytest.param(
            "rules",
            {"counter": {"counters": [{"name": "rows"}]}},
            "write min, maxPercentOf or deviates: true",
            id="counter-without-bound",
        ),
        pytest.param("retry", {"limit": 3}, 'unknown field "spec.retry"', id="unknown-field"),
    ],
)
async def test_a_refusal_says_what_to_write_instead(
    server: Server, field: str, value: object, advice: str
) -> None:
    with pytest.raises(errors.Refused) as refused:
        await server.job(**{field: value})
    assert advice in str(refused.value)


async def test_one_mistake_in_a_schedule_is_one_message(server: Server) -> None:
    for wrong in ("@every 5m", "TZ=UTC 0 3 * * *", "0 0 0 * * *", "0 0 * * 7", "0 22-2 * * *"):
        with pytest.raises(errors.Refused) as refused:
            await server.job(schedule=wrong)
        assert str(refused.value).count("spec.schedule") == 1, wrong


async def test_a_name_leaves_room_for_the_names_of_jobs(server: Server) -> None:
    assert await server.job("n" * 52)
    with pytest.raises(errors.Refused, match="at most 52 characters"):
        await server.job("n" * 53)


@pytest.mark.timeout(300)
async def test_schedules_are_judged_as_kubernetes_judges_them(server: Server) -> None:
    verdicts: dict[str, bool] = {}
    for line in VECTORS.read_text().splitlines():
        vector = json.loads(line)
        ours = vector["accepted"] and not vector["schedule"].startswith("@every")
        verdicts[vector["schedule"]] = ours
    gate = asyncio.Semaphore(AT_ONCE)

    async def judged(schedule: str) -> bool:
        async with gate:
            try:
                await server.job(schedule=schedule)
            except errors.Refused:
                return False
            return True

    said = await asyncio.gather(*(judged(schedule) for schedule in verdicts))
    wrong = [text for text, answer in zip(verdicts, said, strict=True) if answer != verdicts[text]]
    assert wrong == []


async def test_zones_are_those_that_kubernetes_knows(server: Server) -> None:
    zones = json.loads((ROOT / "tests/vectors/cron-zones.json").read_text())
    for zone in {*zones, "UTC", "Etc/GMT+12", "EST5EDT"}:
        assert (await server.job(timeZone=zone))["spec"]["timeZone"] == zone


async def test_jobs_are_found_by_what_they_say_of_suspension(
    server: Server, kube: client.KubeClient, namespace: kubes.Place
) -> None:
    path = namespace.tracked()
    judged = await server.job(suspend=True)
    await kube.create(path, {**judged, "metadata": {"name": "sleeping"}})
    found = [body async for body in kube.list(path, fieldSelector="spec.suspend=true")]
    assert [body["metadata"]["name"] for body in found] == ["sleeping"]
    assert [body async for body in kube.list(path, fieldSelector="spec.suspend=false")] == []


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"webhook": {"url": "http://receiver.demo.svc:8080/hook"}}, id="webhook"),
        pytest.param(
            {
                "webhook": {
                    "urlSecretRef": {"name": "a.b-c", "key": "url"},
                    "signingSecretRef": {"name": "a", "key": "KEY_1"},
                    "format": "rollcall",
                },
                "severities": ["info", "warning", "critical"],
                "kinds": [kind.value for kind in policies.Kind],
                "suspend": True,
            },
            id="webhook-with-secrets",
        ),
        pytest.param(
            {
                "slack": {"webhookURLSecretRef": {"name": "slack", "key": "url"}},
                "namespaceSelector": {"matchLabels": {"team": "data"}},
                "cronjobSelector": {
                    "matchExpressions": [
                        {"key": "example.com/tier", "operator": "In", "values": ["gold"]},
                        {"key": "old", "operator": "DoesNotExist"},
                    ]
                },
            },
            id="slack-with-selectors",
        ),
        pytest.param(
            {
                "slack": {
                    "botTokenSecretRef": {"name": "slack", "key": "token"},
                    "channel": "C0123456789",
                    "url": "https://slack-gov.com/api",
                }
            },
            id="slack-bot",
        ),
        pytest.param(
            {
                "pagerDuty": {
                    "routingKeySecretRef": {"name": "pagerduty", "key": "routing-key"},
                    "url": "https://events.eu.pagerduty.com/v2/enqueue",
                },
            },
            id="pagerduty",
        ),
        pytest.param(
            {"alertmanager": {"url": "http://alertmanager.monitoring.svc:9093"}}, id="alertmanager"
        ),
        pytest.param(
            {
                "email": {
                    "from": "Rollcall <rollcall@example.com>",
                    "to": ["team@example.com", "Boss <boss@example.com>"],
                    "host": "smtp.example.com",
                    "security": "TLS",
                    "username": "rollcall",
                    "passwordSecretRef": {"name": "smtp", "key": "password"},
                }
            },
            id="smtp",
        ),
        pytest.param(
            {
                "email": {
                    "from": "rollcall@example.com",
                    "to": ["team@example.com"],
                    "resendKeySecretRef": {"name": "resend", "key": "key"},
                }
            },
            id="resend",
        ),
        pytest.param(
            {
                "webhook": {"url": "https://a.example", "format": "teams"},
                "templates": {"title": "[{{ cluster }}] {{ headline }}", "body": "{{ story }}\n"},
            },
            id="templates",
        ),
    ],
)
async def test_a_channel_is_stored_as_written(server: Server, spec: Object) -> None:
    assert (await server.channel(**spec))["spec"] == spec


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        pytest.param({}, "exactly one of webhook, slack", id="nothing"),
        pytest.param(
            {
                "webhook": {"url": "https://a.example"},
                "slack": {"webhookURLSecretRef": {"name": "a", "key": "b"}},
            },
            "exactly one of webhook, slack",
            id="both",
        ),
        pytest.param(
            {"webhook": {"url": "https://a.example", "format": "matrix"}},
            '"rollcall", "slack", "discord", "teams"',
            id="format",
        ),
        pytest.param({"webhook": {}}, "exactly one of url and urlSecretRef", id="no-address"),
        pytest.param({"webhook": {"url": "ftp://a.example"}}, "begins with https://", id="ftp"),
        pytest.param({"webhook": {"url": "https://"}}, "begins with https://", id="no-host"),
        pytest.param(
            {"webhook": {"urlSecretRef": {"name": "team/a", "key": "url"}}},
            "write the name of a Secret",
            id="secret-elsewhere",
        ),
        pytest.param(
            {"webhook": {"urlSecretRef": {"name": "a", "key": ""}}},
            "write a key of the Secret",
            id="no-key",
        ),
        pytest.param(
            {"slack": {"webhookURL": "https://hooks.example"}},
            'unknown field "spec.slack.webhookURL"',
            id="slack-address-in-the-open",
        ),
        pytest.param(
            {"slack": {}}, "exactly one of botTokenSecretRef and webhookURLSecretRef", id="slack"
        ),
        pytest.param(
            {
                "slack": {
                    "webhookURLSecretRef": {"name": "a", "key": "b"},
                    "botTokenSecretRef": {"name": "a", "key": "c"},
                    "channel": "#alerts",
                }
            },
            "exactly one of botTokenSecretRef and webhookURLSecretRef",
            id="slack-two-ways",
        ),
        pytest.param(
            {"slack": {"botTokenSecretRef": {"name": "a", "key": "b"}}},
            "write channel with botTokenSecretRef, and only with it",
            id="slack-bot-without-channel",
        ),
        pytest.param(
            {"slack": {"botTokenSecretRef": {"name": "a", "key": "b"}, "channel": "team data"}},
            "write the channel's ID, or its name such as #alerts",
            id="slack-channel-with-a-space",
        ),
        pytest.param({"pagerDuty": {}}, "routingKeySecretRef", id="pagerduty-without-key"),
        pytest.param(
            {"alertmanager": {}},
            "exactly one of url and urlSecretRef",
            id="alertmanager-without-address",
        ),
        pytest.param(
            {"email": MAIL}, "exactly one of host, for an SMTP server,", id="mail-without-server"
        ),
        pytest.param(
            {"email": MAIL | {"host": "a.example", "username": "me"}},
            "write username and passwordSecretRef",
            id="mail-without-password",
        ),
        pytest.param(
            {"email": MAIL | {"host": "a.example", "to": ["team"]}},
            "write an address such as",
            id="mail-to-nobody",
        ),
        pytest.param(
            {"email": MAIL | {"resendKeySecretRef": {"name": "a", "key": "b"}, "port": 25}},
            "for an SMTP server only",
            id="resend-with-a-port",
        ),
        pytest.param(
            {"webhook": {"url": "https://a.example"}, "severities": ["fatal"]},
            '"info", "warning", "critical"',
            id="severity",
        ),
        pytest.param(
            {"webhook": {"url": "https://a.example"}, "kinds": ["odd"]},
            '"late", "missed"',
            id="kind",
        ),
        pytest.param(
            {
                "webhook": {"url": "https://a.example"},
                "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]},
            },
            "write values for In and NotIn",
            id="selector-without-values",
        ),
        *(
            pytest.param(
                kind | {"templates": {"title": "x"}},
                "write templates for what people read",
                id=name,
            )
            for name, kind in {
                "templates-for-a-program": {"webhook": {"url": "https://a.example"}},
                "templates-for-an-alertmanager": {"alertmanager": {"url": "https://a.example"}},
            }.items()
        ),
        pytest.param(
            {"webhook": {"url": "https://a.example", "format": "slack"}, "templates": {}},
            "write title, body or both",
            id="no-template",
        ),
        pytest.param(
            {
                "webhook": {"url": "https://a.example", "format": "slack"},
                "templates": {"body": "x" * 4097},
            },
            "may not be more than 4096",
            id="long-template",
        ),
    ],
)
async def test_a_refused_channel_is_told_what_to_write(
    server: Server, spec: Object, advice: str
) -> None:
    with pytest.raises(errors.Refused) as refused:
        await server.channel(**spec)
    assert advice in str(refused.value)
