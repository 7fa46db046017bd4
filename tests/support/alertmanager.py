"""A real Prometheus Alertmanager on loopback; hack/alertmanager.sh makes sure of the program."""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import loopback, receiver

PATIENCE = 20.0  # seconds
CONFIG = """
route:
  receiver: test
  group_by: [alertname, namespace, cronjob, severity]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: test
    webhook_configs:
      - url: {url}
        send_resolved: true
"""


class Alertmanager:
    """The process, what it holds, and what it tells on."""

    def __init__(self, folder: Path, told: receiver.Receiver) -> None:
        self._folder = folder
        self._told = told
        self._port = loopback.free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it with an empty memory, and wait until it is ready."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        config = self._folder / "alertmanager.yml"
        config.write_text(CONFIG.format(url=self._told.url))
        command = [
            _program(),
            f"--config.file={config}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--cluster.listen-address=",
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()

    def stop(self) -> None:
        """Kill it; what it knew is lost."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def alerts(self) -> list[dict[str, Any]]:
        """Return what fires."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts").json()
        return found

    def told(self) -> list[tuple[str, str]]:
        """Return status and severity of every alert that it told on, in order."""
        bodies = [json.loads(request.body) for request in self._told.requests]
        return [
            (alert["status"], alert["labels"]["severity"])
            for body in bodies
            for alert in body["alerts"]
        ]

    def wait_for(self, *told: tuple[str, str]) -> None:
        """Wait until it has told on these, and no others."""
        deadline = time.monotonic() + PATIENCE
        while len(self.told()) < len(told):
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.05)
        assert self.told() == list(told)

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                httpx.get(f"{self.url}/-/ready").raise_for_status()
            except httpx.HTTPError:
                assert time.monotonic() < deadline, (self._folder / "log").read_text()
                time.sleep(0.05)
            else:
                return


def _program() -> str:
    found = shutil.which("prometheus-alertmanager")
    if not found:
        pytest.fail("no Alertmanager: run hack/alertmanager.sh", pytrace=False)
    return found


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Alertmanager]:
    """Run one that tells a receiver on loopback."""
    with receiver.running() as told:
        process = Alertmanager(folder / "alertmanager", told)
        try:
            process.start()
            yield process
        finally:
            process.stop()
