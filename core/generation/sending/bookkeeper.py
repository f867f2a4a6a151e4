"""One thread writes everything of a run, so that what comes together shares one commit: commits, not bytes, take the time.

The order that nothing may break: a request is committed as sent before it leaves, and its reply is committed whole before anything
reads it. Whoever hands something in waits for the commit; reading comes after, in the gaps.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from core.domain.chat import ChatReply
from core.domain.request import RequestRecord
from core.generation.replies.reply_readers import Outcome, Prepared
from core.storage.ledger import Leaving, Ledger, Received

READ_AT_ONCE = 16  # replies read between two looks at what has to be committed: senders wait that long
BATCHES_IN_CHECK = 4  # read, and with the checks at one time
MOST_UNREAD = 2000  # replies in memory: beyond that, senders wait for the readers
GATHER_SECONDS = 0.05  # fewer than that are read when nothing was handed in for so long
UNREAD_SECONDS = 0.05  # between two looks of a sender that waits for the readers
SWITCH_SECONDS = 0.001  # the event loop must not wait Python's usual 5 ms for a thread that computes, several times a request


class Reader(Protocol):
    """Makes something of a reply."""

    def read(self, record: RequestRecord, reply: ChatReply) -> Outcome:
        """Store what one reply holds, or say why nothing could be used."""
        ...

    def read_all(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> list[Outcome]:
        """Store what the replies hold, or say why nothing could be used: an outcome each, in their order."""
        ...

    def prepare(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> Prepared:
        """Read the replies without storing anything yet."""
        ...


Note = Callable[[], None]  # any other write to the ledger


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to commit. `committed` is answered after that, where somebody waits for it."""

    what: Leaving | Received | Note
    record: RequestRecord | None = None
    committed: asyncio.Future[bool] | None = None


WAKE = Entry(lambda: None)  # nothing to commit: a batch comes back from the checks
Batch = list[tuple[RequestRecord, Received]]
Told = Callable[[RequestRecord, Received, Outcome], None]


