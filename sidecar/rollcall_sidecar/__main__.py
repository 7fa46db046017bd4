"""Start the sidecar and wait for the signal that ends it.

The signals come first: to PID 1 the kernel delivers no signal that has neither a handler nor a
block, and importing the rest takes most of the start-up time. Blocked here, before any thread
exists, a signal stays pending until `sigwait` takes it. Work is done by threads, so that no hanging
call of theirs can keep the main thread from leaving in time.
"""

from __future__ import annotations

import signal

STOPPING = (signal.SIGTERM, signal.SIGINT)
signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)

import os  # noqa: E402 - see above: the signals come first
import sys  # noqa: E402
import threading  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from rollcall_sidecar import journal, settings  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rollcall_sidecar import report

# The whole farewell may take a second; what is left pays for the exit itself on a busy node.
LAST_WORDS_SECONDS = 0.8


def main() -> None:
    """Run until SIGTERM or SIGINT, then leave with code 0 whatever the threads are doing."""
    beats = None
    try:
        beats = start(os.environ)
    except Exception as error:
        journal.mishap("starting", error)
    signal.sigwait(STOPPING)
    try:
        if beats is not None:
            last_words(beats)
    finally:
        os._exit(0)


def start(environ: Mapping[str, str]) -> report.Beats:
    """Start the loopback API and the beats, in this order: the job may ask at once."""
    configured, complaints = settings.read(environ)
    for complaint in complaints:
        journal.say(complaint)
    if configured.ingest is None or not configured.ingest.tls:
        # http.client imports ssl if it can; None makes that an ImportError, which it expects.
        # Without TLS this saves a pod 4 of 18 MB.
        sys.modules["ssl"] = None  # type: ignore[assignment]

    from rollcall_sidecar import report, run, server

    known = run.Run(configured)
    try:
        server.start(configured.port, known)
    except Exception as error:
        journal.mishap("starting the loopback API", error)
    beats = report.Beats(configured, known)
    threading.Thread(target=beats.forever, name="beats", daemon=True).start()
    return beats


def last_words(beats: report.Beats) -> None:
    """Send the final report from a thread that may hang: name look-ups know no timeout."""
    farewell = threading.Thread(
        target=beats.farewell, args=(LAST_WORDS_SECONDS,), name="farewell", daemon=True
    )
    farewell.start()
    farewell.join(LAST_WORDS_SECONDS)


if __name__ == "__main__":
    main()
