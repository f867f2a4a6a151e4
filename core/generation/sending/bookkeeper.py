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
from concurrent.futures import Future
from typing import Protocol

from core.domain.chat import ChatReply
from core.domain.request import RequestRecord
from core.generation.replies.reply_readers import Outcome
from core.storage.ledger import Leaving, Ledger, Received

READ_AT_ONCE = 16  # replies read between two looks at what has to be committed: senders wait that long
GATHER_SECONDS = 0.05  # fewer than that are read when nothing was handed in for so long
SWITCH_SECONDS = 0.001  # the event loop must not wait Python's usual 5 ms for a thread that computes, several times a request


class Reader(Protocol):
    """Makes something of a reply."""

    def read(self, record: RequestRecord, reply: ChatReply) -> Outcome:
        """Store what one reply holds, or say why nothing could be used."""
        ...

    def read_all(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> list[Outcome]:
        """Store what the replies hold, or say why nothing could be used: an outcome each, in their order."""
        ...


Note = Callable[[], None]  # any other write to the ledger
Entry = tuple[Leaving | Received | Note, RequestRecord | None, "Future[bool]"]
Told = Callable[[RequestRecord, Received, Outcome], None]


class Bookkeeper:
    """Open it as a context manager; leaving it commits and reads all that was handed in.

    `told` is called from the bookkeeper's thread for each reply that was read, after what it brought is committed.
    """

    def __init__(self, ledger: Ledger, reader: Reader, job_id: str, told: Told) -> None:
        self._ledger = ledger
        self._reader = reader
        self._job_id = job_id
        self._told = told
        self._entries: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._unread: deque[tuple[RequestRecord, Received]] = deque()
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
        return await self._hand_in(leaving, None)

    async def received(self, record: RequestRecord, received: Received) -> None:
        """Commit a reply; it is read later."""
        await self._hand_in(received, record)

    async def note(self, write: Note) -> None:
        """Do another write to the ledger in its turn, and commit it."""
        await self._hand_in(write, None)

    async def _hand_in(self, what: Leaving | Received | Note, record: RequestRecord | None) -> bool:
        self.check()
        future: Future[bool] = Future()
        self._entries.put((what, record, future))
        if self._trouble is not None:  # the thread ended meanwhile and looks at nothing any more
            future.cancel()
            raise self._trouble
        return await asyncio.wrap_future(future)

    def _work(self) -> None:
        taken: list[Entry] = []
        try:
            closing = False
            while not (closing and not self._unread):
                taken, ended = self._take(wait_seconds=0 if closing else GATHER_SECONDS if self._unread else None)
                closing = closing or ended
                self._commit(taken)
                if closing or not taken or len(self._unread) >= READ_AT_ONCE:
                    self._read_some()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, who ends the run with it
            self._trouble = error
            for _, _, future in [*taken, *self._take(wait_seconds=0)[0]]:
                if not future.done() and future.set_running_or_notify_cancel():
                    future.set_exception(error)

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
        if not entries:
            return
        leaving = [what for what, _, _ in entries if isinstance(what, Leaving)]
        received = [what for what, _, _ in entries if isinstance(what, Received)]
        with self._ledger.together():
            claimed = self._ledger.mark_all_sent(leaving, self._job_id) if leaving else set()
            self._ledger.mark_all_received(received)
            for write in (what for what, _, _ in entries if not isinstance(what, Leaving | Received)):
                write()
        for what, record, future in entries:
            if isinstance(what, Received) and record is not None:
                self._unread.append((record, what))
            if future.set_running_or_notify_cancel():
                future.set_result(not isinstance(what, Leaving) or what.key in claimed)

    def _read_some(self) -> None:
        batch = [self._unread.popleft() for _ in range(min(READ_AT_ONCE, len(self._unread)))]
        if batch:
            read_together(self._ledger, self._reader, batch, self._told)


def read_together(ledger: Ledger, reader: Reader, batch: Sequence[tuple[RequestRecord, Received]], told: Told) -> None:
    """Read stored replies and commit what they brought, once; then tell of each."""
    with ledger.together():
        outcomes = reader.read_all([(record, received.reply) for record, received in batch])
        ledger.mark_all_read([(record.key, outcome.reason) for (record, _), outcome in zip(batch, outcomes, strict=True)])
    for (record, received), outcome in zip(batch, outcomes, strict=True):
        told(record, received, outcome)
