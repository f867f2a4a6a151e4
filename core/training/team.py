"""Processes that share the work of each batch: each encodes a part of the texts, all see all vectors, gradients are added up.

The loss is that of the whole batch whatever the number of processes, so negatives are gathered with their gradient. Followers get plan and
triples from the first process; only that one writes.
"""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from core.errors import JobError

WAIT_SECONDS = 3600.0  # for another process, at the start and later: a hub may have to send the base to each host first


class Team:
    """A process alone: every exchange is with itself."""

    rank, size = 0, 1

    def share(self, value: Any) -> Any:
        """The first process's JSON value, in every process."""
        return value

    def any(self, told: bool) -> bool:
        """Whether any process says so."""
        return told

    def spread(self, tensors: Sequence[torch.Tensor]) -> None:
        """Make these tensors what they are in the first process."""

    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Make each of these tensors the sum over all processes."""

    def vectors(self, own: torch.Tensor, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """All vectors of a batch in order, (texts, width), of each process's own. `rows`: the texts of each process."""
        return _placed(own, rows[0])

    def seed(self, seed: int, step: int) -> None:
        """Let each process draw its own dropout, the same again when the step is resumed. Alone, the random state is kept anyway."""

    def close(self) -> None:
        """Leave."""


ALONE = Team()


class ProcessTeam(Team):
    """torch.distributed: gloo between CPUs and for what is told, nccl between GPUs."""

    def __init__(self, *, device: torch.device, wait_seconds: float = WAIT_SECONDS) -> None:
        """Wait for all processes that the environment (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT) speaks of.

        Raises:
            JobError: they did not come.
        """
        self._device = device
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        with _told():
            distributed.init_process_group(backend, init_method="env://", timeout=timedelta(seconds=wait_seconds))
            self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    def share(self, value: Any) -> Any:  # noqa: D102 - as Team
        data = json.dumps(value).encode() if self.rank == 0 else b""
        length = torch.tensor([len(data)])
        with _told():
            distributed.broadcast(length, 0)
            buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(int(length), dtype=torch.uint8)
            distributed.broadcast(buffer, 0)
        return json.loads(buffer.numpy().tobytes())

    def any(self, told: bool) -> bool:  # noqa: D102 - as Team
        flag = torch.tensor([int(told)])
        with _told():
            distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def spread(self, tensors: Sequence[torch.Tensor]) -> None:  # noqa: D102 - as Team
        with _told():
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def add(self, tensors: Sequence[torch.Tensor]) -> None:  # noqa: D102 - as Team
        flat = torch.cat([tensor.flatten() for tensor in tensors])  # one exchange instead of hundreds
        with _told():
            distributed.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def vectors(self, own: torch.Tensor, rows: Sequence[Sequence[int]]) -> torch.Tensor:  # noqa: D102 - as Team
        most = max(len(some) for some in rows)  # a collective wants equal shapes
        padded = torch.zeros(most, own.shape[1], dtype=own.dtype, device=own.device)
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in rows]
        with _told():
            distributed.all_gather(parts, padded)
        return _placed(torch.cat([part[: len(some)] for part, some in zip(parts, rows, strict=True)]), [i for some in rows for i in some])

    def seed(self, seed: int, step: int) -> None:  # noqa: D102 - as Team
        torch.manual_seed((seed * 1_000_003 + step) * 1024 + self.rank)

    def close(self) -> None:  # noqa: D102 - as Team
        distributed.destroy_process_group()


def in_environment() -> bool:
    """Whether this process was started as one of several (torchrun, or `core.training.helpers`)."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ and "MASTER_PORT" in os.environ


def deal(lengths: Sequence[int], hands: int) -> list[list[int]]:
    """Texts for each of `hands` processes, so that each gets about as many tokens: the longest first, to whom has least."""
    dealt: list[list[int]] = [[] for _ in range(hands)]
    load = [(0, hand) for hand in range(hands)]
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        tokens, hand = heapq.heappop(load)
        dealt[hand].append(i)
        heapq.heappush(load, (tokens + lengths[i], hand))
    return [sorted(some) for some in dealt]


def _placed(vectors: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
    """Vectors whose i-th belongs to place rows[i], in order of their places."""
    back = torch.empty(len(rows), dtype=torch.long)
    back[torch.tensor(rows, dtype=torch.long)] = torch.arange(len(rows))
    return vectors[back.to(vectors.device)]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines()
        raise JobError(
            f"The processes that train together lost one another: {lines[0] if lines else type(error).__name__}",
            hint="The log of the process that ended first has the reason. Then resume: the last checkpoint is whole.",
        ) from error
