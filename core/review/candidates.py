"""A few documents that could be the hard negative of ONE triple: by the ranks and thresholds mining has, for a person to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from core.domain.encoder import Role
from core.domain.filters import TripleFilter
from core.domain.identity import normalise
from core.domain.mining import MiningMethod, MiningPlan
from core.domain.ranking import Document, document_of
from core.domain.review import TripleRecord
from core.errors import NothingToDo
from core.review.mining import Mined, answers_to, choose, corpora_of, kind_of, question_of
from core.storage.triples import TripleStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHOWN = 5
MOST_COMPARED = 2_000  # documents that are ranked for one card; of more, always the same ones
TEXTS_A_STEP = 32  # between two reports of progress
MOST_KEPT = 20_000  # vectors in memory, 384 numbers each: 30 MB

Embed = Callable[[Sequence[str], Role], "NDArray[np.float32]"]  # unit vectors, one a text
Tell = Callable[[int, int], None]  # (documents done, documents in all)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What was found for one triple, the best rank first."""

    choices: tuple[Mined, ...]
    compared: int  # documents that were ranked, the triple's own left out
    known: int  # documents of its group and language there are


def _parts(plan: MiningPlan) -> list[MiningPlan]:
    """The plan's ranks in five parts, each larger than the one before by the same factor: hard ones to choose from, and easier ones."""
    first, last = plan.first_rank, plan.last_rank
    ends = [round(first * ((last + 1) / first) ** (i / SHOWN)) for i in range(SHOWN + 1)]
    spans = [(low, high - 1) for low, high in pairwise(ends) if high > low]
    return [plan.model_copy(update={"first_rank": low, "last_rank": high}) for low, high in spans]


class CandidateFinder:
    """Ranks the documents of a triple's group and language for its query. Their vectors are kept, so that the next card is quick."""

    def __init__(self, triples: TripleStore, embed: Embed) -> None:
        self._triples = triples
        self._embed = embed
        self._vectors: dict[str, NDArray[np.float32]] = {}  # by document id

    def find(self, record: TripleRecord, plan: MiningPlan, tell: Tell = lambda done, total: None) -> Candidates:
        """Up to five documents that `plan` admits, one from each part of its ranks, drawn by its seed.

        Args:
            record: the triple; its texts as they stand count.
            plan: ranks, thresholds and method.
            tell: hears how many documents were encoded.

        Raises:
            NothingToDo: there are too few documents of this group and language to reach the first rank.
            ServiceUnavailable, ModelError: the encoder cannot be asked; ranking by words needs none.
        """
        documents, answers = self._documents(record)
        own = {document_of(text).id for text in (record.texts.positive, record.texts.negative) if text}
        others = sorted((d for d in documents if d.id not in own), key=lambda d: d.id)  # ids are hashes: any part of them is a fair one
        if len(others) < plan.first_rank:
            raise NothingToDo(
                f"There are only {len(others):,} other documents of the group {record.triple.group.value} in "
                f"{record.triple.document_language}, and ranks from {plan.first_rank} on are offered.",
                hint="Generate or import more triples of this group and language, or write the negative by hand (E).",
            )
        ranked = [document_of(record.texts.positive), *others[:MOST_COMPARED]]
        scores = self._scores(record.texts.query, ranked, plan.method, tell)
        never = set(answers) | ({normalise(record.texts.negative)} if record.texts.negative else set())
        choices: list[Mined] = []
        for part in (*_parts(plan), *[plan] * SHOWN):  # what a part of the ranks lacks, any of them may make up for
            if len(choices) < SHOWN and (mined := choose(record, ranked, scores, never, part)) is not None:
                choices.append(mined)
                never.add(normalise(mined.text))
        return Candidates(tuple(sorted(choices, key=lambda m: m.rank)), len(ranked) - 1, len(others))

    def _documents(self, record: TripleRecord) -> tuple[list[Document], set[str]]:
        """Documents of the triple's kind, and the texts that answer the same query."""
        kind, question = kind_of(record), question_of(record)
        group, language = record.triple.group, record.triple.document_language
        known = list(self._triples.each(TripleFilter(groups=(group,), languages=(language,))))
        return corpora_of(known, {kind})[kind], answers_to(known, {question})[question]

    def _scores(self, query: str, documents: Sequence[Document], method: MiningMethod, tell: Tell) -> list[float]:
        if method is MiningMethod.BM25:
            from core.retrieval.lexical import LexicalIndex

            return [float(score) for score in LexicalIndex.build(documents).scores(query)]
        import numpy as np

        new = [d for d in documents if d.id not in self._vectors]
        for start in range(0, len(new), TEXTS_A_STEP):
            tell(len(documents) - len(new) + start, len(documents))
            some = new[start : start + TEXTS_A_STEP]
            self._vectors |= zip((d.id for d in some), self._embed([d.text for d in some], Role.DOCUMENT), strict=True)
        tell(len(documents), len(documents))
        asked = self._embed([query], Role.QUERY)[0]
        scores = np.stack([self._vectors[d.id] for d in documents]) @ asked
        if len(self._vectors) > MOST_KEPT:
            self._vectors.clear()
        return [float(score) for score in scores]
