"""Answers of batches on their way into the ledger: committed as they came, paid at half the price, then read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from core.domain.chat import ChatReply
from core.domain.plans import EndpointPlan
from core.domain.request import NOTHING, Amount, RequestRecord
from core.errors import EndpointUnreachable
from core.generation.replies.reply_readers import Outcome
from core.generation.sending.attempts import cap_of
from core.generation.sending.bookkeeper import READ_AT_ONCE, Reader, read_together
from core.generation.sending.purse import Purse, bill
from core.llm.batch_client import BatchAnswer, BatchClient
from core.llm.pricing import BATCH_SHARE
from core.llm.retry import Trouble
from core.storage.batches import BatchStore
from core.storage.ledger import CUT_OFF_REASON, Ledger, Received

LINES_A_COMMIT = 256
MOST_ATTEMPTS = 3  # of a request whose line in a batch brought passing trouble
RESUME = "What was answered is kept. Resume the job: only the others go out again, as a new batch."


class Reserves:
    """The worst case of each request that is away, at the price of batches, until its answer tells what it took."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse
        self._worst: dict[str, Amount] = {}

    def of(self, key: str) -> Amount:
        """What is reserved for a request."""
        return self._worst.get(key, NOTHING)

    def hold(self, record: RequestRecord) -> None:
        """Reserve what an earlier run has sent."""
        self._purse.hold(self._note(record))

    def take_now(self, record: RequestRecord) -> bool:
        """Reserve a request that is to leave. False where the reserves of others stand in the way.

        Raises:
            BudgetReached: it may not be sent.
        """
        return self._purse.take_now(self._note(record))

    def settle(self, key: str, paid: Amount = NOTHING) -> None:
        """Replace a reserve by what the request took."""
        self._purse.settle(self._worst.pop(key, NOTHING), paid)

    def _note(self, record: RequestRecord) -> Amount:
        full = self._purse.worst(record.request, cap_of(record))
        self._worst[record.key] = worst = Amount(full.tokens, full.money * BATCH_SHARE)
        return worst


@dataclass(frozen=True, slots=True)
class Told:
    """Who makes something of replies, and who is told of each that was read, and of each request that failed without one."""

    reader: Reader
    was_read: Callable[[RequestRecord, Received, Outcome], None]
    failed: Callable[[RequestRecord, Outcome], None]


class Answers:
    """What comes of the requests of one run's batches. `hopeless` are those that failed, `brought` counts replies."""

    def __init__(
        self, ledger: Ledger, store: BatchStore, client: BatchClient, reserves: Reserves, plan: EndpointPlan, told: Told
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._store = store
        self._client = client
        self._reserves = reserves
        self._plan = plan
        self._told = told
        self.hopeless: set[str] = set()
        self.brought = 0

    def store_file(self, path: Path, away: dict[str, RequestRecord]) -> None:
        """Commit the lines of a file, some at a time, each before it is read; takes from `away` what has an answer."""
        with path.open(encoding="utf-8", errors="replace") as file:
            while some := list(islice(file, LINES_A_COMMIT)):
                self._store_some(some, away)

    def bring_back(self, troubled: Sequence[tuple[RequestRecord, BatchAnswer]]) -> None:
        """Passing trouble, and no answer at all, is worth another batch, up to a point; the others failed."""
        again: list[str] = []
        for record, answer in troubled:
            silent = EndpointUnreachable(f"{self._plan.base_url} left the request out of its answers.", hint=RESUME)
            trouble = answer.trouble or Trouble(silent, passing=True)
            if trouble.passing and record.attempts < MOST_ATTEMPTS:
                again.append(record.key)
                continue
            reason = trouble.error.code if record.raw is None else CUT_OFF_REASON  # then its first reply stays
            self._ledger.mark_failed(record.key, reason, error_body=answer.raw or None)
            self.hopeless.add(record.key)
            self._told.failed(record, Outcome(reason, trouble.error.message))
        self._store.send_back(again)

    def _store_some(self, lines: Iterable[str], away: dict[str, RequestRecord]) -> None:
        received: list[tuple[RequestRecord, Received]] = []
        troubled: list[tuple[RequestRecord, BatchAnswer]] = []
        for answer in (a for a in map(self._client.read, lines) if a is not None):
            if answer.key not in away or (answer.reply is None and answer.trouble is None):
                continue
            record = away.pop(answer.key)
            if answer.reply is not None:
                received.append((record, self._paid(record, answer.reply)))
            else:
                self._reserves.settle(record.key)
                troubled.append((record, answer))
        with self._ledger.together():
            self._ledger.mark_all_received([one for _, one in received])
            self.bring_back(troubled)
        self.brought += len(received)
        for start in range(0, len(received), READ_AT_ONCE):
            read_together(self._ledger, self._told.reader, received[start : start + READ_AT_ONCE], self._told.was_read)

    def _paid(self, record: RequestRecord, reply: ChatReply) -> Received:
        received, paid = bill(record, reply, self._reserves.of(record.key), self._plan.price, share=BATCH_SHARE)
        self._reserves.settle(record.key, paid)
        return received
