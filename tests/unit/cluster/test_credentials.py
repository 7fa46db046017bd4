"""How a process finds the API server and shows who it is."""

import json
from pathlib import Path

import certifi
import pytest
from kubernetes.aio.config import kube_config

from rollcall.cluster import client, credentials
from rollcall.core import errors
from support import rawserver


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put there what kubelet gives a pod."""
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text(Path(certifi.where()).read_text())
    monkeypatch.setattr(credentials, "FOLDER", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return tmp_path


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("host", "url"), [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
async def test_a_pod_is_told_where_the_api_server_is(
    monkeypatch: pytest.MonkeyPatch, host: str, url: str
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    found = await credentials.find(None)
    assert found.host == url
    assert found.tls
    assert await found.authorization() == "Bearer first"


async def test_a_renewed_token_is_used_after_a_minute(
    account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await credentials.find(None)
    (account / "token").write_text("second")
    assert await found.authorization() == "Bearer first"
    monkeypatch.setattr(credentials, "REREAD", -1.0)
    assert await found.authorization() == "Bearer second"


@pytest.mark.parametrize("content", [None, b"", b"\xff"], ids=["absent", "empty", "no text"])
async def test_a_token_that_cannot_be_read_again_leaves_us_the_old_one(
    account: Path,
    content: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = await credentials.find(None)
    (account / "token").unlink()
    if content is not None:
        (account / "token").write_bytes(content)
    monkeypatch.setattr(credentials, "REREAD", -1.0)
    assert await found.authorization() == "Bearer first"
    assert "credentials not read again" in caplog.text
    monkeypatch.setattr(credentials, "REREAD", 60.0)
    caplog.clear()
    assert await found.authorization() == "Bearer first"
    assert caplog.text == ""  # once a minute, not with each request


async def test_a_new_authority_of_the_api_server_is_trusted_after_a_minute(
    account: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = rawserver.identity(tmp_path_factory.mktemp("authority"))
    version = rawserver.always(rawserver.ok(b'{"major": "1"}'))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "localhost")
    async with rawserver.serving(version, tls=identity.server) as server:
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
        async with await client.KubeClient.connect() as kube:
            with pytest.raises(errors.ClusterUnavailable, match="certificate verify failed"):
                await kube.get("/version")
            (account / "ca.crt").write_bytes(identity.certificate.read_bytes())
            monkeypatch.setattr(credentials, "REREAD", -1.0)
            assert await kube.get("/version") == {"major": "1"}


@pytest.mark.parametrize("name", ["token", "ca.crt"])
@pytest.mark.parametrize("content", [None, ""], ids=["absent", "empty"])
async def test_a_pod_without_a_whole_service_account_has_no_way(
    account: Path, name: str, content: str | None
) -> None:
    (account / name).unlink()
    if content is not None:
        (account / name).write_text(content)
    with pytest.raises(errors.InvalidSpec, match="no way to a cluster"):
        await credentials.find(None)


@pytest.mark.usefixtures("account")
async def test_a_pod_without_the_port_has_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_PORT")
    with pytest.raises(errors.InvalidSpec, match="KUBERNETES_SERVICE_PORT"):
        await credentials.find(None)


async def test_outside_a_cluster_the_kubeconfig_leads_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(_kubeconfig("http://127.0.0.1:1")))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    found = await credentials.find("there")
    assert (found.host, found.tls) == ("http://127.0.0.1:1", None)
    assert await found.authorization() == "Bearer secret"
    with pytest.raises(errors.InvalidSpec, match="KUBECONFIG"):
        await credentials.find("elsewhere")


def _kubeconfig(server: str) -> dict[str, object]:
    name = {"name": "there"}
    return {
        "current-context": "there",
        "clusters": [name | {"cluster": {"server": server}}],
        "users": [name | {"user": {"token": "secret"}}],
        "contexts": [name | {"context": {"cluster": "there", "user": "there"}}],
    }
