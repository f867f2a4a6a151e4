"""Write triples as files: ours, and those of the libraries that train and evaluate on them. Each can be imported again."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.domain.dataset import Example, ExportFormat, Split
from core.domain.identity import content_id
from core.domain.ranking import document_of
from core.domain.review import TripleRecord
from core.review.forms import Row, as_flagembedding, as_sentence_transformers, as_tevatron, lost_in
from core.review.loading_notes import CAUTIONS, NOTES

Files = dict[str, bytes]  # path -> content

LINE_ENDS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"}  # some readers of lines end one here
ZIPPED_AT = (1980, 1, 1, 0, 0, 0)  # so that equal data are equal files
SINGLE = (ExportFormat.JSONL, ExportFormat.CSV, ExportFormat.PARQUET)
ENDINGS = {format_: format_.value if format_ in SINGLE else "zip" for format_ in ExportFormat}


@dataclass(frozen=True, slots=True)
class Exported:
    """An export: one file, or the files of a folder by their path in it."""

    files: Files
    rows: int
    lost: str  # what the format cannot hold, in words
    caution: str = ""  # what to know before it is opened elsewhere

    @property
    def data(self) -> bytes:
        """The file, or a zip of the folder."""
        return next(iter(self.files.values())) if len(self.files) == 1 else self.zipped

    @property
    def zipped(self) -> bytes:
        """All files as one zip, also where there is one."""
        return _zipped(self.files)


def row_of_example(example: Example) -> Row:
    """A row of a version: the canonical keys and the side of the split."""
    return {**_row(example.triple_id, example, example.texts), "split": example.split.value}


def row_of_record(record: TripleRecord) -> Row:
    """A row of the store with the texts as they stand now."""
    return {**_row(record.id, record.triple, record.texts), "verdict": record.standing.verdict.value}


def _row(identifier: str, holder: Any, texts: Any) -> Row:
    return {
        "group": holder.group.value,
        "task": holder.task,
        "language": holder.language,
        "target_language": holder.target_language,
        "topic": holder.topic,
        "slots": dict(holder.slots),
        "query": texts.query,
        "positive": texts.positive,
        "negative": texts.negative,
        "id": identifier,
    }


def write_rows(rows: Sequence[Row], format_: ExportFormat, *, instruction: bool = True) -> Exported:
    """All rows in the files of a format. With `instruction`, forms that have no place for it get it before the query."""
    if format_ in SINGLE:
        files = {f"triples.{format_.value}": _table(rows, format_)}
    else:
        files = _folder(rows, format_, instruction=instruction)
        files["README.md"] = _readme(format_, files).encode()
    return Exported(files, len(rows), lost_in(format_), CAUTIONS.get(format_, ""))


def _folder(rows: Sequence[Row], format_: ExportFormat, *, instruction: bool) -> Files:
    if format_ is ExportFormat.HUGGING_FACE:
        return {f"data/{side}.parquet": _table(some, ExportFormat.PARQUET) for side, some in _by(rows, lambda r: _SPLITS[_side(r)]).items()}
    if format_ is ExportFormat.BEIR:
        return _beir(rows)
    files: Files = {}
    for name, some in _by(rows, lambda row: _place(row, format_)).items():
        if format_ is ExportFormat.FLAGEMBEDDING:
            formed = [as_flagembedding(row) for row in some]
        elif format_ is ExportFormat.TEVATRON:
            formed = [as_tevatron(row, instruction=instruction) for row in some]
        else:
            formed = [as_sentence_transformers(row, instruction=instruction) for row in some]
        files[name] = _json_lines(formed)
    return files


_SPLITS = {Split.TRAIN.value: "train", Split.HELDOUT.value: "test"}  # as Hugging Face and BEIR call them


def _side(row: Row) -> str:
    return str(row.get("split", Split.TRAIN.value))


def _place(row: Row, format_: ExportFormat) -> str:
    """A file for each side and group: readers want one form a file, and a folder of training files must hold nothing else.

    Rows without a negative are apart, since FlagEmbedding and Tevatron draw negatives from every row. FlagEmbedding uses no in-batch
    negatives for a file whose name ends so: labels of a classification repeat.
    """
    pairs = "-pairs" if row["negative"] is None else ""
    alone = "_no_in_batch_neg" if format_ is ExportFormat.FLAGEMBEDDING and row["group"] == "long-short" else ""
    return f"{_side(row)}{pairs}/{row['group']}{alone}.jsonl"


def _by(rows: Iterable[Row], key: Any) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _beir(rows: Sequence[Row]) -> Files:
    """Equal queries of a task in equal languages are one query; its hard negatives are judged 0, which readers count as not relevant."""
    documents: dict[str, Row] = {}
    queries: dict[str, Row] = {}
    grades: dict[str, dict[str, dict[str, int]]] = {}  # side -> query -> document
    for row in rows:
        query = content_id(*(row[key] for key in ("group", "task", "language", "target_language", "query")))
        facts = {key: row[key] for key in ("group", "task", "language", "target_language", "topic", "slots")}
        queries.setdefault(query, {"_id": query, "text": row["query"], "metadata": facts})
        judged = grades.setdefault(_SPLITS[row["split"]] if "split" in row else "test", {}).setdefault(query, {})
        for text, grade in ((row["positive"], 1), (row["negative"], 0)):
            if text is not None:
                document = document_of(text).id
                documents.setdefault(document, {"_id": document, "title": "", "text": text})
                judged[document] = max(grade, judged.get(document, 0))
    lines = {side: [f"{q}\t{d}\t{g}\n" for q, found in some.items() for d, g in found.items()] for side, some in grades.items()}
    return {
        "corpus.jsonl": _json_lines(documents.values()),
        "queries.jsonl": _json_lines(queries.values()),
        **{f"qrels/{side}.tsv": ("query-id\tcorpus-id\tscore\n" + "".join(some)).encode() for side, some in lines.items()},
    }


def _readme(format_: ExportFormat, files: Files) -> str:
    head = ""
    if format_ is ExportFormat.HUGGING_FACE:
        sides = "".join(f"  - {{split: {Path(name).stem}, path: {name}}}\n" for name in sorted(files))
        head = f"---\nconfigs:\n- config_name: default\n  data_files:\n{sides}---\n"
    return f"{head}{NOTES[format_]}\nNot in these files: {lost_in(format_)}.\n"


def _table(rows: Sequence[Row], format_: ExportFormat) -> bytes:
    if format_ is ExportFormat.JSONL:
        return _json_lines(rows)
    flat = [{**row, "slots": json.dumps(row["slots"], ensure_ascii=False)} for row in rows]
    return _csv(flat) if format_ is ExportFormat.CSV else _parquet(flat)


def _json_lines(rows: Iterable[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False).translate(LINE_ENDS) + "\n" for row in rows).encode()


def _csv(rows: list[Row]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + file.getvalue().encode()  # the mark makes spreadsheets read UTF-8


def _parquet(rows: list[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return bytes(sink.getvalue())


def _zipped(files: Files) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, ZIPPED_AT), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()
