"""Settings from the environment."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from rollcall import config
from rollcall.core import errors, targets
from rollcall.core.policies import Kind, Severity

DSN = {"ROLLCALL_DATABASE_DSN": "postgresql://rollcall@db/rollcall"}


def test_a_database_is_all_that_must_be_said() -> None:
    settings = config.load(DSN)
    assert settings.database_dsn == DSN["ROLLCALL_DATABASE_DSN"]
    assert (settings.cluster, settings.ingest_port, settings.health_port) == ("default", 8080, 8081)
    assert settings.identity
    assert settings.sidecar.pull_secrets == ()
    assert (settings.maintenance, settings.deadman_url) == ((), None)
    assert settings.allowed_targets.has_name("am.monitoring.svc")


def test_the_address_of_the_dead_man_switch_is_never_shown() -> None:
    settings = config.load(DSN | {"ROLLCALL_DEADMAN_URL": "https://hc.example/hush\n"})
    assert settings.deadman_url == "https://hc.example/hush"
    assert "hush" not in repr(settings)


def test_without_need_of_a_database_none_is_asked_for() -> None:
    assert config.load({}, needs_database=False).database_dsn == ""


def test_everything_is_read() -> None:
    settings = config.load(
        DSN
        | {
            "ROLLCALL_ALERTS_COOLDOWN": "1h",
            "ROLLCALL_ALERTS_RECOVERY_THRESHOLD": "2",
            "ROLLCALL_RETENTION_WEEKS": "26",
            "ROLLCALL_ALLOWED_TARGETS": "",
            "ROLLCALL_RULES": '{"missed": {"warning": 2}}',
            "ROLLCALL_LOG_LEVEL": "debug",
            "ROLLCALL_MAINTENANCE": json.dumps(
                [{"name": "sundays", "schedule": "0 2 * * 0", "duration": "4h", "kinds": ["late"]}]
            ),
            "ROLLCALL_SIDECAR_PULL_SECRETS": "a,,b",
            "ROLLCALL_INGEST_PORT": "9000",
            "OTHER_THINGS": "ignored",
        }
    )
    assert settings.defaults.cooldown == timedelta(hours=1)
    assert settings.defaults.recovery_threshold == 2
    assert settings.retention_weeks == 26
    assert settings.allowed_targets == targets.Allowed()
    assert settings.defaults.rules[Kind.MISSED].thresholds == {Severity.WARNING: 2}
    (sundays,) = settings.maintenance
    assert (sundays.name, sundays.window.duration) == ("sundays", timedelta(hours=4))
    assert sundays.selector.kinds == {Kind.LATE}
    assert (settings.log_level, settings.ingest_port) == ("DEBUG", 9000)
    assert settings.sidecar.pull_secrets == ("a", "b")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CLUSTERNAME", "east", "unknown settings: ROLLCALL_CLUSTERNAME"),
        ("INGEST_PORT", "0", "ROLLCALL_INGEST_PORT: '0' is not a number from 1 to 65535"),
        ("INGEST_PORT", "65536", "from 1 to 65535"),
        ("HEALTH_PORT", "-1", "from 1 to 65535"),
        ("HEALTH_PORT", "²", "from 1 to 65535"),
        ("RETENTION_WEEKS", "0", "ROLLCALL_RETENTION_WEEKS: '0' is not a number from 1 to 104"),
        ("LOG_LEVEL", "loud", "ROLLCALL_LOG_LEVEL: 'LOUD' is none of DEBUG, INFO, WARNING, ERROR"),
        ("ALERTS_COOLDOWN", "soon", "ROLLCALL_ALERTS_COOLDOWN: 'soon' is not a duration"),
        ("RULES", "{", "ROLLCALL_RULES: "),
        ("ALLOWED_TARGETS", "10.0.0", "ROLLCALL_ALLOWED_TARGETS: '10.0.0' is neither a network"),
        ("RULES", "[]", "write a JSON object"),
        ("RULES", '{"retrying": {}}', "rules.retrying: known are"),
        ("MAINTENANCE", "{}", "write a JSON list"),
        ("MAINTENANCE", "[1]", "write a list of objects"),
        ("MAINTENANCE", '[{"duration": "1h"}]', r"ROLLCALL_MAINTENANCE\[0\].name"),
        ("DEADMAN_URL", "hc.example/1", "must begin with https://"),
        ("DATABASE_DSN", "mysql://db", "must begin with postgresql://"),
        ("DATABASE_DSN", "", "must name the database"),
    ],
    ids=[
        "typing error", "port 0", "port too high", "negative", "not ASCII", "no week", "level",
        "cooldown", "JSON", "target", "no object", "rule", "no list", "no window", "no name",
        "no address", "other database", "empty",
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=words):
        config.load(DSN | {f"ROLLCALL_{name}": value})


def test_the_dsn_and_the_password_may_come_from_files(tmp_path: Path) -> None:
    dsn, password = tmp_path / "dsn", tmp_path / "password"
    dsn.write_text("postgresql://file/rollcall\n")
    password.write_text("secret\n")
    from_files = {"ROLLCALL_DATABASE_DSN_FILE": str(dsn)}
    from_files["ROLLCALL_DATABASE_PASSWORD_FILE"] = str(password)
    assert config.load(from_files).database_dsn == "postgresql://file/rollcall"
    assert config.database_password(from_files) == "secret"
    assert config.database_password({}) is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidSpec, match=r"ROLLCALL_DATABASE_DSN_FILE: .*No such file"):
        config.load({"ROLLCALL_DATABASE_DSN_FILE": str(tmp_path / "absent")})
