from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.domain.encoder import EncoderSpec
from core.domain.jobs import EndRequest, Job, JobKind, JobState
from core.domain.review import Action
from core.domain.triple import Texts, Verdict
from core.errors import NothingToDo
from core.jobs.context import JobContext, ask_to_end
from core.review.clusters import best_first, joined, open_clusters
from core.review.diversity import AcceptedTriple, diversity, sampled, windows_of
from core.review.likeness import TripleLikeness
from core.storage.triples import TripleOutline
from tests.factories import make_triple, make_triples


def test_a_chain_of_pairs_is_one_cluster_and_the_largest_comes_first():
    found = joined([("x", "y", 0.99), ("a", "b", 0.8), ("b", "c", 0.9), ("d", "c", 0.85)])
    assert found == [(("a", "b", "c", "d"), 0.9), (("x", "y"), 0.99)]


def outline(identifier: str, number: int = 1, verdict: Verdict = Verdict.PENDING, *, negative: bool = True, weight: float = 0.0):
    return TripleOutline(identifier, number, verdict, negative, weight, edited=False)


def test_accepted_then_unsuspicious_then_oldest_is_kept():
    triples = [outline("a", 1, weight=0.5), outline("b", 2), outline("c", 3), outline("d", 4, Verdict.ACCEPTED, weight=0.9),
               outline("e", 5, negative=False)]  # fmt: skip
    assert [t.number for t in best_first(triples)] == [4, 2, 3, 1, 5]


def test_a_cluster_with_one_member_left_is_settled(room):
    ids = room.put(make_triples(4))
    pairs = [(ids[0], ids[1], 0.9), (ids[2], ids[3], 0.8)]
    room.desk.decide(ids[1], Action.REJECT, "ann", reason="duplicate")
    (left,) = room.shelf.clusters(pairs)
    assert {left.best, *left.others} == {ids[2], ids[3]}
    room.desk.bulk(left.others, Action.REJECT, "ann", reason="duplicate")
    assert room.shelf.clusters(pairs) == []
    room.desk.undo("ann")
    assert len(room.shelf.clusters(pairs)) == 1


def test_a_rejected_link_splits_its_chain():
    a, b, c = outline("a", 1), outline("b", 2, Verdict.REJECTED), outline("c", 3)
    assert open_clusters([("a", "b", 0.9), ("b", "c", 0.9)], [a, b, c]) == []


def test_an_outline_tells_what_stands_now(room):
    plain, bare = room.put([make_triple("one"), make_triple("TWO", negative=None)])
    room.desk.decide(bare, Action.EDIT, "ann", texts=Texts("TWO", "p", "n"))
    room.desk.decide(bare, Action.ACCEPT, "ann")
    found = {o.id: o for o in room.triples.outlines([plain, bare, "nobody"])}
    assert found == {
        plain: TripleOutline(plain, 1, Verdict.PENDING, has_negative=True, suspicion=0.0, edited=False),
        bare: TripleOutline(bare, 2, Verdict.ACCEPTED, has_negative=True, suspicion=0.5, edited=True),
    }


def test_similar_triples_share_words_and_language(room):
    one, near, far, foreign = room.put([
        make_triple("pruning roses in winter", "Cut the canes"), make_triple("pruning roses in spring", "Cut the canes back"),
        make_triple("boiling eggs", "Six minutes"), make_triple("pruning roses in winter!", "Cut the canes", language="German"),
    ])  # fmt: skip
    found = room.shelf.similar(room.desk.card(one))
    assert [other.id for other, _ in found][:1] == [near]
    assert found[0][1] > 0.5
    assert foreign not in [other.id for other, _ in found]
    assert next((score for other, score in found if other.id == far), 0) < 0.1


def test_windows_count_new_tasks_repeats_and_distance():
    rows = [AcceptedTriple(str(i), f"task {i % 3 if i < 100 else i}", "2026-01-02T03") for i in range(150)]
    first, second = windows_of(rows)
    assert (len(first), len(second)) == (100, 50)
    texts = {i: Texts("same words", "here") for i in sampled(first)} | {i: Texts(f"word{i}", f"other{i}") for i in sampled(second)}
    found = diversity([first, second], texts, {"5", "7", "120"})
    assert [(w.accepted, w.count, w.tasks, w.all_tasks, w.near_duplicates) for w in found] == [(100, 100, 3, 3, 2), (150, 50, 50, 53, 1)]
    assert (found[0].mean_distance, found[1].mean_distance) == (0.0, 1.0)
    assert found[0].day == "2026-01-02"


