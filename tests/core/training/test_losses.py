from __future__ import annotations

import math

import pytest
import torch

from core.training.batches import Batch
from core.training.losses import Extras, denominator, info_nce


def batch(query_keys, document_keys, positives, negatives, *, alone=None) -> Batch:
    """Texts by their identity only."""
    count = len(query_keys)
    own = tuple(() if n is None else (n,) for n in negatives)
    told = tuple(alone or [False] * count)
    return Batch(
        ("",) * count, ("",) * count, ("",) * len(document_keys), tuple(query_keys), tuple(document_keys), tuple(positives), own, told
    )


def everything(rows: int, columns: int) -> torch.Tensor:
    return torch.ones(rows, columns, dtype=torch.bool)


def test_vectors_that_are_all_alike_give_log_of_the_number_of_documents():
    alike = torch.tensor([[1.0, 0.0]])
    contrast = info_nce(alike.repeat(3, 1), alike.repeat(6, 1), torch.tensor([0, 1, 2]), allowed=everything(3, 6), temperature=0.02)
    assert contrast.loss.item() == pytest.approx(math.log(6), abs=1e-5)


def test_two_queries_and_four_documents_by_hand():
    # cosines: query 0 -> 1, 0, 0, -1; query 1 -> 0, 1, -1, 0; temperature 1/2 doubles them
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    documents = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [-1.0, 0.0]])
    contrast = info_nce(queries, documents, torch.tensor([0, 1]), allowed=everything(2, 4), temperature=0.5)
    by_hand = math.log(math.e**2 + 1 + 1 + math.e**-2) - 2  # the same for both
    assert contrast.loss.item() == pytest.approx(by_hand, abs=1e-6)
    assert contrast.accuracy == 1.0


def test_accuracy_is_the_share_of_queries_nearest_to_their_positive():
    queries = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    documents = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert info_nce(queries, documents, torch.tensor([0, 1]), allowed=everything(2, 2), temperature=1).accuracy == 0.5


def test_accuracy_is_that_of_the_cosines_whatever_margin_and_hardness_do_to_the_loss():
    queries = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    documents = torch.tensor([[0.6, 0.8], [1.0, 0.0]])  # each query is nearest to the other's positive
    hardened = torch.tensor([[True, False], [False, True]])
    told = {"allowed": everything(2, 2), "temperature": 1.0}
    for positives, accuracy in (([0, 1], 0.0), ([1, 0], 1.0)):
        for extras in (Extras(margin=0.1), Extras(hardness=9.0, hardened=hardened)):
            assert info_nce(queries, documents, torch.tensor(positives), extras=extras, **told).accuracy == accuracy


def test_a_masked_duplicate_gives_the_loss_without_it():
    queries = torch.nn.functional.normalize(torch.tensor([[1.0, 0.2], [0.1, 1.0]]), dim=1)
    documents = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.3, 1.0], [1.0, 0.1]]), dim=1)  # the third has the first's text
    positives = torch.tensor([0, 1])
    allowed = denominator(batch(["q", "r"], ["same", "other", "same"], [0, 1], [None, None]))
    assert allowed.tolist() == [[True, True, False], [True, True, True]]
    with_duplicate = info_nce(queries[:1], documents, positives[:1], allowed=allowed[:1], temperature=0.1)
    without = info_nce(queries[:1], documents[:2], positives[:1], allowed=everything(1, 2), temperature=0.1)
    assert with_duplicate.loss.item() == pytest.approx(without.loss.item(), abs=1e-6)


def test_the_positive_of_a_query_with_the_same_text_is_no_negative():
    allowed = denominator(batch(["q", "q", "r"], ["a", "b", "c"], [0, 1, 2], [None, None, None]))
    assert allowed.tolist() == [[True, False, True], [False, True, True], [True, True, True]]


def test_without_in_batch_negatives_a_query_sees_its_own_two_documents():
    allowed = denominator(batch(["q", "r"], ["a", "b", "n", "m"], [0, 1], [2, 3], alone=[True, True]))
    assert allowed.tolist() == [[True, False, True, False], [False, True, False, True]]


def test_a_negative_that_has_the_positives_text_does_not_count_against_it():
    allowed = denominator(batch(["q"], ["a"], [0], [0]))
    assert allowed.tolist() == [[True]]
