"""InfoNCE over in-batch documents and hard negatives, with false negatives told apart by their text and, if asked for, by their score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from core.domain.contrast import Direction
from core.training.batches import Batch


@dataclass(frozen=True, slots=True)
class Contrast:
    """Loss and in-batch accuracy: the share of queries whose cosine is highest with their own positive.

    All are scalars on the device of the vectors: a number asked for here would make a GPU wait before the backward pass.
    """

    loss: torch.Tensor
    accuracy: torch.Tensor
    masked: torch.Tensor  # pairs of query and document left out because they score above the positive


@dataclass(frozen=True, slots=True)
class Extras:
    """What InfoNCE may do beyond its plain form; all masks are boolean and have one row a query."""

    further: Mapping[Direction, torch.Tensor] = field(default_factory=dict)  # what counts in q-q, d-q (queries) and d-d (documents)
    margin: float | None = None  # cosine above the positive's from which a document is taken for a false negative
    spared: torch.Tensor | None = None  # (queries, documents) never masked by the margin
    hardness: float = 0.0  # times its own cosine, added to the logit of
    hardened: torch.Tensor | None = None  # these negatives (queries, documents)


PLAIN = Extras()


def info_nce(
    queries: torch.Tensor,
    documents: torch.Tensor,
    positives: torch.Tensor,
    *,
    allowed: torch.Tensor,
    temperature: float | torch.Tensor,
    extras: Extras = PLAIN,
) -> Contrast:
    """Mean over queries of -log softmax(cosine / temperature) at the positive (Wang et al. 2024, equation 2).

    Args:
        queries: Unit vectors (queries, width).
        documents: Unit vectors (documents, width).
        positives: Column of each query's positive, (queries,).
        allowed: What counts in each query's denominator, boolean (queries, documents); positives must be allowed.
        temperature: Divides the cosines; a tensor is learnt with the rest.
        extras: Further similarities in the same denominator (Li et al. 2023), the margin mask of Qwen3-Embedding and the hardness weight
            of Lan et al. 2025, which is not divided by the temperature.
    """
    queries, documents = queries.float(), documents.float()
    cosines = queries @ documents.T
    limit = None if extras.margin is None else margin_limit(cosines, positives, extras.margin)
    kept = allowed if limit is None else allowed & below_limit(cosines, limit, extras.spared)
    scores = cosines / temperature
    if extras.hardness and extras.hardened is not None:
        scores = scores + extras.hardness * cosines.detach() * extras.hardened
    scores = scores.masked_fill(~kept, float("-inf"))
    nearest = cosines.detach().masked_fill(~allowed, float("-inf")).argmax(dim=1)  # before margin and hardness, which would flatter or hide
    accuracy = (nearest == positives).float().mean()
    parts = [scores]
    for direction, counted in extras.further.items():
        others = _cosines(direction, queries, documents, positives)
        counted = counted if limit is None else counted & below_limit(others, limit, _own(direction, others))
        parts.append((others / temperature).masked_fill(~counted, float("-inf")))
    loss = F.cross_entropy(torch.cat(parts, dim=1) if extras.further else scores, positives)
    return Contrast(loss, accuracy, (allowed & ~kept).sum())


def _cosines(direction: Direction, queries: torch.Tensor, documents: torch.Tensor, positives: torch.Tensor) -> torch.Tensor:
    match direction:
        case Direction.QUERY_QUERY:
            return queries @ queries.T
        case Direction.DOCUMENT_QUERY:
            return documents[positives] @ queries.T
        case Direction.DOCUMENT_DOCUMENT:
            return documents[positives] @ documents.T
        case _:
            raise AssertionError("q-d is never a further direction")


def _own(direction: Direction, cosines: torch.Tensor) -> torch.Tensor | None:
    """The positive itself as d-q holds it: no false negative, however it scores."""
    return torch.eye(len(cosines), dtype=torch.bool, device=cosines.device) if direction is Direction.DOCUMENT_QUERY else None


def margin_limit(cosines: torch.Tensor, positives: torch.Tensor, margin: float) -> torch.Tensor:
    """Cosine above which a document is taken for a false negative of a query, (queries, 1)."""
    return cosines.detach().gather(1, positives[:, None]) + margin


def below_limit(cosines: torch.Tensor, limit: torch.Tensor, spared: torch.Tensor | None) -> torch.Tensor:
    """Which pairs the margin leaves in, boolean, in the shape of `cosines`; the spared ones always."""
    below = cosines.detach() <= limit
    return below if spared is None else below | spared


def denominator(batch: Batch) -> torch.Tensor:
    """Which documents count against which query, boolean (queries, documents).

    Left out for a query: every other document with the text of its own positive, and the positives of queries with the same text. They
    are told by their text and not by their similarity, because dropout makes equal texts differ. A query that is alone sees its own
    positive and its own hard negatives only.
    """
    rows = torch.arange(len(batch.query_keys))
    positives = torch.tensor(batch.positives)
    allowed = _sees_others(batch)[:, None].repeat(1, len(batch.document_keys))
    allowed |= own_negatives(batch)
    allowed &= ~_answers(batch)
    allowed[rows, positives] = True
    return allowed


def _sees_others(batch: Batch) -> torch.Tensor:
    return ~torch.tensor(batch.alone, dtype=torch.bool)


def own_negatives(batch: Batch) -> torch.Tensor:
    """A query's own hard negatives, boolean (queries, documents)."""
    own = torch.zeros(len(batch.query_keys), len(batch.document_keys), dtype=torch.bool)
    for row, negatives in enumerate(batch.negatives):
        own[row, list(negatives)] = True
    return own


def further_denominator(batch: Batch, direction: Direction) -> torch.Tensor:
    """What a further direction adds to each query's denominator: boolean (queries, queries), for d-d (queries, documents).

    As in Li et al. 2023: q-q all other queries, d-q every query (the query itself included), d-d the documents of others. Left out are
    again the texts that answer, or ask, the same.
    """
    others = _sees_others(batch)[:, None]
    own = own_negatives(batch)
    if direction is Direction.DOCUMENT_DOCUMENT:
        return others & ~own & ~_answers(batch)
    kinds = {key: kind for kind, key in enumerate(dict.fromkeys(batch.query_keys))}
    kind = torch.tensor([kinds[key] for key in batch.query_keys])
    same = kind[:, None] == kind
    if direction is Direction.QUERY_QUERY:
        return others & ~same
    answered = _answers(batch)[:, torch.tensor(batch.positives)].T  # [i, j]: the positive of i answers query j too
    return others & ~same & ~answered | torch.eye(len(kind), dtype=torch.bool)


def _answers(batch: Batch) -> torch.Tensor:
    """Documents with the text of a positive of this query or of one with the same text, boolean (queries, documents)."""
    places: dict[str, list[int]] = {}
    for column, key in enumerate(batch.document_keys):
        places.setdefault(key, []).append(column)
    answers: dict[str, set[int]] = {}
    for key, positive in zip(batch.query_keys, batch.positives, strict=True):
        answers.setdefault(key, set()).update(places[batch.document_keys[positive]])
    found = torch.zeros(len(batch.query_keys), len(batch.document_keys), dtype=torch.bool)
    for row, key in enumerate(batch.query_keys):
        found[row, list(answers[key])] = True
    return found
