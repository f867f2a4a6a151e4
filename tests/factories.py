"""Domain values with sensible defaults; nothing random."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from core.domain.groups import TaskGroup
from core.domain.task import EmbeddingTask, TaskState
from core.domain.triple import Texts, Triple

TASK = "Given a question about plants, retrieve advice that answers it."


def make_task(
    text: str = TASK, *, group: TaskGroup = TaskGroup.SHORT_LONG, state: TaskState = TaskState.ACCEPTED, **fields
) -> EmbeddingTask:
    return EmbeddingTask(group, text, state, **fields)


def make_triple(
    query: str = "why do leaves turn yellow",
    positive: str = "Too much water takes air from the roots, and the foliage loses its green.",
    negative: str | None = "Yellow leaves of the ginkgo are prized in autumn gardens.",
    *,
    group: TaskGroup = TaskGroup.SHORT_LONG,
    task: str = TASK,
    **fields,
) -> Triple:
    return Triple(group, task, Texts(query, positive, negative), **fields)


def make_triples(count: int, *, tasks: int = 4, **fields) -> list[Triple]:
    """`count` different triples spread over `tasks` tasks."""
    return [
        make_triple(
            f"question number {i} on subject {i % tasks}",
            f"The answer to matter {i} is explained at length here.",
            f"Something near matter {i} that explains nothing.",
            task=f"Given a question on subject {i % tasks}, retrieve the page that answers it.",
            **fields,
        )
        for i in range(count)
    ]


def make_beir_folder(folder: Path) -> Path:
    """A test collection of one judged query, one that nobody judged, and three documents."""
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": "d1", "text": "half an answer"},
        {"_id": "d2", "text": "the answer"},
        {"_id": "d3", "title": "Title", "text": "noise"},
    ]
    queries = [
        {"_id": "1", "text": "q", "metadata": {"task": "Find it.", "group": "short-long", "language": "German"}},
        {"_id": "2", "text": "nobody judged this"},
    ]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\td1\t1\n1\td2\t2\n2\td3\t0\n", encoding="utf-8")
    return folder


def zip_of(folder: Path, *, inside: str = "", without: str = "") -> bytes:
    """The files of a folder as a zip, below `inside`, without one of them."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            if (name := path.relative_to(folder).as_posix()) != without:
                archive.write(path, f"{inside}{name}")
    return data.getvalue()
