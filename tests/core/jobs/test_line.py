"""Jobs that wait for the machine, in real processes: one after the other, in an order people may change, whatever ends the one before."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.domain.jobs import JobKind, JobState
from core.domain.plans import Budget, GenerationPlan
from core.errors import BadInput
from core.jobs.board import JobBoard
from core.jobs.line import Place
from core.settings import PROJECT_FOLDER, Settings
from core.storage.artifacts import write_json
from core.storage.database import Database
from core.storage.jobs import JobStore

PROGRAM = (sys.executable, str(Path(__file__).with_name("child_program.py")))
LONG = 100_000  # steps: longer than any test


def new_board(workspace: Path) -> JobBoard:
    settings = Settings()
    database = Database(settings.sqlalchemy_url)
    database.migrate()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER)}
    return JobBoard(JobStore(database, settings.jobs_folder), settings, environment=lambda: environment, program=PROGRAM)


@pytest.fixture
def board(workspace: Path):
    made = new_board(workspace)
    yield made
    for job in made.active():
        if job.pid:
            os.kill(job.pid, signal.SIGKILL)


def start(board: JobBoard, steps: int, kind: JobKind = JobKind.TRAIN) -> str:
    return board.start(kind, GenerationPlan(counts={}, model="counts", budget=Budget(requests=steps)), title=f"Count to {steps}").id


def until(board: JobBoard, what: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not what():
        assert time.monotonic() < limit, [(job.id, job.state, board.log_tail(job.id)) for job in board.find()]
        time.sleep(0.05)


def is_running(board: JobBoard, job_id: str) -> bool:
    return board.get(job_id).state is JobState.RUNNING


def in_line(board: JobBoard) -> list[str]:
    return list(board.line.places())


def test_a_second_training_waits_says_behind_whom_and_starts_by_itself(board: JobBoard) -> None:
    first = start(board, LONG)
    until(board, lambda: is_running(board, first))
    second = start(board, 2)
    until(board, lambda: [e["kind"] for e in board.events(second)[0]] == ["queued"])
    assert board.get(second).state is JobState.QUEUED
    assert str(board.line.places()[second]) == f"queued, 1st in line, behind Count to {LONG} ({first})"
    board.stop(first)
    assert board.wait(second, timeout_seconds=60).state is JobState.DONE
    ended, begun = board.events(first)[0][-1], next(e for e in board.events(second)[0] if e["kind"] == "started")
    assert ended["kind"] == "ended"
    assert begun["time"] >= ended["time"]
    assert board.line.places() == {}


def test_work_of_other_kinds_is_not_held_back(board: JobBoard) -> None:
    training = start(board, LONG)
    until(board, lambda: is_running(board, training))
    assert board.wait(start(board, 2, JobKind.GENERATE), timeout_seconds=60).state is JobState.DONE
    assert is_running(board, training)


def test_the_next_starts_when_the_one_at_work_is_killed_and_the_killed_one_can_be_resumed_behind_it(board: JobBoard) -> None:
    first = start(board, LONG)
    until(board, lambda: is_running(board, first))
    second = start(board, LONG)
    until(board, lambda: in_line(board) == [second])
    pid = board.get(first).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(board, lambda: is_running(board, second))
    killed = board.get(first)
    assert (killed.state, killed.state.resumable) == (JobState.LOST, True)
    board.resume(first)
    until(board, lambda: len(board.events(first)[0]) > 0 and board.events(first)[0][-1]["kind"] == "queued")
    assert str(board.line.places()[first]).startswith("queued, 1st in line, behind")
    assert is_running(board, second)


def test_the_line_is_kept_when_the_app_restarts_and_can_be_reordered_from_there(board: JobBoard, workspace: Path) -> None:
    first = start(board, LONG)
    until(board, lambda: is_running(board, first))
    waiting = [start(board, 1) for _ in range(3)]
    until(board, lambda: in_line(board) == waiting)
    restarted = new_board(workspace)
    restarted.line.move(waiting[2], 1)
    assert in_line(restarted) == in_line(board) == [waiting[2], waiting[0], waiting[1]]
    restarted.line.move(waiting[2], 2)
    assert in_line(board) == [waiting[0], waiting[2], waiting[1]]
    restarted.line.move(waiting[0], 99)
    assert in_line(board) == [waiting[2], waiting[1], waiting[0]]
    restarted.stop(first)
    for job_id in waiting:
        assert board.wait(job_id, timeout_seconds=60).state is JobState.DONE
    begun = {i: next(e["time"] for e in board.events(i)[0] if e["kind"] == "started") for i in waiting}
    assert sorted(begun, key=begun.__getitem__) == [waiting[2], waiting[1], waiting[0]]


def test_one_that_leaves_the_line_lets_others_up_and_keeps_what_an_earlier_start_had_brought(board: JobBoard) -> None:
    stopped = start(board, LONG)
    until(board, lambda: board.events(stopped)[0][-1:] != [] and board.events(stopped)[0][-1]["kind"] == "progress")
    board.stop(stopped)
    counted = board.wait(stopped, timeout_seconds=60).result
    assert counted["counted"] > 0
    first = start(board, LONG)
    until(board, lambda: is_running(board, first))
    board.resume(stopped)
    last = start(board, 1)
    until(board, lambda: in_line(board) == [stopped, last])
    assert board.get(stopped).result == counted
    board.stop(stopped, by="Ada")
    left = board.wait(stopped, timeout_seconds=60)
    assert (left.state, left.result) == (JobState.STOPPED, counted)
    assert in_line(board) == [last]
    with pytest.raises(BadInput, match="not in line"):
        board.line.move(stopped, 1)


def test_a_resumed_one_that_is_killed_in_line_keeps_what_it_had(board: JobBoard) -> None:
    first = start(board, LONG)
    until(board, lambda: board.events(first)[0][-1:] != [] and board.events(first)[0][-1]["kind"] == "progress")
    board.stop(first)
    counted = board.wait(first, timeout_seconds=60).result
    holder = start(board, LONG)
    until(board, lambda: is_running(board, holder))
    board.resume(first)
    until(board, lambda: board.events(first)[0][-1]["kind"] == "queued")
    pid = board.get(first).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(board, lambda: board.get(first).state is JobState.LOST)
    assert board.get(first).result == counted


def test_one_that_fails_in_line_ends_with_a_name_and_with_what_it_had(board: JobBoard, workspace: Path) -> None:
    job = start(board, LONG)
    until(board, lambda: board.events(job)[0][-1:] != [] and board.events(job)[0][-1]["kind"] == "progress")
    board.stop(job)
    counted = board.wait(job, timeout_seconds=60).result
    lock = workspace / "jobs" / ".turn-0.lock"
    lock.unlink()
    lock.mkdir()
    board.resume(job)
    failed = board.wait(job, timeout_seconds=60)
    assert (failed.state, failed.result) == (JobState.FAILED, counted)
    assert failed.failure is not None
    assert "turn-0.lock" in failed.failure.message


def test_one_that_is_killed_in_line_holds_nobody_up(board: JobBoard) -> None:
    first = start(board, LONG)
    until(board, lambda: is_running(board, first))
    second, third = start(board, LONG), start(board, 1)
    until(board, lambda: in_line(board) == [second, third])
    pid = board.get(second).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(board, lambda: in_line(board) == [third])
    board.stop(first)
    assert board.wait(third, timeout_seconds=60).state is JobState.DONE
    assert board.get(second).state is JobState.LOST


@pytest.mark.parametrize(("number", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st")])
def test_places_are_said_as_people_say_them(board: JobBoard, number: int, word: str) -> None:
    ahead = board.get(start(board, 1, JobKind.GENERATE))
    assert str(Place(number, 30, ahead)) == f"queued, {word} in line, behind Count to 1 ({ahead.id})"
    assert str(Place(number, 30, None)) == "starting"


def test_with_room_for_two_the_third_waits(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERCET_TRAININGS_AT_ONCE", "2")
    board = new_board(workspace)
    jobs = [start(board, LONG) for _ in range(3)]
    try:
        until(board, lambda: sum(is_running(board, i) for i in jobs) == 2)
        until(board, lambda: in_line(board) == jobs[2:] and board.line.places()[jobs[2]].ahead is not None)
        write_json(board.get(jobs[2]).folder / "place.json", {"place": 1.0})
        time.sleep(1)
        assert not is_running(board, jobs[2])
    finally:
        for job in board.active():
            if job.pid:
                os.kill(job.pid, signal.SIGKILL)
