"""Model files on disk. Gateways know nothing of one another, so this is the model side's own small copy of what storage does."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import DiskFull, StorageError

ADAPTER_SETTINGS = "encoder.json"  # beside the weights: the EncoderSpec they were trained for


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn trouble with a file into our errors, with what to do next."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("No space is left for model files.", hint="Free about 1 GB, then repeat.") from error
        name = error.filename or "A model file"
        raise StorageError(f"{name} cannot be used: {error.strerror}.", hint="Check its permissions.") from error


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with translated_errors(), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any] | None:
    """Object of a JSON file, or None where there is none that can be read as one."""
    with translated_errors():
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
    return value if isinstance(value, dict) else None


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace `path` in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with translated_errors():
        temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
        temporary.replace(path)
