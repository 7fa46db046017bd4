"""The alerts about Rollcall itself: promtool reads them, and what they name exists."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rollcall.metrics import names
from support import charts

ENABLED: charts.Object = {"metrics": {"rules": {"enabled": True}}}
REFERENCE = charts.ROOT / "docs/reference/metrics.md"
PROMTOOL = "promtool"


@pytest.fixture
def rule(helm: charts.Helm) -> charts.Object:
    [body] = helm.render(ENABLED).of_kind("PrometheusRule")
    return body


def rules(body: charts.Object) -> list[charts.Object]:
    return [one for group in body["spec"]["groups"] for one in group["rules"]]


def promtool(*arguments: str) -> None:
    if not shutil.which(PROMTOOL):
        pytest.fail("no promtool: run hack/promtool.sh", pytrace=False)
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_none_unless_they_are_asked_for(helm: charts.Helm) -> None:
    assert helm.render().of_kind("PrometheusRule") == []


def test_every_metric_that_they_name_is_exported(rule: charts.Object) -> None:
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in names.Metrics().registry.collect()
    }
    for one in rules(rule):
        named = set(re.findall(r"rollcall_\w+", one["expr"]))
        assert named
        assert named <= exported, one["alert"]


def test_each_says_what_is_wrong_and_the_reference_what_to_do(rule: charts.Object) -> None:
    described = re.findall(r"^\| `(Rollcall\w+)` \|", REFERENCE.read_text(), re.MULTILINE)
    assert described == [one["alert"] for one in rules(rule)]
    for one in rules(rule):
        assert one["annotations"].keys() == {"summary", "description"}
        assert one["labels"]["severity"] in {"warning", "critical"}


def test_they_are_about_this_release_alone(helm: charts.Helm, rule: charts.Object) -> None:
    del helm
    for one in rules(rule):
        selectors = re.findall(r"rollcall_\w+(\{[^}]*\})?", one["expr"])
        assert all(f'namespace="{charts.NAMESPACE}"' in found for found in selectors), one["alert"]


def test_prometheus_reads_them(rule: charts.Object, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    promtool("check", "rules", str(file))


WELL = {
    'rollcall_build_info{namespace="N",version="1"}': "1x60",
    'rollcall_leader{namespace="N",pod="a"}': "1x60",
    'rollcall_leader{namespace="N",pod="b"}': "0x60",
    'rollcall_observed_through_timestamp_seconds{namespace="N",pod="a"}': "0+60x60",
    'rollcall_observed_through_timestamp_seconds{namespace="N",pod="b"}': "0x60",
    'rollcall_sweep_lag_seconds{namespace="N"}': "1x60",
    'rollcall_outbox_lag_seconds{namespace="N"}': "1x60",
    'rollcall_outbox_oldest_pending_seconds{namespace="N"}': "0x60",
    'rollcall_store_up{namespace="N"}': "1x60",
    'rollcall_channel_ready{namespace="N",channel="pager"}': "1x60",
    'rollcall_ingest_reports_total{namespace="N",outcome="acknowledged"}': "0+100x60",
    # The dead-man switch's canary is refused once a minute.
    'rollcall_ingest_reports_total{namespace="N",outcome="unauthenticated"}': "0+1x60",
}


@pytest.mark.parametrize(
    ("series", "values", "alert"),
    [
        ("", "", None),
        ("rollcall_build_info", "stale", "RollcallDown"),
        ("rollcall_leader", "0x60", "RollcallNoLeader"),
        ("rollcall_observed_through_timestamp_seconds", "0x60", "RollcallBlind"),
        ("rollcall_sweep_lag_seconds", "0+60x60", "RollcallSweepLate"),
        ("rollcall_outbox_lag_seconds", "0+60x60", "RollcallOutboxStuck"),
        ("rollcall_outbox_oldest_pending_seconds", "0+60x60", "RollcallOutboxStuck"),
        ("rollcall_store_up", "0x60", "RollcallStoreUnreachable"),
        ("rollcall_channel_ready", "0x60", "RollcallChannelFailing"),
        ('rollcall_ingest_reports_total{namespace="N",outcome="un', "0+99x60",
         "RollcallReportsRefused"),
    ],
)  # fmt: skip
def test_each_fires_when_it_should_and_none_while_all_is_well(
    rule: charts.Object, tmp_path: Path, series: str, values: str, alert: str | None
) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    given = [
        {
            "series": name.replace('"N"', f'"{charts.NAMESPACE}"'),
            "values": values if series and name.startswith(series) else usual,
        }
        for name, usual in WELL.items()
    ]
    query = 'count by (alertname) (ALERTS{alertstate="firing"})'
    firing = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else []
    story = {
        "rule_files": [str(tmp_path / "rules.yaml")],
        "tests": [
            {
                "interval": "1m",
                "input_series": given,
                "promql_expr_test": [{"expr": query, "eval_time": "45m", "exp_samples": firing}],
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps(story))
    promtool("test", "rules", str(file))
