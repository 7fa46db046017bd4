"""The first milliseconds: the signals are blocked and the port is open before the rest is there.

To PID 1 the kernel delivers no signal that has neither a handler nor a block. Blocked before any
thread exists, a signal stays pending until `await_signal` takes it. And a program may connect as
soon as this process runs: once the port is open it is not refused, but waits for its answer.

So nothing may be imported here but what is part of the interpreter. Hence `_signal` and `_socket`:
`signal` and `socket`, which wrap them, import what takes as long as starting Python itself.
"""

from __future__ import annotations

import _socket

from rollcall_sidecar import environment, journal

TYPE_CHECKING = False  # `typing` would take half as long as Python; `typed` needs `collections`
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping
else:
    import _signal

PORT = 7655
NO_PORT = "none"
HIGHEST_PORT = 65535
# Connections that wait to be accepted. Beyond it Linux answers with SYN cookies, and then resets
# those whose place is not free in time: clients would read nothing instead of 429.
BACKLOG = 128
STOPPING = (_signal.SIGTERM, _signal.SIGINT)


def block_signals() -> None:
    """Hold back the signals that end the process until `await_signal`."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, STOPPING)


def await_signal() -> None:
    """Wait until the process is told to end."""
    _signal.sigwait(STOPPING)


def port(environ: Mapping[str, str], complaints: list[str]) -> int | None:
    """Read the port of the loopback API; None: there is to be none."""
    if environ.get("ROLLCALL_PORT") == NO_PORT:
        return None
    return environment.number(environ, complaints, "ROLLCALL_PORT", PORT, HIGHEST_PORT)


def listen(port: int) -> _socket.socket | None:
    """Open the port; without it the sidecar only beats, and says so."""
    listening = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        listening.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(BACKLOG)
    except OSError as error:
        journal.say(f"no loopback API on 127.0.0.1:{port} ({error.strerror}): only beating")
        listening.close()
        return None
    return listening
