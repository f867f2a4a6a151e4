"""The real thing: twenty runs of `python -m core generate` are killed without warning at random moments, and resumed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
import pytest

from core.domain.jobs import JobKind, JobState
from core.domain.request import RequestState
from core.generation.desk import CHECKED_ASIDE_FROM
from core.generation.sending.supply import AHEAD, FEWEST_SENDERS
from core.settings import PROJECT_FOLDER, Settings
from core.shipped.teacher.recorded import TeacherOptions
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.core.shipped.teacher.teachers import teaching

RUNS, LATENCY_SECONDS = 20, 0.03
STAGES = ("before planning", "while sending", "while reading")
LONGEST_START_SECONDS = 1.2  # from the command's start to a kill before planning: about when the first rows come
LIMIT_SECONDS = 90


@dataclass(frozen=True)
class Size:
    """Of a run."""

    rows: int
    in_flight: int

    @property
    def called_sent(self) -> int:
        """How many the ledger may call sent at once: where many are in flight, some are claimed ahead (core.generation.sending.supply)."""
        ahead = self.in_flight // AHEAD + 1 if self.in_flight >= FEWEST_SENDERS else 0
        return self.in_flight + ahead


SMALL = Size(48, 8)
LARGE = Size(CHECKED_ASIDE_FROM + 40, 32)  # claims ahead, and checks in a process of their own


@dataclass(frozen=True)
class Remains:
    """What lies on the disk after a kill."""

    states: dict[str, int]
    replies: dict[str, str]  # request key -> raw body
    triples: dict[str, tuple[str, str, str | None]]  # id -> texts
    attempts: int

    @property
    def planned(self) -> int:
        return sum(self.states.values())

    @property
    def in_flight(self) -> int:
        return self.states.get(RequestState.SENT.value, 0)

    @property
    def unread(self) -> int:
        return self.states.get(RequestState.RECEIVED.value, 0)


class Run:
    """One `generate` in a workspace of its own."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.folder = folder
        self.size = size
        self.workbench = Workbench(Settings(workspace=folder))
        self._plan = folder / "the-plan.json"
        self.told = folder / "told.txt"

    def start(self, base_url: str) -> subprocess.Popen[bytes]:
        counts, in_flight = {"sts": self.size.rows}, self.size.in_flight
        plan = {"base_url": base_url, "model": "starter", "counts": counts, "in_flight": in_flight, "max_tokens": 4000}
        self._plan.write_text(json.dumps(plan))
        return self._command()

    def resume(self) -> None:
        """As a person would: the job, or the command again where it was killed before there was one."""
        if not self.workbench.jobs.find(JobKind.GENERATE):
            assert self._command().wait(LIMIT_SECONDS) == 0
            return
        [job] = self.workbench.jobs.find(JobKind.GENERATE)
        if self.workbench.jobs.wait(job.id, timeout_seconds=LIMIT_SECONDS, poll_seconds=0.02).state is not JobState.DONE:
            assert self.workbench.jobs.get(job.id).state is JobState.LOST
            self.workbench.jobs.resume(job.id)
        ended = self.workbench.jobs.wait(job.id, timeout_seconds=LIMIT_SECONDS, poll_seconds=0.05)
        assert ended.state is JobState.DONE, self.workbench.jobs.log_tail(job.id)
        assert (ended.result["planned"], ended.result["parsed"], ended.result["failed"]) == (self.size.rows, self.size.rows, 0)

    def remains(self) -> Remains:
        with closing(sqlite3.connect(self.folder / "tercet.db")) as database:
            return Remains(
                states=dict(database.execute("select state, count(*) from requests group by state")),
                replies=dict(database.execute("select key, raw from requests where raw is not null")),
                triples={row[0]: row[1:] for row in database.execute("select id, query, positive, negative from triples")},
                attempts=database.execute("select coalesce(sum(attempts), 0) from requests").fetchone()[0],
            )

    def _command(self) -> subprocess.Popen[bytes]:
        words = ("generate", "--plan", str(self._plan), "--workspace", str(self.folder), "--json")
        with self.told.open("wb") as told:
            return subprocess.Popen([sys.executable, "-m", "core", *words], cwd=PROJECT_FOLDER, stdout=told, stderr=told)


