"""Read triples from the files people bring: rows of every form and container. Good rows are kept, the others keep their line and reason."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.domain.dataset import Fallbacks
from core.domain.groups import TaskGroup
from core.domain.ranking import Document
from core.domain.triple import Triple
from core.errors import BadInput, NotFound
from core.review.forms import Row, rows_of
from core.review.rows import BadRow, UnusableRowError, triple_of
from core.review.tables import table_rows
from core.storage.archives import Archive
from core.storage.database import translated_errors

ENDINGS = ("jsonl", "json", "ndjson", "csv", "tsv", "parquet", "arrow", "zip")
CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels"

Parts = Mapping[str, bytes]  # path within the folder or zip -> content; a file alone is one part
Numbered = tuple[str, int, Row | UnusableRowError]  # part, line, and the row or why there is none


@dataclass(frozen=True, slots=True)
class ReadRows:
    """What a file holds. `unused` negatives stood beside a positive that has one already."""

    triples: tuple[Triple, ...]
    bad: tuple[BadRow, ...]
    unused: int = 0


def parts_of(data: bytes, name: str = "") -> Parts:
    """Files of an upload: itself, or what a zip holds.

    Raises:
        BadInput: no known ending, or a zip that cannot be read.
    """
    ending = _ending(name)
    if name and ending not in ENDINGS:
        raise BadInput(f"{name} has an unknown format.", hint=f"Bring one of: {', '.join('.' + e for e in ENDINGS)}.")
    return _unpacked(data) if ending == "zip" else {name: data}


def parts_at(path: Path) -> Parts:
    """Files of a path: a file, a zip or a folder.

    Raises:
        NotFound: nothing is there. BadInput: see `parts_of`.
    """
    with translated_errors():
        if path.is_file():
            return parts_of(path.read_bytes(), path.name)
        if not path.is_dir():
            raise NotFound(f"There is no file {path}.", hint="Check the path.")
        found = (p for p in sorted(path.rglob("*")) if p.is_file())
        return {p.relative_to(path).as_posix(): p.read_bytes() for p in found if _wanted(p.name)}


def read_parts(parts: Parts, *, source: str, fallbacks: Fallbacks) -> ReadRows:
    """Triples, bad rows with part and line, and how many negatives no triple took.

    Raises:
        BadInput: a part is not what its ending says.
    """
    good: list[Triple] = []
    bad: list[BadRow] = []
    unused = 0
    several = len(parts) > 1
    for part, line, row in _beir_rows(parts) if _is_beir(parts) else _rows(parts):
        try:
            formed = rows_of(_plain(row), _group_named(part))
            good += [triple_of(one, source, fallbacks, bare=formed.bare) for one in formed.rows]
            unused += formed.unused
        except UnusableRowError as error:
            bad.append(BadRow(line, str(error), part if several else ""))
    return ReadRows(tuple(good), tuple(bad), unused)


# ---- containers


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _wanted(name: str) -> bool:
    hidden_or_notes = name.startswith((".", "_")) or name in ("dataset_info.json", "state.json", "dataset_infos.json", "dataset_dict.json")
    return not hidden_or_notes and (_ending(name) in ENDINGS[:-1])


def _unpacked(data: bytes) -> Parts:
    archive = Archive(data)
    names = [name for name in archive.names if _wanted(Path(name).name)]
    if not names:
        raise BadInput("The zip holds no file of rows.", hint=f"Pack files that end in {', '.join(ENDINGS[:-1])}.")
    return archive.read(names)


def _rows(parts: Parts) -> Iterator[Numbered]:
    for part, data in parts.items():
        ending = _ending(part)
        if ending in ("csv", "tsv"):
            rows: Iterable[tuple[int, Row | UnusableRowError]] = table_rows(data, tabs=ending == "tsv")
        elif ending in ("parquet", "arrow"):
            rows = _arrow_rows(data, part)
        elif ending == "json" and data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[":
            rows = _array_rows(data, part)
        else:
            rows = _json_rows(data)
        yield from ((part, line, row) for line, row in rows)


def _json_rows(data: bytes) -> Iterator[tuple[int, Row | UnusableRowError]]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            yield number, _object(line.strip())


def _object(line: bytes) -> Row | UnusableRowError:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return UnusableRowError(f"is not UTF-8 (byte {error.start + 1})")
    except json.JSONDecodeError as error:
        return UnusableRowError(f"is not JSON: {error.msg} at character {error.pos + 1}")
    except RecursionError:
        return UnusableRowError("is nested too deeply")
    except ValueError as error:  # a number with thousands of digits
        return UnusableRowError(f"is not JSON: {error}")
    return _named(row)


def _named(value: Any) -> Row | UnusableRowError:
    return value if isinstance(value, dict) else UnusableRowError("is not a JSON object with named values")


def _array_rows(data: bytes, part: str) -> Iterator[tuple[int, Row | UnusableRowError]]:
    try:
        values = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{part} is not JSON: {error}.", hint="Give one JSON array of objects, or one object a line.") from error
    for number, value in enumerate(values, 1):
        yield number, _named(value)


def _arrow_rows(data: bytes, part: str) -> Iterator[tuple[int, Row | UnusableRowError]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = _ending(part) == "parquet"  # else what `save_to_disk` of datasets writes
        table = pq.read_table(io.BytesIO(data)) if parquet else pa.ipc.open_stream(data).read_all()
        yield from enumerate((row for batch in table.to_batches(1000) for row in batch.to_pylist()), 1)
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:  # the last: a date far off
        raise BadInput(f"{part} cannot be read: {error}.", hint="Write it again, as Parquet or with save_to_disk of datasets.") from error


def _plain(row: Row | UnusableRowError) -> Row:
    """The row with `slots` as an object: tables hold it as JSON."""
    if isinstance(row, UnusableRowError):
        raise row
    slots = row.get("slots")
    if not isinstance(slots, str):
        return row
    try:
        return {**row, "slots": json.loads(slots)}
    except (ValueError, RecursionError) as error:
        raise UnusableRowError("slots is not JSON") from error


def _group_named(part: str) -> TaskGroup | None:
    """An export keeps each group in a file of its name; other names say nothing."""
    stem = Path(part).stem.removesuffix("-pairs").removesuffix("_no_in_batch_neg")
    return TaskGroup(stem) if stem in set(TaskGroup) else None


# ---- BEIR


def _is_qrels(path: str) -> bool:
    return Path(path).suffix == ".tsv" and Path(path).parent.name == QRELS


def _is_beir(parts: Parts) -> bool:
    names = {Path(part).name for part in parts}
    return {CORPUS, QUERIES} <= names and any(_is_qrels(part) for part in parts)


def _beir_rows(parts: Parts) -> Iterator[Numbered]:
    """One row for each document above grade 0, beside one judged 0 where there is one: that is how a hard negative is written."""
    named: dict[str, dict[str, tuple[str, int, Row]]] = {CORPUS: {}, QUERIES: {}}
    for part in (p for p in parts if Path(p).name in named):
        for line, row in _json_rows(parts[part]):
            if isinstance(row, UnusableRowError) or "_id" not in row:
                yield part, line, row if isinstance(row, UnusableRowError) else UnusableRowError("has no _id")
            else:
                named[Path(part).name][str(row["_id"])] = (part, line, row)
    documents, queries = named[CORPUS], named[QUERIES]
    judged: dict[str, dict[str, int]] = {}
    for part in (p for p in parts if _is_qrels(p)):
        for line, judgement in _judgements(parts[part], queries, documents):
            if isinstance(judgement, UnusableRowError):
                yield part, line, judgement
            else:
                judged.setdefault(judgement[0], {})[judgement[1]] = judgement[2]
    for query, grades in judged.items():
        part, line, row = queries[query]
        told = row.get("metadata")
        facts: Row = told if isinstance(told, dict) else {}
        pos, neg = ([_content(documents[d][2]) for d, grade in grades.items() if (grade > 0) is good] for good in (True, False))
        if pos:
            yield part, line, {**facts, "query": row.get("text"), "pos": pos, "neg": neg}


def _content(row: Row) -> str:
    return Document("", str(row.get("text") or ""), str(row.get("title") or "")).content


def _judgements(
    data: bytes, queries: Mapping[str, Any], documents: Mapping[str, Any]
) -> Iterator[tuple[int, tuple[str, str, int] | UnusableRowError]]:
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").split("\n"), 1):
        cells = line.rstrip("\r").split("\t")
        if not line.strip() or (number == 1 and cells[-1].strip().lower() == "score"):
            continue
        try:
            query, document, grade = cells[0], cells[1], int(cells[2])
        except (ValueError, IndexError):
            yield number, UnusableRowError("is not query-id, corpus-id and a whole score, with tabs between")
            continue
        if query in queries and document in documents:
            yield number, (query, document, grade)
        else:
            name, kind = (query, "queries") if query not in queries else (document, "documents")
            yield number, UnusableRowError(f"names {name[:40]}, which is not among the {kind}")
