"""InfoNCE over in-batch documents and hard negatives, with false negatives told apart by their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it


@dataclass(frozen=True, slots=True)
class Contrast:
    """Loss (a scalar) and in-batch accuracy: the share of queries nearest to their own positive."""

    loss: torch.Tensor
    accuracy: float


def info_nce(
    queries: torch.Tensor, documents: torch.Tensor, positives: torch.Tensor, *, allowed: torch.Tensor, temperature: float
) -> Contrast:
    """Mean over queries of -log softmax(cosine / temperature) at the positive (Wang et al. 2024, equation 2).

    Args:
        queries: Unit vectors (queries, width).
        documents: Unit vectors (documents, width).
        positives: Column of each query's positive, (queries,).
        allowed: What counts in each query's denominator, boolean (queries, documents); positives must be allowed.
        temperature: Divides the cosines.
    """
    scores = (queries.float() @ documents.float().T / temperature).masked_fill(~allowed, float("-inf"))
    accuracy = (scores.argmax(dim=1) == positives).float().mean().item()
    return Contrast(F.cross_entropy(scores, positives), accuracy)


def denominator(
    query_keys: Sequence[str],
    document_keys: Sequence[str],
    positives: Sequence[int],
    negatives: Sequence[int | None],
    *,
    in_batch: bool = True,
) -> torch.Tensor:
    """Which documents count against which query, boolean (queries, documents).

    Left out for a query: every other document with the text of its own positive, and the positives of queries with the same text. They
    are told by their text and not by their similarity, because dropout makes equal texts differ. Without `in_batch` a query sees its own
    positive and its own hard negative only.
    """
    answers: dict[str, set[str]] = {}
    for key, positive in zip(query_keys, positives, strict=True):
        answers.setdefault(key, set()).add(document_keys[positive])
    allowed = torch.zeros(len(query_keys), len(document_keys), dtype=torch.bool)
    for row, (key, positive, negative) in enumerate(zip(query_keys, positives, negatives, strict=True)):
        for column, document in enumerate(document_keys):
            seen = in_batch or column == negative
            allowed[row, column] = column == positive or (seen and document not in answers[key])
    return allowed
