"""Every format: what goes out comes back, and has the form its library documents. The libraries themselves read it in bench/exports.py."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from core.domain.dataset import Example, ExportFormat, Fallbacks, Split
from core.domain.groups import BITEXT_TASK, STS_TASK, TaskGroup
from core.domain.triple import Texts, Triple
from core.errors import BadInput, NotFound
from core.evaluation.beir import folder_reader, read_beir, zip_reader
from core.review.exporting import ENDINGS, row_of_example, write_rows
from core.review.forms import HELD, lost_in
from core.review.importing import parts_at, parts_of, read_parts
from tests.factories import make_triple, make_triples, zip_of

HARD = "=1+1 “quoted”, a;b\n\t<script>alert(1)</script> $x^2$ **b** \u202eabc\u202c \u2028 \x07 中文 'q' \"q\""
TRIPLES = [
    *make_triples(4, topic="plants", slots={"num_words": 50, "clarity": "clear"}),
    make_triple(HARD, f"{HARD} positive", f"{HARD}\r\nnegative"),
    make_triple("a pair", "its match", None, group=TaskGroup.SHORT_SHORT, task="Match names with places."),
    make_triple("label me", "glad", "sad", group=TaskGroup.LONG_SHORT, task="Given a message, say how its writer feels."),
    make_triple("S1", "S2", "S3", group=TaskGroup.STS, task=STS_TASK),
    make_triple("good day", "guten Tag", "gute Nacht", group=TaskGroup.BITEXT, task=BITEXT_TASK, target_language="German"),
]
FALLBACKS = Fallbacks(target_language="German")


def example_of(triple: Triple, split: Split) -> Example:
    kept = {name: getattr(triple, name) for name in ("group", "task", "texts", "language", "target_language", "topic", "slots", "source")}
    return Example(triple_id=triple.id, split=split, **kept)


def rows(heldout: int = 2):
    return [row_of_example(example_of(t, Split.HELDOUT if i < heldout else Split.TRAIN)) for i, t in enumerate(TRIPLES)]


def known(triple: Triple, keys) -> tuple:
    flat = {"query": triple.texts.query, "positive": triple.texts.positive, "negative": triple.texts.negative}
    return tuple(json.dumps(flat[key] if key in flat else getattr(triple, key), sort_keys=True) for key in keys)


def folder_of(exported, folder: Path) -> Path:
    for name, content in exported.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def lines(data: bytes) -> list[dict]:
    return [json.loads(line) for line in data.decode().splitlines()]


@pytest.mark.parametrize("format_", list(ExportFormat))
def test_what_a_format_holds_comes_back_and_the_rest_is_named(format_: ExportFormat, tmp_path: Path):
    exported = write_rows(rows(), format_)
    read = read_parts(parts_of(exported.data, f"x.{ENDINGS[format_]}"), source="import", fallbacks=FALLBACKS)
    assert read.bad == ()
    assert exported.rows == len(TRIPLES)
    keys = HELD[format_]
    assert sorted(known(t, keys) for t in read.triples) == sorted(known(t, keys) for t in TRIPLES)
    assert {t.id for t in read.triples} == {t.id for t in TRIPLES}
    for key in set(HELD[ExportFormat.JSONL]) - set(keys):
        assert key.replace("_", " ") in lost_in(format_)
    again = read_parts(parts_at(folder_of(exported, tmp_path)), source="import", fallbacks=FALLBACKS)
    assert {t.id for t in again.triples} == {t.id for t in TRIPLES}


@pytest.mark.parametrize("format_", [ExportFormat.SENTENCE_TRANSFORMERS, ExportFormat.TEVATRON])
def test_without_the_instruction_the_task_comes_from_the_fallback(format_: ExportFormat):
    exported = write_rows(rows(), format_, instruction=False)
    read = read_parts(parts_of(exported.data, "x.zip"), source="import", fallbacks=Fallbacks(task="Mine.", target_language="German"))
    assert {t.task for t in read.triples} == {"Mine.", STS_TASK, BITEXT_TASK}
    assert {t.texts for t in read.triples} == {t.texts for t in TRIPLES}


@pytest.mark.parametrize("format_", list(ExportFormat))
def test_equal_data_are_equal_files(format_: ExportFormat):
    assert write_rows(rows(), format_).data == write_rows(rows(), format_).data


# ---- documented forms


@pytest.mark.parametrize("format_", [ExportFormat.SENTENCE_TRANSFORMERS, ExportFormat.FLAGEMBEDDING, ExportFormat.TEVATRON])
def test_no_held_out_text_lies_in_a_training_file(format_: ExportFormat):
    exported = write_rows(rows(heldout=2), format_)
    train = b"".join(content for name, content in exported.files.items() if name.startswith("train")).decode()
    heldout = b"".join(content for name, content in exported.files.items() if name.startswith("heldout")).decode()
    assert TRIPLES[0].texts.query not in train
    assert TRIPLES[0].texts.query in heldout
    assert TRIPLES[3].texts.query in train


def test_sentence_transformers_gets_the_columns_its_losses_count():
    files = write_rows(rows(), ExportFormat.SENTENCE_TRANSFORMERS).files
    for name, content in files.items():
        if name.endswith(".jsonl"):
            wanted = ["anchor", "positive"] if "-pairs/" in name else ["anchor", "positive", "negative"]
            assert all(list(row) == wanted and all(isinstance(v, str) for v in row.values()) for row in lines(content)), name
    assert lines(files["train/sts.jsonl"])[0]["anchor"] == f"Instruct: {STS_TASK}\nQuery: S1"


def test_flagembedding_gets_its_documented_keys():
    files = write_rows(rows(), ExportFormat.FLAGEMBEDDING).files
    for name, content in files.items():
        for row in lines(content) if name.endswith(".jsonl") else ():
            assert list(row) == ["query", "pos", "neg", "prompt", "type"]
            assert isinstance(row["query"], str)
            assert isinstance(row["prompt"], str)
            assert len(row["pos"]) == 1
            assert len(row["neg"]) == (0 if "-pairs/" in name else 1)  # its dataset divides by the number of negatives
        assert len({row["type"] for row in lines(content)} if name.endswith(".jsonl") else {""}) == 1, name  # it asserts one type a batch
    assert lines(files["train/long-short_no_in_batch_neg.jsonl"])[0]["type"] == "symmetric_class"
    assert lines(files["train/bitext.jsonl"])[0]["prompt"] == BITEXT_TASK


def test_tevatron_gets_its_documented_keys():
    for name, content in write_rows(rows(), ExportFormat.TEVATRON).files.items():
        for row in lines(content) if name.endswith(".jsonl") else ():
            assert list(row) == ["query_id", "query", "positive_passages", "negative_passages"]
            assert isinstance(row["query_id"], str)
            assert len(row["positive_passages"]) == 1
            assert len(row["negative_passages"]) == (0 if "-pairs/" in name else 1)
            for passage in row["positive_passages"] + row["negative_passages"]:
                assert list(passage) == ["docid", "text"]
                assert isinstance(passage["docid"], str)


def test_beir_is_what_our_own_reader_and_the_layout_want(tmp_path: Path):
    exported = write_rows(rows(heldout=2), ExportFormat.BEIR)
    test = read_beir(folder_reader(folder_of(exported, tmp_path)))
    assert [(q.text, q.task) for q in test.queries] == [(t.texts.query, t.task) for t in TRIPLES[:2]]
    assert read_beir(zip_reader(exported.data)).content_hash == test.content_hash
    documents = {d.id: d.text for d in test.documents}
    assert [documents[i] for i in test.queries[0].relevant] == [TRIPLES[0].texts.positive]
    for side in ("train", "test"):
        head, *judged = exported.files[f"qrels/{side}.tsv"].decode().splitlines()
        assert head == "query-id\tcorpus-id\tscore"
        assert all(len(line.split("\t")) == 3 for line in judged)
    assert all(list(row)[:3] == ["_id", "title", "text"] for row in lines(exported.files["corpus.jsonl"]))


def test_equal_queries_of_a_task_are_one_query_with_two_answers(tmp_path: Path):
    two = [make_triple("q", "first", "wrong"), make_triple("q", "second", "first")]
    exported = write_rows([row_of_example(example_of(t, Split.HELDOUT)) for t in two], ExportFormat.BEIR)
    (query,) = read_beir(folder_reader(folder_of(exported, tmp_path))).queries
    assert len(query.relevant) == 2  # "first" answers, though it is a hard negative elsewhere


def test_a_query_in_two_languages_is_two_queries_with_their_own_answers(tmp_path: Path):
    bitext = {"group": TaskGroup.BITEXT, "task": BITEXT_TASK}
    three = [
        make_triple("gift", "Gift im Wein", "Geschenk", **bitext, language="English", target_language="German"),
        make_triple("gift", "un cadeau", "du poison", **bitext, language="English", target_language="French"),
        make_triple("gift", "a present", "a potion", **bitext, language="German", target_language="English"),
    ]
    exported = write_rows([row_of_example(example_of(t, Split.HELDOUT)) for t in three], ExportFormat.BEIR)
    queries = read_beir(folder_reader(folder_of(exported, tmp_path))).queries
    assert [len(query.relevant) for query in queries] == [1, 1, 1]
    read = read_parts(parts_at(tmp_path), source="import", fallbacks=Fallbacks())
    keys = HELD[ExportFormat.BEIR]
    assert sorted(known(t, keys) for t in read.triples) == sorted(known(t, keys) for t in three)


def test_beir_names_the_facts_of_further_triples_of_a_query_as_lost(tmp_path: Path):
    two = [make_triple("q", "first", "wrong", topic="one"), make_triple("q", "second", "bad", topic="two", slots={"num_words": 50})]
    exported = write_rows([row_of_example(example_of(t, Split.HELDOUT)) for t in two], ExportFormat.BEIR)
    read = read_parts(parts_of(exported.data, "x.zip"), source="import", fallbacks=Fallbacks())
    assert {(t.topic, len(t.slots)) for t in read.triples} == {("one", 0)}
    assert "of further triples of a query their topic and slots" in exported.lost


def test_texts_that_spreadsheets_compute_are_written_as_they_are_and_that_is_said():
    exported = write_rows(
        [row_of_example(example_of(make_triple(sign + "1+1", "p", "n"), Split.TRAIN)) for sign in "=+-@"], ExportFormat.CSV
    )
    cells = [row["query"] for row in csv.DictReader(io.StringIO(exported.data.decode("utf-8-sig")))]
    assert cells == ["=1+1", "+1+1", "-1+1", "@1+1"]
    assert "=, +, - or @" in exported.caution
    assert write_rows(rows(), ExportFormat.JSONL).caution == ""


def test_the_parquet_of_hugging_face_is_named_in_its_card():
    files = write_rows(rows(), ExportFormat.HUGGING_FACE).files
    assert set(files) == {"data/train.parquet", "data/test.parquet", "README.md"}
    assert "{split: test, path: data/test.parquet}" in files["README.md"].decode()
    table = pyarrow.parquet.read_table(io.BytesIO(files["data/train.parquet"]))
    assert table.num_rows == len(TRIPLES) - 2
    only = write_rows(rows(heldout=0), ExportFormat.HUGGING_FACE).files
    assert "data/test.parquet" not in only["README.md"].decode()


# ---- datasets itself; bench/exports.py has it and the other libraries read a whole version

NO_DATASETS = pytest.mark.skipif(importlib.util.find_spec("datasets") is None, reason="datasets is not installed")


@NO_DATASETS
@pytest.mark.parametrize("format_", [f for f in ExportFormat if f not in (ExportFormat.BEIR, ExportFormat.HUGGING_FACE)])
def test_datasets_loads_every_file(format_: ExportFormat, tmp_path: Path):
    import datasets

    exported = write_rows(rows(), format_)
    folder = folder_of(exported, tmp_path / "in")
    kind = {ExportFormat.CSV: "csv", ExportFormat.PARQUET: "parquet"}.get(format_, "json")
    found = 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md"):
        found += len(datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")))
    assert found == len(TRIPLES)


@NO_DATASETS
def test_datasets_loads_the_folder_of_hugging_face_and_we_read_what_it_saves(tmp_path: Path):
    import datasets

    folder = folder_of(write_rows(rows(), ExportFormat.HUGGING_FACE), tmp_path / "in")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {side: len(some) for side, some in loaded.items()} == {"train": len(TRIPLES) - 2, "test": 2}
    loaded.save_to_disk(str(tmp_path / "saved"))
    read = read_parts(parts_at(tmp_path / "saved"), source="import", fallbacks=Fallbacks())
    assert {t.id for t in read.triples} == {t.id for t in TRIPLES}


# ---- reading


def read(data: bytes, name: str = "", **fallbacks):
    return read_parts(parts_of(data, name), source="import", fallbacks=Fallbacks(**fallbacks))


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ({"query": "q", "positive": "p"}, [Texts("q", "p")]),
        ({"question": "q", "answer": "p"}, [Texts("q", "p")]),
        ({"query": "q", "passage": "p", "negative": "n"}, [Texts("q", "p", "n")]),
        ({"sentence1": "q", "sentence2": "p"}, [Texts("q", "p")]),
        ({"anchor": "q", "positive": "p", "negative_1": "n", "negative_2": "m"}, [Texts("q", "p", "n")]),
        ({"query": "q", "pos": ["p", "r"], "neg": ["n"]}, [Texts("q", "p", "n"), Texts("q", "r", "n")]),
        ({"query": "q", "positive_passages": [{"title": "T", "text": "p"}], "negative_passages": []}, [Texts("q", "T\np")]),
    ],
)
def test_labelled_data_is_read_by_the_names_it_comes_with(row, texts):
    found = read(json.dumps(row).encode(), task="Answer it.")
    assert [t.texts for t in found.triples] == texts
    assert {t.task for t in found.triples} == {"Answer it."}


def test_negatives_that_no_triple_took_are_counted():
    assert read(json.dumps({"query": "q", "pos": ["p"], "neg": ["a", "b", "c"]}).encode()).unused == 2


def test_bad_rows_of_a_table_are_told_by_the_line_they_start_at():
    data = b'query,positive\nq,"two\nlines"\nonly one cell\n"blank",\nlast,good\n'
    found = read(data, "t.csv")
    assert [t.texts.query for t in found.triples] == ["q", "last"]
    assert [(b.line, b.reason) for b in found.bad] == [(4, "has 1 cells where the header has 2"), (5, "positive is missing")]


def test_what_an_open_quote_swallowed_is_told_by_its_lines():
    found = read(b'query,positive\na,b\nc,"d\ne,f\n', "t.csv")
    assert [t.texts.query for t in found.triples] == ["a"]
    assert [(b.line, "lines 3 to 4 were not read" in b.reason) for b in found.bad] == [(3, True)]


@pytest.mark.parametrize(
    ("broken", "good", "bad"),
    [
        (b'c,"said "so" there"\nd,"two\nlines"\n', ["a", "d", "e"], [3]),
        (b'c,"said "so"\nd,"two\nlines"\n', ["a", "e"], [3, 5]),  # whether row 3 ends in line 3 or 4 cannot be told
        (b'c,"said "so"\nto, me"\nd,r\n', ["a", "d", "e"], [3]),  # "to, me" is no row
    ],
)
def test_after_a_row_with_a_broken_quote_a_table_is_read_on(broken: bytes, good: list[str], bad: list[int]):
    found = read(b"query,positive\na,b\n" + broken + b"e,f\n", "t.csv")
    assert [t.texts.query for t in found.triples] == good
    assert [b.line for b in found.bad] == bad


def test_a_text_longer_than_the_csv_module_allows_is_one_bad_row():
    data = f"query,positive\na,b\nlong,{'x' * 140_000}\nlast,good\n".encode()
    for name, content in (("t.csv", data), ("t.tsv", data.replace(b",", b"\t"))):
        found = read(content, name)
        assert [t.texts.query for t in found.triples] == ["a", "last"]
        assert [(b.line, b.reason) for b in found.bad] == [(3, "positive has 140,000 characters; at most 100,000 can be used")]


def test_a_lone_quote_in_a_tsv_is_a_character_of_its_text():
    data = b'query\tpositive\n"so, he said\tp\nsize 5"\t"a phrase"\nlast\tgood\n'
    found = read(data, "t.tsv")
    assert [(t.texts.query, t.texts.positive) for t in found.triples] == [
        ('"so, he said', "p"),
        ('size 5"', '"a phrase"'),
        ("last", "good"),
    ]
    assert found.bad == ()


def test_a_tsv_of_a_spreadsheet_doubles_the_quotes_of_a_text():
    sheet = io.StringIO(newline="")
    csv.writer(sheet, delimiter="\t").writerows([("query", "positive"), ('say "hi"', "p"), ('"all"', "p"), ("two\nlines", "a\ttab")])
    found = read(sheet.getvalue().encode(), "t.tsv")
    assert [t.texts.query for t in found.triples] == ['say "hi"', '"all"', "two\nlines"]
    assert found.bad == ()


def test_bad_rows_of_a_parquet_file_are_told_by_their_number():
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"query": ["q", None], "positive": ["p", "r"]}), sink)
    found = read(sink.getvalue(), "t.parquet")
    assert len(found.triples) == 1
    assert [(b.line, b.reason) for b in found.bad] == [(2, "query is missing")]


def test_bad_rows_of_a_folder_name_their_file(tmp_path: Path):
    exported = write_rows(rows(), ExportFormat.BEIR)
    folder = folder_of(exported, tmp_path)
    with (folder / "qrels" / "test.tsv").open("a") as file:
        file.write("nobody\tnothing\t1\nbroken\n")
    (folder / "corpus.jsonl").write_bytes(exported.files["corpus.jsonl"] + b"{\n")
    found = read(zip_of(folder), "x.zip")
    assert len(found.triples) == len(TRIPLES)
    assert [(b.part, b.line) for b in found.bad] == [("corpus.jsonl", len(lines(exported.files["corpus.jsonl"])) + 1),
                                                      ("qrels/test.tsv", 6), ("qrels/test.tsv", 7)]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "name"),
    [(b"x", "x.txt"), (b"x", "x.zip"), (b"x", "x.parquet"), (b"x", "x.arrow"), (b"[1", "x.json"), (b"a\n\xff", "x.csv")],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(data: bytes, name: str):
    with pytest.raises(BadInput) as refused:
        read(data, name)
    assert refused.value.hint


def test_a_zip_without_rows_and_a_path_without_a_file_are_refused(tmp_path: Path):
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("README.md", "nothing")
    with pytest.raises(BadInput):
        read(empty.getvalue(), "x.zip")
    with pytest.raises(NotFound):
        parts_at(tmp_path / "nowhere")


def test_an_array_of_objects_is_read_by_number():
    found = read(json.dumps([{"query": "q", "positive": "p"}, 3]).encode(), "x.json")
    assert len(found.triples) == 1
    assert [b.line for b in found.bad] == [2]


def test_a_parquet_file_with_a_date_no_calendar_holds_is_told_as_one_that_cannot_be_read():
    sink = io.BytesIO()
    far = pa.array([2**60]).cast(pa.timestamp("ms"))
    pyarrow.parquet.write_table(pa.table({"query": ["q"], "positive": ["p"], "written": far}), sink)
    with pytest.raises(BadInput, match=r"t\.parquet cannot be read"):
        read(sink.getvalue(), "t.parquet")
