from __future__ import annotations

import pytest

from core.domain.dataset import Split
from core.domain.groups import TaskGroup
from core.errors import NothingToDo
from core.evaluation.collection import heldout_collection, overlap_with
from tests.core.evaluation.examples import example


def test_positives_and_negatives_of_all_queries_make_one_corpus():
    collection = heldout_collection([example("q1", "p1", "n1"), example("q2", "p2")])
    assert [d.text for d in collection.documents] == ["p1", "n1", "p2"]
    assert [q.text for q in collection.queries] == ["q1", "q2"]


def test_a_label_shared_by_two_queries_is_one_document_and_right_for_both():
    label = {"group": TaskGroup.LONG_SHORT}
    collection = heldout_collection([example("a", "happy", "sad", **label), example("b", "happy ", "angry", **label)])
    happy = next(d.id for d in collection.documents if d.text == "happy")
    assert len(collection.documents) == 3
    assert [q.relevant for q in collection.queries] == [(happy,), (happy,)]
    assert list(collection.qrels.values()) == [{happy: 1}, {happy: 1}]


def test_one_query_with_two_answers_is_asked_once():
    collection = heldout_collection([example("q", "first answer"), example("q", "second answer")])
    assert len(collection.queries) == 1
    assert list(collection.qrels[collection.queries[0].id].values()) == [1, 1]


def test_the_same_query_of_another_task_is_another_query():
    collection = heldout_collection([example("q", "p1"), example("q", "p2", task="Find something else.")])
    assert len(collection.queries) == 2
    assert collection.tasks == ("Find the answer.", "Find something else.")


def test_training_texts_never_enter_the_corpus():
    collection = heldout_collection([example("q", "p"), example("trained query", "trained document", split=Split.TRAIN)])
    assert [d.text for d in collection.documents] == ["p"]


def test_a_version_without_heldout_examples_is_refused_with_a_hint():
    with pytest.raises(NothingToDo) as refusal:
        heldout_collection([example("q", "p", split=Split.TRAIN)])
    assert "held-out share" in refusal.value.hint


def test_overlap_ignores_case_and_spacing():
    collection = heldout_collection([example("How old is it?", "Ten  years", "No idea", task="Task A")])
    found = overlap_with(collection, [example("how OLD is\nit?", "tenyears", None, task="Task B")])
    assert (found.queries, found.documents, found.tasks) == (("How old is it?",), ("Ten  years",), ())
    assert not found.clean
    assert overlap_with(collection, [example("x", "y", task="Task C")]).clean


def test_the_hash_of_a_collection_is_computed_once_and_follows_from_what_it_holds():
    collection, same = heldout_collection([example("q", "p")]), heldout_collection([example("q", "p")])
    assert collection.content_hash is collection.content_hash
    assert collection.content_hash == same.content_hash
    assert collection == same
