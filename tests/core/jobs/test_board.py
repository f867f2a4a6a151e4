"""Jobs in real processes: they end, fail by name, stop, are lost, and go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.domain.jobs import EndRequest, JobKind, JobState
from core.domain.plans import Budget, GenerationPlan
from core.errors import BadInput, NotFound
from core.jobs.board import JobBoard
from core.jobs.context import STOP_FILE, ask_to_end, end_request
from core.jobs.processes import is_alive, kill_group, mark_of
from core.settings import PROJECT_FOLDER, Settings
from core.storage.database import Database
from core.storage.jobs import JobStore, ProcessMark

PROGRAM = (sys.executable, str(Path(__file__).with_name("child_program.py")))


@pytest.fixture
def board(workspace: Path) -> JobBoard:
    settings = Settings()
    database = Database(settings.sqlalchemy_url)
    database.migrate()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER)}
    return JobBoard(JobStore(database, settings.jobs_folder), settings, environment=lambda: environment, program=PROGRAM)


def plan(steps: int, model: str = "counts") -> GenerationPlan:
    return GenerationPlan(counts={}, model=model, budget=Budget(requests=steps))


def start(board: JobBoard, steps: int, model: str = "counts") -> str:
    return board.start(JobKind.GENERATE, plan(steps, model), title="Count").id


def wait_for_progress(board: JobBoard, job_id: str) -> int:
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        events, _ = board.events(job_id)
        if done := [e["done"] for e in events if e["kind"] == "progress"]:
            return done[-1]
        time.sleep(0.02)
    raise AssertionError(board.log_tail(job_id))


def test_a_job_ends_done_with_its_result_and_every_event(board: JobBoard) -> None:
    job = board.wait(start(board, 3), timeout_seconds=20)
    assert (job.state, job.result) == (JobState.DONE, {"counted": 3})
    events, offset = board.events(job.id)
    assert [e["kind"] for e in events] == ["started", "progress", "progress", "progress", "ended"]
    assert [e["seq"] for e in events] == [0, 1, 2, 3, 4]
    assert board.events(job.id, offset=offset) == ([], offset)


@pytest.mark.parametrize(("model", "code"), [("refuses", "endpoint_unreachable"), ("hungry", "out_of_memory")])
def test_a_failure_keeps_its_name_and_hint(board: JobBoard, model: str, code: str) -> None:
    job = board.wait(start(board, 1, model), timeout_seconds=20)
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.code == code
    assert job.failure.hint


def test_stop_finishes_the_step_and_resume_goes_on_to_the_end(board: JobBoard) -> None:
    job_id = start(board, 60)
    wait_for_progress(board, job_id)
    board.stop(job_id)
    stopped = board.wait(job_id, timeout_seconds=20)
    assert stopped.state is JobState.STOPPED
    assert 0 < stopped.result["counted"] < 60
    assert board.wait(board.resume(job_id).id, timeout_seconds=20).result == {"counted": 60}


def test_a_paused_job_is_paused_for_every_viewer_says_by_whom_and_goes_on_to_the_end(board: JobBoard, workspace: Path) -> None:
    job_id = start(board, 60)
    wait_for_progress(board, job_id)
    board.pause(job_id, by="Ada")
    assert board.get(job_id).state in (JobState.PAUSING, JobState.PAUSED)
    board.wait(job_id, timeout_seconds=20)
    database = Database(Settings().sqlalchemy_url)
    after_restart = JobBoard(JobStore(database, workspace / "jobs"), Settings()).get(job_id)
    assert after_restart.state is JobState.PAUSED
    assert after_restart.state.resumable
    assert after_restart.ended_on is not None
    assert (after_restart.ended_on.by, bool(after_restart.ended_on.at)) == ("Ada", True)
    assert 0 < after_restart.result["counted"] < 60
    with pytest.raises(BadInput):
        board.pause(job_id)
    done = board.wait(board.resume(job_id).id, timeout_seconds=20)
    assert (done.state, done.ended_on, done.result) == (JobState.DONE, None, {"counted": 60})


def test_a_paused_job_can_be_stopped_and_a_pausing_one_too(board: JobBoard) -> None:
    job_id = start(board, 200)
    wait_for_progress(board, job_id)
    board.pause(job_id, by="Ada")
    paused = board.wait(job_id, timeout_seconds=20)
    board.stop(job_id, by="Grace")
    stopped = board.get(job_id)
    assert (stopped.state, stopped.result) == (JobState.STOPPED, paused.result)
    assert stopped.ended_on is not None
    assert stopped.ended_on.by == "Grace"
    ask_to_end(stopped.folder, EndRequest(JobState.PAUSED, "Ada"))
    ask_to_end(stopped.folder, EndRequest(JobState.STOPPED, "Grace"))
    assert end_request(stopped.folder) == EndRequest(JobState.STOPPED, "Grace")  # the last word counts
    (stopped.folder / STOP_FILE).write_text("2026-01-01T00:00:00", encoding="utf-8")  # as earlier versions wrote it
    assert end_request(stopped.folder) == EndRequest(JobState.STOPPED)


def test_the_grace_of_a_stop_does_not_end_a_job_that_was_resumed_meanwhile(board: JobBoard) -> None:
    job_id = start(board, 100_000)
    wait_for_progress(board, job_id)
    board._kill_after(job_id, 0.3)  # what is left of an earlier stop; nobody asks this process to end
    time.sleep(0.3)
    assert board.get(job_id).state is JobState.RUNNING
    board.stop(job_id, grace_seconds=60)
    assert board.wait(job_id, timeout_seconds=60).state is JobState.STOPPED


def test_a_process_that_leads_no_group_is_ended_too_and_one_that_is_gone_is_no_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # as from a script: in our group
    mark = mark_of(process.pid)
    kill_group(mark)
    assert process.wait(timeout=20) == -signal.SIGKILL
    kill_group(mark)


def test_a_killed_job_is_lost_with_a_hint_and_can_be_resumed(board: JobBoard) -> None:
    job_id = start(board, 40)
    wait_for_progress(board, job_id)
    pid = board.get(job_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    lost = board.wait(job_id, timeout_seconds=20)
    assert lost.state is JobState.LOST
    assert lost.failure is not None
    assert lost.failure.hint
    done = board.wait(board.resume(job_id).id, timeout_seconds=20)
    assert (done.state, done.failure, done.result) == (JobState.DONE, None, {"counted": 40})


def test_another_board_sees_the_same_job_and_its_end(board: JobBoard, workspace: Path) -> None:
    job_id = start(board, 20)
    database = Database(Settings().sqlalchemy_url)
    other = JobBoard(JobStore(database, workspace / "jobs"), Settings())
    assert other.get(job_id).state.active
    assert other.wait(job_id, timeout_seconds=20).result == {"counted": 20}


def test_the_job_leads_a_session_of_its_own_and_its_output_is_a_file(board: JobBoard) -> None:
    job_id = start(board, 50)
    wait_for_progress(board, job_id)
    pid = board.get(job_id).pid
    assert pid is not None
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/fd/1").readlink().name == "log.txt"
    assert str(Path(f"/proc/{pid}/fd/0").readlink()) == "/dev/null"
    board.stop(job_id)
    assert board.wait(job_id, timeout_seconds=20).state is JobState.STOPPED


def test_done_jobs_are_neither_stopped_nor_resumed(board: JobBoard) -> None:
    job_id = board.wait(start(board, 1), timeout_seconds=20).id
    with pytest.raises(BadInput):
        board.stop(job_id)
    with pytest.raises(BadInput):
        board.resume(job_id)
    with pytest.raises(NotFound):
        board.get("train-nothing")


def test_a_reused_pid_a_reboot_and_a_zombie_are_not_alive() -> None:
    mark = mark_of(os.getpid())
    assert is_alive(mark)
    assert not is_alive(ProcessMark(mark.pid, mark.started - 100, mark.boot_id))
    assert not is_alive(ProcessMark(mark.pid, mark.started, "another boot"))
    child = subprocess.Popen([sys.executable, "-c", ""])
    child_mark = mark_of(child.pid)
    limit = time.monotonic() + 10
    while Path(f"/proc/{child.pid}/stat").read_text().split()[2] != "Z" and time.monotonic() < limit:
        time.sleep(0.01)
    assert not is_alive(child_mark)
    child.wait()


def test_of_two_who_resume_at_once_one_starts_the_job(board: JobBoard) -> None:
    job_id = start(board, 60)
    wait_for_progress(board, job_id)
    board.stop(job_id)
    board.wait(job_id, timeout_seconds=20)
    seen = board._store.get(job_id)
    assert seen is not None
    assert board._store.requeue(*seen, at=time.time())
    assert not board._store.requeue(*seen, at=time.time())
    assert board.get(job_id).state is JobState.STOPPED  # the old result stands until the new process starts
