"""Requests sent as a file and answered within a day: what we keep of a batch, and what its provider tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BatchState(StrEnum):
    """How far we are with a batch. Each is stored before the next step is taken, so that a kill at any point is survived."""

    PREPARED = "prepared"  # its requests are chosen; its file may or may not have arrived
    UPLOADED = "uploaded"  # the file is there; whether the batch was made has to be looked up
    SUBMITTED = "submitted"  # the provider works on it
    COLLECTED = "collected"  # what it answered is in the ledger, the rest is back to be sent
    GIVEN_UP = "given_up"  # nothing can be had from it; its requests are back to be sent

    @property
    def open(self) -> bool:
        """Whether its requests are away."""
        return self in (BatchState.PREPARED, BatchState.UPLOADED, BatchState.SUBMITTED)


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One batch of one job."""

    id: str
    job_id: str
    base_url: str
    state: BatchState
    requests: int
    file_id: str | None = None
    provider_id: str | None = None
    status: str = ""  # the provider's last word: validating, in_progress, finalizing, completed, …
    completed: int = 0  # as the provider last counted
    failed: int = 0
    note: str = ""  # why it was given up, or ended early
    created_at: str = ""
    submitted_at: str | None = None
    ended_at: str | None = None
