"""Read documents from files people bring: plain text, CSV, JSON lines, a BEIR folder as zip. Bad rows are named, good ones are kept."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from core.domain.identity import has_half_character
from core.domain.ranking import Document, document_of
from core.errors import BadInput, BadRows
from core.retrieval.passages import cut_into_passages
from core.storage.archives import Archive

TEXT_COLUMNS = ("text", "document", "passage", "content", "body", "contents")
TITLE_COLUMNS = ("title", "heading", "name")
ID_COLUMNS = ("_id", "id", "docid", "doc_id")
FORMATS = {"txt": "Plain text", "csv": "CSV", "tsv": "TSV", "jsonl": "JSON lines", "zip": "BEIR folder as zip"}
MOST_CHARACTERS = 100_000  # of one document

Row = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that was left out; `line` counts from 1 as an editor does."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReadDocuments:
    """Documents in file order (no text twice), rows left out and rows that repeated a text."""

    documents: tuple[Document, ...]
    bad: tuple[BadRow, ...]
    duplicates: int


def format_of(filename: str) -> str:
    """Format by the end of a file name.

    Raises:
        BadInput: no format has this ending.
    """
    ending = filename.rpartition(".")[2].lower()
    ending = {"md": "txt", "ndjson": "jsonl", "json": "jsonl"}.get(ending, ending)
    if ending not in FORMATS:
        raise BadInput(f"{filename} has an unknown format.", hint=f"Bring one of: {', '.join('.' + f for f in FORMATS)}.")
    return ending


def read_documents(data: bytes, file_format: str) -> ReadDocuments:
    """Documents of a file. Plain text is cut into passages; a row of the others is one document.

    Raises:
        BadInput: not this format at all, or not UTF-8.
        BadRows: no row can be used; the message names the first reasons.
    """
    if file_format == "zip":
        data, file_format = _corpus_file(data), "jsonl"
    text = _decoded(data)
    if file_format == "txt":
        passages = [document_of(passage) for passage in cut_into_passages(text)]
        unique = {d.id: d for d in passages}
        found = ReadDocuments(tuple(unique.values()), (), len(passages) - len(unique))
    elif file_format in ("csv", "tsv"):
        found = _collected(_table_rows(text, "\t" if file_format == "tsv" else ","))
    elif file_format == "jsonl":
        found = _collected(_json_rows(text))
    else:
        raise BadInput(f"{file_format} is no known format.", hint=f"Use one of: {', '.join(FORMATS)}.")
    if not found.documents:
        reasons = "; ".join(f"line {row.line}: {row.reason}" for row in found.bad[:3]) or "it is empty"
        raise BadRows(
            f"The file has no usable document ({reasons}).", hint="Each row needs a non-empty `text`; `_id` and `title` are optional."
        )
    return found


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadInput(f"The file is not UTF-8: line {line} cannot be read.", hint="Save it as UTF-8 and bring it again.") from error


def _corpus_file(data: bytes) -> bytes:
    """`corpus.jsonl` out of a zipped BEIR folder."""
    archive = Archive(data)
    names = sorted((n for n in archive.names if n.rpartition("/")[2] == "corpus.jsonl"), key=len)
    if not names:
        raise BadInput("The zip holds no corpus.jsonl.", hint="A BEIR folder has corpus.jsonl, queries.jsonl and qrels/.")
    return archive.read(names[:1])[names[0]]


def _table_rows(text: str, separator: str) -> Iterator[Row | BadRow]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] | None = None
    line = 1
    while True:
        start = line
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(start, f"not a row: {error}")
            return  # a broken quote swallows what follows: rows after it cannot be told apart
        line = reader.line_num + 1
        if header is None:
            header = [cell.strip().lower() for cell in cells]
            if not set(TEXT_COLUMNS) & set(header):
                raise BadInput(
                    f"No column holds the text: {', '.join(header)[:200]}.", hint=f"Name one column {' or '.join(TEXT_COLUMNS[:3])}."
                )
        elif any(cell.strip() for cell in cells):
            if len(cells) != len(header):
                yield BadRow(start, f"{len(cells)} cells where the header has {len(header)}")
            else:
                yield start, dict(zip(header, cells, strict=True))


def _json_rows(text: str) -> Iterator[Row | BadRow]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            yield line, json.loads(content)
        except (ValueError, RecursionError) as error:
            yield BadRow(line, f"not JSON: {error}")


def _collected(rows: Iterable[Row | BadRow]) -> ReadDocuments:
    documents: dict[str, Document] = {}
    contents: set[str] = set()
    bad: list[BadRow] = []
    duplicates = 0
    for row in rows:
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        line, values = row
        document = _document(values)
        if isinstance(document, str):
            bad.append(BadRow(line, document))
        elif document.content in contents:
            duplicates += 1
        elif document.id in documents:
            bad.append(BadRow(line, f"the id {document.id[:40]} stands for another text above"))
        else:
            documents[document.id] = document
            contents.add(document.content)
    return ReadDocuments(tuple(documents.values()), tuple(bad), duplicates)


def _document(values: Any) -> Document | str:
    """The document of a row, or why there is none."""
    if isinstance(values, str):
        values = {"text": values}
    if not isinstance(values, dict):
        return "neither an object nor a text"
    text, title, identifier = (_first(values, names) for names in (TEXT_COLUMNS, TITLE_COLUMNS, ID_COLUMNS))
    if not isinstance(text, str) or not text.strip():
        return "no text"
    if len(text) > MOST_CHARACTERS:
        return f"longer than {MOST_CHARACTERS:,} characters"
    if any(isinstance(value, str) and has_half_character(value) for value in (text, title, identifier)):
        return "holds half of a character"
    heading = title.strip() if isinstance(title, str) else ""
    made = document_of(text.strip(), title=heading)
    return Document(str(identifier), made.text, heading) if identifier not in (None, "") else made


def _first(values: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if values.get(name) not in (None, "")), None)
