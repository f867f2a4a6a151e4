from __future__ import annotations

import torch

from core.domain.dataset import Split
from core.training.batches import make_batch, training_rows
from core.training.similarities import similarities
from tests.core.training.runs import make_examples


def test_the_picture_says_what_each_document_is_to_each_query():
    rows = training_rows([e for e in make_examples() if e.split is Split.TRAIN])[:3]
    batch = make_batch(rows)
    count = len(batch.queries)
    vectors = torch.zeros(batch.texts, batch.texts)
    vectors[:, 0] = 1  # every cosine is 1 but for one document
    vectors[count] = torch.nn.functional.one_hot(torch.tensor(1), batch.texts).float()
    found = similarities(batch, vectors)
    first = found["kinds"][0]
    assert first[0] == "positive"
    assert [row[i] for i, row in enumerate(found["kinds"])] == ["positive"] * 3
    assert "hard negative" in [kind for row in found["kinds"] for kind in row]
    assert found["cosines"][0][0] == 0
    assert found["cosines"][0][1] == 1
    assert found["counted"] == len(batch.documents)  # no text answers two queries
    assert (found["batch_queries"], found["batch_documents"]) == (3, len(batch.documents))


def test_a_document_that_answers_another_query_too_is_left_out():
    one, two = training_rows([e for e in make_examples() if e.split is Split.TRAIN])[:2]
    from dataclasses import replace

    same = replace(
        two, example=replace(two.example, texts=replace(two.example.texts, query=one.example.texts.query), task=one.example.task)
    )
    batch = make_batch([one, same])
    found = similarities(batch, torch.eye(batch.texts))
    column = found["documents"].index(two.example.texts.positive)
    assert found["kinds"][0][column] == "left out"


def test_what_the_margin_leaves_out_is_shown_and_counted_and_confirmed_negatives_are_spared():
    rows = training_rows([e for e in make_examples() if e.split is Split.TRAIN])[:3]
    batch = make_batch(rows)
    count = len(batch.queries)
    vectors = torch.eye(batch.texts)
    vectors[:count] = vectors[count + batch.positives[1]]  # to each query the positive of the second is the nearest, by a cosine of 1
    vectors[count + batch.negatives[0][0]] = vectors[0]  # and so is the hard negative of the first
    spared, all_masked = (similarities(batch, vectors, margin=0.1, spare=spare) for spare in (True, False))
    column = spared["documents"].index(batch.documents[batch.positives[1]])
    assert [row[column] for row in spared["kinds"]] == ["left out by the margin", "positive", "left out by the margin"]
    hard = spared["documents"].index(batch.documents[batch.negatives[0][0]])
    assert [found["kinds"][0][hard] for found in (spared, all_masked)] == ["hard negative", "left out by the margin"]
    assert spared["masked"] == 3  # two positives of another, and for the third query the hard negative of the first
    assert all_masked["masked"] == 4
    assert spared["counted"] == len(batch.documents) - 1
    assert similarities(batch, vectors)["masked"] == 0
