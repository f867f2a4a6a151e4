"""`events.jsonl`: the only channel between a job and whoever watches it.

One JSON object a line: {"seq", "time" (seconds since the epoch), "kind", ...}. A torn last line, left by a kill, is ignored by readers and
closed by the next writer.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from core.storage.database import translated_errors

Event = dict[str, Any]


class EventWriter:
    """Appends events; one writer a file."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        events, _ = read_events(path)
        self._seq = events[-1]["seq"] + 1 if events else 0
        torn = path.exists() and not path.read_bytes().endswith(b"\n")
        with translated_errors():
            self._file = path.open("ab", buffering=0)  # kept open, and written at once: hundreds of events come a second
        if torn:
            self._append("\n")

    def write(self, kind: str, **fields: Any) -> Event:
        """Append one event and return it."""
        with self._lock:
            event: Event = {"seq": self._seq, "time": round(time.time(), 3), "kind": kind, **fields}
            self._append(json.dumps(event, ensure_ascii=False, default=str) + "\n")
            self._seq += 1
        return event

    def close(self) -> None:
        """Give the file back; what was written is there already."""
        self._file.close()

    def _append(self, text: str) -> None:
        data = text.encode()
        with translated_errors():
            while data:  # a file on a full disk may take the first half only
                data = data[self._file.write(data) :]


def read_events(path: Path, *, offset: int = 0) -> tuple[list[Event], int]:
    """Events from byte `offset` on, and the offset to go on from."""
    with translated_errors():
        if not path.exists():
            return [], 0
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    complete = data[: data.rfind(b"\n") + 1]
    events = []
    for line in complete.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue  # torn by a kill, or the newline that closed it
    return events, offset + len(complete)
