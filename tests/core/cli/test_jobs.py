from __future__ import annotations

import json
import os

from typer.testing import CliRunner

from core.cli.main import app
from core.cli.output import people
from core.domain.jobs import Job, JobKind, JobState
from core.jobs.processes import mark_of
from core.storage.artifacts import write_json
from core.storage.database import now


def add(workbench, job_id: str, *, state: JobState, place: float) -> None:
    """A training at work or in line; this test's own process stands for it."""
    folder = workbench.settings.jobs_folder / job_id
    workbench._job_store.add(Job(job_id, JobKind.TRAIN, f"Train {job_id}", state, {}, "h", folder, created_at=now()))
    mark = mark_of(os.getpid())
    workbench._job_store.set(job_id, pid=mark.pid, process_start=mark.started, boot_id=mark.boot_id)
    write_json(folder / "place.json", {"place": place})


def told(*words: str) -> dict:
    result = CliRunner().invoke(app, ["jobs", *words, "--json"])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_the_line_is_listed_and_reordered(workbench, monkeypatch):
    monkeypatch.setattr(people, "_width", 200)  # the table of a wide terminal
    assert told("line") == {"line": []}
    add(workbench, "train-one", state=JobState.RUNNING, place=1)
    add(workbench, "train-two", state=JobState.QUEUED, place=2)
    add(workbench, "train-three", state=JobState.QUEUED, place=3)
    assert [(row["place"], row["job"], row["behind"]) for row in told("line")["line"]] == [
        (1, "train-two", "train-one"),
        (2, "train-three", "train-two"),
    ]
    assert [row["job"] for row in told("move", "train-three", "--to", "1")["line"]] == ["train-three", "train-two"]
    listed = CliRunner().invoke(app, ["jobs", "list"])
    assert "train-three" in listed.stderr
    assert "queued, 1st in line" in " ".join(listed.stderr.split())


def test_one_that_is_not_in_line_cannot_be_moved(workbench):
    add(workbench, "train-one", state=JobState.RUNNING, place=1)
    result = CliRunner().invoke(app, ["jobs", "move", "train-one", "--to", "1"])
    assert result.exit_code == 1
    assert "not in line" in result.stderr
