"""The reviewer's desk: a queue that never serves a decided triple again, decisions that can all be taken back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core.domain.filters import ReviewQueue, TripleFilter
from core.domain.review import Action, Decision, TripleRecord
from core.domain.triple import Flag, Texts, Triple, Verdict
from core.errors import BadInput, NothingToDo
from core.review.editing import checked_texts, swapped
from core.storage.decisions import DecisionStore, Step
from core.storage.triples import TripleStore

UNDOABLE_STEPS = 50
TEMPO_WINDOW = timedelta(hours=1)
TEMPO_LEAST = 3  # verdicts below which a speed says nothing
BULK_ACTIONS = {Action.ACCEPT: Verdict.ACCEPTED, Action.REJECT: Verdict.REJECTED}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the work stands; `hours_left` is None until three verdicts in the last hour give a speed."""

    mine: int
    decided: int
    total: int
    waiting: int  # of the reviewer's queue
    per_hour: float | None
    hours_left: float | None


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What a bulk action did; `batch_id` is None where nothing had to change."""

    changed: tuple[str, ...]
    unchanged: int
    batch_id: str | None


@dataclass(frozen=True, slots=True)
class Alike:
    """Pending triples with the same fault, task and prompt version as one that was just decided."""

    flag: Flag
    wanted: TripleFilter
    ids: tuple[str, ...]
    examples: tuple[TripleRecord, ...]


class ReviewDesk:
    """Cards in, decisions out."""

    def __init__(
        self,
        triples: TripleStore,
        decisions: DecisionStore,
        check: Callable[[Triple], Sequence[Flag]],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._triples = triples
        self._decisions = decisions
        self._check = check
        self._clock = clock

    def card(self, triple_id: str) -> TripleRecord:
        """One triple with its standing and flags.

        Raises:
            NotFound: no triple has this id.
        """
        return self._triples.get(triple_id)

    def next_card(self, queue: ReviewQueue, after: str | None = None) -> TripleRecord | None:
        """The first card of the queue, or the one after a triple (also a decided one); from the end on to the start."""
        return self._step(queue, after, backwards=False)

    def previous_card(self, queue: ReviewQueue, before: str) -> TripleRecord | None:
        """The card before a triple; from the start back to the end."""
        return self._step(queue, before, backwards=True)

    def _step(self, queue: ReviewQueue, at: str | None, *, backwards: bool) -> TripleRecord | None:
        if at and (found := self._triples.neighbour(queue.pending, queue.order, at, backwards=backwards, seed=queue.seed)):
            return found
        last = max(0, self.waiting(queue) - 1) if backwards else 0
        first = self._triples.find(queue.pending, queue.order, 1, last, seed=queue.seed)
        return first[0] if first else None

    def waiting(self, queue: ReviewQueue) -> int:
        """How many cards the queue holds."""
        return self._triples.count(queue.pending)

    def skipped(self, queue: ReviewQueue) -> int:
        """How many cards the reviewer skipped and nobody decided since."""
        return self._triples.count(replace(queue.pending, not_skipped_by=None)) - self.waiting(queue)

    def counts_by(self, column: str, wanted: TripleFilter) -> dict[str, int]:
        """How many triples pass for each value of a column: what the filters of the page offer."""
        return self._triples.counts_by(column, wanted)

    def decide(
        self, triple_id: str, action: Action, reviewer: str, *, reason: str = "", texts: Texts | None = None, while_pending: bool = False
    ) -> Decision:
        """Write one decision.

        Args:
            triple_id: what it is about.
            action: anything but undo, which is `undo`.
            reviewer: who signs it.
            reason: needed to reject; a RejectReason's value or own words.
            texts: needed to edit.
            while_pending: refuse where somebody decided in the meantime.

        Raises:
            BadInput: a reason, a reviewer or a text is missing, or an edit changes nothing.
            NotFound: no triple has this id.
        """
        if action is Action.UNDO:
            raise BadInput("An undo names no triple.", hint="Undo takes back your newest step.")
        record = self._triples.get(triple_id)
        if action is Action.REJECT and not reason.strip():
            raise BadInput("A rejection needs a reason.", hint="Press one of the keys 1 to 7.")
        if action is Action.EDIT:
            texts = checked_texts(texts, record)
        elif action is Action.SWAP:
            texts = swapped(record.texts)
        else:
            texts = None
        entry = Decision(triple_id, _signed(reviewer), action, reason.strip(), texts)
        written = self._decisions.append([entry], while_pending=while_pending)[0]
        if texts:
            self._check_again([triple_id])
        return written

    def bulk(self, triple_ids: Sequence[str], action: Action, reviewer: str, *, reason: str = "", only_pending: bool = False) -> BulkReport:
        """Accept or reject many at once; those with that verdict already are left alone. Undone as one step.

        With `only_pending`, what somebody decided in the meantime stays decided.
        """
        if action not in BULK_ACTIONS:
            raise BadInput(f"{action.value.capitalize()} is not a bulk action.", hint="Accept or reject.")
        if action is Action.REJECT and not reason.strip():
            raise BadInput("A rejection needs a reason.", hint="Choose one beside the button.")
        records = self._triples.get_many(dict.fromkeys(triple_ids))
        if only_pending:
            records = [record for record in records if record.standing.verdict is Verdict.PENDING]
        changed = tuple(record.id for record in records if record.standing.verdict is not BULK_ACTIONS[action])
        batch_id = uuid.uuid4().hex if changed else None
        self._decisions.append([Decision(i, _signed(reviewer), action, reason.strip(), batch_id=batch_id) for i in changed])
        return BulkReport(changed, len(records) - len(changed), batch_id)

    def undo(self, reviewer: str) -> list[TripleRecord]:
        """Take back the reviewer's newest step that still holds, a bulk action as one. Returns the triples it was about.

        Raises:
            NothingToDo: nothing is left to undo.
            BadInput: somebody else changed the texts since.
        """
        steps = self._decisions.steps(_signed(reviewer), limit=1)
        if not steps:
            raise NothingToDo("There is nothing of yours to undo.", hint="Decide on a triple first.")
        return self.undo_step(reviewer, steps[0])

    def undo_step(self, reviewer: str, step: Step) -> list[TripleRecord]:
        """Take back one of the reviewer's last 50 steps."""
        if step.first_id not in {s.first_id for s in self.steps(reviewer)}:
            raise BadInput("This step is not one of your last 50, or it was undone.", hint="Reload the page.")
        entries = self._decisions.of_batch(step.batch_id) if step.batch_id else [self._decisions.get(step.first_id)]
        mine = [entry for entry in entries if entry.reviewer == reviewer and entry.action is not Action.UNDO]
        for entry in mine:
            self._refuse_if_rewritten(entry)
        batch_id = uuid.uuid4().hex if step.batch_id else None
        self._decisions.append([Decision(e.triple_id, reviewer, Action.UNDO, undoes=e.id, batch_id=batch_id) for e in mine])
        ids = [entry.triple_id for entry in mine]
        self._check_again([entry.triple_id for entry in mine if entry.texts])
        return self._triples.get_many(ids)

    def _refuse_if_rewritten(self, entry: Decision) -> None:
        if not entry.texts:
            return
        log = self._decisions.of_triple(entry.triple_id)
        undone = {other.undoes for other in log}
        later = [o for o in log if o.texts and (o.id or 0) > (entry.id or 0) and o.id not in undone and o.reviewer != entry.reviewer]
        if later:
            raise BadInput(
                f"{later[-1].reviewer} changed the texts of this triple after you.", hint="Edit it again instead; the history shows both."
            )

    def steps(self, reviewer: str) -> list[Step]:
        """What `undo_step` can take back, newest first."""
        return self._decisions.steps(_signed(reviewer), limit=UNDOABLE_STEPS)

    def history(self, triple_id: str) -> list[Decision]:
        """All decisions on a triple, oldest first, undone ones and undos included."""
        return self._decisions.of_triple(triple_id)

    def alike(self, record: TripleRecord, *, preview: int = 5) -> Alike | None:
        """Pending triples that share the heaviest flag, the task and the prompt version; None where there are none."""
        if not record.flags:
            return None
        flag = max(record.flags, key=lambda f: f.weight)
        triple = record.triple
        wanted = TripleFilter(
            flag_code=flag.code, task_id=triple.task_id, prompt_version_id=triple.prompt_version_id, verdict=Verdict.PENDING
        )
        ids = tuple(i for i in self._triples.ids(wanted) if i != record.id)
        return Alike(flag, wanted, ids, tuple(self._triples.get_many(ids[:preview]))) if ids else None

    def progress(self, queue: ReviewQueue) -> Progress:
        """Counts of the whole workspace, and the reviewer's own speed over the last hour."""
        moment = self._clock()
        since = (moment - TEMPO_WINDOW).isoformat(timespec="milliseconds")
        mine, lately, first = self._decisions.tempo(queue.reviewer, since)
        waiting, total = self.waiting(queue), self._triples.count()
        per_hour = None
        if lately >= TEMPO_LEAST:
            hours = (moment - datetime.fromisoformat(first)).total_seconds() / 3600
            per_hour = lately / hours if hours > 0 else None
        decided = total - self._triples.count(TripleFilter(verdict=Verdict.PENDING))
        return Progress(mine, decided, total, waiting, per_hour, waiting / per_hour if per_hour else None)

    def _check_again(self, triple_ids: Sequence[str]) -> None:
        records = self._triples.get_many(triple_ids)
        self._triples.set_flags({r.id: self._check(r.triple.with_texts(r.texts)) for r in records})


def _signed(reviewer: str) -> str:
    if not reviewer.strip():
        raise BadInput("A decision needs the name of who decided.", hint="Give your name in Settings.")
    return reviewer.strip()
