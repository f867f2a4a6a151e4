"""A command under torchrun: its first process works as always, the others help. Loads no torch until a process helps."""

from __future__ import annotations

import os
from collections.abc import Sequence

from core.domain.jobs import Job, JobState
from core.errors import JobError
from core.jobs.events import Event
from core.settings import Settings


def started_processes() -> int | None:
    """Processes torchrun started in all; None without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if _under_torchrun() else None


def helped(settings: Settings) -> bool:
    """In every process of torchrun but the first: do its part of the training to the end. False elsewhere, at once.

    The first starts the job as always. The job's process inherits the place in the team and leads it.

    Raises:
        WorkbenchError: as the first process does.
    """
    if not _under_torchrun() or os.environ["RANK"] == "0":
        return False
    from core.training.helpers import help_train

    help_train(settings)
    return True


def let_helpers_go(job: Job, events: Sequence[Event]) -> None:
    """Under torchrun: fail where the job was taken out of the line before it began.

    The others still wait for its first process; torchrun ends them when a process fails, and waits for them when it ends well.

    Raises:
        JobError: it never began.
    """
    last = next((e["kind"] for e in reversed(events) if e["kind"] in ("started", "queued")), "queued")
    if _under_torchrun() and job.state in (JobState.STOPPED, JobState.PAUSED) and last == "queued":
        raise JobError(f"Job {job.id} was taken out of the line before it began.", hint="Resume it under torchrun.")


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1
