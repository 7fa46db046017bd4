"""The schemas say what the code that reads the objects says; generated files are up to date."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from rollcall.cluster import channel_specs, paths
from rollcall.core import (
    counters,
    durations,
    health,
    maintenance,
    names,
    pacing,
    policies,
    reporting,
    routing,
    rule_specs,
    tracking,
    windows,
)
from rollcall.notify import http, registry, templating
from rollcall.notify.email import addresses, resend, smtp
from rollcall.notify.slack import bot
from rollcall.notify.webhook import channel as webhook
from support import clocks, definitions

Object = dict[str, Any]

PLURALS = ("trackedcronjobs", "alertchannels")
NO_CLIENT: Any = None
KINDS = registry.factories(NO_CLIENT, clocks.Clock())


@pytest.mark.parametrize("plural", PLURALS)
def test_names_are_those_that_the_operator_asks_for(plural: str) -> None:
    spec = definitions.load(plural)["spec"]
    assert spec["names"]["plural"] == plural
    assert spec["group"] == names.GROUP
    assert definitions.version(plural)["name"] == names.VERSION
    path = {"trackedcronjobs": paths.TRACKED, "alertchannels": paths.CHANNELS}[plural]
    assert path.endswith(f"/{names.GROUP}/{names.VERSION}/{plural}")
    assert definitions.load("trackedcronjobs")["spec"]["names"]["kind"] == names.KIND


@pytest.mark.parametrize("plural", PLURALS)
def test_every_field_is_explained_and_none_has_a_default(plural: str) -> None:
    for path, field in definitions.nodes(definitions.part(plural, "spec"), "spec"):
        assert "default" not in field, path
        assert path.endswith("[]") or field.get("description"), path


@pytest.mark.parametrize("plural", PLURALS)
def test_every_refusal_by_a_rule_says_what_to_write(plural: str) -> None:
    schema = definitions.version(plural)["schema"]["openAPIV3Schema"]
    for path, field in definitions.nodes(schema):
        assert "pattern" not in field, path  # its message would be the regular expression
        for rule in field.get("x-kubernetes-validations", ()):
            assert "write" in rule["message"], path


@pytest.mark.parametrize("plural", PLURALS)
def test_every_text_that_a_person_writes_is_bounded(plural: str) -> None:
    for path, field in definitions.nodes(definitions.part(plural, "spec"), "spec"):
        if field["type"] == "string":
            assert "maxLength" in field or "enum" in field, path
        if field["type"] == "array":
            assert "maxItems" in field, path


@pytest.mark.parametrize("plural", PLURALS)
def test_columns_and_selectors_look_at_fields_of_the_schema(plural: str) -> None:
    version = definitions.version(plural)
    looked_at = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    looked_at += [field["jsonPath"] for field in version.get("selectableFields", ())]
    known = {path for path, _ in definitions.nodes(version["schema"]["openAPIV3Schema"])}
    for path in looked_at:
        plain = re.sub(r"\[[^]]*\]", "[]", path).removeprefix(".")
        assert plain in known or plain == "metadata.creationTimestamp", path


def test_rules_are_the_kinds_and_thresholds_that_exist() -> None:
    rules = definitions.part("trackedcronjobs", "spec", "rules")["properties"]
    assert rules.keys() == set(policies.Kind) - policies.OF_CLUSTER
    for kind, rule in rules.items():
        more = rule_specs.MORE.get(policies.Kind(kind), frozenset())
        assert rule["properties"].keys() == {"enabled", *policies.Severity} | more, kind
        for severity in policies.Severity:
            threshold = rule["properties"][severity]
            counted = policies.Kind(kind) in rule_specs.COUNTED | rule_specs.PERCENT
            assert threshold["type"] == ("integer" if counted else "string"), kind
            auto = "'auto'" in str(threshold.get("x-kubernetes-validations"))
            assert auto == (policies.Kind(kind) in rule_specs.WITH_AUTO), kind


def test_types_of_errors_have_the_bounds_that_the_code_has() -> None:
    types = definitions.part("trackedcronjobs", "spec", "rules", "errors", "types")
    assert types["maxItems"] == rule_specs.MOST_TYPES
    assert types["items"]["maxLength"] == reporting.LONGEST_TYPE


def test_as_many_counters_can_be_named_as_the_code_reads() -> None:
    listed = definitions.part("trackedcronjobs", "spec", "rules", "counter", "counters")
    assert listed["maxItems"] == counters.MOST
    assert f"{{0,{listed['items']['properties']['name']['maxLength'] - 1}}}" in (
        reporting.COUNTER_NAME
    )


def test_windows_are_for_runs_that_come_one_at_a_time() -> None:
    (rule,) = definitions.part("trackedcronjobs", "spec")["x-kubernetes-validations"]
    assert all(f"'{one}'" in rule["rule"] for one in windows.CONCURRENCY)
    assert all(one in rule["message"] for one in windows.CONCURRENCY)


def test_durations_have_the_bound_that_the_code_has() -> None:
    cooldown = definitions.part("trackedcronjobs", "spec", "alerts", "cooldown")
    rules = str(cooldown["x-kubernetes-validations"])
    assert f"<= {durations.LONGEST.total_seconds():.0f}" in rules
    assert f"at most {durations.LONGEST.days}d" in rules


def test_alerts_have_the_choices_and_bounds_that_the_code_has() -> None:
    alerts = definitions.part("trackedcronjobs", "spec", "alerts")["properties"]
    assert alerts["maintenance"]["maxItems"] == maintenance.MOST
    window = {"schedule": "0 2 * * 0", "timeZone": "Etc/UTC", "duration": "4h", "reason": "why"}
    assert alerts["maintenance"]["items"]["properties"].keys() == window.keys()
    assert maintenance.read(window, "x").reason == "why"
    step = alerts["escalation"]["items"]["properties"]
    assert set(step["severity"]["enum"]) == set(policies.Severity)
    assert step.keys() == {"after", "channels", "severity"}


def test_tracking_has_the_choices_and_bounds_that_the_code_has() -> None:
    fields = definitions.part("trackedcronjobs", "spec", "tracking")["properties"]
    assert set(fields["sidecar"]["enum"]) == set(tracking.Sidecar)
    assert fields["port"]["minimum"] == tracking.LOWEST_PORT
    assert fields["port"]["maximum"] == tracking.HIGHEST_PORT
    assert str(tracking.DEFAULT_PORT) in fields["port"]["description"]
    (rule,) = fields["heartbeatInterval"]["x-kubernetes-validations"]
    shortest = durations.text(tracking.SHORTEST_HEARTBEAT)
    longest = durations.text(tracking.LONGEST_HEARTBEAT)
    assert f">= duration('{shortest}')" in rule["rule"]
    assert f"<= duration('{longest}')" in rule["rule"]
    assert f"from {shortest} to {longest}" in rule["message"]
    default = durations.text(tracking.DEFAULT_HEARTBEAT)
    assert f"means {default}" in fields["heartbeatInterval"]["description"]


def test_health_has_the_words_that_the_code_has() -> None:
    words = definitions.part("trackedcronjobs", "status", "health")["enum"]
    assert set(words) == set(health.Health)


def test_channels_have_the_kinds_and_choices_that_the_code_has() -> None:
    spec = definitions.part("alertchannels", "spec")["properties"]
    others = {"severities", "kinds", "namespaceSelector", "cronjobSelector", "suspend"}
    others |= {"digest", "rateLimit", "activeHours", "templates"}
    assert spec.keys() - others == KINDS.keys()
    assert _choices(spec["severities"]) == set(policies.Severity)
    assert _choices(spec["kinds"]) == set(policies.Kind)
    for default in routing.DEFAULT_SEVERITIES:
        assert default in spec["severities"]["description"]
    expressions = spec["cronjobSelector"]["properties"]["matchExpressions"]["items"]
    assert set(expressions["properties"]["operator"]["enum"]) == {
        "In",
        "NotIn",
        "Exists",
        "DoesNotExist",
    }
    assert spec["webhook"]["properties"]["url"]["maxLength"] == http.LONGEST_ADDRESS
    assert set(spec["webhook"]["properties"]["format"]["enum"]) == webhook.FORMATS.keys()


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ({"webhook": {"url": "https://a.example", "format": "teams"}}, {"url", "format"}),
        (
            {
                "webhook": {
                    "urlSecretRef": {"name": "a", "key": "b"},
                    "signingSecretRef": {"name": "a", "key": "c"},
                }
            },
            {"url", "signing"},
        ),
        ({"slack": {"webhookURLSecretRef": {"name": "a", "key": "b"}}}, {"webhookURL"}),
        (
            {
                "slack": {
                    "botTokenSecretRef": {"name": "a", "key": "b"},
                    "channel": "#alerts",
                    "url": "https://slack-gov.com/api",
                }
            },
            {"botToken", "channel", "url"},
        ),
        (
            {
                "pagerDuty": {
                    "routingKeySecretRef": {"name": "a", "key": "b"},
                    "url": "https://events.eu.pagerduty.com/v2/enqueue",
                }
            },
            {"routingKey", "url"},
        ),
        (
            {
                "alertmanager": {
                    "url": "http://alertmanager.monitoring.svc:9093",
                    "bearerTokenSecretRef": {"name": "a", "key": "b"},
                }
            },
            {"url", "bearerToken"},
        ),
        (
            {
                "email": {
                    "from": "Rollcall <rollcall@example.com>",
                    "to": ["team@example.com"],
                    "host": "smtp.example.com",
                    "port": 587,
                    "security": "STARTTLS",
                    "username": "rollcall",
                    "passwordSecretRef": {"name": "a", "key": "b"},
                    "caSecretRef": {"name": "a", "key": "c"},
                }
            },
            {"from", "to", "host", "port", "security", "username", "password", "ca"},
        ),
        (
            {
                "email": {
                    "from": "rollcall@example.com",
                    "to": ["team@example.com", "Boss <boss@example.com>"],
                    "resendKeySecretRef": {"name": "a", "key": "b"},
                    "resendURL": "https://api.resend.com/emails",
                }
            },
            {"from", "to", "resendKey", "resendURL"},
        ),
    ],
    ids=[
        "webhook",
        "webhook-with-secrets",
        "slack",
        "slack-bot",
        "pagerDuty",
        "alertmanager",
        "smtp",
        "resend",
    ],
)
def test_a_channel_of_the_schema_is_one_that_the_code_reads(
    section: Object, settings: set[str]
) -> None:
    definitions.check(definitions.part("alertchannels", "spec"), section)
    body = {"metadata": {"name": "a"}, "spec": section}
    spec = channel_specs.read(body, frozenset(KINDS))
    assert spec.settings.keys() == settings


def test_mails_have_the_choices_and_bounds_that_the_code_has() -> None:
    fields = definitions.part("alertchannels", "spec", "email")["properties"]
    assert set(fields["security"]["enum"]) == smtp.PORTS.keys()
    assert fields["to"]["maxItems"] == addresses.MOST
    for security, port in smtp.PORTS.items():
        assert f"{port} with {security}" in fields["port"]["description"]
    assert resend.ADDRESS in fields["resendURL"]["description"]


def test_the_pace_of_a_channel_has_the_choices_and_bounds_that_the_code_has() -> None:
    spec = {
        "digest": "Never",
        "rateLimit": {"messages": 20, "per": "1m"},
        "activeHours": [{"schedule": "0 8 * * 1-5", "timeZone": "Etc/UTC", "duration": "10h"}],
    }
    fields = definitions.part("alertchannels", "spec")["properties"]
    for name, value in spec.items():
        definitions.check(fields[name], value)
    pace = pacing.read("slack", spec)
    assert (pace.bundles, len(pace.hours)) == (False, 1)
    assert fields["rateLimit"]["properties"]["messages"]["maximum"] == pacing.MOST_MESSAGES
    assert fields["activeHours"]["maxItems"] == maintenance.MOST
    described = fields["rateLimit"]["description"]
    for kind, limit in pacing.DEFAULT_LIMITS.items():
        assert kind in described
        assert limit is None or str(limit.messages) in described
    assert pacing.DEFAULT_LIMITS.keys() == KINDS.keys()


def test_templates_are_those_that_the_code_knows_within_its_bounds() -> None:
    texts = definitions.part("alertchannels", "spec", "templates")["properties"]
    assert texts.keys() == templating.LONGEST.keys()
    assert {text["maxLength"] for text in texts.values()} == {templating.LONGEST_TEMPLATE}
    body = {"metadata": {"name": "a"}, "spec": {"email": {}, "templates": {"title": "x"}}}
    assert channel_specs.read(body, frozenset(KINDS)).templates == {"title": "x"}


def test_templates_are_for_the_channels_that_have_words() -> None:
    _, rule = definitions.part("alertchannels", "spec")["x-kubernetes-validations"]
    assert set(re.findall(r"has\(self\.(\w+)\)", rule["rule"])) == {
        "templates",
        "alertmanager",
        "webhook",
    }
    assert f"self.webhook.format == '{webhook.OURS}'" in rule["rule"]


def test_bots_have_the_bounds_and_the_address_that_the_code_has() -> None:
    fields = definitions.part("alertchannels", "spec", "slack")["properties"]
    assert fields["channel"]["maxLength"] == bot.LONGEST_CHANNEL
    assert bot.ADDRESS in fields["url"]["description"]


def test_exactly_one_kind_of_channel_is_written() -> None:
    rule, _ = definitions.part("alertchannels", "spec")["x-kubernetes-validations"]
    assert set(re.findall(r"has\(self\.(\w+)\)", rule["rule"])) == KINDS.keys()
    assert set(re.findall(r"\w+", rule["message"])) >= KINDS.keys()


def test_generated_files_are_up_to_date() -> None:
    done = _manifests("--check")
    assert (done.returncode, done.stdout) == (0, ""), "run: make manifests"


@pytest.mark.parametrize(
    ("path", "addition", "written"),
    [
        ("crds/alertchannels.yaml", "# more\n", "templates/crds/alertchannels.yaml"),
        ("charts/rollcall/values.yaml", "# Something new.\nnewcomer: 1\n", "README.md"),
        ("charts/rollcall/README.md", "", None),
        ("charts/rollcall/templates/crds/old.yaml", "kind: Old\n", "templates/crds/old.yaml"),
    ],
    ids=["crd", "value", "nothing", "surplus"],
)
def test_a_change_of_a_source_is_noticed_and_written_once(
    tmp_path: Path, path: str, addition: str, written: str | None
) -> None:
    _copy(tmp_path)
    with (tmp_path / path).open("a") as file:
        file.write(addition)
    expected = f"charts/rollcall/{written}\n" if written else ""
    noticed = _manifests("--check", "--root", str(tmp_path))
    assert (noticed.returncode, noticed.stdout) == (1 if written else 0, expected)
    assert _manifests("--root", str(tmp_path)).stdout == expected
    assert _manifests("--check", "--root", str(tmp_path)).returncode == 0


@pytest.mark.parametrize(
    ("path", "addition", "complaint"),
    [
        ("crds/alertchannels.yaml", "# {{ braces }}\n", "Helm would take for a template"),
        ("charts/rollcall/values.yaml", "\nnewcomer: 1\n", "newcomer has no comment above it"),
        ("charts/rollcall/README.md", "<!-- end of values -->\n", "once each"),
    ],
    ids=["braces", "unexplained-value", "marks"],
)
def test_a_source_that_nothing_can_be_written_from_is_named(
    tmp_path: Path, path: str, addition: str, complaint: str
) -> None:
    _copy(tmp_path)
    with (tmp_path / path).open("a") as file:
        file.write(addition)
    done = _manifests("--root", str(tmp_path))
    assert done.returncode == 2
    assert complaint in done.stderr


def _manifests(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = definitions.ROOT / "hack/manifests.py"
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False
    )


def _copy(target: Path) -> None:
    for folder in ("crds", "charts/rollcall"):
        shutil.copytree(definitions.ROOT / folder, target / folder)


def _choices(field: Object) -> Iterable[str]:
    return set(field["items"]["enum"])
