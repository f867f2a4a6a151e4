"""The project's own generation against the recorded teacher, both as a person starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli.main import app
from core.settings import PROJECT_FOLDER, Settings
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.core.shipped.teacher.teachers import starter_records


@contextmanager
def teacher(*options: str) -> Iterator[dict]:
    command = [sys.executable, "-m", "core", "teacher", "--port", "0", "--json", *options]
    with subprocess.Popen(command, cwd=PROJECT_FOLDER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline() or "{}")
        finally:
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=20)[1]
    assert (process.returncode, "Traceback" in said) == (0, False), said


def run(*arguments: str) -> dict:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def plan_file(folder: Path, **plan) -> str:
    file = folder / "plan.json"
    file.write_text(json.dumps({"model": "starter", "in_flight": 8, "max_tokens": 8000, **plan}))
    return str(file)


@pytest.mark.slow
def test_tasks_and_triples_of_all_groups_arrive(workspace: Path, tmp_path: Path):
    with teacher() as told:
        assert told["examples"] == len(starter_records())
        url = {"base_url": told["base_url"]}
        stormed = run(
            "brainstorm", "--plan", plan_file(tmp_path, counts={"short-long": 20, "long-short": 5, "short-short": 5, "long-long": 5}, **url)
        )
        assert (stormed["added"], stormed["failed"]) == (35, 0)
        run("tasks", "accept", "all")
        groups = ("short-long", "long-short", "short-short", "long-long", "sts", "bitext")
        plan = plan_file(tmp_path, counts=dict.fromkeys(groups, 6), languages={"English": 0.5, "German": 0.5}, **url)
        result = run("generate", "--plan", plan)
    assert (result["planned"], result["parsed"], result["failed"]) == (36, 36, 0)
    assert result["added"] + result["duplicates"] == 36
    assert TripleStore(Workbench(Settings()).database).count() == result["added"] > 24


@pytest.mark.slow
def test_faults_become_reasons_and_the_rest_arrives(workspace: Path, tmp_path: Path):
    with teacher("--faults", "truncated:0.2,refusal:0.2,empty:0.1,malformed:0.2,429:0.1", "--retry-after", "0.05", "--seed", "1") as told:
        result = run("generate", "--plan", plan_file(tmp_path, counts={"sts": 60}, base_url=told["base_url"]))
    assert result["planned"] == 60
    assert {"refusal", "empty"} <= set(result["failures"]) <= {"refusal", "empty", "length"}
    assert result["parsed"] == 60 - sum(result["failures"].values()) > 20


def test_options_that_cannot_be_are_told_with_a_hint(tmp_path: Path):
    for options in (("--faults", "flood:1"), ("--data", str(tmp_path))):
        done = CliRunner().invoke(app, ["teacher", "--port", "0", *options])
        assert (done.exit_code, "Hint:" in done.stderr) == (1, True)


def test_the_command_needs_no_workspace_to_explain_itself(workspace: Path):
    done = CliRunner().invoke(app, ["teacher", "--help"], env={"COLUMNS": "200", **os.environ})
    assert done.exit_code == 0
    assert "x-teacher-fault" in done.output
    assert not workspace.exists()
