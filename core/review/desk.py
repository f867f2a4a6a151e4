"""The reviewer's desk: a queue that never serves a decided triple again, decisions that can all be taken back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.review import MINED, TEXT_ACTIONS, VERDICTS, Action, Decision, Step, TripleRecord, hidden_from
from core.domain.triple import Flag, Texts, Triple, Verdict
from core.errors import BadInput, NothingToDo
from core.review.editing import checked_texts, promoted, swapped
from core.review.ordering import OrderLearner, Suggestion
from core.review.people import ReviewTeam
from core.storage.decisions import DecisionStore
from core.storage.triples import TripleStore, chunks

UNDOABLE_STEPS = 50
TEMPO_WINDOW = timedelta(hours=1)
TEMPO_LEAST = 3  # verdicts below which a speed says nothing


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the work stands; `hours_left` is None until three verdicts in the last hour give a speed."""

    mine: int
    decided: int  # disputed ones left out
    disputed: int
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
        team: ReviewTeam,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._triples = triples
        self._decisions = decisions
        self._check = check
        self.team = team
        self.learner = OrderLearner(triples)
        self._clock = clock

    def card(self, triple_id: str) -> TripleRecord:
        """One triple with its standing and flags.

        Raises:
            NotFound: no triple has this id.
        """
        return self._triples.get(triple_id)

    def cards(self, triple_ids: Sequence[str]) -> list[TripleRecord]:
        """Those of these triples that exist, in the order given."""
        return self._triples.get_many(dict.fromkeys(triple_ids))

    def next_card(self, queue: ReviewQueue, after: str | None = None) -> TripleRecord | None:
        """The first free card of the queue, or the one after a triple (also a decided one); from the end on to the start.

        The queue's window holds it from now on, and gives back what it held before.
        """
        return self._take(queue, after, backwards=False)

    def previous_card(self, queue: ReviewQueue, before: str) -> TripleRecord | None:
        """The free card before a triple; from the start back to the end. Held like the next one."""
        return self._take(queue, before, backwards=True)

    def peek(self, queue: ReviewQueue, after: str) -> TripleRecord | None:
        """The card `next_card` would give now, held by nobody: to prepare what takes time."""
        return self._step(queue, after, backwards=False, serve=False)

    def take_card(self, triple_id: str, queue: ReviewQueue) -> tuple[TripleRecord, list[str]]:
        """A card by its id, for a link or a reload, with the names of others who have it on the desk where it could not be held.

        The queue's window gives back what it held before in either case.

        Raises:
            NotFound: no triple has this id.
        """
        with self.team.taking():
            record = self._triples.get(triple_id)
            held = self.team.hold(record, self.team.seat(queue))
            if not held:
                self.team.release(queue.holder)
        return record, [] if held else self.team.others_at(record, queue)

    def _take(self, queue: ReviewQueue, at: str | None, *, backwards: bool) -> TripleRecord | None:
        with self.team.taking() if queue.holder else nullcontext():
            record = self._step(queue, at, backwards=backwards, serve=True)
            if queue.holder and record:
                self.team.hold(record, self.team.seat(queue))
            elif queue.holder:
                self.team.release(queue.holder)
        return record

    def _step(self, queue: ReviewQueue, at: str | None, *, backwards: bool, serve: bool) -> TripleRecord | None:
        free = self._free(queue)
        learnt = queue.order is TripleOrder.SUSPICIOUS and not queue.disputed
        if learnt and (found := self.learner.next_in(queue.reviewer, free, at, backwards=backwards, serve=serve)):
            return found
        if at and (found := self._triples.neighbour(free, queue.order, at, backwards=backwards, seed=queue.seed)):
            return found
        return next(iter(self._triples.find(free, queue.order, 1, backwards=backwards, seed=queue.seed)), None)

    def _free(self, queue: ReviewQueue) -> TripleFilter:
        return replace(queue.pending, open_to=self.team.seat(queue) if queue.reviewer else None)

    def waiting(self, queue: ReviewQueue) -> int:
        """How many cards the queue holds that nobody else has on the desk."""
        return self._triples.count(self._free(queue))

    def skipped(self, queue: ReviewQueue) -> int:
        """How many cards the reviewer skipped and nobody decided since."""
        return self._triples.count(replace(self._free(queue), not_skipped_by=None)) - self.waiting(queue)

    def counts_by(self, column: str, wanted: TripleFilter) -> dict[str, int]:
        """How many triples pass for each value of a column: what the filters of the page offer."""
        return self._triples.counts_by(column, wanted)

    def decide(
        self,
        triple_id: str,
        action: Action,
        reviewer: str,
        *,
        reason: str = "",
        texts: Texts | None = None,
        seen: TripleRecord | None = None,
    ) -> Decision:
        """Write one decision. A verdict on a waiting triple that several read is one reading; on a disputed one it is the adjudication.

        Args:
            triple_id: what it is about.
            action: anything but undo, which is `undo`.
            reviewer: who signs it.
            reason: needed to reject; a RejectReason's value or own words.
            texts: needed to edit.
            seen: the card as it was on screen: refused where somebody changed its verdict or its texts since.

        Raises:
            BadInput: a reason, a reviewer or a text is missing, an edit changes nothing, or what was seen holds no longer.
            NotFound: no triple has this id.
        """
        if action is Action.UNDO:
            raise BadInput("An undo names no triple.", hint="Undo takes back your newest step.")
        with self.team.taking():
            record = self._triples.get(triple_id)
            if action is Action.REJECT and not reason.strip():
                raise BadInput("A rejection needs a reason.", hint="Press one of the keys 1 to 7.")
            verdict = record.standing.verdict
            entry = Decision(
                triple_id,
                _signed(reviewer),
                action,
                reason.strip(),
                _new_texts(action, texts, seen or record),
                readers=self.team.rules().readers_of(triple_id) if action in VERDICTS and verdict is Verdict.PENDING else 1,
                adjudicates=action in VERDICTS and verdict is Verdict.DISPUTED,
                shown=tuple(flag.message for flag in seen.flags) if seen else (),
            )
            written = self._decisions.append([entry], seen=seen.standing if seen else None)[0]
        if entry.texts:
            self._check_again([triple_id])
        if action in VERDICTS:
            self.learner.note(entry.reviewer)
        return written

    def bulk(self, triple_ids: Sequence[str], action: Action, reviewer: str, *, reason: str = "", only_pending: bool = False) -> BulkReport:
        """Accept or reject many at once; those with that verdict already are left alone. Undone as one step.

        With `only_pending`, what somebody decided in the meantime stays decided, and what several must read stays for them to read.
        """
        if action not in VERDICTS:
            raise BadInput(f"{action.value.capitalize()} is not a bulk action.", hint="Accept or reject.")
        if action is Action.REJECT and not reason.strip():
            raise BadInput("A rejection needs a reason.", hint="Choose one beside the button.")
        one = Decision("", _signed(reviewer), action, reason.strip(), batch_id=uuid.uuid4().hex)
        with self.team.taking():
            verdicts = self._decisions.verdicts(triple_ids)
            if only_pending:
                verdicts = {i: verdicts[i] for i in self._read_by_one(verdicts) if verdicts[i] is Verdict.PENDING}
            changed = [i for i, verdict in verdicts.items() if verdict is not VERDICTS[action]]
            self._decisions.append([replace(one, triple_id=i, adjudicates=verdicts[i] is Verdict.DISPUTED) for i in changed])
        self.learner.note(one.reviewer, len(changed))
        return BulkReport(tuple(changed), len(verdicts) - len(changed), one.batch_id if changed else None)

    def _read_by_one(self, triple_ids: Iterable[str]) -> list[str]:
        rules = self.team.rules()
        return [i for i in triple_ids if rules.readers_of(i) == 1]

    def undo(self, reviewer: str) -> list[TripleRecord]:
        """Take back the reviewer's newest step that still holds, a bulk action as one. Returns the triples it was about.

        Raises:
            NothingToDo: nothing is left to undo.
            BadInput: somebody else changed the texts since, or gave a verdict on them.
        """
        steps = self._decisions.steps(_signed(reviewer), limit=1)
        if not steps:
            raise NothingToDo("There is nothing of yours to undo.", hint="Decide on a triple first.")
        return self.undo_step(reviewer, steps[0])

    def undo_step(self, reviewer: str, step: Step) -> list[TripleRecord]:
        """Take back one of the reviewer's last 50 steps; of a batch what nobody used since (`in_use` tells of the rest).

        Raises:
            BadInput: it is none of them, or all its texts were changed since, or a verdict was given on them; nothing is undone.
        """
        batch_id = uuid.uuid4().hex if step.batch_id else None
        with self.team.taking():
            if step.first_id not in {s.first_id for s in self.steps(reviewer, mined=_mined(step))}:
                raise BadInput("This step is not one of your last 50, or it was undone.", hint="Reload the page.")
            holding = self._decisions.holding(step, _signed(reviewer))
            used = self._uses(holding)
            mine = [entry for entry in holding if entry.id not in used]
            if not mine:
                raise _all_in_use(list(used.values()))
            self._decisions.append([Decision(e.triple_id, e.reviewer, Action.UNDO, undoes=e.id, batch_id=batch_id) for e in mine])
        self._check_again([entry.triple_id for entry in mine if entry.texts])
        self.learner.note(mine[0].reviewer, len(mine))
        return self._triples.get_many(entry.triple_id for entry in mine)

    def in_use(self, reviewer: str, step: Step) -> list[str]:
        """Who did what with texts of a step since: one sentence for each entry that holds and cannot be taken back."""
        return list(self._uses(self._decisions.holding(step, _signed(reviewer))).values())

    def _uses(self, entries: Sequence[Decision]) -> dict[int | None, str]:
        """By entry. Nobody's work may come to stand on texts they did not see."""
        edits = [entry for entry in entries if entry.texts]
        logs = self._decisions.logs([edit.triple_id for edit in edits])
        return {edit.id: words for edit in edits if (words := _use_of(edit, logs[edit.triple_id]))}

    def steps(self, reviewer: str, *, mined: bool = False) -> list[Step]:
        """What `undo_step` can take back, newest first; with `mined` the work of mining jobs too, which nobody did at the desk."""
        return self._decisions.steps(_signed(reviewer), limit=UNDOABLE_STEPS, mined=mined)

    def history(self, triple_id: str) -> list[Decision]:
        """All decisions on a triple, oldest first, undone ones and undos included."""
        return self._decisions.of_triple(triple_id)

    def suggestion(self, record: TripleRecord, reviewer: str) -> Suggestion | None:
        """That this reviewer would probably reject a triple, and why, by their own verdicts; None where nothing speaks for it yet."""
        return self.learner.suggestion(record, reviewer)

    def alike(self, record: TripleRecord, *, preview: int = 5) -> Alike | None:
        """Pending triples that share the heaviest flag, the task and the prompt version; None where there are none."""
        if not record.flags:
            return None
        flag = max(record.flags, key=lambda f: f.weight)
        triple = record.triple
        version = triple.prompt_version_id
        wanted = TripleFilter(
            flag_code=flag.code,
            task_id=triple.task_id,
            prompt_version_id=version,
            without_prompt=version is None,
            verdict=Verdict.PENDING,
        )
        ids = tuple(i for i in self._read_by_one(self._triples.ids(wanted)) if i != record.id)
        return Alike(flag, ids, tuple(self._triples.get_many(ids[:preview]))) if ids else None

    def progress(self, queue: ReviewQueue) -> Progress:
        """Counts of the whole workspace, and the reviewer's own speed over the last hour."""
        moment = self._clock()
        since = (moment - TEMPO_WINDOW).isoformat(timespec="milliseconds")
        mine, lately, first = self._decisions.tempo(queue.reviewer, since)
        waiting, total = self.waiting(queue), self._triples.count()
        pending, disputed = (self._triples.count(TripleFilter(verdict=v)) for v in (Verdict.PENDING, Verdict.DISPUTED))
        per_hour = None
        if lately >= TEMPO_LEAST:
            hours = (moment - datetime.fromisoformat(first)).total_seconds() / 3600
            per_hour = lately / hours if hours > 0 else None
        return Progress(mine, total - pending - disputed, disputed, total, waiting, per_hour, waiting / per_hour if per_hour else None)

    def _check_again(self, triple_ids: Sequence[str]) -> None:
        """What somebody rewrites in the meantime is left to them to check."""
        for some in chunks(triple_ids):
            checked = {r.id: (r.texts, self._check(r.triple.with_texts(r.texts))) for r in self._triples.get_many(some)}
            with self.team.taking():
                still = [r.id for r in self._triples.get_many(checked) if r.texts == checked[r.id][0]]
                self._triples.set_flags({i: checked[i][1] for i in still})


