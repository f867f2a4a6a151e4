"""The life of a job's own process: mark it running, do the work, leave a result or a named failure."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from core.domain.jobs import EndRequest, Failure, JobKind, JobState
from core.errors import DiskFull, NotFound, StorageError, WorkbenchError
from core.jobs.context import EARLIER_RESULT_FILE, RESULT_FILE, STOP_FILE, JobContext, end_request
from core.jobs.line import IN_TURN, Line
from core.jobs.processes import mark_of
from core.storage.artifacts import read_json, write_json
from core.storage.database import from_os_error, now
from core.storage.jobs import JobStore

Work = Callable[[JobContext], dict[str, Any]]


def run_child(job_id: str, store: JobStore, work: Mapping[JobKind, Work], *, line: Line | None = None) -> JobState:
    """Run a job in this process and return the state it ended in; with `line`, kinds that work in turn wait for theirs.

    The result is written before the row says so: a kill between the two leaves a finished job, not a lost one.
    """
    found = store.get(job_id)
    if found is None:
        raise NotFound(f"There is no job {job_id}.", hint="python -m core jobs list")
    job = found[0]
    mark = mark_of(os.getpid())
    store.set(job_id, pid=mark.pid, process_start=mark.started, boot_id=mark.boot_id, heartbeat_at=time.time())
    with JobContext(job, store) as context:
        state, ending = _do(context, store, work[job.kind], line if job.kind in IN_TURN else None)
        with suppress(StorageError):  # on a full disk the row still gets the failure's name
            context.emit("ended", state=state.value, **ending)
    return _leave(store, context, state, ending)


def _do(context: JobContext, store: JobStore, work: Work, line: Line | None) -> tuple[JobState, dict[str, Any]]:
    try:
        if line is not None:
            earlier = read_json(context.folder / EARLIER_RESULT_FILE) or {}
            context.result = earlier.get("result", {})  # of an earlier start; it stands until the work begins
            if not line.wait_for_turn(context):
                word = end_request(context.folder) or EndRequest(JobState.STOPPED)
                return word.state, {"result": context.result, "ended_on": asdict(word)}
            context.result = {}
        store.set(context.job.id, state=JobState.RUNNING, started_at=context.job.started_at or now())
        context.emit("started", pid=os.getpid())
        result = work(context)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the boundary where every failure gets its name
        traceback.print_exc()  # to log.txt
        return JobState.FAILED, {"failure": _named(error), **({"result": context.result} if context.result else {})}
    asked = end_request(context.folder)
    return (JobState.DONE, {"result": result}) if asked is None else (asked.state, {"result": result, "ended_on": asdict(asked)})


def _named(error: BaseException) -> dict[str, str]:
    if isinstance(error, WorkbenchError):
        return {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return {
            "code": "out_of_memory",
            "message": "The process ran out of memory.",
            "hint": "Use a smaller batch, shorter texts or a smaller model, then resume.",
        }
    if isinstance(error, OSError) and isinstance(full := from_os_error(error), DiskFull):
        return {"code": full.code, "message": full.message, "hint": full.hint}
    return {"code": "unexpected", "message": f"{type(error).__name__}: {error}", "hint": "The job's log has the details."}


def _leave(store: JobStore, context: JobContext, state: JobState, ending: dict[str, Any]) -> JobState:
    try:
        write_json(context.folder / RESULT_FILE, {"state": state.value, **ending})
    except DiskFull as full:
        state, ending = JobState.FAILED, {"failure": {"code": full.code, "message": full.message, "hint": full.hint}}
    (context.folder / STOP_FILE).unlink(missing_ok=True)
    failure = Failure(**ending["failure"]) if "failure" in ending else None
    store.set(context.job.id, state=state, failure=failure, ended_at=now())
    return state
