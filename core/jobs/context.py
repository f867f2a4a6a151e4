"""What a job's own process is given: its plan, its folder, a way to report, and whether to stop."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.domain.jobs import EndRequest, Job, JobState
from core.errors import StorageError
from core.jobs.events import EventWriter
from core.storage.artifacts import write_json
from core.storage.jobs import JobStore

HEARTBEAT_SECONDS = 2.0
STOP_FILE = "stop-requested"
RESULT_FILE = "result.json"
EARLIER_RESULT_FILE = "earlier-result.json"  # of a job that was resumed: what it had before


class JobContext:
    """Handed to the use case that does the work. Use it as a context manager: it beats while open."""

    def __init__(self, job: Job, store: JobStore) -> None:
        self.job = job
        self.plan: dict[str, Any] = job.plan
        self.folder: Path = job.folder
        self.result: dict[str, Any] = {}  # what the work brought so far, kept with the failure where it fails
        self._stop_path = str(job.folder / STOP_FILE)
        self._store = store
        self._events = EventWriter(job.folder / "events.jsonl")
        self._closing = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> JobContext:
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._heart.join(timeout=HEARTBEAT_SECONDS * 2)
        self._events.close()

    def emit(self, kind: str, **fields: Any) -> None:
        """Report something that happened."""
        self._events.write(kind, **fields)

    def progress(self, done: int, total: int, unit: str, note: str = "") -> None:
        """Report how far the work is; every job does, so that every list can show it."""
        self.emit("progress", done=done, total=total, unit=unit, note=note)

    def stop_requested(self) -> bool:
        """Whether someone asked to stop or to pause: finish the step, save, return."""
        return os.path.exists(self._stop_path)  # noqa: PTH110 - asked for twice a request: a fifth of what pathlib takes

    def _beat(self) -> None:
        while not self._closing.is_set():
            try:
                self._store.set(self.job.id, heartbeat_at=time.time())
            except Exception as error:  # noqa: BLE001 - a missed beat must not end the work; the log says why it was missed
                with suppress(StorageError):  # nothing can be written: the next beat tries again
                    self._events.write("heartbeat_missed", error=str(error))
            self._closing.wait(HEARTBEAT_SECONDS)


def ask_to_end(folder: Path, request: EndRequest) -> None:
    """Leave word for a job's process; the last word counts."""
    write_json(folder / STOP_FILE, asdict(request))


def read_request(values: Mapping[str, str]) -> EndRequest:
    """A request as files hold it."""
    return EndRequest(JobState(values["state"]), values["by"], values["at"])


def end_request(folder: Path) -> EndRequest | None:
    """What the job was asked, if anything. A file that holds no such word was left by an earlier version: stop."""
    try:
        return read_request(json.loads((folder / STOP_FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return EndRequest(JobState.STOPPED)
