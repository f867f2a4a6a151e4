from __future__ import annotations

import json

import pytest

from core.errors import BadInput, BadRows, NotFound
from core.evaluation.beir import ANY_TASK, folder_reader, read_beir, zip_reader
from core.evaluation.shelf import CollectionShelf
from tests.factories import zip_of


def test_queries_documents_and_grades(beir_folder):
    collection = read_beir(folder_reader(beir_folder))
    (query,) = collection.queries  # the other has no judgement above 0
    assert (query.id, query.text, query.task, query.group, query.language) == ("1", "q", "Find it.", "short-long", "German")
    assert list(query.grades.items()) == [("d2", 2), ("d1", 1)]  # the best first
    assert [d.content for d in collection.documents] == ["half an answer", "the answer", "Title\nnoise"]
    assert collection.qrels == {"1": {"d2": 2, "d1": 1}}


def test_a_query_without_metadata_has_a_general_task(beir_folder):
    (beir_folder / "queries.jsonl").write_text('{"_id": 1, "text": "q"}\n', encoding="utf-8")
    (beir_folder / "qrels" / "test.tsv").write_text("1\td1\t1\r\n", encoding="utf-8")  # no header, line ends of Windows
    (query,) = read_beir(folder_reader(beir_folder)).queries
    assert (query.task, query.language, dict(query.grades)) == (ANY_TASK, "not told", {"d1": 1})


def test_the_hash_covers_texts_grades_and_tasks(beir_folder):
    before = read_beir(folder_reader(beir_folder)).content_hash
    assert before == read_beir(folder_reader(beir_folder)).content_hash
    (beir_folder / "qrels" / "test.tsv").write_text("1\td1\t2\n1\td2\t2\n", encoding="utf-8")
    assert before != read_beir(folder_reader(beir_folder)).content_hash


@pytest.mark.parametrize(
    ("part", "content", "told"),
    [
        ("corpus.jsonl", '{"_id": "d1", "text": "x"}\n{"_id": "d1", "text": "y"}', "corpus.jsonl, line 2 repeats the _id d1"),
        ("corpus.jsonl", '{"_id": "d1"}', "line 1 (d1) has no text"),
        ("corpus.jsonl", '{"text": "x"}', "line 1 has no _id"),
        ("corpus.jsonl", "nonsense", "line 1 is not JSON"),
        ("corpus.jsonl", "", "corpus.jsonl is empty"),
        ("queries.jsonl", '{"_id": "1", "text": "\\ud800"}', "holds something that is no text"),
        ("qrels/test.tsv", "1\td1\t1\n1\td9\t1", "qrels/test.tsv, line 2 names d9, which is not among the documents"),
        ("qrels/test.tsv", "7\td1\t1", "names 7, which is not among the queries"),
        ("qrels/test.tsv", "1\td1\tgood", "line 1 is not query-id, corpus-id and a whole score"),
        ("qrels/test.tsv", "1\td1\t²", "line 1 is not query-id"),
        ("qrels/test.tsv", "1\td1\t--1", "line 1 is not query-id"),
        ("qrels/test.tsv", f"1\td1\t{'9' * 25}", "line 1 is not query-id"),
        ("qrels/test.tsv", "1\td1\t0", "No query has a judgement above 0"),
    ],
)
def test_a_bad_row_is_told_by_file_and_line(beir_folder, part, content, told):
    (beir_folder / part).write_text(content, encoding="utf-8")
    with pytest.raises(BadRows) as error:
        read_beir(folder_reader(beir_folder))
    assert told in error.value.message


def test_bytes_that_are_no_text_and_missing_parts(beir_folder):
    (beir_folder / "queries.jsonl").write_bytes(b'{"_id": "1", "text": "\xff"}')
    with pytest.raises(BadRows, match="not UTF-8"):
        read_beir(folder_reader(beir_folder))
    (beir_folder / "queries.jsonl").unlink()
    with pytest.raises(NotFound, match=r"no queries\.jsonl"):
        read_beir(folder_reader(beir_folder))


def test_a_zip_gives_the_same_wherever_its_folder_lies(beir_folder):
    wanted = read_beir(folder_reader(beir_folder))
    for inside in ("", "small/", "a/b/"):
        assert read_beir(zip_reader(zip_of(beir_folder, inside=inside))) == wanted
    with pytest.raises(NotFound, match="The zip holds no qrels"):
        read_beir(zip_reader(zip_of(beir_folder, without="qrels/test.tsv")))
    with pytest.raises(BadInput, match="cannot be read"):
        zip_reader(b"no zip")


def test_a_brought_collection_is_kept_only_when_it_can_be_used(beir_folder, tmp_path):
    shelf = CollectionShelf(shipped=beir_folder, folder=tmp_path / "collections")
    assert [name for name, _ in shelf.names()] == ["heldout"]
    shelf.add("My  Test", zip_of(beir_folder))
    assert [name for name, _ in shelf.names()] == ["heldout", "my-test"]
    assert shelf.get("my-test") == shelf.get("heldout") == shelf.get(str(beir_folder))
    for name, data, told in (("my test", zip_of(beir_folder), "already"), ("heldout", b"", "already"), ("?!", b"", "needs a name")):
        with pytest.raises(BadInput, match=told):
            shelf.add(name, data)
    (beir_folder / "corpus.jsonl").write_text(json.dumps({"_id": "d1", "text": "x"}), encoding="utf-8")
    with pytest.raises(BadRows):
        shelf.add("broken", zip_of(beir_folder))
    assert [name for name, _ in shelf.names()] == ["heldout", "my-test"]
    with pytest.raises(NotFound, match="no test collection nothing"):
        shelf.get("nothing")
    with pytest.raises(NotFound):
        shelf.get("../small")


def test_a_collection_is_read_again_when_a_file_of_it_changed(beir_folder, tmp_path):
    shelf = CollectionShelf(shipped=beir_folder, folder=tmp_path / "collections")
    assert shelf.get("heldout") is shelf.get("heldout")
    (beir_folder / "qrels" / "test.tsv").write_text("1\td1\t2\n", encoding="utf-8")
    assert shelf.get("heldout").qrels == {"1": {"d1": 2}}
