from __future__ import annotations

from core.domain.review import Action, Standing, TripleRecord
from core.domain.triple import Flag, Texts, Verdict
from core.review.clusters import best_first, joined, open_clusters
from core.review.diversity import AcceptedTriple, diversity, sampled, windows_of
from tests.factories import make_triple, make_triples


def test_a_chain_of_pairs_is_one_cluster_and_the_largest_comes_first():
    found = joined([("x", "y", 0.99), ("a", "b", 0.8), ("b", "c", 0.9), ("d", "c", 0.85)])
    assert found == [(("a", "b", "c", "d"), 0.9), (("x", "y"), 0.99)]


def test_accepted_then_unsuspicious_then_oldest_is_kept():
    def record(number, verdict=Verdict.PENDING, weight=0.0, negative: str | None = "n"):
        flags = (Flag("x", "x", "", weight),) if weight else ()
        return TripleRecord(make_triple(str(number), "p", negative), number, Standing(verdict), flags)

    records = [record(1, weight=0.5), record(2), record(3), record(4, Verdict.ACCEPTED, 0.9), record(5, negative=None)]
    assert [r.number for r in best_first(records)] == [4, 2, 3, 1, 5]


def test_a_cluster_with_one_member_left_is_settled(room):
    ids = room.put(make_triples(4))
    pairs = [(ids[0], ids[1], 0.9), (ids[2], ids[3], 0.8)]
    room.desk.decide(ids[1], Action.REJECT, "ann", reason="duplicate")
    (left,) = room.shelf.clusters(pairs)
    assert {left.best.id, *left.others} == {ids[2], ids[3]}
    room.desk.bulk(left.others, Action.REJECT, "ann", reason="duplicate")
    assert room.shelf.clusters(pairs) == []
    room.desk.undo("ann")
    assert len(room.shelf.clusters(pairs)) == 1


def test_a_rejected_link_splits_its_chain():
    a, b, c = (TripleRecord(make_triple(q), i) for i, q in enumerate("abc"))
    rejected = TripleRecord(b.triple, 1, Standing(Verdict.REJECTED))
    assert open_clusters([(a.id, b.id, 0.9), (b.id, c.id, 0.9)], [a, rejected, c]) == []


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
