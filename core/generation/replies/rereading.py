"""Read failed replies again with today's parser: what was paid for is used, and nothing is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from core.domain.prompt import PromptStep
from core.domain.request import RequestRecord
from core.generation.replies.reply_readers import ExampleReader, FieldReader, TaskReader
from core.generation.sending.bookkeeper import Reader
from core.storage.ledger import Ledger
from core.storage.replies import StoredReplies


@dataclass(frozen=True, slots=True)
class RereadReport:
    """What reading again brought."""

    read: int = 0
    gained: int = 0  # replies that failed and are used now
    added: int = 0  # triples and tasks that are new
    duplicates: int = 0  # gained, and there already
    still_failed: Mapping[str, int] = field(default_factory=dict)  # reason -> replies


class ReplyShelf:
    """The stored replies of a workspace that brought nothing."""

    def __init__(self, ledger: Ledger, replies: StoredReplies, examples: ExampleReader, tasks: TaskReader) -> None:
        self._ledger = ledger
        self._replies = replies
        self._readers: dict[PromptStep, Reader] = {
            PromptStep.EXAMPLE: examples,
            PromptStep.BRAINSTORM: tasks,
            PromptStep.REWRITE: FieldReader(),
        }

    def failed(self, reasons: Sequence[str] = (), *, limit: int = 200) -> list[RequestRecord]:
        """Requests whose answer could not be used, with the answer as it came and the reason, oldest first."""
        return [self._ledger.get(key) for key in self._replies.failed(reasons, limit=limit)]

    def duplicates(self, *, limit: int = 200) -> list[RequestRecord]:
        """Requests whose example was dropped, because the very same one was there already, oldest first."""
        return [self._ledger.get(key) for key in self._replies.duplicates(limit=limit)]

    def get(self, key: str) -> RequestRecord:
        """One request with its reply.

        Raises:
            NotFound: no such request.
        """
        return self._ledger.get(key)

    def reread(self, reasons: Sequence[str] = (), *, tell: Callable[[int, int], None] = lambda done, total: None) -> RereadReport:
        """Read all failed replies again, or those that failed for one of `reasons`. `tell` hears (done, total)."""
        keys = self._replies.failed(reasons, replies_only=True)
        gained = added = duplicates = 0
        still: Counter[str] = Counter()
        for done, key in enumerate(keys, 1):
            record = self._ledger.get(key)
            outcome = self._readers[record.request.step].read(record, record.stored_reply)
            if outcome.reason:
                still[outcome.reason] += 1
                if outcome.reason != record.reason:
                    self._ledger.mark_failed(key, outcome.reason)
            else:
                self._ledger.mark_parsed(key)
                gained, added, duplicates = gained + 1, added + outcome.added, duplicates + outcome.duplicates
            tell(done, len(keys))
        return RereadReport(len(keys), gained, added, duplicates, dict(still.most_common()))
