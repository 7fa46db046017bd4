"""Runs named steps: one line each with its time, a log file each, a useful message on failure."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from cluster import programs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 20
LONGEST_COMMAND = 200
# A cold compile takes ten minutes and says nothing; a reader wants to know that it lives.
HEARTBEAT_SECONDS = 60.0


class Failed(Exception):
    """A step that did not work, with what a person needs to go on."""

    def __init__(self, what: str, *, advice: str, log: Path | None = None, tail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice
        self.log = log
        self.tail = tail

    def report(self) -> str:
        """Lines for the terminal: what failed, the end of its log, what to do."""
        lines = [f"FAILED: {self.what}"]
        if self.tail:
            lines += ["", *(f"  | {line}" for line in self.tail.splitlines())]
        if self.log:
            lines += ["", f"Whole log: {self.log}"]
        return "\n".join([*lines, f"What to do: {self.advice}"])


class Stopped(Exception):
    """This step was ended because the run is over."""


def human(seconds: float) -> str:
    """Write a duration the way people say it: `4 s`, `3 min 05 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log; reads only its end, however long it is."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 200 * lines))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


@dataclass(slots=True, kw_only=True)
class Runner:
    """The run as a whole: what is under way, and what to stop when it ends early."""

    logs: Path
    out: IO[str] = field(default_factory=lambda: sys.stdout)
    started: float = field(default_factory=time.monotonic)
    _running: dict[str, float] = field(default_factory=dict)
    _programs: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)
    _guard: threading.RLock = field(default_factory=threading.RLock)

    def say(self, text: str, *, took: float | None = None) -> None:
        minutes, seconds = divmod(round(time.monotonic() - self.started), 60)
        suffix = "" if took is None else f"  ({human(took)})"
        with self._guard:
            print(f"  {minutes:02d}:{seconds:02d}  {text}{suffix}", file=self.out, flush=True)

    @contextlib.contextmanager
    def step(self, title: str, *, advice: str) -> Iterator[Step]:
        """Run the block as one step; any failure in it becomes `Failed` with the log's end."""
        self.check()
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / (re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") + ".log")
        log.write_text("")
        began = time.monotonic()
        with self._guard:
            self._running[title] = began
        try:
            yield Step(runner=self, title=title, log=log, advice=advice)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise Failed(f"{title}: {error}", advice=advice, log=log, tail=tail(log)) from error
        finally:
            with self._guard:
                self._running.pop(title, None)
        self.say(title, took=time.monotonic() - began)

    def check(self) -> None:
        if self._over.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the run."""
        if self._over.wait(seconds):
            raise Stopped

    def spawn(self, command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        """Start a program in a process group of its own, so that all of it can be ended."""
        with self._guard:
            self.check()
            program = subprocess.Popen(command, start_new_session=True, **options)  # type: ignore[call-overload]
            self._programs.add(program)
        return program  # type: ignore[no-any-return]

    def forget(self, program: subprocess.Popen[bytes]) -> None:
        with self._guard:
            self._programs.discard(program)

    def stop(self) -> None:
        """End every program that is running now and let no further one start."""
        self._over.set()
        with self._guard:
            running = list(self._programs)
        for program in running:
            programs.end(program)

    def heartbeat(self) -> None:
        """Say every minute what is still under way, until the run is over."""
        while not self._over.wait(HEARTBEAT_SECONDS):
            now = time.monotonic()
            with self._guard:
                waiting = [f"{name} ({human(now - at)})" for name, at in self._running.items()]
            if waiting:
                self.say("... " + ", ".join(waiting))


@dataclass(slots=True, kw_only=True)
class Step:
    """One step under way: runs programs, whose output goes to its log."""

    runner: Runner
    title: str
    log: Path
    advice: str

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 1800.0,
        attempts: int = 1,
    ) -> None:
        """Run a program to its good end. `attempts` > 1 is for programs that use the network."""
        code = self._once(command, cwd=cwd, env=env, timeout=timeout)
        for tried in range(1, attempts):
            if code == 0:
                return
            self.runner.pause(5.0 * tried)
            code = self._once(command, cwd=cwd, env=env, timeout=timeout)
        if code != 0:
            self.runner.check()
            raise self.failure(f"{_shown(command)} ended with code {code}")

    def failure(self, what: str) -> Failed:
        return Failed(
            f"{self.title}: {what}", advice=self.advice, log=self.log, tail=tail(self.log)
        )

    def output(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120.0,
    ) -> str:
        """Run a short program and return what it wrote to its standard output."""
        with self.log.open("ab") as log:
            done = subprocess.run(
                command, cwd=cwd, env=programs.environment(env), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, timeout=timeout, check=False,
            )  # fmt: skip
        if done.returncode:
            raise self.failure(f"{_shown(command)} ended with code {done.returncode}")
        return done.stdout.decode(errors="replace")

    def _once(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        timeout: float,
    ) -> int:
        with self.log.open("ab") as log:
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            program = self.runner.spawn(
                command, cwd=cwd, env=programs.environment(env), stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                return program.wait(timeout)
            except subprocess.TimeoutExpired:
                log.write(f"ended after {human(timeout)} without an answer\n".encode())
                return 124
            finally:
                programs.end(program)  # still running only if this thread was interrupted
                self.runner.forget(program)


def _shown(command: Sequence[str]) -> str:
    """Write a command on one line that is not too long; its log holds it whole."""
    line = " ".join(shlex.join(command).split())
    return line if len(line) <= LONGEST_COMMAND else f"{line[:LONGEST_COMMAND]}..."