class Killer:
    """Ends a command and its job at once, at a moment that is drawn."""

    def __init__(self, run: Run, command: subprocess.Popen[bytes], stage: str, random: Random) -> None:
        self._run = run
        self._command = command
        self._stage = stage
        self._random = random

    def strike(self) -> None:
        rows, in_flight = self._run.size.rows, self._run.size.in_flight
        if self._stage == "before planning":
            time.sleep(self._random.uniform(0, LONGEST_START_SECONDS))
            self._freeze()
        elif self._stage == "while sending":
            self._wait_for(self._random.randrange(1, rows - in_flight))
            time.sleep(self._random.uniform(0, LATENCY_SECONDS))
            self._freeze()
        else:
            self._wait_for(self._random.randrange(in_flight, rows - in_flight))
            self._freeze()
            while not self._run.remains().unread and self._job_is_alive():
                self._signal(signal.SIGCONT)
                time.sleep(self._random.uniform(0, 0.02))
                self._freeze()
        self._signal(signal.SIGKILL)
        self._command.wait(LIMIT_SECONDS)

    def _wait_for(self, attempts: int) -> None:
        limit = time.monotonic() + LIMIT_SECONDS
        while self._run.remains().attempts < attempts and self._command.poll() is None and time.monotonic() < limit:
            time.sleep(0.005)

    def _freeze(self) -> None:
        """The command first: then it starts no job that is not seen."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        self._command.send_signal(signal.SIGSTOP)
        if self._command.returncode is not None:  # too late: the run is over, or never began
            assert self._command.returncode == 0, self._run.told.read_text()
            return
        for process in (*self._jobs(), psutil.Process(self._command.pid)):
            os.kill(process.pid, number)

    def _jobs(self) -> list[psutil.Process]:
        return psutil.Process(self._command.pid).children(recursive=True)

    def _job_is_alive(self) -> bool:
        return self._command.returncode is None and any(process.status() != psutil.STATUS_ZOMBIE for process in self._jobs())


def killed_and_resumed(run: Run, number: int) -> Remains:
    with teaching(TeacherOptions(latency_seconds=LATENCY_SECONDS, distinct=True)) as url:
        Killer(run, run.start(url), STAGES[number % len(STAGES)], Random(number)).strike()
        left = run.remains()
        assert left.in_flight <= run.size.called_sent
        run.resume()
        with urllib.request.urlopen(url.removesuffix("/v1") + "/counts") as answer:
            counts = json.load(answer)

    ended, rows = run.remains(), run.size.rows
    assert ended.states == {RequestState.PARSED.value: rows}
    assert TripleStore(run.workbench.database).count() == rows
    assert {key: ended.replies[key] for key in left.replies} == left.replies  # byte for byte
    assert {triple_id: ended.triples[triple_id] for triple_id in left.triples} == left.triples
    assert counts["calls"] - counts["repeated"] == rows  # every request came to the teacher
    assert counts["repeated"] <= min(left.in_flight, run.size.in_flight)  # maybe paid twice: what was in flight, and no more
    assert ended.attempts == rows + left.in_flight  # and the ledger knows
    return left


@pytest.mark.slow
def test_after_kill_9_nothing_received_is_lost_and_only_what_was_in_flight_is_sent_again(tmp_path: Path):
    runs = [Run(tmp_path / f"workspace-{number}", SMALL) for number in range(RUNS)]
    with ThreadPoolExecutor(2) as pool:
        left = list(pool.map(killed_and_resumed, runs, range(RUNS)))
    # The moments are drawn, but each stage was really met.
    assert sum(one.planned == 0 for one in left) >= 3
    assert sum(one.in_flight > 0 for one in left) >= 3
    assert sum(one.unread > 0 for one in left) >= 3
    assert sum(0 < len(one.triples) < SMALL.rows for one in left) >= 3


@pytest.mark.slow
def test_the_same_holds_where_requests_are_claimed_ahead_and_checked_aside(tmp_path: Path):
    left = [killed_and_resumed(Run(tmp_path / f"workspace-{number}", LARGE), number) for number in (1, 2, 4, 5)]  # sending and reading
    assert max(one.in_flight for one in left) > LARGE.in_flight / 2
    assert sum(one.unread > 0 for one in left) >= 1
