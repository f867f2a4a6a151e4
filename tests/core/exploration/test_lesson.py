from __future__ import annotations

import numpy as np
import pytest

from core.domain.encoder import Role
from core.domain.triple import Texts
from core.errors import BadInput
from core.exploration.infonce import info_nce
from core.exploration.lesson import Lesson
from core.exploration.lesson_texts import SECOND_ANSWER, TRIPLES
from core.exploration.remembered import RememberedVectors


class Service:
    """Vectors by length of the text; remembers who was asked what."""

    def __init__(self):
        self.asked = []

    def embed(self, system, texts, role, task=None):
        self.asked.append((system, role, task))
        angles = np.array([len(t) / 100 for t in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def tokens(self, system, text, *, role=Role.QUERY, task=None):
        return [{"id": i, "text": w, "special": False} for i, w in enumerate(text.split())] + [{"id": 0, "text": "<end>", "special": True}]


class Systems:
    def __init__(self, *names):
        self._names = names

    def names(self):
        return [(name, name.title()) for name in self._names]


@pytest.fixture
def lesson():
    return Lesson(Service(), Systems("raw", "run:b", "run:a", "baseline"))


def test_loss_of_two_queries_and_three_documents_by_hand():
    """Row 0 at temperature 1: e^1 / (e^1 + e^0 + e^0) so loss = log(1 + 2/e); row 1: all equal, so log 3."""
    found = info_nce(np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5]]), 1.0)
    assert found.losses == pytest.approx([np.log(1 + 2 / np.e), np.log(3)])
    assert found.probabilities[1] == pytest.approx([1 / 3] * 3)
    assert found.mean_loss == pytest.approx((np.log(1 + 2 / np.e) + np.log(3)) / 2)
    assert found.right == 1
    assert found.chance_loss == pytest.approx(np.log(3))


def test_a_lower_temperature_sharpens():
    """Cosines 0.9 and 0.8: at 0.1 the odds are e^1, at 0.02 they are e^5."""
    cosines = np.array([[0.9, 0.8]])
    assert info_nce(cosines, 0.1).probabilities[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert info_nce(cosines, 0.02).probabilities[0, 0] == pytest.approx(1 / (1 + np.exp(-5)))


def test_a_masked_false_negative_leaves_the_denominator_and_is_not_pushed():
    cosines = np.array([[0.5, 0.5]])
    open_loss = info_nce(cosines, 0.02)
    masked = info_nce(cosines, 0.02, np.array([[False, True]]))
    assert open_loss.losses == pytest.approx([np.log(2)])
    assert open_loss.pull[0] == pytest.approx([0.5, -0.5])
    assert masked.losses == pytest.approx([0])
    assert masked.pull[0] == pytest.approx([0, 0])


def test_pull_is_minus_the_gradient_times_the_temperature():
    cosines, step, temperature = np.array([[0.4, 0.1, 0.3], [0.2, 0.6, 0.5]]), 1e-6, 0.05
    pull = info_nce(cosines, temperature).pull
    for i in range(2):
        for j in range(3):
            moved = cosines.copy()
            moved[i, j] += step
            slope = (info_nce(moved, temperature).losses.sum() - info_nce(cosines, temperature).losses.sum()) / step
            assert pull[i, j] == pytest.approx(-slope * temperature, abs=1e-4)


def test_what_makes_no_loss_is_refused():
    with pytest.raises(BadInput):
        info_nce(np.eye(2), 0)
    with pytest.raises(BadInput):
        info_nce(np.ones((3, 2)), 1)
    with pytest.raises(BadInput):
        info_nce(np.eye(2), 1, np.eye(2, dtype=bool))


def test_models_are_raw_newest_run_baseline(lesson):
    assert list(lesson.models()) == ["raw", "run:b", "baseline"]
    assert Lesson(Service(), Systems("raw", "baseline")).tuned() is None


def test_ranking_holds_twelve_texts_and_both_of_the_student(lesson):
    own = Texts("my query", "my answer", "my near miss")
    ranking = lesson.ranking("raw", own)
    assert [r.rank for r in ranking] == list(range(1, 13))
    assert {r.kind for r in ranking if r.text.startswith("my")} == {"your answer", "your near miss"}
    assert [r.similarity for r in ranking] == sorted((r.similarity for r in ranking), reverse=True)


def test_batch_is_four_by_eight_with_positives_on_the_diagonal(lesson):
    queries, documents = lesson.batch(Texts("q", "p", "n"))
    assert (len(queries), len(documents)) == (4, 8)
    assert (queries[0], documents[0], documents[4]) == ("q", "p", "n")
    assert documents[1] == TRIPLES[1].positive
    assert lesson.cosines("raw", queries, documents).shape == (4, 8)


def test_false_negative_replaces_the_first_hard_negative(lesson):
    assert lesson.batch(TRIPLES[0], false_negative=True)[1][4] == SECOND_ANSWER
    assert lesson.batch(Texts("q", "p", "n"), false_negative=True)[1][4] == "p"


def test_mask_touches_the_false_negative_of_the_first_query_alone(lesson):
    cosines = np.full((4, 8), 0.5)
    found = lesson.loss(cosines, 0.02, mask_false_negative=True)
    assert found.losses == pytest.approx([np.log(7), *[np.log(8)] * 3])


def test_cone_holds_every_pair_once_with_the_students_text(lesson):
    from core.exploration.lesson_texts import SCATTERED

    n = len(SCATTERED)
    assert len(lesson.cone("raw")) == n * (n - 1) // 2
    assert len(lesson.cone("raw", ["my own text"])) == (n + 1) * n // 2


def test_reading_ends_with_the_end_token(lesson):
    assert [t["text"] for t in lesson.read("one two").tokens] == ["one", "two", "<end>"]


def test_histogram_shares_sum_to_one():
    middles, shares = Lesson.histogram(np.array([-1.0, 0.0, 0.99, 1.0]))
    assert sum(shares) == pytest.approx(1)
    assert shares[0] == 0.25
    assert shares[-1] == 0.5
    assert len(middles) == len(shares) == 40


def test_a_known_text_is_not_asked_for_again(lesson):
    queries, documents = lesson.batch(TRIPLES[0])
    first = lesson.cosines("raw", queries, documents)
    asked = len(lesson._service.asked)
    assert np.array_equal(first, lesson.cosines("raw", queries, documents))
    assert len(lesson._service.asked) == asked
    lesson.cosines("baseline", queries, documents)
    assert len(lesson._service.asked) == asked + 2


def test_only_the_newest_vectors_are_kept():
    asked = []

    def ask(system, texts, role, task):
        asked.append(list(texts))
        return np.array([[float(len(t))] for t in texts], dtype=np.float32)

    remembered = RememberedVectors(ask, capacity=2)
    assert remembered.embed("raw", ["a", "bb", "a"], Role.QUERY).ravel().tolist() == [1, 2, 1]
    remembered.embed("raw", ["ccc"], Role.QUERY)
    remembered.embed("raw", ["a"], Role.QUERY)
    remembered.embed("raw", ["bb"], Role.QUERY)
    assert asked == [["a", "bb"], ["ccc"], ["bb"]]
