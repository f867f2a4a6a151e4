from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli.main import app
from core.domain.jobs import JobState
from core.errors import NotTheProtocol
from core.jobs.board import JobBoard
from core.workbench import Workbench
from tests.core.generation.jobs import Bench, make_plan
from tests.core.llm.scripted import ScriptedModel, example_text
from tests.factories import make_triple


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_failed_replies_are_listed_shown_and_read_again(workbench: Workbench, tmp_path: Path):
    answers = [example_text("sts", 0), "no JSON at all"]
    Bench(workbench, tmp_path).generate(ScriptedModel(lambda request, n: answers[n]), make_plan(2, in_flight=1))
    [failed] = run("requests", "list")["requests"]
    assert (failed["reason"], failed["reply"]) == ("not_json", "no JSON at all")
    assert run("requests", "show", failed["key"])["reply"] == "no JSON at all"
    assert run("requests", "reread") == {"read": 1, "gained": 0, "added": 0, "duplicates": 0, "still_failed": {"not_json": 1}}
    assert run("requests", "list", "--duplicates")["requests"] == []


def test_an_answer_that_is_no_reply_is_listed_and_shown_and_never_read_as_one(workbench: Workbench, tmp_path: Path):
    def answer(request, n: int) -> str:
        if n == 0:
            raise NotTheProtocol("Not a reply.", hint="Check the address.", body="<html>log in first</html>")
        return example_text("sts", n)

    Bench(workbench, tmp_path).generate(ScriptedModel(answer), make_plan(2, in_flight=1))
    [failed] = run("requests", "list")["requests"]
    assert (failed["reason"], failed["reply"]) == ("not_the_protocol", "<html>log in first</html>")
    shown = run("requests", "show", failed["key"])
    assert (shown["answer_in_place_of_a_reply"], shown["raw"]) == ("<html>log in first</html>", None)
    assert run("requests", "reread")["read"] == 0


def test_thresholds_are_set_and_a_wrong_name_is_refused(workbench: Workbench):
    assert run("checks", "set", "near_duplicate=0.7")["near_duplicate"] == 0.7
    assert run("checks", "show")["thresholds"]["near_duplicate"] == 0.7
    for wrong in ("nonsense=0.7", "near_duplicate", "near_duplicate=7"):
        result = CliRunner().invoke(app, ["checks", "set", wrong])
        assert result.exit_code == 1
    assert run("checks", "set", "defaults")["near_duplicate"] == 0.8


def test_the_checks_run_as_a_job_and_list_near_duplicates(workbench: Workbench, monkeypatch: pytest.MonkeyPatch):
    text = "Too much water takes the air from the roots of the plant, and the foliage slowly loses its green colour in a week."
    workbench.dataset._triples.add([make_triple(positive=text), make_triple("why do leaves turn yellow now", positive=text)])
    monkeypatch.setattr(JobBoard, "_launch", lambda board, job: workbench.run_job(job.id))
    result = run("checks", "run", "--no-encoder")
    assert result["state"] == JobState.DONE.value
    assert (result["checked"], result["near_duplicates"]) == (2, 1)
    assert len(run("checks", "duplicates")["near_duplicates"]) == 1
