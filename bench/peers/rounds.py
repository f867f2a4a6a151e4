"""Processes that work in turns: the bench says go, one of them does one piece of work and answers, the others sleep.

One JSON line each way, over stdin and a copy of stdout, so that what a library prints does not disturb. The standard library is enough:
a peer's script imports this beside itself.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


class Contestant:
    """One process, from the bench's side."""

    def __init__(self, command: Sequence[str | Path], errand: Mapping[str, Any], *, folder: Path, environment: Mapping[str, str]) -> None:
        """Start `command` with the path of a JSON file that holds `errand`; what it prints goes to `folder`/log.txt."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "errand.json"
        path.write_text(json.dumps(errand), encoding="utf-8")
        self._log = folder / "log.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*map(str, command), str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **environment},
            )

    def ask(self, **wanted: Any) -> dict[str, Any]:
        """Have it do one piece of work.

        Raises:
            RuntimeError: it ended instead of answering; with the end of its log.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # told by `hear`
            self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
            self._process.stdin.flush()
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """The next answer; the first one comes unasked, when it is ready.

        Raises:
            RuntimeError: see `ask`.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            tail = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"A contestant ended with status {self._process.wait()}:\n{tail}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Turn:
    """The same, from the process's own side."""

    def __init__(self) -> None:
        """Keep stdout for answers; whatever else is printed goes to stderr."""
        self.errand: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._busy = 0.0

    def wait(self) -> dict[str, Any] | None:
        """What is asked for next; None when nothing more is."""
        line = sys.stdin.readline()
        self._busy = _processor_seconds()
        return json.loads(line) if line else None

    def answer(self, **found: Any) -> None:
        """Say what was done; told with it: peak memory since the start, and processor time since the turn began, of all threads."""
        busy = _processor_seconds() - self._busy
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._answers.write(json.dumps({**found, "peak_bytes": peak, "processor_seconds": busy}) + "\n")
        self._answers.flush()


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