def _new_texts(action: Action, given: Texts | None, record: TripleRecord) -> Texts | None:
    """The texts after an action; None where it changes none."""
    if action not in TEXT_ACTIONS:
        return None
    if action is Action.EDIT:
        return checked_texts(given, record)
    return swapped(record.texts) if action is Action.SWAP else promoted(record.texts)


def _mined(written: Decision | Step) -> bool:
    return (written.batch_id or "").startswith(MINED)


def _use_of(edit: Decision, log: Sequence[Decision]) -> str:
    """What was done with the texts of an edit, in words; "" where nothing was. A reading that is still open names nobody.

    One's own verdict does not count, as one knew the texts before the edit too; of mined ones one saw those with the negative only.
    """
    undone = {entry.undoes for entry in log}
    since = [entry for entry in log if (entry.id or 0) > (edit.id or 0) and entry.id not in undone]
    later = [entry for entry in since if entry.reviewer != edit.reviewer]
    if rewritten := [entry for entry in later if entry.texts]:
        return f"{rewritten[-1].reviewer} changed the texts of this triple after you."
    if judged := [entry for entry in later if entry.action in VERDICTS]:
        who = "Somebody" if judged[-1].id in hidden_from(edit.reviewer, log) else judged[-1].reviewer
        return f"{who} gave a verdict on this triple with the texts you gave it."
    if _mined(edit) and any(entry.reviewer == edit.reviewer and entry.action in VERDICTS for entry in since):
        return "You gave a verdict on this triple with the texts that were mined for it."
    return ""


def _all_in_use(used: Sequence[str]) -> BadInput:
    return BadInput(
        used[0] if len(used) == 1 else f"All {len(used):,} triples are in use. Of the first: {used[0]}",
        hint="Edit the texts again instead, or have the other step taken back first; the history of the triple shows both.",
    )


def _signed(reviewer: str) -> str:
    if not reviewer.strip():
        raise BadInput("A decision needs the name of who decided.", hint="Give your name in Settings.")
    return reviewer.strip()
