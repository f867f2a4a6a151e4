"""The line for the machine: jobs that fill a GPU, or all cores and the memory, run one after the other.

Each waits in a process of its own, which has loaded no model yet, so nobody has to keep the line: who is first tries a lock, and works
once it has it. The kernel takes the lock back however its holder ends, SIGKILL included.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from core.domain.jobs import Job, JobKind, JobState
from core.errors import BadInput
from core.jobs.context import JobContext
from core.jobs.state import active_jobs
from core.storage.artifacts import read_json, write_json
from core.storage.database import translated_errors
from core.storage.jobs import JobStore

IN_TURN = frozenset({JobKind.TRAIN})  # kinds that wait for one another; all others start at once
PLACE_FILE = "place.json"  # {"place"}: seconds since the epoch when it joined the line, or of another it changed places with
LOOK_SECONDS = 0.5  # between two looks whether it is one's turn
ENDINGS = {1: "st", 2: "nd", 3: "rd"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a waiting job stands."""

    number: int  # 1 = next
    length: int  # jobs in line
    ahead: Job | None  # whom it waits for: the one before it in line, or one at work; None: nobody, it starts now

    @property
    def short(self) -> str:
        """The place alone."""
        ending = "th" if 10 < self.number % 100 < 20 else ENDINGS.get(self.number % 10, "th")
        return f"queued, {self.number}{ending} in line" if self.ahead else "starting"

    def __str__(self) -> str:
        return f"{self.short}, behind {self.ahead.title} ({self.ahead.id})" if self.ahead else self.short


class Line:
    """Jobs that wait for their turn, in order, and those whose turn it is."""

    def __init__(self, store: JobStore, folder: Path, *, at_once: int = 1) -> None:
        """`at_once` jobs may work together; `folder` holds their locks."""
        self._store, self._folder, self._at_once = store, folder, at_once
        self._held: FileLock | None = None

    def join(self, job: Job) -> None:
        """Put a job at the end, before its process starts; nothing for a kind that does not wait."""
        if job.kind in IN_TURN:
            write_json(job.folder / PLACE_FILE, {"place": time.time()})

    def waiting(self) -> list[Job]:
        """Jobs in line, the next one first."""
        return sorted((job for job in self._active() if job.state is JobState.QUEUED), key=_order)

    def busy(self) -> Job | None:
        """A job that the first in line waits for: one at work, where no more may work together."""
        return self._blocking(self._active())

    def places(self) -> dict[str, Place]:
        """Where every waiting job stands, by id, the next one first."""
        active = self._active()
        line = sorted((job for job in active if job.state is JobState.QUEUED), key=_order)
        before: list[Job | None] = [self._blocking(active), *line]
        return {job.id: Place(number, len(line), before[number - 1]) for number, job in enumerate(line, start=1)}

    def move(self, job_id: str, number: int) -> None:
        """Make a waiting job the `number`-th in line, counted from 1; the others keep their order.

        Raises:
            BadInput: it is not in line.
        """
        line = self.waiting()
        ids = [job.id for job in line]
        if job_id not in ids:
            raise BadInput(f"Job {job_id} is not in line.", hint="See who is: python -m core jobs line")
        places = [_order(job)[0] for job in line]
        moved = line.pop(ids.index(job_id))
        line.insert(max(1, number) - 1, moved)
        for job, place in zip(line, places, strict=True):  # the same places, dealt out anew
            if _order(job)[0] != place:
                write_json(job.folder / PLACE_FILE, {"place": place})

    def wait_for_turn(self, context: JobContext) -> bool:
        """Wait until it is this job's turn, which lasts as long as this process. False: it was asked to end before.

        Each change of its place is an event of kind `queued`.
        """
        told = ""
        while not context.stop_requested():
            place = self.places().get(context.job.id)
            if place is not None and place.number == 1 and self._lock():
                return True
            if place is not None and place.ahead is not None and str(place) != told:
                told = str(place)
                context.emit("queued", place=place.number, behind=place.ahead.id, note=told)
            time.sleep(LOOK_SECONDS)
        return False

    def _blocking(self, active: Sequence[Job]) -> Job | None:
        working = [job for job in active if job.state is not JobState.QUEUED]
        return working[0] if len(working) >= self._at_once else None

    def _active(self) -> list[Job]:
        return active_jobs(self._store, *IN_TURN)

    def _lock(self) -> bool:
        """Take one of the locks; False where all are taken."""
        for number in range(self._at_once):
            lock = FileLock(self._folder / f".turn-{number}.lock")
            with translated_errors():
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
            self._held = lock  # to the end of the process: only then its memory is free for the next one
            return True
        return False


def _order(job: Job) -> tuple[float, str]:
    known = read_json(job.folder / PLACE_FILE)
    return (float(known["place"]) if known else datetime.fromisoformat(job.created_at).timestamp(), job.id)
