"""What stood in the denominator of a step, as numbers a page can draw: cosines of the batch's first queries with documents."""

from __future__ import annotations

from typing import Any

import torch

from core.training.batches import Batch
from core.training.losses import below_limit, denominator, margin_limit, own_negatives

SHOWN = 16  # queries; their positives and first hard negatives are the columns
POSITIVE, HARD, IN_BATCH, LEFT_OUT, MASKED = "positive", "hard negative", "in the batch", "left out", "left out by the margin"


def similarities(batch: Batch, vectors: torch.Tensor, *, margin: float | None = None, spare: bool = True) -> dict[str, Any]:
    """Cosines before the step's update, and what each document is to each query.

    Args:
        batch: The step's batch.
        vectors: Unit vectors of its queries, then of its documents, (texts, width).
        margin: The plan's margin mask, if it has one.
        spare: Whether that margin spares a query's own hard negatives.

    Returns:
        `cosines` and `kinds`, lists of rows (queries shown, documents shown); `queries`, `documents` (beginnings of texts); `counted`,
        the mean number of documents in a query's denominator; `batch_queries` and `batch_documents`, how many there are in all; `margin`,
        and `masked`, the pairs of the whole batch that it leaves out.
    """
    count = len(batch.queries)
    rows = range(min(SHOWN, count))
    hard = [batch.negatives[row][0] for row in rows if batch.negatives[row]]
    columns = list(dict.fromkeys([*(batch.positives[row] for row in rows), *hard]))
    allowed = denominator(batch)
    kept = allowed
    if margin is not None:
        all_cosines = (vectors[:count].float() @ vectors[count:].float().T).cpu()
        limit = margin_limit(all_cosines, torch.tensor(batch.positives), margin)
        kept = allowed & below_limit(all_cosines, limit, own_negatives(batch) if spare else None)
    cosines = vectors[: len(rows)].float() @ vectors[count:].float()[columns].T
    return {
        "cosines": [[round(float(cosine), 3) for cosine in row] for row in cosines],
        "kinds": [[_kind(batch, allowed, kept, row, column) for column in columns] for row in rows],
        "queries": [batch.queries[row][:120] for row in rows],
        "documents": [batch.documents[column][:120] for column in columns],
        "counted": float(kept.sum(1).float().mean()),
        "batch_queries": count,
        "batch_documents": len(batch.documents),
        "margin": margin,
        "masked": int((allowed & ~kept).sum()),
    }


def _kind(batch: Batch, allowed: torch.Tensor, kept: torch.Tensor, row: int, column: int) -> str:
    if column == batch.positives[row]:
        return POSITIVE
    if not allowed[row, column]:
        return LEFT_OUT
    if not kept[row, column]:
        return MASKED
    return HARD if column in batch.negatives[row] else IN_BATCH
