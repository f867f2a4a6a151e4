from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from core.cli.main import app
from tests.pages.finished_jobs import add_version


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ([], "--version"),
        (["--version", "nothing"], "reeze"),
        (["--version", "v1", "--preset", "none such"], "two-minute CPU"),
        (["--version", "v1", "--base", "/no/such/folder"], "config.json"),
        (["--version", "v1", "--plan", "/no/such/plan.json"], "JSON file"),
    ],
)
def test_a_run_that_cannot_start_ends_with_a_hint_and_leaves_no_job(workbench, options, hint):
    add_version(workbench)
    result = CliRunner().invoke(app, ["train", *options, "--json"])
    assert result.exit_code != 0
    assert hint in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert workbench.training.runs() == []


def test_a_plan_file_with_a_misspelt_field_is_told_by_its_name(workbench, tmp_path):
    add_version(workbench)
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"learning_rat": 1}), encoding="utf-8")
    result = CliRunner().invoke(app, ["train", "--version", "v1", "--plan", str(file)])
    assert result.exit_code == 1
    assert "learning_rat" in result.stderr


def test_doctor_ends_with_one_object_and_names_a_workspace_that_cannot_be_written(workbench, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    result = CliRunner().invoke(app, ["doctor", "--json", "--workspace", str(blocked)])
    report = json.loads(result.stdout)
    workspace = next(check for check in report["checks"] if check["name"] == "workspace")
    assert result.exit_code == 1
    assert not report["healthy"]
    assert not workspace["ok"]
    assert "TERCET_WORKSPACE" in workspace["hint"]
