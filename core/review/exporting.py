"""Write triples as JSONL, CSV or Parquet. The keys are those an import reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from core.domain.dataset import Example, ExportFormat
from core.domain.review import TripleRecord

KEYS = ("group", "task", "language", "target_language", "topic", "slots", "query", "positive", "negative")


def row_of_example(example: Example) -> dict[str, Any]:
    """A row of a version: the canonical keys and the side of the split."""
    return {**_row(example, example.texts), "split": example.split.value}


def row_of_record(record: TripleRecord) -> dict[str, Any]:
    """A row of the store with the texts as they stand now."""
    return {**_row(record.triple, record.texts), "verdict": record.standing.verdict.value}


def _row(holder: Any, texts: Any) -> dict[str, Any]:
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
    }


def write_rows(rows: Iterable[dict[str, Any]], format: ExportFormat) -> bytes:  # noqa: A002 - the word users see
    """All rows in one file."""
    if format is ExportFormat.JSONL:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    flat = [{**row, "slots": json.dumps(row["slots"], ensure_ascii=False)} for row in rows]
    return _csv(flat) if format is ExportFormat.CSV else _parquet(flat)


def _csv(rows: list[dict[str, Any]]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + file.getvalue().encode()  # the mark makes spreadsheets read UTF-8


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return bytes(sink.getvalue())
