"""Hard negatives for triples that came without one: from the documents of the others, by ranks and thresholds (METHOD 6), as a job."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

from core.domain.encoder import EncoderSpec, Role
from core.domain.filters import TripleFilter
from core.domain.identity import normalise
from core.domain.jobs import Job, JobKind
from core.domain.mining import MiningMethod, MiningPlan
from core.domain.ranking import Document, document_of
from core.domain.review import MINED, Action, Decision, TripleRecord
from core.domain.triple import Flag, Triple, Verdict
from core.errors import NothingToDo
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.storage.decisions import DecisionStore
from core.storage.triples import TripleStore

if TYPE_CHECKING:
    from core.encoder.text_encoder import TextEncoder

QUERIES_A_STEP = 256
TEXTS_A_STEP = 256
BARE = TripleFilter(without_negative=True)


@dataclass(frozen=True, slots=True)
class Mined:
    """A document that was chosen, with why."""

    text: str
    rank: int  # from 1, among the documents of its group and language
    score: float
    share: float  # of the positive's score

    def reason(self, method: MiningMethod) -> str:
        """What the log says of it."""
        return f"mined by {method.value}: rank {self.rank}, score {self.score:.3f}, {self.share:.0%} of the positive's"


class NegativeMiner:
    """Finds triples without a negative and gives them one: as an edit in the log, so that it can be undone as one step."""

    def __init__(
        self,
        jobs: JobBoard,
        triples: TripleStore,
        decisions: DecisionStore,
        check: Callable[[Triple], Sequence[Flag]],
        open_encoder: Callable[[EncoderSpec], TextEncoder],
    ) -> None:
        self._jobs = jobs
        self._triples = triples
        self._decisions = decisions
        self._check = check
        self._open_encoder = open_encoder

    def missing(self) -> dict[str, int]:
        """Source -> how many of its triples have no negative, most first; what was rejected needs none."""
        rejected = self._triples.counts_by("source", replace(BARE, verdict=Verdict.REJECTED))
        found = {source: n - rejected.get(source, 0) for source, n in self._triples.counts_by("source", BARE).items()}
        return {source: n for source, n in sorted(found.items(), key=lambda pair: (-pair[1], pair[0])) if n}

    def start(self, plan: MiningPlan) -> Job:
        """Mine in a process of its own. One at work is not started twice: its job is returned.

        Raises:
            NothingToDo: every triple of the source has a negative.
        """
        if running := self._jobs.active(JobKind.MINE):
            return running[0]
        missing = self.missing()
        count = missing.get(plan.source, 0) if plan.source else sum(missing.values())
        if not count:
            raise NothingToDo("Every triple of this source has a hard negative.", hint="Choose another source.")
        return self._jobs.start(JobKind.MINE, plan, title=f"Mine hard negatives for {count:,} triples")

    def run(self, context: JobContext) -> dict[str, Any]:
        """Do a mining job's work. Stopped halfway, what was found is kept; resumed, it goes on with the rest and counts both."""
        started = time.monotonic()
        plan = MiningPlan.model_validate(context.plan)
        wanted = [record for record in self._triples.each(replace(BARE, source=plan.source or None)) if _kept(record)]
        corpora = corpora_of(self._triples.each(), {kind_of(record) for record in wanted})
        encoder = self._open_encoder(EncoderSpec.baseline()) if plan.method is MiningMethod.BASELINE and wanted else None
        answers = answers_to(self._triples.each(), {question_of(record) for record in wanted})
        batch_id = f"{MINED}{context.job.id}"
        earlier = self._decisions.count_holding(batch_id, plan.reviewer)
        total, done, found, none_fits = earlier + len(wanted), earlier, earlier, 0
        for kind in dict.fromkeys(kind_of(record) for record in wanted):
            documents = corpora[kind]
            some = [record for record in wanted if kind_of(record) == kind]
            scorer = _scorer(plan.method, documents, encoder, context)
            for start in range(0, len(some), QUERIES_A_STEP):
                if context.stop_requested():
                    return _result(total, done, found, none_fits, started)
                step = some[start : start + QUERIES_A_STEP]
                mined = {
                    record.id: choice
                    for record, scores in zip(step, scorer(step), strict=True)
                    if (choice := choose(record, documents, scores, answers[question_of(record)], plan)) is not None
                }
                found += self._write(step, mined, plan, batch_id)
                done, none_fits = done + len(step), none_fits + len(step) - len(mined)
                context.progress(done, total, "triples", f"{found:,} found")
        return _result(total, done, found, none_fits, started)

    def _write(self, records: Sequence[TripleRecord], mined: dict[str, Mined], plan: MiningPlan, batch_id: str) -> int:
        """Those that were edited or rejected while their negative was looked for are left as they are. Returns how many were written."""
        texts = {r.id: replace(r.texts, negative=mined[r.id].text) for r in records if r.id in mined}
        flags = {r.id: self._check(r.triple.with_texts(texts[r.id])) for r in records if r.id in texts}  # takes long: before the lock
        one = Decision("", plan.reviewer, Action.EDIT, batch_id=batch_id)
        before = {record.id: record.texts for record in records}
        with self._decisions.together():
            still = [r.id for r in self._triples.get_many(texts) if _kept(r) and r.texts == before[r.id]]
            self._decisions.append([replace(one, triple_id=i, reason=mined[i].reason(plan.method), texts=texts[i]) for i in still])
            self._triples.set_flags({i: flags[i] for i in still})
        return len(still)


