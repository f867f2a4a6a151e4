"""Cosines that were measured, kept by the texts they belong to: one line each, appended a step at a time, so that a kill loses one step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from core.domain.checks import Nearness
from core.domain.identity import content_id
from core.domain.triple import Texts
from core.storage.database import translated_errors


class MeasuredNearness:
    """A file of `[id of the texts, positive, negative]` lines."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Nearness]:
        """All that was measured, by `text_id`. A line that a kill left torn is passed over.

        Raises:
            StorageError: the file cannot be read.
        """
        found: dict[str, Nearness] = {}
        with translated_errors():
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines() if self._path.exists() else []
        for line in lines:
            try:
                texts, positive, negative = json.loads(line)
                found[str(texts)] = Nearness(float(positive), None if negative is None else float(negative))
            except (ValueError, TypeError):
                continue
        return found

    def add(self, measured: Mapping[str, Nearness]) -> None:
        """Append what is new.

        Raises:
            DiskFull, StorageError: perhaps only a part was written; `read` passes over what is torn.
        """
        lines = "".join(json.dumps([texts, near.positive, near.negative]) + "\n" for texts, near in measured.items())
        with translated_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" + lines if lines else "")  # the first line end closes what may be torn


def text_id(texts: Texts) -> str:
    """Texts that were measured once are not measured again, whatever triple they stand in."""
    return content_id(texts.query, texts.positive, texts.negative)
