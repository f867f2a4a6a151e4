"""Does every export load in the library it is written for, with every text as it is here?

Claim (issue 6): datasets, the trainer of sentence-transformers, FlagEmbedding, Tevatron and the loader of BEIR read what Tercet exports.
The starter set and a few awkward texts are frozen as a version, exported in all formats, and read by each library in a process of its own
(bench/peers/load_exports.py). Whole texts are compared; sentence-transformers also takes training steps, FlagEmbedding makes batches, and
BEIR evaluates.

The libraries are not part of the project's environment: `make bench-peers` gives them one of their own, or name a python that has them
with `--peers`. What is not installed there is null. Tevatron is the release of the package index (0.1.0); what its present source reads
is checked by its documented form in tests/core/review/test_formats.py, as are the forms of all others.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.peers.rounds import Contestant
from bench.peers.versions import OFFLINE
from core.domain.dataset import Example, ExportFormat
from core.domain.encoder import instructed_query
from core.settings import PROJECT_FOLDER, Settings
from core.storage.artifacts import write_bytes
from core.workbench import Workbench

LIBRARIES: Mapping[str, ExportFormat | None] = {
    "datasets": None,  # reads four formats
    "sentence-transformers": ExportFormat.SENTENCE_TRANSFORMERS,
    "FlagEmbedding": ExportFormat.FLAGEMBEDDING,
    "tevatron": ExportFormat.TEVATRON,
    "beir": ExportFormat.BEIR,
}
BY_DATASETS = (ExportFormat.JSONL, ExportFormat.CSV, ExportFormat.PARQUET, ExportFormat.HUGGING_FACE)
ODD = "=1+1 “quoted”, a;b\n\t<script>alert(1)</script> $x^2$ **b** \u202eabc\u202c \u2028 中文 'q' \"q\" \x85 \x07"
AWKWARD = (
    {"query": ODD, "positive": f"{ODD} positive", "negative": f"{ODD}\r\nnegative"},
    {"query": "{} {0} \\n", "positive": 'a "quote', "negative": "a\ttab"},
    {"query": "a pair", "positive": "its match", "negative": None},
    {"query": "a pair", "positive": "its other match", "negative": None},
)


def main() -> None:
    """Export, have everything read, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="the last line is JSON either way")
    parser.add_argument("--peers", type=Path, default=PROJECT_FOLDER / ".bench-encoders" / "bin" / "python", help="a python that has them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        examples = exported(folder)
        found = {library: read_by(asked.peers, library, folder, examples) for library in LIBRARIES}
    for library, facts in found.items():
        print(f"{library:24}" + ("not installed" if facts is None else "  ".join(f"{name}: {value}" for name, value in facts.items())))
    loaded = [facts for facts in found.values() if facts]
    told = {"rows_exported": len(examples), "libraries": len(loaded), "libraries_that_read_every_text": sum(f["equal"] for f in loaded)}
    print(json.dumps({**told, **{name.replace("-", "_").lower(): facts for name, facts in found.items()}}))
    if not all(facts["equal"] for facts in loaded):
        raise SystemExit(1)


def exported(folder: Path) -> list[Example]:
    """A frozen version, written to a folder for each format; its examples."""
    shelf = Workbench(Settings(workspace=folder / "workspace")).dataset
    shelf.load_starter(accept=True)
    rows = [{"group": "short-long", "task": "Given a word, find what is said of it.", **row} for row in AWKWARD]
    shelf.import_rows("\n".join(map(json.dumps, rows)).encode(), accept_as="bench")
    version = shelf.freeze("bench", heldout_share=0.2)
    for format_ in ExportFormat:
        for name, content in shelf.export(version=version.id, format=format_).files.items():
            write_bytes(folder / format_.value / name, content)
    return shelf.examples(version.id)


def read_by(python: Path, library: str, folder: Path, examples: Sequence[Example]) -> dict[str, Any] | None:
    """What a library did with its export, and whether it holds every text; None where it is not installed."""
    format_ = LIBRARIES[library]
    errand = {"library": library, "folder": str(folder / (format_ or "")), "scratch": str(folder / f"{library}-scratch")}
    script = PROJECT_FOLDER / "bench" / "peers" / "load_exports.py"
    if not python.exists():
        return None
    with closing(Contestant([python.absolute(), script], errand, folder=folder / f"{library}-log", environment=OFFLINE)) as reader:
        answer = reader.hear()
    if answer["version"] is None:
        return None
    read = answer["read"]
    if format_ is None:
        equal = {f.value: Counter(map(tuple, read[f.value])) == expected(None, examples) for f in BY_DATASETS}
        rows = {name: len(some) for name, some in read.items()}
    else:
        equal, rows = Counter(map(tuple, read)) == expected(format_, examples), len(read)
    told = {name: value for name, value in answer.items() if name not in ("version", "read", "peak_bytes", "processor_seconds")}
    return {"version": answer["version"], "rows": rows, "equal": equal if format_ else all(equal.values()), **told}


def expected(format_: ExportFormat | None, examples: Sequence[Example]) -> Counter[tuple[Any, ...]]:
    """What a library must have read: texts, for BEIR with their grades."""
    if format_ is ExportFormat.BEIR:
        return judgements(examples)
    plain = format_ is None
    return Counter(
        (e.texts.query if plain else instructed_query(e.task, e.texts.query), e.texts.positive, e.texts.negative) for e in examples
    )


def judgements(examples: Sequence[Example]) -> Counter[tuple[Any, ...]]:
    """(query, document, grade) once a query of its task and languages; a text that answers it is no negative of it."""
    grades: dict[tuple[Any, ...], int] = {}
    for e in examples:
        key = (e.group, e.task, e.language, e.target_language, e.texts.query)
        grades[(*key, e.texts.positive)] = 1
        if e.texts.negative is not None:
            grades.setdefault((*key, e.texts.negative), 0)
    return Counter((*key[-2:], grade) for key, grade in grades.items())


if __name__ == "__main__":
    main()
