from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.cli.main import app
from tests.factories import make_triples


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    triples = make_triples(8)
    path.write_text(
        "\n".join(
            json.dumps(
                {"group": t.group, "task": t.task, "query": t.texts.query, "positive": t.texts.positive, "negative": t.texts.negative}
            )
            for t in triples
        )
    )
    return path


def run(workspace: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--workspace", str(workspace)])


def answer(result: Result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_import_freeze_export_and_import_again(workspace: Path, rows: Path, tmp_path: Path):
    assert answer(run(workspace, "import", str(rows), "--accept", "--json")) == {"added": 8, "duplicates": 0, "accepted": 8, "bad": []}
    version = answer(run(workspace, "freeze", "--name", "v1", "--heldout-share", "0.25", "--json"))
    assert (version["train_count"], version["heldout_count"]) == (6, 2)
    out = tmp_path / "out.jsonl"
    assert answer(run(workspace, "export", "--version", "v1", "--out", str(out), "--json"))["rows"] == 8
    assert answer(run(tmp_path / "other", "import", str(out), "--accept", "--json"))["added"] == 8
    again = answer(run(tmp_path / "other", "freeze", "--name", "v1", "--heldout-share", "0.25", "--json"))
    assert again["content_hash"] == version["content_hash"]


def test_bad_rows_are_told_and_only_a_file_without_good_ones_fails(workspace: Path, rows: Path, tmp_path: Path):
    mixed, broken = tmp_path / "mixed.jsonl", tmp_path / "broken.jsonl"
    mixed.write_text("oops\n" + rows.read_text())
    broken.write_text("oops\n")
    told = answer(run(workspace, "import", str(mixed), "--json"))
    assert told["added"] == 8
    assert told["bad"] == [{"line": 1, "reason": "is not JSON: Expecting value at character 1"}]
    failed = run(workspace, "import", str(broken), "--json")
    assert failed.exit_code == 1
    assert failed.stdout == ""
    assert "line 1 is not JSON" in failed.stderr
    assert "Hint:" in failed.stderr


def test_freezing_nothing_fails_with_a_hint(workspace: Path):
    result = run(workspace, "freeze", "--name", "v1", "--json")
    assert result.exit_code == 1
    assert "Hint:" in result.stderr


def test_an_export_that_fails_leaves_the_old_file(workspace: Path, tmp_path: Path):
    out = tmp_path / "out.jsonl"
    out.write_text("precious")
    assert run(workspace, "export", "--out", str(out)).exit_code == 1
    assert out.read_text() == "precious"


def test_the_starter_set_loads_as_shipped(workspace: Path):
    report = answer(run(workspace, "starter", "load", "--accept", "--json"))
    assert report["bad"] == []
    assert report["added"] == report["accepted"] >= 150
