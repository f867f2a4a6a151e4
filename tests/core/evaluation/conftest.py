from __future__ import annotations

import json

import pytest


@pytest.fixture
def beir_folder(tmp_path):
    """A collection of one judged query, one that nobody judged, and three documents; returns its folder."""
    folder = tmp_path / "small"
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
