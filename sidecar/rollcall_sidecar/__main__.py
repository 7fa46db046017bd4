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

from rollcall_sidecar import journal, settings, termination  # noqa: E402

if TYPE_CHECKING:
    from rollcall_sidecar import report

# The whole farewell may take a second, and five while something is unacknowledged; what is left
# pays for the exit itself on a busy node.
IDLE_SECONDS = 0.8
BUSY_SECONDS = 4.8


def main() -> None:
    """Run until SIGTERM or SIGINT, then leave with code 0 whatever the threads are doing."""
    beats = will = None
    try:
        configured, complaints = settings.read(os.environ)
        for complaint in complaints:
            journal.say(complaint)
        will = termination.Testament(configured.termination_log)
        beats = start(configured)
    except Exception as error:
        journal.mishap("starting", error)
    signal.sigwait(STOPPING)
    try:
        if beats is not None and will is not None:
            last_words(beats, will)
    finally:
        os._exit(0)


def start(configured: settings.Settings) -> report.Beats:
    """Start the loopback API and the beats, in this order: the job may ask at once."""
    if configured.ingest is None or not configured.ingest.tls:
        # http.client imports ssl if it can; None makes that an ImportError, which it expects.
        # Without TLS this saves a pod 4 of 18 MB.
        sys.modules["ssl"] = None  # type: ignore[assignment]

    from rollcall_sidecar import agenda, buffer, intake, report, run, server

    known, plan = run.Run(configured), agenda.Agenda()
    taken = intake.Intake(buffer.Buffer(), plan, known)
    try:
        server.start(configured.port, known, taken)
    except Exception as error:
        journal.mishap("starting the loopback API", error)
    beats = report.Beats(configured, known, taken, plan)
    threading.Thread(target=beats.forever, name="beats", daemon=True).start()
    return beats


def last_words(beats: report.Beats, will: termination.Testament) -> None:
    """Send the final report from a thread that may hang: name look-ups know no timeout.

    What would be lost is written first, because the kubelet may leave us no more than two seconds,
    and again when the api has taken what it would.
    """
    kept = beats.kept
    will.leave(kept.boot, kept.remains())
    farewell = threading.Thread(
        target=beats.farewell, args=(IDLE_SECONDS, BUSY_SECONDS), name="farewell", daemon=True
    )
    farewell.start()
    farewell.join(IDLE_SECONDS)
    if kept.count:
        farewell.join(BUSY_SECONDS - IDLE_SECONDS)
    will.leave(kept.boot, kept.remains())


if __name__ == "__main__":
    main()
