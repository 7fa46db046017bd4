"""Each example as a program of its own, in a pod's worth of surroundings: the real sidecar."""

import contextlib
import os
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override  # typing has it from 3.12 on

from support import keeping, loopback, scriptedapi, sidecars

EXAMPLES = Path(__file__).parents[4] / "examples"
PYTHON = EXAMPLES / "python"
LETTER = "019a0000-0000-8000-8000-0000000000aa"
# The first build of the Go program compiles its standard library, too.
pytestmark = pytest.mark.timeout(600)


def needs(*programs: str) -> None:
    """Fail where a program is not installed: an example that nobody runs may be wrong."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.fail(f"there is no {', '.join(missing)}; run: bash hack/examples.sh", pytrace=False)


@pytest.fixture(params=["shell", "python", "node", "go"], scope="module")
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command of one example."""
    match request.param:
        case "shell":
            needs("sh", "curl", "jq")
            return ["sh", str(EXAMPLES / "shell/job.sh")]
        case "python":
            return [sys.executable, str(EXAMPLES / "python/job.py")]
        case "node":
            needs("node")
            return ["node", str(EXAMPLES / "node/job.mjs")]
        case _:
            needs("go")
            built = tmp_path_factory.mktemp("go") / "job"
            subprocess.run(
                ["go", "build", "-o", built, EXAMPLES / "go/main.go"],
                env=os.environ | {"CGO_ENABLED": "0"},
                check=True,
            )
            return [str(built)]


@pytest.fixture
def keeper() -> keeping.Keeper:
    """Keep what is reported, over all runs of a test."""
    return keeping.Keeper()


@pytest.fixture
def api_port(keeper: keeping.Keeper) -> Iterator[int]:
    """Serve the api that keeps."""
    api, port = scriptedapi.Api(), loopback.free_port()
    api.always(keeper.reply)
    with scriptedapi.serving(api, port):
        yield port


def one_pod(
    program: list[str], folder: Path, api_port: int, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the program next to a sidecar of its own, which ends after it."""
    token = folder / "token"
    token.write_text("a-token")
    settings = {"ingest_url": f"http://127.0.0.1:{api_port}", "token_file": str(token)}
    with sidecars.running(folder, settings) as sidecar:
        done = alone(program, ROLLCALL_URL=f"http://127.0.0.1:{sidecar.port}", **environ)
        assert sidecar.stop()[0] == 0
        assert sidecar.last_words is None
    return done


def alone(program: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | environ
    return subprocess.run(program, env=environ, capture_output=True, text=True, check=False)


def test_a_job_that_died_is_resumed_and_says_how_it_went(
    program: list[str], tmp_path: Path, api_port: int, keeper: keeping.Keeper
) -> None:
    died = one_pod(program, tmp_path, api_port, DIE_AT="7")
    assert (died.returncode, died.stderr) == (1, "")
    assert died.stdout.split("\n")[:-1] == [f"order {n}" for n in (1, 2, 3, 5, 6)]
    assert keeper.said("checkpoint")[-1]["value"] == {"order": 6, "failed": 1}
    assert keeper.said("result") == []
    (error,) = keeper.said("error")
    assert (error["type"], error["message"]) == ("crash", "died at order 7")
    assert error["class"] == "transient"
    (letter,) = keeper.said("deadLetter")
    assert (letter["item"], letter["payload"]) == ("order-4", {"order": 4})
    assert letter["error"] == "no such customer"

    keeper.requeue(LETTER, letter)
    resumed = one_pod(program, tmp_path, api_port)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert resumed.stdout.split("\n")[:-1] == [
        "again order-4",
        *(f"order {n}" for n in (7, 8, 9, 10)),
    ]
    assert [item["id"] for item in keeper.said("handled")] == [LETTER]
    (result,) = keeper.said("result")
    assert (result["result"], result["message"]) == ("partial", "1 of 10 orders failed")
    assert result["counters"] == {"failed": 1}
    assert keeper.progress is not None
    assert (keeper.progress["done"], keeper.progress["total"]) == (10, 10)
    assert (keeper.progress["stage"], keeper.progress["counters"]) == ("orders", {"failed": 1})


def test_what_a_dead_letter_holds_does_not_stop_the_job(
    program: list[str], tmp_path: Path, api_port: int, keeper: keeping.Keeper
) -> None:
    odd = {"item": "order-4", "payload": {"path": "C:\\\\new"}, "error": 'no\n"x"\t\\c', "at": ""}
    keeper.requeue(LETTER, odd)
    done = one_pod(program, tmp_path, api_port, ORDERS="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[:-1] == ["again order-4", "order 1"]
    assert [item["id"] for item in keeper.said("handled")] == [LETTER]


def test_a_job_in_which_nothing_goes_wrong_succeeds(
    program: list[str], tmp_path: Path, api_port: int, keeper: keeping.Keeper
) -> None:
    done = one_pod(program, tmp_path, api_port, ORDERS="3")
    assert (done.returncode, done.stderr) == (0, "")
    (result,) = keeper.said("result")
    assert result["result"] == "succeeded"


def test_without_rollcall_the_work_is_done_all_the_same(program: list[str]) -> None:
    done = alone(program, ORDERS="3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[:-1] == ["order 1", "order 2", "order 3"]


def test_a_sidecar_that_is_not_there_costs_some_lines_of_log_only(program: list[str]) -> None:
    done = alone(program, ORDERS="3", ROLLCALL_URL=f"http://127.0.0.1:{loopback.free_port()}")
    assert done.returncode == 0
    assert done.stdout.split("\n")[:-1] == ["order 1", "order 2", "order 3"]
    assert "not reported" in done.stderr or "curl" in done.stderr


def test_an_order_that_is_neither_done_nor_kept_is_not_passed_over(program: list[str]) -> None:
    done = alone(program, BROKEN="2", ORDERS="3")
    assert done.returncode == 1
    assert done.stdout.split("\n")[:-1] == ["order 1"]


def test_answers_that_break_off_cost_some_lines_of_log_only(program: list[str]) -> None:
    with broken_off() as port:
        done = alone(program, ORDERS="3", ROLLCALL_URL=f"http://127.0.0.1:{port}")
    assert done.returncode == 0
    assert done.stdout.split("\n")[:-1] == ["order 1", "order 2", "order 3"]
    assert "not reported: " in done.stderr


@pytest.mark.parametrize(
    "value", [r"'\xe4' * 30_000", r"'\udc80'"], ids=["60 KB of umlauts", "half a character"]
)
def test_python_reports_texts_of_all_languages_within_the_limit(
    tmp_path: Path, api_port: int, value: str
) -> None:
    code = f"import rollcall; print(rollcall.checkpoint({value}))"
    done = one_pod([sys.executable, "-c", code], tmp_path, api_port, PYTHONPATH=str(PYTHON))
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


@contextlib.contextmanager
def broken_off() -> Iterator[int]:
    """Serve what a sidecar leaves of its answers when it is killed while it writes them."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), BrokenOff) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class BrokenOff(socketserver.StreamRequestHandler):
    """Promises a hundred bytes, and sends one."""

    @override
    def handle(self) -> None:
        with self.connection:
            self.connection.recv(10_000)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
