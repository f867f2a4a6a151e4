"""A command under torchrun: its first process works as always, the others help. Loads no torch until a process helps."""

from __future__ import annotations

import os

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


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1