def choose(
    record: TripleRecord, documents: Sequence[Document], scores: Sequence[float], answers: set[str], plan: MiningPlan
) -> Mined | None:
    """One of the documents whose rank and score a plan admits, drawn by its seed; None where there is none.

    Args:
        record: the triple; its query was scored.
        documents: all of its group and language, its own positive among them.
        scores: of each document with the query.
        answers: texts (after `normalise`) that answer the query and so never are its negatives.
        plan: ranks and thresholds.
    """
    positive = document_of(record.texts.positive).id
    of_positive = next((float(s) for d, s in zip(documents, scores, strict=True) if d.id == positive), 0.0)
    never = {*answers, normalise(record.texts.query)}
    others = [i for i in range(len(documents)) if documents[i].id != positive]
    order = nsmallest(plan.last_rank, others, key=lambda i: (-float(scores[i]), documents[i].id))
    fitting = [
        (rank, i)
        for rank, i in enumerate(order, 1)
        if rank >= plan.first_rank and plan.admits(float(scores[i]), of_positive) and normalise(documents[i].text) not in never
    ]
    if not fitting:
        return None
    rank, i = random.Random(f"{plan.seed}:{record.id}").choice(fitting)  # noqa: S311 - no secret is made here
    return Mined(documents[i].text, rank, float(scores[i]), float(scores[i]) / of_positive if of_positive > 0 else 0.0)


Kind = tuple[str, str]


def kind_of(record: TripleRecord) -> Kind:
    """Documents of another group or language would be told apart by that alone."""
    return record.triple.group.value, record.triple.document_language


def question_of(record: TripleRecord) -> tuple[str, str]:
    """Triples that ask the same share their answers."""
    return record.triple.task, normalise(record.texts.query)


def _kept(record: TripleRecord) -> bool:
    return record.standing.verdict is not Verdict.REJECTED


def corpora_of(records: Iterable[TripleRecord], kinds: set[Kind]) -> dict[Kind, list[Document]]:
    """Documents of triples nobody rejected: a broken text would come back as somebody's hard negative."""
    found: dict[Kind, dict[str, Document]] = {kind: {} for kind in kinds}
    for record in records:
        if (kind := kind_of(record)) in found and _kept(record):
            for text in (record.texts.positive, record.texts.negative):
                if text:
                    document = document_of(text)
                    found[kind].setdefault(document.id, document)
    return {kind: list(documents.values()) for kind, documents in found.items()}


def answers_to(records: Iterable[TripleRecord], questions: set[tuple[str, str]]) -> dict[tuple[str, str], set[str]]:
    """Texts that answer a question, those of rejected triples too: most of them are rejected for another reason."""
    found: dict[tuple[str, str], set[str]] = {question: set() for question in questions}
    for record in records:
        if (question := question_of(record)) in found:
            found[question].add(normalise(record.texts.positive))
    return found


Scorer = Callable[[Sequence[TripleRecord]], Iterator[Sequence[float]]]


def _scorer(method: MiningMethod, documents: Sequence[Document], encoder: TextEncoder | None, context: JobContext) -> Scorer:
    """Scores of every document for each triple's query."""
    if method is MiningMethod.BM25 or encoder is None:
        from core.retrieval.lexical import LexicalIndex

        index = LexicalIndex.build(documents)
        return lambda records: (index.scores(record.texts.query).tolist() for record in records)
    import numpy as np

    parts = []
    for start in range(0, len(documents), TEXTS_A_STEP):
        parts.append(encoder.encode([d.text for d in documents[start : start + TEXTS_A_STEP]], role=Role.DOCUMENT))
        context.progress(min(len(documents), start + TEXTS_A_STEP), len(documents), "documents")
    vectors = np.concatenate(parts)

    def score(records: Sequence[TripleRecord]) -> Iterator[Sequence[float]]:
        queries = encoder.encode([record.texts.query for record in records], role=Role.QUERY)
        return (row.tolist() for row in queries @ vectors.T)

    return score


def _result(wanted: int, done: int, found: int, none_fits: int, started: float) -> dict[str, Any]:
    return {
        "triples": wanted,
        "looked_at": done,
        "found": found,
        "none_fits": none_fits,
        "changed_meanwhile": done - found - none_fits,
        "seconds": round(time.monotonic() - started, 2),
    }
