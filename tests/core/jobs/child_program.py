"""Stands where `python -m core` stands: runs a job whose work is written here, in a real process of its own.

Called as: child_program.py jobs run ID --workspace DIR
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from core.domain.jobs import JobKind
from core.errors import EndpointUnreachable
from core.jobs.child import run_child
from core.jobs.context import JobContext
from core.jobs.line import Line
from core.settings import Settings
from core.storage.database import Database
from core.storage.jobs import JobStore


def work(context: JobContext) -> dict[str, object]:
    """Count to plan["requests"] in steps of 20 ms; go on where a file says the last process was."""
    counter = context.folder / "counter"
    done = int(counter.read_text()) if counter.exists() else 0
    wanted = context.plan["budget"]["requests"]
    if context.plan["model"] == "refuses":
        raise EndpointUnreachable("Nobody answers.", hint="Start it.")
    if context.plan["model"] == "hungry":
        raise MemoryError
    while done < wanted and not context.stop_requested():
        done += 1
        counter.write_text(str(done))
        context.progress(done, wanted, "steps")
        time.sleep(0.02)
    return {"counted": done}


if __name__ == "__main__":
    workspace = Path(sys.argv[5])
    store = JobStore(Database(f"sqlite:///{workspace / 'tercet.db'}"), workspace / "jobs")
    line = Line(store, workspace / "jobs", at_once=Settings().trainings_at_once)
    run_child(sys.argv[3], store, {JobKind.GENERATE: work, JobKind.TRAIN: work}, line=line)
