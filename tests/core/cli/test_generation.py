from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli.main import app
from tests.core.llm.loopback import Answer, closed_port_url, completion, serving
from tests.core.llm.scripted import example_text, tasks_text

TASK = "Given a symptom of a houseplant, retrieve advice that names its cause."


def run(*arguments: str) -> tuple[int, dict, str]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    lines = result.stdout.strip().splitlines()
    return result.exit_code, json.loads(lines[-1]) if lines else {}, result.stderr


def test_tasks_are_added_listed_accepted_and_rejected(workspace: Path, tmp_path: Path):
    (tmp_path / "tasks.txt").write_text(f"{TASK}\nGiven a law, retrieve its history.\n")
    code, added, _ = run("tasks", "add", str(tmp_path / "tasks.txt"), "--group", "short-long")
    assert (code, len(added["added"])) == (0, 2)
    first = added["added"][0]
    assert run("tasks", "reject", first)[1] == {"changed": 1}
    listed = run("tasks", "list", "--state", "rejected")[1]["tasks"]
    assert [(t["id"], t["text"]) for t in listed] == [(first, TASK)]
    code, _, told = run("tasks", "accept", "no-such-id")
    assert (code, "Hint:" in told) == (1, True)


def test_a_file_that_does_not_exist_is_told_with_a_hint(workspace: Path):
    code, result, told = run("tasks", "add", "/no/such/file", "--group", "short-long")
    assert (code, result) == (1, {})
    assert "UTF-8" in told


@pytest.mark.parametrize(("options", "words"), [
    (("--language", "Klingon"), "Klingon"),
    (("--language", "French=much"), "French=0.3"),
    (("--group", "short-long"), "no accepted task"),
    (("--plan", "/no/such/plan.json"), "cannot be read"),
    (("--count", "0", "--group", "sts"), "asks for nothing"),
    (("--base-url", "http://127.0.0.1:1/v1"), "Add --model"),
    (("--group", "sts", "--budget-money", "1", "--base-url", "http://127.0.0.1:1/v1", "--model", "m"), "budget in requests"),
])  # fmt: skip
def test_bad_options_say_what_is_wrong(workspace: Path, options: tuple[str, ...], words: str):
    code, _, told = run("generate", *options)
    assert code == 1
    assert words in " ".join(told.split())


def test_a_misspelt_plan_is_refused_by_its_field(workspace: Path, tmp_path: Path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"counts": {"sts": 1}, "temprature": 0.5}))
    code, _, told = run("generate", "--plan", str(plan))
    assert (code, "temprature" in told) == (1, True)


def test_a_dry_run_estimates_and_sends_nothing(workspace: Path):
    options = ("--group", "sts", "--count", "3", "--base-url", "https://api.openai.com/v1", "--model", "gpt-4o-mini", "--dry-run")
    code, estimate, _ = run("generate", *options)
    assert (code, estimate["requests"]) == (0, 3)
    assert estimate["cost"] > 0


@pytest.mark.slow
def test_brainstorm_accept_generate_and_a_second_run_that_sends_only_what_is_missing(workspace: Path):
    def answer(body, n):
        asks_for_tasks = "tasks" in body["response_format"]["json_schema"]["schema"]["properties"]
        text = tasks_text(TASK, "Given a law, retrieve its history.") if asks_for_tasks else example_text("short-long", n)
        return Answer(429, {"error": {"message": "slow"}}, {"retry-after": "0.05"}) if n == 0 else completion(text)

    with serving(answer) as server:
        endpoint = ("--base-url", server.url, "--model", "loopback")
        code, stormed, told = run("brainstorm", "--count", "2", *endpoint)
        assert (code, stormed["added"], stormed["sent"]) == (0, 2, 2), told  # the attempt that was told to wait counts
        assert run("tasks", "accept", "all")[1] == {"changed": 2}
        code, result, told = run("generate", "--count", "3", "--language", "English", *endpoint)
        assert code == 0, told
        wanted = {"planned": 3, "sent": 3, "received": 3, "parsed": 3, "failures": {}, "added": 3, "cost": None}
        assert {name: result[name] for name in wanted} == wanted
        before = len(server.bodies)
        assert run("generate", "--count", "4", "--language", "English", *endpoint)[1]["sent"] == 1
        assert len(server.bodies) == before + 1


@pytest.mark.slow
def test_an_endpoint_that_refuses_fails_with_message_and_hint(workspace: Path):
    url = closed_port_url()
    code, result, told = run("generate", "--group", "sts", "--count", "20", "--base-url", url, "--model", "m")
    assert (code, result) == (1, {})
    assert url in told.replace("\n", "")
    assert "Settings" in told