class Bookkeeper:
    """Open it inside the event loop, as a context manager; leaving it commits and reads all that was handed in.

    `told` is called from the bookkeeper's thread for each reply that was read, after what it brought is committed.
    """

    def __init__(self, ledger: Ledger, reader: Reader, job_id: str, told: Told) -> None:
        self._ledger = ledger
        self._reader = reader
        self._job_id = job_id
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._entries: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._unread: deque[tuple[RequestRecord, Received]] = deque()
        self._in_check: deque[tuple[Batch, Prepared]] = deque()
        self._thread = threading.Thread(target=self._work, name="bookkeeper")
        self._trouble: BaseException | None = None
        self._usual_switch_seconds = sys.getswitchinterval()

    def __enter__(self) -> Bookkeeper:
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.put(None)
        self._thread.join()
        sys.setswitchinterval(self._usual_switch_seconds)

    def check(self) -> None:
        """Raise what ended the thread, if something did: the full disk, the task that is gone."""
        if self._trouble is not None:
            raise self._trouble

    async def sent(self, leaving: Leaving) -> bool:
        """Commit that a request leaves. False where another job took it over: then it must not be sent."""
        return await self._committed(leaving)

    async def note(self, write: Note) -> None:
        """Do another write to the ledger in its turn, and commit it."""
        await self._committed(write)

    async def received(self, record: RequestRecord, received: Received) -> None:
        """Commit a reply; it is read some time later. Until then it counts as in flight: a kill would have it sent again."""
        while len(self._unread) > MOST_UNREAD and self._trouble is None:
            await asyncio.sleep(UNREAD_SECONDS)
        await self._committed(received, record)

    async def _committed(self, what: Leaving | Received | Note, record: RequestRecord | None = None) -> bool:
        self.check()
        entry = Entry(what, record, self._loop.create_future())
        self._entries.put(entry)
        if self._trouble is not None:  # the thread ended meanwhile and looks at nothing any more
            raise self._trouble
        assert entry.committed is not None
        return await entry.committed

    def _work(self) -> None:
        taken: list[Entry] = []
        try:
            closing = False
            while not (closing and not self._unread and not self._in_check):
                taken, ended = self._take(wait_seconds=self._patience(closing=closing))
                closing = closing or ended
                self._commit([entry for entry in taken if entry is not WAKE])
                if len(self._unread) >= (1 if closing or not taken else READ_AT_ONCE) and len(self._in_check) < BATCHES_IN_CHECK:
                    self._prepare_some()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, who ends the run with it
            self._trouble = error
            late = self._take(wait_seconds=0)[0]
            with suppress(Exception):  # the disk may be full; then they are sent again
                self._ledger.mark_all_received([entry.what for entry in late if isinstance(entry.what, Received)])
            self._answer([(entry.committed, error) for entry in [*taken, *late]])

    def _patience(self, *, closing: bool) -> float | None:
        """Seconds to wait for something to commit; None: until it comes, or the checks are done."""
        if self._in_check and self._in_check[0][1].ready.done():
            return 0
        if len(self._in_check) >= BATCHES_IN_CHECK or not self._unread:
            return None
        return 0 if closing or len(self._unread) >= READ_AT_ONCE else GATHER_SECONDS

    def _take(self, *, wait_seconds: float | None) -> tuple[list[Entry], bool]:
        """What was handed in since the last look, and whether it was the last; waits so long for the first (None: for ever)."""
        taken: list[Entry] = []
        try:
            while True:
                entry = self._entries.get_nowait() if taken or wait_seconds == 0 else self._entries.get(timeout=wait_seconds)
                if entry is None:
                    return taken, True
                taken.append(entry)
        except queue.Empty:
            return taken, False

    def _commit(self, entries: list[Entry]) -> None:
        """Commit what was handed in, and with it what one batch of checked replies brought."""
        checked = self._in_check.popleft() if self._in_check and self._in_check[0][1].ready.done() else None
        if not entries and checked is None:
            return
        outcomes: list[Outcome] = []
        try:
            with self._ledger.together():
                claimed = self._write(entries)
                if checked is not None:
                    outcomes = _stored(self._ledger, checked[0], checked[1].finish())
        except BaseException:
            if checked is not None:  # what came now must not be lost with what came before
                with self._ledger.together():
                    self._write(entries)
            raise
        self._answer([(e.committed, not isinstance(e.what, Leaving) or e.what.key in claimed) for e in entries])
        for entry in entries:
            if isinstance(entry.what, Received) and entry.record is not None:
                self._unread.append((entry.record, entry.what))
        for (record, one), outcome in zip(checked[0] if checked else [], outcomes, strict=True):
            self._told(record, one, outcome)

    def _write(self, entries: Sequence[Entry]) -> set[str]:
        """Returns the keys of requests that may leave."""
        leaving = [entry.what for entry in entries if isinstance(entry.what, Leaving)]
        claimed = self._ledger.mark_all_sent(leaving, self._job_id) if leaving else set()
        self._ledger.mark_all_received([entry.what for entry in entries if isinstance(entry.what, Received)])
        for write in (entry.what for entry in entries if not isinstance(entry.what, Leaving | Received)):
            write()
        return claimed

    def _answer(self, answers: Sequence[tuple[asyncio.Future[bool] | None, bool | BaseException]]) -> None:
        """Let those who wait go on, all by one call: waking the event loop costs more than the answer."""
        waiting = [(future, answer) for future, answer in answers if future is not None]

        def give() -> None:
            for future, answer in waiting:
                if future.done():
                    continue
                if isinstance(answer, BaseException):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

        if waiting:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(give)

    def _prepare_some(self) -> None:
        batch = [self._unread.popleft() for _ in range(min(READ_AT_ONCE, len(self._unread)))]
        prepared = self._reader.prepare([(record, received.reply) for record, received in batch])
        self._in_check.append((batch, prepared))
        if not prepared.ready.done():
            prepared.ready.add_done_callback(lambda _: self._entries.put(WAKE))


def _stored(ledger: Ledger, batch: Batch, outcomes: list[Outcome]) -> list[Outcome]:
    ledger.mark_all_read([(record.key, outcome.reason) for (record, _), outcome in zip(batch, outcomes, strict=True)])
    return outcomes


def read_together(ledger: Ledger, reader: Reader, batch: Batch, told: Told) -> None:
    """Read stored replies and commit what they brought, once; then tell of each."""
    with ledger.together():
        outcomes = _stored(ledger, batch, reader.read_all([(record, received.reply) for record, received in batch]))
    for (record, received), outcome in zip(batch, outcomes, strict=True):
        told(record, received, outcome)
