from __future__ import annotations

import json

from typer.testing import CliRunner

from core.cli.main import app


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_search_ends_with_one_json_object(workspace):
    done = run("search", "join two paths", "--model", "bm25", "-k", "2", "--json")
    assert done.exit_code == 0
    answer = json.loads(done.stdout.splitlines()[-1])
    hits = answer["rankings"][0]["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert hits[0]["title"] == "os.path.join"


def test_a_missing_index_an_unknown_model_and_an_unknown_corpus_fail_with_a_hint(workspace):
    for arguments in (["--model", "raw"], ["--model", "run:nothing"], ["--model", "bm25", "--corpus", "nothing"]):
        done = run("search", "x", *arguments)
        assert done.exit_code == 1
        assert "Error:" in done.stderr
        assert "Hint:" in done.stderr


def test_a_bad_file_is_refused_before_a_job_is_made(workspace, tmp_path):
    file = tmp_path / "docs.csv"
    file.write_text("a,b\n1,2\n")
    done = run("index", "--corpus", "mine", "--file", str(file), "--model", "bm25")
    assert done.exit_code == 1
    assert "No column holds the text" in done.stderr


def test_a_file_becomes_a_corpus_with_an_index(workspace, tmp_path):
    file = tmp_path / "docs.jsonl"
    file.write_text('{"text": "green tea"}\nbroken\n{"text": "black coffee"}\n')
    done = run("index", "--corpus", "Drinks", "--file", str(file), "--model", "bm25", "--json")
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["state"], answer["documents"], answer["corpus_id"]) == ("done", 2, "corpus-drinks")
    assert [row["line"] for row in answer["bad_rows"]] == [2]
    found = json.loads(run("search", "tea", "--corpus", "Drinks", "--model", "bm25", "-k", "1", "--json").stdout.splitlines()[-1])
    assert found["rankings"][0]["hits"][0]["text"] == "green tea"


def test_stopping_a_service_that_does_not_run_is_no_error(workspace):
    assert run("serve", "--stop", "--json").exit_code == 0
