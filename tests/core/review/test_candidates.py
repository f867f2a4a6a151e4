from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from core.domain.encoder import Role
from core.domain.mining import MiningMethod, MiningPlan
from core.domain.review import Action
from core.errors import NothingToDo, ServiceUnavailable
from core.review.candidates import CandidateFinder
from tests.core.review.conftest import Room
from tests.factories import make_triple


class Numbered:
    """Cosine with the query: 1.0 for a positive named “p0”, and 0.9 - n / 1000 for a document named “d<n>”."""

    def __init__(self) -> None:
        self.documents = 0

    def __call__(self, texts: Sequence[str], role: Role) -> np.ndarray:
        if role is Role.QUERY:
            return np.array([[1.0, 0.0]], dtype=np.float32)
        self.documents += len(texts)
        cosines = np.array([1.0 if text.startswith("p") else 0.9 - int(text[1:]) / 1000 for text in texts])
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)


def fill(room: Room, count: int, **fields) -> str:
    """A triple to be mended, and `count` documents d1 … beside it; returns its id."""
    mine = make_triple("q", "p0", "d999", **fields)
    others = [make_triple(f"q{i}", f"d{i}", None, **fields) for i in range(1, count + 1)]
    return room.put([mine, *others])[0]


def plan(**fields) -> MiningPlan:
    return MiningPlan(reviewer="ann", **fields)


def test_one_candidate_comes_from_each_part_of_the_ranks_the_hardest_first(room: Room):
    card = room.desk.card(fill(room, 250))
    found = CandidateFinder(room.triples, Numbered()).find(card, plan(most_similarity=1.0))
    ranks = [mined.rank for mined in found.choices]
    # d1 to d250 have the ranks 1 to 250. 6 to 100 in five parts by the factor (101 / 6) ** (1 / 5) = 1.76: 6, 11, 19, 33, 57, 101.
    for rank, low, high in zip(ranks, (6, 11, 19, 33, 57), (10, 18, 32, 56, 100), strict=True):
        assert low <= rank <= high
    assert [mined.text for mined in found.choices] == [f"d{rank}" for rank in ranks]
    assert found.choices[0].score == pytest.approx(0.9 - ranks[0] / 1000, abs=1e-5)
    assert found.choices[0].share == pytest.approx(found.choices[0].score, abs=1e-5)  # of a positive with cosine 1
    assert (found.compared, found.known) == (250, 250)  # its own two are left out
    others = CandidateFinder(room.triples, Numbered()).find(card, plan(most_similarity=1.0, seed=1))
    assert [mined.rank for mined in others.choices] != ranks


def test_nothing_above_the_thresholds_is_offered_nor_what_answers_too_or_was_rejected(room: Room):
    card = room.desk.card(fill(room, 120))
    room.put([make_triple("q", "d107", "d700")])  # another positive of the same query
    room.desk.decide(next(r.id for r in room.triples.each() if r.texts.positive == "d108"), Action.REJECT, "ann", reason="duplicate")
    finder = CandidateFinder(room.triples, Numbered())
    texts = {m.text for seed in range(40) for m in finder.find(card, plan(first_rank=1, last_rank=200, seed=seed)).choices}
    assert min(int(text[1:]) for text in texts) > 100  # d1 to d100 have cosines of 0.8 and more
    assert "d106" in texts
    assert not texts & {"d107", "d108", "d999", "p0"}


def test_documents_are_encoded_once_and_progress_is_told(room: Room):
    card, embed, told = room.desk.card(fill(room, 70)), Numbered(), []
    finder = CandidateFinder(room.triples, embed)
    finder.find(card, plan(most_similarity=1.0), lambda done, total: told.append((done, total)))
    assert told == [(0, 71), (32, 71), (64, 71), (71, 71)]
    finder.find(card, plan(most_similarity=1.0, seed=2))
    assert embed.documents == 71


def test_other_languages_and_groups_are_no_candidates_and_too_few_is_told(room: Room):
    card = room.desk.card(fill(room, 5))
    room.put([make_triple(f"f{i}", f"d{200 + i}", None, language="German") for i in range(20)])
    with pytest.raises(NothingToDo, match="only 5 other documents of the group short-long in English"):
        CandidateFinder(room.triples, Numbered()).find(card, plan())


def test_ranking_by_words_asks_no_encoder(room: Room):
    words = "how to store bread so that it keeps"
    mine = make_triple(words, "Bread keeps in a bag, store it so.", None)
    others = [make_triple(f"q{i}", f"store number {i} sells bread and {'butter ' * i}", None) for i in range(12)]
    card = room.desk.card(room.put([mine, *others])[0])

    def refuse(texts: Sequence[str], role: Role) -> np.ndarray:
        raise ServiceUnavailable("down", hint="start it")

    finder = CandidateFinder(room.triples, refuse)
    found = finder.find(card, plan(method=MiningMethod.BM25, most_of_positive=1.0))
    assert found.choices
    assert all(mined.text.startswith("store number") and mined.score > 0 for mined in found.choices)
    with pytest.raises(ServiceUnavailable):
        finder.find(card, plan())
