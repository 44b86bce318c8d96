"""Programs as processes: started, listened to line by line, stopped by the end of their input, or killed."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = ROOT / "examples" / "durable_task"
SECONDS_MAX = 90.0


class Program:
    """A process and what it printed so far.

    Attributes:
        lines: What it printed and was waited for.
    """

    def __init__(self, *command: str | Path, environment: Mapping[str, str], errors: Path) -> None:
        """Start it. What it says on standard error goes into a file."""
        self._errors = errors
        self.lines: list[str] = []
        self._coming: queue.Queue[str | None] = queue.Queue()
        with errors.open("ab") as kept:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                env={**os.environ, **environment},
                cwd=errors.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=kept,
                text=True,
            )
        assert self.process.stdout is not None
        self._listener = threading.Thread(target=self._listen, args=(self.process.stdout,))
        self._listener.start()

    def _listen(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self._coming.put(line.rstrip("\n"))
        self._coming.put(None)

    def line(self) -> str | None:
        """Return the next line that it prints; ``None`` when there will be none."""
        try:
            line = self._coming.get(timeout=SECONDS_MAX)
        except queue.Empty:
            raise TimeoutError(f"{self._what()} printed nothing more after {self.lines}") from None
        if line is not None:
            self.lines.append(line)
        return line

    def until(self, text: str) -> None:
        """Wait for a line.

        Raises:
            AssertionError: The program ended without it.
        """
        while (line := self.line()) != text:
            assert line is not None, f"{self._what()} ended without {text!r}: {self.lines}"

    def rest(self) -> list[str]:
        """Wait for the end and return all lines."""
        while self.line() is not None:
            pass
        assert self.process.wait(SECONDS_MAX) == 0, self._what()
        return self.lines

    def kill(self) -> None:
        """End it as a power cut would, and take in what it had printed."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(SECONDS_MAX)
        while self.line() is not None:
            pass

    def stop(self) -> list[str]:
        """End its input, wait for its end, and return all lines."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.rest()

    def _what(self) -> str:
        return f"{self.process.args}\n{self._errors.read_text(encoding='utf-8')}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it end by the end of its input; kill it if something went wrong."""
        assert self.process.stdin is not None
        if kind is not None:
            self.process.kill()
        self.process.stdin.close()
        try:
            self.process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._listener.join()


class Troupe:
    """The worker and the client of a program, on a store, each in a process of its own."""

    def __init__(
        self,
        name: str,
        folder: Path,
        environment: Mapping[str, str],
        python: Path | str = sys.executable,
    ) -> None:
        self._name = name
        self._folder = folder
        self._environment = environment
        self._python = python

    def start(self, part: str, *arguments: str | Path) -> Program:
        """Start the worker or the client."""
        script = PROGRAMS / self._name / f"{part}.py"
        return Program(
            self._python,
            script,
            *arguments,
            environment=self._environment,
            errors=self._folder / f"{part}.err",
        )

    @contextmanager
    def worker(self) -> Iterator[Program]:
        """Have a worker that serves."""
        with self.start("worker") as program:
            program.until("working")
            yield program

    def play(self, *arguments: str | Path) -> list[str]:
        """Have a worker, run the client, and return what it printed."""
        with self.worker(), self.start("client", *arguments) as client:
            return client.rest()
