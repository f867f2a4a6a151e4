"""Loss and gradient of one batch in bounded memory.

A batch whose texts fit GRAPH_TOKENS keeps the whole graph (tokens of long texts count more, see `weight_of`). A larger one is done by
gradient caching (Gao et al. 2021): vectors first, without a graph; then the loss and its gradient at the vectors; then pass by pass
forward again and backward. The gradient is that of the same passes with a graph, since the random state of each pass is replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from core.encoder.tokens import TokenBatch, pad
from core.training.graph_size import GRAPH_TOKENS, weight_of
from core.training.losses import Contrast

Embed = Callable[[Sequence[TokenBatch]], torch.Tensor]  # unit vectors of all texts of some batches, batch after batch
Loss = Callable[[torch.Tensor], Contrast]  # of all vectors of the batch, in order of its texts


@dataclass(frozen=True, slots=True)
class Piece:
    """Texts of like length, padded to one."""

    rows: list[int]
    tokens: TokenBatch


def pieces_of(ids: Sequence[Sequence[int]], *, padding: int, most_tokens: int = GRAPH_TOKENS, packed: bool = False) -> list[Piece]:
    """Cut texts, sorted by length, where padding would waste too much or a piece would exceed `most_tokens`.

    A packed pass has no price for a piece more, so pieces are cut where padding wastes over an eighth; otherwise over a third.
    """
    slack, free = (1.125, 2) if packed else (1.5, 8)
    order = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))
    groups: list[list[int]] = []
    for i in order:
        group = groups[-1] if groups else []
        fits = group and len(ids[i]) <= slack * len(ids[group[0]]) + free and len(ids[i]) * (len(group) + 1) <= most_tokens
        if fits:
            group.append(i)
        else:
            groups.append([i])
    return [Piece(rows, pad([ids[i] for i in rows], value=padding)) for rows in groups]


def backward(pieces: Sequence[Piece], embed: Embed, loss: Loss, *, graph_tokens: int = GRAPH_TOKENS) -> tuple[Contrast, torch.Tensor]:
    """Add the batch's gradient to the parameters; returns the loss and all vectors (texts, width), detached."""
    passes = _passes(pieces, graph_tokens)
    if len(passes) == 1:
        vectors = _in_order(pieces, [embed([piece.tokens for piece in pieces])])
        contrast = loss(vectors)
        contrast.loss.backward()
        return contrast, vectors.detach()
    states, parts = [], []
    with torch.no_grad():
        for some in passes:
            states.append(random_states())
            parts.append(embed([piece.tokens for piece in some]))
    vectors = _in_order(pieces, parts).requires_grad_()
    contrast = loss(vectors)
    contrast.loss.backward()
    gradient = vectors.grad
    assert gradient is not None
    after = random_states()
    for some, state in zip(passes, states, strict=True):
        set_random_states(state)
        rows = [row for piece in some for row in piece.rows]
        torch.autograd.backward(embed([piece.tokens for piece in some]), gradient[rows])
    set_random_states(after)
    return contrast, vectors.detach()


def _passes(pieces: Sequence[Piece], most_tokens: int) -> list[list[Piece]]:
    """Pieces that go through the model together: as many as keep below `most_tokens`, at least one."""
    passes: list[list[Piece]] = []
    size = 0.0
    for piece in pieces:
        weight = weight_of(piece.tokens.ids.numel(), longest=piece.tokens.ids.shape[1])
        if passes and size + weight <= most_tokens:
            passes[-1].append(piece)
            size += weight
        else:
            passes.append([piece])
            size = weight
    return passes


def random_states() -> dict[str, torch.Tensor]:
    """States dropout draws from: the CPU's generator and, once CUDA is in use, the current device's."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_random_states(states: dict[str, torch.Tensor]) -> None:
    """Inverse of `random_states`; a state of a device that is not there is passed over."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(states["cuda"])


def _in_order(pieces: Sequence[Piece], parts: Sequence[torch.Tensor]) -> torch.Tensor:
    rows = [row for piece in pieces for row in piece.rows]
    back = torch.empty(len(rows), dtype=torch.long)
    back[torch.tensor(rows)] = torch.arange(len(rows))
    return torch.cat(list(parts))[back.to(parts[0].device)]
