"""AlertChannels against an API server in memory: routing, Secrets, senders, status."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import pytest

from rollcall.cluster import channels, client
from rollcall.core import errors, policies
from rollcall.services import deliver, ports
from support import clocks

NAMESPACE = "rollcall-system"
WEBHOOK: client.Object = {"webhook": {"url": "https://hooks.test/a"}}
BY_SECRET: client.Object = {"slack": {"webhookURLSecretRef": {"name": "slack", "key": "url"}}}
DELIVERED = ports.Delivery(delivered=True)
FAILED = ports.Delivery(delivered=False, error="hooks.test answered 500")
REFUSED = ports.Delivery(delivered=False, permanent=True, error="hooks.test answered 404")
NOTIFICATION = ports.Notification(
    id=1,
    incident_id=UUID(int=1),
    channel="team",
    key="key",
    type="incident.opened",
    payload={},
    attempts=0,
    created_at=clocks.START,
)


@dataclass
class FakeApi:
    """Objects by path; merge patches of a status are kept in the order they came."""

    objects: dict[str, client.Object] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    patches: list[tuple[str, client.Object]] = field(default_factory=list)
    fault: errors.RollcallError | None = None

    async def get(self, path: str) -> client.Object:
        self.reads.append(path)
        if self.fault:
            raise self.fault
        if path not in self.objects:
            raise errors.NotFound(path)
        return self.objects[path]

    async def merge(self, path: str, body: client.Object) -> client.Object:
        if self.fault:
            raise self.fault
        self.patches.append((path, body["status"]))
        return body

    def secret(self, name: str, **values: str | bytes) -> None:
        self.objects[f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}"] = {
            "data": {
                key: base64.b64encode(
                    value if isinstance(value, bytes) else value.encode()
                ).decode()
                for key, value in values.items()
            }
        }


@dataclass
class FakeSender:
    """Remembers what it was built from."""

    kind: str
    config: dict[str, str]
    templates: dict[str, str]

    async def send(self, notification: ports.Notification) -> ports.Delivery:
        return ports.Delivery(delivered=True, detail={"key": notification.key, **self.config})


@dataclass
class World:
    api: FakeApi
    clock: clocks.Clock
    channels: channels.Channels

    async def after(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        await self.channels.tick()

    async def config(self, channel: str = "team") -> dict[str, str]:
        sender = await self.channels.sender(channel)
        assert isinstance(sender, FakeSender)
        return sender.config

    def status(self) -> client.Object:
        return self.api.patches[-1][1]

    def ready(self) -> tuple[str, str, str]:
        (condition,) = self.status()["conditions"]
        return condition["status"], condition["reason"], condition["message"]

    def told(
        self,
        wanted: list[str] | None = None,
        severity: policies.Severity = policies.Severity.CRITICAL,
        kind: policies.Kind = policies.Kind.FAILING,
    ) -> list[str]:
        return list(
            self.channels.channels_for("shop", "job", kind=kind, severity=severity, wanted=wanted)
        )


def build(api: FakeApi, clock: clocks.Clock) -> channels.Channels:
    def factory(kind: str) -> channels.Factory:
        def make(config: Mapping[str, str], templates: Mapping[str, str]) -> ports.Sender:
            if "nonsense" in config.values():
                raise errors.InvalidSpec("InvalidURL", f"{kind}: write an address")
            if "{{" in templates.values():
                raise errors.InvalidSpec(ports.INVALID_TEMPLATES, "templates.title, line 1: odd")
            return FakeSender(kind, dict(config), dict(templates))

        return make

    return channels.Channels(
        api=api,
        namespace=NAMESPACE,
        factories={kind: factory(kind) for kind in ("webhook", "slack")},
        clock=clock,
        monotonic=lambda: clock().timestamp(),
    )


@pytest.fixture
def world() -> World:
    api, clock = FakeApi(), clocks.Clock()
    return World(api, clock, build(api, clock))


def body(
    spec: client.Object,
    name: str = "team",
    *,
    generation: int = 1,
    status: client.Object | None = None,
    uid: str = "uid-1",
) -> client.Object:
    metadata = {"name": name, "uid": uid, "generation": generation}
    return {"metadata": metadata, "spec": spec} | ({"status": status} if status else {})


# Routing.


def test_a_job_that_names_no_channel_gets_every_one_that_selects_it(world: World) -> None:
    world.channels.put_namespace({"metadata": {"name": "shop", "labels": {"team": "data"}}})
    world.channels.put_job("shop", "job", {"tier": "gold"})
    selectors: dict[str, client.Object] = {
        "all": {},
        "namespace": {"namespaceSelector": {"matchLabels": {"team": "data"}}},
        "other-namespace": {"namespaceSelector": {"matchLabels": {"team": "ops"}}},
        "job": {"cronjobSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}},
        "other-job": {
            "cronjobSelector": {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}
        },
        "suspended": {"suspend": True},
        "info-only": {"severities": ["info"]},
        "missed-only": {"kinds": ["missed"]},
    }
    for name, selector in selectors.items():
        world.channels.put(body(WEBHOOK | selector, name))
    assert world.told() == ["all", "job", "namespace"]
    assert world.told(severity=policies.Severity.INFO) == ["info-only"]
    assert world.told(kind=policies.Kind.MISSED) == ["all", "job", "missed-only", "namespace"]
    assert world.told(["all", "other-job"]) == ["all"]
    assert world.told([]) == []


def test_labels_that_change_or_go_change_the_routing(world: World) -> None:
    spec = WEBHOOK | {
        "namespaceSelector": {"matchLabels": {"team": "data"}},
        "cronjobSelector": {"matchLabels": {"tier": "gold"}},
    }
    world.channels.put(body(spec))
    assert world.told() == []
    namespace = {"metadata": {"name": "shop", "labels": {"team": "data"}}}
    world.channels.put_namespace(namespace)
    world.channels.put_job("shop", "job", {"tier": "gold"})
    assert world.told() == ["team"]
    world.channels.remove_job("shop", "job")
    assert world.told() == []
    world.channels.put_job("shop", "job", {"tier": "gold"})
    world.channels.remove_namespace("shop")
    assert world.told() == []
    world.channels.put_namespace(namespace)
    world.channels.remove("team")
    assert world.told() == []


def test_each_wanted_channel_that_cannot_be_used_has_its_sentence(world: World) -> None:
    world.channels.put(body(WEBHOOK, "fine"))
    world.channels.put(
        body(WEBHOOK | {"cronjobSelector": {"matchLabels": {"tier": "gold"}}}, "picky")
    )
    world.channels.put(body({}, "broken"))
    wanted = ["fine", "picky", "broken", "absent"]
    assert world.channels.refused("shop", "job", wanted) == [
        "AlertChannel picky does not select this job",
        "AlertChannel absent does not exist",
        "AlertChannel broken is not valid",
    ]
    assert world.channels.refused("shop", "job", None) == []


async def test_a_channel_without_its_secret_is_still_told(world: World) -> None:
    world.channels.put(body(BY_SECRET))
    await world.channels.tick()
    assert world.told() == ["team"]


def test_the_labels_of_a_job_are_known_while_it_exists(world: World) -> None:
    assert world.channels.labels_of("shop", "job") == {}
    world.channels.put_job("shop", "job", {"tier": "gold"})
    assert world.channels.labels_of("shop", "job") == {"tier": "gold"}
    world.channels.remove_job("shop", "job")
    assert world.channels.labels_of("shop", "job") == {}


async def test_channels_of_a_kind_are_those_that_are_valid_and_not_suspended(world: World) -> None:
    world.channels.put(body(WEBHOOK, "good"))
    world.channels.put(body(WEBHOOK | {"suspend": True}, "suspended"))
    world.channels.put(body(WEBHOOK | {"kinds": ["odd"]}, "broken"))
    world.channels.put(body(BY_SECRET, "slack"))
    assert world.channels.of_kinds(frozenset({"webhook"})) == ["good"]


# Bodies that a person must mend.


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        pytest.param(
            {}, "InvalidChannel", "spec: write exactly one of slack or webhook", id="no-kind"
        ),
        pytest.param(
            WEBHOOK | BY_SECRET,
            "InvalidChannel",
            "spec: write exactly one of slack or webhook",
            id="two-kinds",
        ),
        pytest.param(
            {"webhook": {"url": "https://a", "urlSecretRef": {"name": "a", "key": "b"}}},
            "InvalidChannel",
            "webhook: write either url or urlSecretRef",
            id="value-and-reference",
        ),
        pytest.param(
            {"slack": {"webhookURLSecretRef": {"name": "../configmaps/x", "key": "b"}}},
            "InvalidChannel",
            "slack.webhookURLSecretRef: write the name of a Secret and one of its keys",
            id="path-in-a-secret-name",
        ),
        pytest.param(
            {"slack": {"webhookURLSecretRef": {"name": "a"}}},
            "InvalidChannel",
            "slack.webhookURLSecretRef: write the name of a Secret and one of its keys",
            id="no-key",
        ),
        pytest.param(
            WEBHOOK | {"severities": ["fatal"]},
            "InvalidChannel",
            "severities: fatal: known are info, warning, critical",
            id="severity",
        ),
        pytest.param(
            WEBHOOK | {"kinds": ["odd"]},
            "InvalidChannel",
            f"kinds: odd: known are {', '.join(policies.Kind)}",
            id="kind",
        ),
        pytest.param(
            WEBHOOK | {"cronjobSelector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}},
            "InvalidSelector",
            "cronjobSelector: Like: write In, NotIn, Exists or DoesNotExist",
            id="operator",
        ),
        pytest.param(
            WEBHOOK | {"namespaceSelector": {"matchExpressions": [{"operator": "In"}]}},
            "InvalidSelector",
            "namespaceSelector: not a label selector",
            id="no-label",
        ),
        pytest.param(
            {"webhook": {"url": "nonsense"}},
            "InvalidURL",
            "webhook: write an address",
            id="address",
        ),
    ],
)
async def test_a_body_that_cannot_be_used_says_why_and_holds_its_messages_back(
    world: World, spec: client.Object, reason: str, message: str
) -> None:
    world.channels.put(body(spec))
    await world.channels.tick()
    assert world.ready() == ("False", reason, message)
    with pytest.raises(errors.InvalidSpec) as refused:
        await world.channels.sender("team")
    assert (refused.value.reason, str(refused.value)) == (reason, message)


async def test_a_mended_body_is_ready_again(world: World) -> None:
    world.channels.put(body({}))
    await world.channels.tick()
    world.channels.put(body(WEBHOOK, generation=2))
    await world.after(5)
    assert world.ready()[0] == "True"
    assert world.status()["observedGeneration"] == 2
    assert world.told() == ["team"]


# Templates.


async def templates_of(world: World) -> dict[str, str]:
    sender = await world.channels.sender("team")
    assert isinstance(sender, FakeSender)
    return sender.templates


async def test_a_channel_is_built_with_its_templates(world: World) -> None:
    templates = {"title": "{{ headline }}", "body": "{{ story }}"}
    world.channels.put(body(WEBHOOK | {"templates": templates}))
    assert await templates_of(world) == templates
    await world.channels.tick()
    assert world.ready()[:2] == ("True", "Configured")
    assert world.channels.problem("team") is None


async def test_with_broken_templates_it_is_not_ready_and_told_all_the_same(world: World) -> None:
    world.channels.put(body(WEBHOOK | {"templates": {"title": "{{"}}))
    await world.channels.tick()
    assert world.ready() == ("False", "InvalidTemplates", "templates.title, line 1: odd")
    assert world.told() == ["team"]
    assert world.channels.refused("shop", "job", ["team"]) == []
    assert await templates_of(world) == {}
    problem = world.channels.problem("team")
    assert problem is not None
    assert problem.reason == ports.INVALID_TEMPLATES


async def test_mended_templates_are_used_and_the_channel_is_ready(world: World) -> None:
    world.channels.put(body(WEBHOOK | {"templates": {"title": "{{"}}))
    await world.channels.tick()
    world.channels.put(body(WEBHOOK | {"templates": {"title": "fine"}}, generation=2))
    await world.after(5)
    assert world.ready()[0] == "True"
    assert await templates_of(world) == {"title": "fine"}


async def test_what_keeps_it_from_sending_counts_before_its_templates(world: World) -> None:
    world.channels.put(body(BY_SECRET | {"templates": {"title": "{{"}}))
    await world.channels.tick()
    assert world.ready()[1] == "SecretNotFound"
    world.channels.put(body({"webhook": {"url": "nonsense"}, "templates": {"title": "x"}}, "other"))
    with pytest.raises(errors.InvalidSpec, match="write an address"):
        await world.channels.sender("other")


def test_of_a_channel_that_is_not_known_no_problem_is_known(world: World) -> None:
    assert world.channels.problem("other") is None


# Secrets.


async def test_references_become_the_values_of_their_secrets(world: World) -> None:
    world.api.secret("hook", url=" https://hooks.test/b\n", key="whsec_eA==\n")
    spec = {
        "webhook": {
            "urlSecretRef": {"name": "hook", "key": "url"},
            "signingSecretRef": {"name": "hook", "key": "key"},
        }
    }
    world.channels.put(body(spec))
    assert await world.config() == {"url": "https://hooks.test/b", "signing": "whsec_eA=="}
    assert world.api.reads == [f"/api/v1/namespaces/{NAMESPACE}/secrets/hook"]


async def test_a_rotated_secret_is_used_within_half_a_minute(world: World) -> None:
    world.api.secret("slack", url="https://hooks.test/old")
    world.channels.put(body(BY_SECRET))
    assert await world.config() == {"webhookURL": "https://hooks.test/old"}
    world.api.secret("slack", url="https://hooks.test/new")
    world.clock.advance(timedelta(seconds=29))
    assert await world.config() == {"webhookURL": "https://hooks.test/old"}
    world.clock.advance(timedelta(seconds=1))
    assert await world.config() == {"webhookURL": "https://hooks.test/new"}


async def test_a_missing_secret_is_named_and_heals_when_it_appears(world: World) -> None:
    world.channels.put(body(BY_SECRET))
    await world.channels.tick()
    missing = "Secret slack in namespace rollcall-system does not exist"
    assert world.ready() == ("False", "SecretNotFound", missing)
    with pytest.raises(errors.InvalidSpec, match=missing):
        await world.channels.sender("team")
    world.api.secret("slack", other="x")
    await world.after(30)
    assert world.ready()[2] == "Secret slack in namespace rollcall-system has no key url"
    world.api.secret("slack", url="https://hooks.test/a")
    await world.after(29)
    assert world.ready()[0] == "False"
    await world.after(1)
    assert world.ready() == ("True", "Configured", "settings and Secrets are readable")


@pytest.mark.parametrize(
    "value", [pytest.param("  \n", id="empty"), pytest.param(b"\xff\xfe", id="binary")]
)
async def test_a_value_that_is_no_text_is_refused(world: World, value: str | bytes) -> None:
    world.api.secret("slack", url=value)
    world.channels.put(body(BY_SECRET))
    await world.channels.tick()
    assert world.ready()[1:] == (
        "InvalidSecret",
        "Secret slack in namespace rollcall-system: key url is empty or not UTF-8 text",
    )


async def test_a_secret_that_may_not_be_read_is_said_so(world: World) -> None:
    world.channels.put(body(BY_SECRET))
    world.api.fault = errors.Refused("secrets is forbidden", status=403)
    with pytest.raises(errors.InvalidSpec) as refused:
        await world.channels.sender("team")
    assert refused.value.reason == "SecretForbidden"


async def test_an_api_server_that_is_away_says_nothing_about_the_channel(world: World) -> None:
    world.channels.put(body(BY_SECRET))
    world.api.fault = errors.ClusterUnavailable("no answer")
    await world.channels.tick()
    with pytest.raises(errors.ClusterUnavailable):
        await world.channels.sender("team")
    world.api.fault = None
    world.api.secret("slack", url="https://hooks.test/a")
    await world.after(30)
    assert [status["conditions"][0]["status"] for _, status in world.api.patches] == ["True"]


async def test_a_deleted_secret_of_a_quiet_channel_shows_within_five_minutes(world: World) -> None:
    world.api.secret("slack", url="https://hooks.test/a")
    world.channels.put(body(BY_SECRET))
    await world.channels.tick()
    world.api.objects.clear()
    await world.after(300)
    assert world.ready()[:2] == ("False", "SecretNotFound")


# Senders.


async def test_a_channel_that_the_watch_has_not_brought_yet_is_read(world: World) -> None:
    world.api.objects[f"{channels.PATH}/team"] = body(WEBHOOK)
    assert await world.config() == {"url": "https://hooks.test/a"}


async def test_a_deleted_channel_has_no_sender(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    world.channels.remove("team")
    assert await world.channels.sender("team") is None


async def test_a_channel_is_not_taken_for_deleted_while_we_may_not_look(world: World) -> None:
    world.api.fault = errors.Refused("forbidden", status=403)
    with pytest.raises(errors.ClusterUnavailable):
        await world.channels.sender("team")


async def test_a_suspended_channel_is_ready_and_sends_nothing(world: World) -> None:
    world.channels.put(body(WEBHOOK | {"suspend": True}))
    await world.channels.tick()
    assert world.ready() == ("True", "Suspended", "nothing is sent")
    with pytest.raises(errors.InvalidSpec) as refused:
        await world.channels.sender("team")
    assert refused.value.reason == deliver.SUSPENDED


async def test_the_sender_is_of_the_kind_that_the_spec_names(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    sender = await world.channels.sender("team")
    assert isinstance(sender, FakeSender)
    assert sender.kind == "webhook"
    answer = await sender.send(NOTIFICATION)
    assert answer.detail == {"key": "key", "url": "https://hooks.test/a"}


# Status.


async def test_what_was_sent_is_counted_and_dated(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    world.channels.report("team", DELIVERED, clocks.START)
    world.channels.report("team", FAILED, clocks.START + timedelta(seconds=9))
    await world.channels.tick()
    assert world.api.patches == [
        (
            f"{channels.PATH}/team/status",
            {
                "observedGeneration": 1,
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "Configured",
                        "message": "settings and Secrets are readable",
                        "observedGeneration": 1,
                        "lastTransitionTime": "2026-03-02T12:00:00Z",
                    }
                ],
                "delivered": 1,
                "failed": 1,
                "lastDeliveryTime": "2026-03-02T12:00:00Z",
                "lastError": {"time": "2026-03-02T12:00:09Z", "message": "hooks.test answered 500"},
            },
        )
    ]


async def test_a_pause_that_was_asked_for_is_no_failure(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    paused = replace(FAILED, retry_after=timedelta(seconds=5), error="hooks.test answered 429")
    world.channels.report("team", paused, clocks.START)
    await world.channels.tick()
    assert world.status()["failed"] == 0
    assert world.status()["lastError"]["message"] == "hooks.test answered 429"


async def test_a_refusal_shows_until_something_is_delivered(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    await world.channels.tick()
    world.channels.report("team", REFUSED, world.clock())
    await world.after(5)
    assert world.ready() == ("False", "DeliveryRefused", "hooks.test answered 404")
    assert world.status()["conditions"][0]["lastTransitionTime"] == "2026-03-02T12:00:05Z"
    world.channels.report("team", FAILED, world.clock())
    await world.after(5)
    assert world.ready()[1] == "DeliveryRefused"
    world.channels.report("team", DELIVERED, world.clock())
    await world.after(5)
    assert world.ready()[0] == "True"


async def test_a_refusal_is_forgotten_with_the_spec_or_the_secret_that_it_was_about(
    world: World,
) -> None:
    world.api.secret("slack", url="https://hooks.test/old")
    world.channels.put(body(BY_SECRET))
    await world.channels.tick()
    world.channels.report("team", REFUSED, world.clock())
    await world.after(5)
    assert world.ready()[1] == "DeliveryRefused"
    world.api.secret("slack", url="https://hooks.test/new")
    await world.after(300)
    assert world.ready()[0] == "True"
    world.channels.report("team", REFUSED, world.clock())
    await world.after(5)
    assert world.ready()[1] == "DeliveryRefused"
    world.channels.put(body(BY_SECRET | {"severities": ["critical"]}, generation=2))
    await world.after(5)
    assert world.ready()[0] == "True"


async def test_at_most_one_write_in_five_seconds_and_none_without_a_change(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    for _ in range(20):
        world.channels.report("team", DELIVERED, world.clock())
        await world.after(0.5)
    assert [status["delivered"] for _, status in world.api.patches] == [1, 11]
    for _ in range(60):
        await world.after(1)
    assert len(world.api.patches) == 3
    assert world.status()["delivered"] == 20


async def test_a_restart_writes_nothing_and_goes_on_counting(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    world.channels.report("team", DELIVERED, world.clock())
    world.channels.report("team", REFUSED, world.clock())
    await world.channels.tick()
    status = world.status()
    api = FakeApi()
    successor = World(api, world.clock, build(api, world.clock))
    successor.channels.put(body(WEBHOOK, status=status))
    await successor.after(3600)
    assert api.patches == []
    successor.channels.report("team", DELIVERED, world.clock())
    await successor.after(5)
    assert (successor.status()["delivered"], successor.status()["failed"]) == (2, 1)
    assert successor.ready()[0] == "True"


async def test_the_echo_of_our_own_status_changes_nothing(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    world.channels.report("team", DELIVERED, world.clock())
    await world.channels.tick()
    world.channels.report("team", DELIVERED, world.clock())
    world.channels.put(body(WEBHOOK, status=world.status()))
    await world.after(5)
    assert world.status()["delivered"] == 2


async def test_the_echo_of_our_own_status_reads_no_secret_again(world: World) -> None:
    world.api.secret("slack", url="https://hooks.test/a")
    world.channels.put(body(BY_SECRET))
    await world.channels.tick()
    await world.after(60)
    world.channels.put(body(BY_SECRET, status=world.status()))
    await world.after(1)
    assert len(world.api.reads) == 1


async def test_a_spec_that_is_edited_again_and_again_does_not_make_more_writes(
    world: World,
) -> None:
    for generation in range(1, 11):
        world.channels.put(body(WEBHOOK, generation=generation))
        await world.after(0.5)
    assert [status["observedGeneration"] for _, status in world.api.patches] == [1]
    await world.after(0.5)
    assert world.status()["observedGeneration"] == 10


async def test_a_channel_made_anew_under_the_same_name_begins_at_zero(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    world.channels.report("team", DELIVERED, world.clock())
    world.channels.put(body(WEBHOOK, uid="uid-2"))
    await world.channels.tick()
    assert world.status()["delivered"] == 0


async def test_a_status_that_could_not_be_written_is_written_later(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    world.api.fault = errors.ClusterUnavailable("no answer")
    await world.channels.tick()
    assert world.api.patches == []
    world.api.fault = None
    await world.after(29)
    assert world.api.patches == []
    await world.after(1)
    assert world.ready()[0] == "True"


async def test_a_channel_that_is_gone_when_its_status_is_written_is_forgotten(world: World) -> None:
    world.channels.put(body(WEBHOOK))
    world.api.fault = errors.NotFound("gone")
    await world.channels.tick()
    assert world.told() == []


async def test_the_loop_outlives_a_mistake(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "TICK", timedelta())
    world.channels.put(body(WEBHOOK))
    world.api.fault = errors.RollcallError("nobody expects this here")
    task = asyncio.create_task(world.channels.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert world.api.patches == []
    world.api.fault = None
    for _ in range(100):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.ready()[0] == "True"


async def test_no_secret_shows_in_a_status(world: World) -> None:
    world.api.secret("slack", url="nonsense", other="x")
    world.channels.put(body(BY_SECRET))
    await world.channels.tick()
    assert world.ready()[1] == "InvalidURL"
    assert "nonsense" not in str(world.api.patches)


async def test_who_of_several_was_not_reached_is_shown_although_the_message_was_taken(
    world: World,
) -> None:
    world.channels.put(body(WEBHOOK))
    partly = ports.Delivery(delivered=True, error="bob@example.com: 550 no such user")
    world.channels.report("team", partly, world.clock.now)
    await world.after(5)
    status = world.status()
    assert (status["delivered"], status["failed"]) == (1, 0)
    assert status["lastError"]["message"] == "bob@example.com: 550 no such user"
    assert world.ready()[0] == "True"


async def test_it_says_what_keeps_which_channel_from_being_ready_and_since_when(
    world: World,
) -> None:
    world.channels.put(body(BY_SECRET, "bare"))
    world.channels.put(body(WEBHOOK, "well"))
    world.channels.put(body(BY_SECRET | {"suspend": True}, "off"))
    await world.after(0)
    began = world.clock()
    await world.after(60)
    found = world.channels.readiness()
    assert found.keys() == {"bare", "well"}
    assert found["well"] is None
    assert found["bare"]
    assert found["bare"].since == began
    assert "slack" in found["bare"].why


async def test_a_channel_that_refused_for_good_is_not_ready_until_it_takes_a_message(
    world: World,
) -> None:
    world.channels.put(body(WEBHOOK))
    await world.after(0)
    world.channels.report("team", REFUSED, world.clock())
    unready = world.channels.readiness()["team"]
    assert unready
    assert unready.why == REFUSED.error
    world.channels.report("team", DELIVERED, world.clock())
    assert world.channels.readiness()["team"] is None


async def test_before_it_was_checked_what_the_process_before_said_of_a_channel_counts(
    world: World,
) -> None:
    said = {
        "type": "Ready",
        "status": "False",
        "reason": "DeliveryRefused",
        "message": "hooks.test answered 404",
        "lastTransitionTime": "2026-03-02T11:00:00Z",
    }
    status = {"observedGeneration": 1, "conditions": [said]}
    world.channels.put(body(WEBHOOK, status=status))
    unready = world.channels.readiness()["team"]
    assert unready
    assert (unready.since.hour, unready.why) == (11, "hooks.test answered 404")
    world.channels.put(body(WEBHOOK, "new"))
    assert world.channels.readiness()["new"] is None
