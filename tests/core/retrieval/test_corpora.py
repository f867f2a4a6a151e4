from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import pytest

from core.errors import BadInput, BadRows, NotFound
from core.retrieval.corpus_files import read_documents
from core.retrieval.demo_corpus import gather_demo_corpus
from core.retrieval.passages import count_words, cut_into_passages
from core.settings import PROJECT_FOLDER


def test_demo_corpus_is_deduplicated_of_fit_length_and_size():
    documents = gather_demo_corpus()
    assert 1500 <= len(documents) <= 4000
    assert len({d.id for d in documents}) == len({" ".join(d.text.split()).casefold() for d in documents}) == len(documents)
    assert all(25 <= count_words(d.text) <= 181 and d.title for d in documents)
    assert any(d.title == "os.path.join" for d in documents)


def test_demo_corpus_is_the_same_whatever_this_process_did_to_the_standard_library(monkeypatch):
    first = gather_demo_corpus()
    monkeypatch.setattr("json.dumps", lambda *_, **__: "replaced")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert gather_demo_corpus() == first


def test_gathering_imports_nothing_with_side_effects():
    script = (
        "import sys; from core.retrieval.demo_corpus import gather_here; gather_here(); "
        "sys.exit(bool({'antigravity', 'this', 'turtle', 'tkinter', 'idlelib', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=PROJECT_FOLDER, check=False).returncode == 0


def test_demo_corpus_is_stored_once(shelf):
    first = shelf.ensure_demo_corpus()
    assert shelf.ensure_demo_corpus() == first
    assert len(shelf.documents("demo")) == first.documents
    assert [c.id for c in shelf.find()] == ["demo", "version:v1id"]


def test_version_documents_are_each_text_once(shelf):
    texts = [d.text for d in shelf.documents("version:v1id")]
    assert texts == ["too much water", "ginkgo in autumn", "water at dawn", "spray with soap", "a white rose"]
    assert shelf.get("version:first").id == "version:v1id"
    with pytest.raises(NotFound):
        shelf.get("version:unknown")
    with pytest.raises(NotFound):
        shelf.documents("unknown")


def test_bad_rows_are_reported_by_line_and_good_ones_kept(shelf):
    lines = [
        '{"_id": "a", "text": "one"}',
        "not json",
        "",
        '{"title": "no text"}',
        '{"_id": "a", "text": "two"}',
        '{"text": "one"}',
        '{"text": "three", "title": "T"}',
        '"four"',
    ]
    rows = "\n".join(lines).encode()
    report = shelf.import_corpus("My docs", rows, "jsonl")
    assert [row.line for row in report.bad] == [2, 4, 5]
    assert report.duplicates == 1
    documents = shelf.documents(report.corpus.id)
    assert [d.content for d in documents] == ["one", "T\nthree", "four"]
    assert documents[0].id == "a"
    with pytest.raises(BadInput, match="already"):
        shelf.import_corpus("My docs", rows, "jsonl")
    assert shelf.import_corpus("My docs", b'"five"', "jsonl", replace=True).corpus.documents == 1


def test_csv_lines_count_as_an_editor_counts_them():
    read = read_documents(b'id,text\n1,"two\nlines"\n2\n3,third\n', "csv")
    assert [d.text for d in read.documents] == ["two\nlines", "third"]
    assert [(row.line, row.reason) for row in read.bad] == [(4, "1 cells where the header has 2")]


def test_beir_zip_is_read_without_unpacking():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../outside/queries.jsonl", "{}")
        archive.writestr("fiqa/corpus.jsonl", '{"_id": "7", "title": "T", "text": "body", "metadata": {}}\n')
    read = read_documents(packed.getvalue(), "zip")
    assert [(d.id, d.content) for d in read.documents] == [("7", "T\nbody")]


@pytest.mark.parametrize(
    ("data", "file_format", "error"),
    [
        (b"", "txt", BadRows),
        (b"{}\n", "jsonl", BadRows),
        (b"a,b\n1,2\n", "csv", BadInput),
        (b"\xff\xfe\x00", "txt", BadInput),
        (b"PK", "zip", BadInput),
        (b"x", "xml", BadInput),
    ],
)
def test_unusable_files_are_refused_with_a_hint(data, file_format, error):
    with pytest.raises(error) as caught:
        read_documents(data, file_format)
    assert caught.value.hint


def test_passages_keep_every_word_and_stay_within_the_limit():
    text = "\n\n".join(" ".join(f"w{p}x{i}" for i in range(length)) for p, length in enumerate((10, 70, 90, 400, 5)))
    passages = cut_into_passages(text)
    assert " ".join(passages).split() == text.split()
    assert max(count_words(p) for p in passages) <= 180


def test_chinese_without_spaces_is_cut_too():
    passages = cut_into_passages("检索模型把查询和文档变成向量。" * 60)
    assert "".join(passages).replace(" ", "").replace("\n", "") == "检索模型把查询和文档变成向量。" * 60
    assert max(count_words(p) for p in passages) <= 181
