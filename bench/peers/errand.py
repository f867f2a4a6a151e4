"""What a peer is asked for, and how it says that it is done. Imported by the scripts beside it; the standard library is enough."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIELDS = ("user_query", "positive_document", "hard_negative_document")


@dataclass(frozen=True)
class Errand:
    """One run."""

    prompts: list[str]
    base_url: str
    model: str
    in_flight: int  # requests at a time
    cache: Path  # kept from run to run of one measurement: the peer's memory
    report: Path

    @classmethod
    def read(cls) -> Errand:
        """The errand of the command line."""
        parser = argparse.ArgumentParser()
        parser.add_argument("--prompts", type=Path, required=True, help="a JSON list of texts")
        parser.add_argument("--base-url", required=True)
        parser.add_argument("--model", required=True)
        parser.add_argument("--in-flight", type=int, required=True)
        parser.add_argument("--cache", type=Path, required=True)
        parser.add_argument("--report", type=Path, required=True)
        asked = vars(parser.parse_args())
        return cls(**{**asked, "prompts": json.loads(asked["prompts"].read_text(encoding="utf-8"))})

    def done(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Report how many rows are complete, and when they were all in hand (seconds since the epoch)."""
        ended_at = time.time()
        kept = sum(all(row.get(field) for field in FIELDS) for row in rows)
        draft = self.report.with_suffix(".draft")
        draft.write_text(json.dumps({"kept": kept, "ended_at": ended_at}), encoding="utf-8")
        draft.replace(self.report)
