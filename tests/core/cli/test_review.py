from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.cli.main import app
from core.domain.dataset import ExportFormat
from core.settings import PROJECT_FOLDER, Settings
from core.workbench import Workbench
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
    counts = {"added": 8, "duplicates": 0, "accepted": 8, "without_negative": 0, "unused_negatives": 0}
    assert answer(run(workspace, "import", str(rows), "--accept", "--json")) == {**counts, "bad": []}
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
    assert told["bad"] == [{"line": 1, "reason": "is not JSON: Expecting value at character 1", "part": ""}]
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


@pytest.mark.parametrize("format_", [f.value for f in ExportFormat])
def test_every_format_goes_out_and_comes_in_again(workspace: Path, rows: Path, tmp_path: Path, format_: str):
    run(workspace, "import", str(rows), "--source", "msmarco", "--weight", "0.5")
    single = format_ in ("jsonl", "csv", "parquet")
    for name in (f"out.{format_ if single else 'zip'}", *(() if single else ("folder",))):
        told = answer(run(workspace, "export", "--format", format_, "--out", str(tmp_path / name), "--json"))
        assert told["rows"] == 8
        assert "who decided" in told["not_held"]
        assert answer(run(tmp_path / f"other-{name}", "import", str(tmp_path / name), "--json"))["added"] == 8
    if not single:
        again = run(workspace, "export", "--format", format_, "--out", str(tmp_path / "folder"), "--json")
        assert (again.exit_code, "Hint:" in again.stderr) == (1, True)


def test_a_source_is_imported_with_its_own_instruction_and_weight(workspace: Path, tmp_path: Path):
    (tmp_path / "pairs.csv").write_text("question,answer\nwhy,because\n")
    labelled = ("--source", "nq", "--weight", "0.25", "--task", "Given a question, find its answer.")
    told = answer(run(workspace, "import", str(tmp_path / "pairs.csv"), *labelled, "--json"))
    assert (told["added"], told["without_negative"]) == (1, 1)
    workbench = Workbench(Settings(workspace=workspace))
    shelf = workbench.dataset
    (record,) = shelf.search()
    assert (record.triple.task, record.triple.source) == ("Given a question, find its answer.", "nq")
    assert shelf.weights() == {"nq": 0.25}
    assert workbench.training.preset().source_weights == {"nq": 0.25}  # from where batches draw (tests/core/training/test_batches.py)


def test_a_weight_that_cannot_be_used_changes_nothing(workspace: Path, rows: Path):
    refused = run(workspace, "import", str(rows), "--weight", "nan", "--json")
    assert (refused.exit_code, "Give a number from 0 to 100" in refused.stderr) == (1, True)
    assert Workbench(Settings(workspace=workspace)).dataset.count() == 0


def test_spaces_around_a_source_are_no_part_of_its_name(workspace: Path, rows: Path):
    answer(run(workspace, "import", str(rows), "--source", " nq ", "--weight", "0.5", "--json"))
    shelf = Workbench(Settings(workspace=workspace)).dataset
    assert shelf.weights() == {"nq": 0.5}
    assert shelf.counts_by("source") == {"nq": 8}


@pytest.mark.parametrize("format_", ["jsonl", "beir"])
def test_a_name_that_ends_in_zip_gives_one_zip(workspace: Path, rows: Path, tmp_path: Path, format_: str):
    run(workspace, "import", str(rows))
    out = tmp_path / "out.ZIP"
    told = answer(run(workspace, "export", "--format", format_, "--out", str(out), "--json"))
    with zipfile.ZipFile(out) as archive:
        assert sorted(archive.namelist()) == told["files"]
    assert told["bytes"] == out.stat().st_size
    assert answer(run(tmp_path / "other", "import", str(out), "--json"))["added"] == 8


def test_the_starter_set_loads_as_shipped(workspace: Path):
    report = answer(run(workspace, "starter", "load", "--accept", "--json"))
    assert report["bad"] == []
    assert report["added"] == report["accepted"] >= 150


def test_versions_are_listed_compared_and_checked_against_the_tests(workspace: Path, rows: Path, tmp_path: Path):
    run(workspace, "import", str(rows), "--accept")
    run(workspace, "freeze", "--name", "v1", "--heldout-share", "0")
    (tmp_path / "more.jsonl").write_text(json.dumps({"group": "short-long", "task": "T", "query": "new", "positive": "p", "negative": "n"}))
    run(workspace, "import", str(tmp_path / "more.jsonl"), "--accept")
    run(workspace, "freeze", "--name", "v2", "--heldout-share", "0")
    assert [v["name"] for v in answer(run(workspace, "versions", "list", "--json"))["versions"]] == ["v2", "v1"]
    told = answer(run(workspace, "versions", "diff", "v1", "v2", "--json"))
    assert [row["after"]["query"] for row in told["added"]] == ["new"]
    assert (told["removed"], told["changed"], told["same"]) == ([], [], 8)
    assert answer(run(workspace, "versions", "overlap", "v2", "--json"))["both_sides"] == []
    query = json.loads(next(iter((PROJECT_FOLDER / "data" / "heldout" / "queries.jsonl").open(encoding="utf-8"))))["text"]
    leak = {"group": "short-long", "task": "T", "query": query.upper(), "positive": "p2", "negative": "n2"}
    (tmp_path / "leak.jsonl").write_text(json.dumps(leak))
    run(workspace, "import", str(tmp_path / "leak.jsonl"), "--accept")
    run(workspace, "freeze", "--name", "v3", "--heldout-share", "0")
    leaking = run(workspace, "versions", "overlap", "v3", "--json")
    assert leaking.exit_code == 1
    assert json.loads(leaking.stdout.splitlines()[-1])["collections"]["heldout"]["queries"] == [query]
