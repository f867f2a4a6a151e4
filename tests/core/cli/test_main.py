"""What every command promises: help, one JSON object on the last line, message and hint on stderr with a status other than 0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli.main import app

COMMANDS = [
    "demo",
    "brainstorm",
    "generate",
    "tasks",
    "freeze",
    "import",
    "export",
    "train",
    "index",
    "search",
    "evaluate",
    "serve",
    "jobs",
    "doctor",
]


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_help_lists_every_command() -> None:
    shown = run("--help").output
    assert [c for c in COMMANDS if f" {c} " not in shown] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_takes_a_workspace(command: str) -> None:
    done = run(command, *(["list"] if command in ("tasks", "jobs") else []), "--help")
    assert done.exit_code == 0
    assert "--workspace" in done.output
    assert "--json" in done.output or command == "serve"


def test_the_last_line_is_one_json_object(workspace: Path) -> None:
    done = run("jobs", "list", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout.splitlines()[-1]) == {"jobs": []}


@pytest.mark.parametrize(
    "arguments",
    [
        ("jobs", "show", "train-nothing"),
        ("jobs", "pause", "train-nothing"),
        ("freeze", "--name", "v1"),
        ("train", "--version", "nothing"),
        ("evaluate", "--version", "nothing"),
        ("index", "--corpus", "nothing"),
        ("index", "--corpus", "demo", "--model", "run:nothing"),
        ("export", "--version", "nothing", "--out", "x.jsonl"),
        ("generate", "--count", "1"),
        ("import", "no-such-file.jsonl"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_told_with_a_hint(workspace: Path, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--json")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert "\nHint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_workspace_option_wins_over_the_environment(workspace: Path, tmp_path: Path) -> None:
    assert run("jobs", "list", "--workspace", str(tmp_path / "other"), "--json").exit_code == 0
    assert (tmp_path / "other" / "tercet.db").exists()
    assert not workspace.exists()