def test_many_accepted_triples_are_at_most_forty_windows(room):
    assert len(windows_of([AcceptedTriple(str(i), "t", "") for i in range(100_000)])) == 40
    ids = room.put(make_triples(6, tasks=3))
    room.desk.bulk(ids[:4], Action.ACCEPT, "ann")
    (window,) = room.shelf.diversity([(ids[0], ids[1], 0.9), (ids[0], ids[5], 0.9)])
    assert (window.count, window.tasks, window.near_duplicates) == (4, 3, 1)


class Letters:
    """The cosine of two texts is the share of letters a to e they have in common."""

    spec, dimensions = EncoderSpec.baseline(), 5

    def __init__(self) -> None:
        self.read = 0

    def encode(self, texts, *, role, task=None, batch_size=32):
        self.read += len(texts)
        rows = np.array([[float(letter in text) for letter in "abcde"] for text in texts], dtype=np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def encoder() -> Letters:
    return Letters()


@pytest.fixture
def likeness(room, encoder, tmp_path: Path) -> TripleLikeness:
    return TripleLikeness(room.shelf._jobs, room.triples, lambda _: encoder, tmp_path / "likeness")


def compare_all(room, likeness: TripleLikeness, folder: Path, *, stop: bool = False) -> dict:
    folder.mkdir(parents=True)
    if stop:
        ask_to_end(folder, EndRequest(JobState.STOPPED))
    job = Job(folder.name, JobKind.LIKEN, "liken", JobState.RUNNING, {}, "hash", folder, created_at="2026-01-01")
    return likeness.run(JobContext(job, room.jobs))


def test_the_nearest_come_first_down_to_the_least_cosine(room, likeness, tmp_path: Path):
    one, same, half, other = room.put([make_triple("ab", "a"), make_triple("b", "a b"), make_triple("bc", "b"), make_triple("e", "d")])
    assert compare_all(room, likeness, tmp_path / "job")["triples"] == 4
    found = likeness.nearest(room.desk.card(one), least=0.4, most=10)
    assert [i for i, _ in found.near] == [same, half]
    assert [round(cosine, 3) for _, cosine in found.near] == [1.0, 0.5]  # {a, b} with {a, b}; with {b, c}: 1 / (√2 · √2)
    assert found.compared == 4
    assert likeness.nearest(room.desk.card(other), least=0.4, most=10).near == ()
    assert [i for i, _ in likeness.nearest(room.desk.card(one), least=0.4, most=1).near] == [same]


def test_what_came_or_was_edited_since_is_told_and_never_shown_as_near(room, likeness, tmp_path: Path):
    one, same = room.put([make_triple("ab", "a"), make_triple("b", "a b")])
    with pytest.raises(NothingToDo, match="No triples were compared"):
        likeness.nearest(room.desk.card(one), least=0.4, most=10)
    compare_all(room, likeness, tmp_path / "job")
    (late,) = room.put([make_triple("a", "b")])
    room.desk.decide(same, Action.EDIT, "ann", texts=Texts("cd", "e", "n"))
    assert likeness.nearest(room.desk.card(one), least=0.4, most=10).near == ()
    for changed in (late, same):
        with pytest.raises(NothingToDo, match="came, or was edited"):
            likeness.nearest(room.desk.card(changed), least=0.4, most=10)
    compare_all(room, likeness, tmp_path / "again")
    assert [i for i, _ in likeness.nearest(room.desk.card(one), least=0.4, most=10).near] == [late]
    assert len(list((tmp_path / "likeness").glob("vectors-*.npy"))) == 1


def test_a_stopped_comparison_leaves_what_was_there_and_texts_are_encoded_once(room, likeness, encoder, tmp_path: Path):
    room.put(make_triples(200))
    assert compare_all(room, likeness, tmp_path / "stopped", stop=True) == {"triples": 200, "finished": False}
    assert likeness.listing() is None
    assert compare_all(room, likeness, tmp_path / "first")["reused"] == 0
    room.put([make_triple("one more")])
    assert compare_all(room, likeness, tmp_path / "second")["reused"] == 128  # the first chunk; the second one grew
    assert encoder.read == 200 + 73
    listing = likeness.listing()
    assert listing is not None
    assert len(listing.ids) == 201
