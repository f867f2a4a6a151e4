from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli.endpoint_options import EndpointOptions
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
    assert (code, result["state"], result["failure"]["code"], result["received"]) == (1, "failed", "endpoint_unreachable", 0)
    assert url in told.replace("\n", "")
    assert "Settings" in told


@pytest.mark.slow
def test_a_job_that_brought_nothing_ends_with_its_counts_and_a_status_of_1(workspace: Path):
    with serving(lambda body, n: completion("no JSON at all")) as server:
        code, result, told = run("generate", "--group", "sts", "--count", "4", "--base-url", server.url, "--model", "m")
    assert (code, result["state"], result["failures"], result["failure"]["code"]) == (1, "failed", {"not_json": 4}, "brought_nothing")
    assert "All 4 requests failed, 4 as not_json" in " ".join(told.split())
    code, again, _ = run("jobs", "resume", result["job"])
    assert (code, again["received"], again["failure"]) == (1, 4, result["failure"])  # nothing was sent a second time


@pytest.mark.parametrize("command", ["brainstorm", "generate"])
def test_both_commands_take_the_same_words_for_who_writes_and_for_how_much(workspace: Path, command: str):
    options = ("--price-prompt", "1", "--base-url", "http://127.0.0.1:1/v1", "--model", "m")
    code, _, told = run(command, *options)
    assert (code, "--price-completion" in told) == (1, True)
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert all(f"--{field.name.replace('_', '-')}" in shown for field in fields(EndpointOptions))


@pytest.mark.parametrize("command", ["generate", "brainstorm"])
def test_a_plan_file_that_is_no_object_is_refused(workspace: Path, tmp_path: Path, command: str):
    plan = tmp_path / "plan.json"
    plan.write_text("[1, 2]")
    code, _, told = run(command, "--plan", str(plan))
    assert (code, "holds no JSON object" in " ".join(told.split())) == (1, True)
