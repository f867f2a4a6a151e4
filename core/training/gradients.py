"""Loss and gradient of one batch in bounded memory.

A batch whose texts fit the budget keeps the whole graph (tokens of long texts count more, see `weight_of`). A larger one is done by
gradient caching (Gao et al. 2021): vectors first, without a graph; then the loss and its gradient at the vectors; then pass by pass
forward again and backward. The gradient is that of the same passes with a graph, since the random state of each pass is replayed.
Where memory runs out all the same, the budget is halved and the batch done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from core.encoder.packing import SLACK, SPARE_TOKENS
from core.encoder.tokens import TokenBatch, pad
from core.errors import OutOfMemory
from core.training.graph_size import GRAPH_TOKENS, weight_of
from core.training.losses import Contrast
from core.training.objective import Loss
from core.training.team import ALONE, Team, deal

Embed = Callable[[Sequence[TokenBatch]], torch.Tensor]  # unit vectors of all texts of some batches, batch after batch
SMALLEST_BUDGET = 16  # tokens; below it every text goes alone already


class _MemoryShort(Exception):
    """Some process of the team had too little memory for its passes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Texts of like length, padded to one."""

    rows: list[int]
    tokens: TokenBatch


@dataclass(frozen=True, slots=True)
class Found:
    """Loss of a batch, all its vectors (texts, width) without a graph, and the budget that sufficed."""

    contrast: Contrast
    vectors: torch.Tensor
    budget: int


def pieces_of(
    ids: Sequence[Sequence[int]],
    *,
    padding: int,
    most_tokens: int = GRAPH_TOKENS,
    packed: bool = False,
    rows: Sequence[int] | None = None,
) -> list[Piece]:
    """Cut texts, sorted by length, where padding would waste too much or a piece would weigh above `most_tokens` (see `weight_of`).

    A packed pass has no price for a piece more, so pieces are cut where padding wastes over an eighth; otherwise over a third. With `rows`
    only these texts are taken.
    """
    slack, free = (SLACK, SPARE_TOKENS) if packed else (1.5, 8)
    order = sorted(range(len(ids)) if rows is None else rows, key=lambda i: (len(ids[i]), i))
    groups: list[list[int]] = []
    for i in order:
        group = groups[-1] if groups else []
        longest = len(ids[i])
        light = weight_of(longest * (len(group) + 1), longest=longest) <= most_tokens
        if group and light and longest <= slack * len(ids[group[0]]) + free:
            group.append(i)
        else:
            groups.append([i])
    return [Piece(some, pad([ids[i] for i in some], value=padding)) for some in groups]


class BatchGradient:
    """Adds the gradient of one batch after the other to the parameters; remembers how much memory there was."""

    def __init__(self, embed: Embed, parameters: Sequence[torch.nn.Parameter], *, width: int, padding: int, packed: bool) -> None:
        """`width` is the length of the vectors, `padding` the id texts are filled up with."""
        self._embed, self._parameters = embed, parameters
        self._width, self._padding, self._packed = width, padding, packed

    def of(self, ids: Sequence[Sequence[int]], loss: Loss, *, budget: int, team: Team = ALONE) -> Found:
        """Set the parameters' gradients to those of this batch (they must be empty).

        Raises:
            OutOfMemory: the texts do not fit even one by one.
        """
        while True:
            before = random_states()
            try:
                contrast, vectors = self._once(ids, loss, budget, team)
                return Found(contrast, vectors, budget)
            except _MemoryShort as error:
                if budget // 2 < SMALLEST_BUDGET:
                    raise OutOfMemory(
                        f"Memory ran out although texts went through the model one by one; the longest has {max(map(len, ids))} tokens.",
                        hint="Use shorter texts, a smaller base, fewer of its layers or 4 bits, then clone the run.",
                    ) from error
                budget //= 2
            for parameter in self._parameters:
                parameter.grad = None
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()
            set_random_states(before)

    def _once(self, ids: Sequence[Sequence[int]], loss: Loss, budget: int, team: Team) -> tuple[Contrast, torch.Tensor]:
        dealt = deal([len(row) for row in ids], team.size) if team.size > 1 else [list(range(len(ids)))]
        pieces = pieces_of(ids, padding=self._padding, most_tokens=budget, packed=self._packed, rows=dealt[team.rank])
        passes = _passes(pieces, budget)
        rows = [[row for piece in some for row in piece.rows] for some in passes]
        states: list[dict[str, torch.Tensor]] = []
        parts: list[torch.Tensor] = []

        def forward() -> None:
            with torch.set_grad_enabled(len(passes) == 1):
                for some in passes:
                    states.append(random_states())
                    parts.append(self._embed([piece.tokens for piece in some]))

        self._in_memory(forward, team)
        own = torch.cat([part.detach() for part in parts]) if parts else torch.zeros(0, self._width, device=self._parameters[0].device)
        everyone = [sorted(some, key=lambda i: (len(ids[i]), i)) for some in dealt]  # the order pieces_of takes them in
        vectors = team.vectors(own, everyone).requires_grad_()
        contrasts: list[Contrast] = []

        def back() -> None:
            contrasts.append(contrast := loss(vectors))
            contrast.loss.backward()
            gradient = vectors.grad
            assert gradient is not None
            after = random_states()
            for some, state, places, part in zip(passes, states, rows, parts, strict=True):
                if len(passes) == 1:
                    torch.autograd.backward(part, gradient[places])
                    break
                set_random_states(state)
                torch.autograd.backward(self._embed([piece.tokens for piece in some]), gradient[places])
            set_random_states(after)

        self._in_memory(back, team)
        return contrasts[0], vectors.detach()

    @staticmethod
    def _in_memory(work: Callable[[], None], team: Team) -> None:
        """Do a part of the batch; raises _MemoryShort in every process of the team where it did not fit in one."""
        short: BaseException | None = None
        try:
            work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            short = error.with_traceback(None)  # whose frames hold the activations
        if team.any(short is not None):
            raise _MemoryShort from short


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch (or Python) says that memory ran out: on a GPU by a type of its own, on a CPU in words only."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "out of memory" in words or "can't allocate memory" in words


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
