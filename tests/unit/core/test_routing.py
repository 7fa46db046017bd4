"""Which channels are told."""

from typing import Any

import pytest

from rollcall.core import errors, routing
from rollcall.core.policies import Kind, Severity
from rollcall.core.routing import Channel, Subject

LABELS = {"team": "shop", "tier": "gold"}


def subject(wanted: tuple[str, ...] | None = None) -> Subject:
    return Subject(labels=LABELS, namespace_labels={"env": "live"}, wanted=wanted)


def told(*channels: Channel, wanted: tuple[str, ...] | None = None) -> list[str]:
    asked = subject(wanted)
    return routing.select(channels, asked, kind=Kind.MISSED, severity=Severity.WARNING)


@pytest.mark.parametrize(
    ("expression", "selects"),
    [
        ({"key": "team", "operator": "In", "values": ["shop", "x"]}, True),
        ({"key": "absent", "operator": "In", "values": ["shop"]}, False),
        ({"key": "team", "operator": "NotIn", "values": ["shop"]}, False),
        ({"key": "absent", "operator": "NotIn", "values": ["shop"]}, True),
        ({"key": "team", "operator": "Exists"}, True),
        ({"key": "absent", "operator": "Exists"}, False),
        ({"key": "team", "operator": "DoesNotExist"}, False),
        ({"key": "absent", "operator": "DoesNotExist"}, True),
    ],
    ids=lambda value: (
        str(value) if isinstance(value, bool) else f"{value['operator']}-{value['key']}"
    ),
)
def test_an_expression_selects_as_kubernetes_does(
    expression: dict[str, Any],
    selects: bool,
) -> None:
    selector = routing.read_selector({"matchExpressions": [expression]})
    assert selector.selects(LABELS) is selects


def test_all_requirements_must_hold() -> None:
    assert routing.read_selector({"matchLabels": LABELS}).selects(LABELS)
    assert not routing.read_selector({"matchLabels": LABELS | {"a": "b"}}).selects(LABELS)


def test_an_absent_selector_selects_everything() -> None:
    assert routing.read_selector(None).selects({})


def test_an_unknown_operator_is_an_error() -> None:
    selector = routing.read_selector({"matchExpressions": [{"key": "a", "operator": "Near"}]})
    with pytest.raises(errors.InvalidSpec, match="Near: write In"):
        selector.selects(LABELS)


NOT_LIVE = routing.read_selector({"matchLabels": {"env": "test"}})


@pytest.mark.parametrize(
    "channel",
    [
        Channel(name="b", suspended=True),
        Channel(name="b", severities=frozenset({Severity.CRITICAL})),
        Channel(name="b", kinds=frozenset({Kind.FAILING})),
        Channel(name="b", namespaces=NOT_LIVE),
        Channel(name="b", cronjobs=NOT_LIVE),
    ],
    ids=["suspended", "severity", "kind", "namespace", "job"],
)
def test_a_channel_that_does_not_want_it_is_not_told(channel: Channel) -> None:
    assert told(channel, Channel(name="a")) == ["a"]


def test_a_job_names_its_channels_and_without_names_has_all() -> None:
    channels = [Channel(name="b"), Channel(name="a")]
    assert told(*channels) == ["a", "b"]
    assert told(*channels, wanted=("b",)) == ["b"]
    assert told(*channels, wanted=()) == []


def test_each_wanted_channel_that_cannot_be_used_is_named() -> None:
    channels = [Channel(name="a"), Channel(name="b", namespaces=NOT_LIVE)]
    assert routing.refused(channels, subject(("a", "b", "c"))) == [
        "AlertChannel b does not select this job",
        "AlertChannel c does not exist",
    ]
    assert routing.refused(channels, subject()) == []


def test_what_is_true_of_all_jobs_is_told_whichever_of_them_a_channel_selects() -> None:
    channels = [
        Channel(name="gold", cronjobs=routing.read_selector({"matchLabels": {"tier": "gold"}})),
        Channel(name="off", suspended=True),
        Channel(name="missed", kinds=frozenset({Kind.MISSED})),
        Channel(name="infos", severities=frozenset({Severity.INFO})),
        Channel(name="all"),
    ]
    told = routing.select_all(channels, kind=Kind.BLIND, severity=Severity.CRITICAL)
    assert told == ["all", "gold"]
