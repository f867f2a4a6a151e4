"""What an index is and where it comes from, readable without loading it (or faiss)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import StorageError
from core.storage.artifacts import read_json

META = "meta.json"


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """Where an index comes from; what `meta.json` holds beside the checksums."""

    corpus_id: str
    corpus_hash: str
    system: str
    fingerprint: str  # of the encoder
    encoder: dict[str, Any]  # EncoderSpec.as_dict()
    documents: int
    dimensions: int
    job_id: str | None = None
    run_id: str | None = None  # training job of a tuned encoder
    dataset_version_id: str | None = None  # that run's training data
    built_at: str = ""
    seconds: float = 0.0


def read_facts(folder: Path) -> IndexFacts | None:
    """What an index is, without loading it; None where there is none or its description is broken."""
    try:
        values = read_json(folder / META)
        if values is None:
            return None
        values.pop("checksums", None)
        return IndexFacts(**values)
    except (ValueError, TypeError, AttributeError, StorageError):
        return None
