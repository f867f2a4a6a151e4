"""What a training run sets against each other: the choices of the loss and of the batches that a plan names."""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    """Similarities in the denominator of a query's loss (Li et al. 2023, improved contrastive loss)."""

    QUERY_DOCUMENT = "q-d"  # the query and every document; always there, it holds the positive
    QUERY_QUERY = "q-q"  # the query and the other queries
    DOCUMENT_QUERY = "d-q"  # its positive and every query
    DOCUMENT_DOCUMENT = "d-d"  # its positive and the documents of other queries


class BatchScope(StrEnum):
    """Where the triples of one batch come from."""

    MIXED = "mixed"
    GROUP = "group"  # one of the six groups
    TASK = "task"  # one instruction


class Hardness(StrEnum):
    """Which negatives the hardness weight makes count more."""

    HARD = "hard"  # a query's own hard negatives (Schechter Vera et al. 2025 use 5)
    IN_BATCH = "in-batch"  # the documents of others (Lan et al. 2025 use 9)
    ALL = "all"
