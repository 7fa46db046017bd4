"""Start the sidecar and wait for the signal that ends it.

A program may talk to it as soon as this process runs, and importing takes most of the start. So
everything is imported when it is needed, in three steps: the port is open after the first, requests
are answered after the second, and reports go out after the third. These are the only imports of the
package, with those of `tls` and dates in `ingest`, that do not stand at the top of a file.

Work is done by threads, so that no hanging call of theirs can keep the main thread from leaving in
time.
"""

from __future__ import annotations

import gc
import os

from rollcall_sidecar import journal, opening

TYPE_CHECKING = False  # as in `opening`, whose rules hold here
if TYPE_CHECKING:
    import _socket

    from rollcall_sidecar import agenda, intake, report, run, settings, termination

# The whole farewell may take a second, and five while something is unacknowledged; what is left
# pays for the exit itself on a busy node.
IDLE_SECONDS = 0.8
BUSY_SECONDS = 4.8


def main() -> None:
    """Run until SIGTERM or SIGINT, then leave with code 0 whatever the threads are doing."""
    gc.disable()  # until all is imported: it would look for garbage a dozen times and find none
    opening.block_signals()
    beats = will = None
    try:
        complaints: list[str] = []
        port = opening.port(os.environ, complaints)
        listening = None if port is None else opening.listen(port)
        beats, will = start(listening, complaints)
    except Exception as error:
        journal.mishap("starting", error)
    gc.enable()
    opening.await_signal()
    try:
        if beats is not None and will is not None:
            last_words(beats, will)
    finally:
        os._exit(0)


def start(
    listening: _socket.socket | None, complaints: list[str]
) -> tuple[report.Beats, termination.Testament]:
    """Start the loopback API and the beats, in this order: the job may ask at once."""
    from rollcall_sidecar import agenda, buffer, intake, run, settings

    configured, more = settings.read(os.environ)
    known, plan = run.Run(configured), agenda.Agenda()
    taken = intake.Intake(buffer.Buffer(), plan, known)
    if listening is not None:
        answer(listening, known, taken)
    for complaint in complaints + more:
        journal.say(complaint)
    return begin_reports(configured, known, taken, plan)


def answer(listening: _socket.socket, known: run.Run, taken: intake.Intake) -> None:
    """Start the loopback API; without it, clients are refused and reports go out all the same."""
    try:
        from rollcall_sidecar import server

        server.start(listening, known, taken)
        known.can_be_asked = True
    except Exception as error:
        listening.close()
        journal.mishap("starting the loopback API", error)


def begin_reports(
    configured: settings.Settings, known: run.Run, taken: intake.Intake, plan: agenda.Agenda
) -> tuple[report.Beats, termination.Testament]:
    """Start the beats."""
    import threading

    from rollcall_sidecar import report, termination

    beats = report.Beats(configured, known, taken, plan)
    threading.Thread(target=beats.forever, name="beats", daemon=True).start()
    return beats, termination.Testament(configured.termination_log, configured.termination_bytes)


def last_words(beats: report.Beats, will: termination.Testament) -> None:
    """Send the final report from a thread that may hang: name look-ups know no timeout.

    What would be lost is written first, because the kubelet may leave us no more than two seconds,
    and again when the api has taken what it would.
    """
    import threading

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
