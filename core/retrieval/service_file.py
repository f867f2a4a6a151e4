"""`service.json`: where the model service of a workspace answers, and who it is. Readable by its owner only: it holds the token."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import WorkspaceDamaged
from core.jobs.processes import is_alive
from core.storage.artifacts import read_json, write_json
from core.storage.database import translated_errors
from core.storage.jobs import ProcessMark

FILE = "service.json"
LOCK = "service.lock"  # held by the service as long as it lives
START_LOCK = "service.start.lock"  # held by a client while it starts one
LOG = "service.log"


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """One running service."""

    port: int
    token: str
    pid: int
    process_start: float  # seconds since the epoch
    boot_id: str

    @property
    def url(self) -> str:
        """Base URL; the service binds the loopback address only."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def mark(self) -> ProcessMark:
        """Names its process for ever."""
        return ProcessMark(self.pid, self.process_start, self.boot_id)


def write_address(workspace: Path, address: ServiceAddress) -> None:
    """Publish the address, readable by us only from its first byte on."""
    path = workspace / FILE
    old = os.umask(0o077)
    try:
        write_json(path, asdict(address))
    finally:
        os.umask(old)
    with translated_errors():
        path.chmod(0o600)


def live_address(workspace: Path) -> ServiceAddress | None:
    """Address of the service if its process still runs."""
    try:
        values = read_json(workspace / FILE)
        address = ServiceAddress(**values) if values else None
    except (ValueError, TypeError, WorkspaceDamaged):  # torn or foreign: as good as none
        return None
    return address if address and is_alive(address.mark) else None


def remove_address(workspace: Path, *, pid: int) -> None:
    """Take back what `pid` published; a newer service's file stays."""
    values = read_json(workspace / FILE)
    if isinstance(values, dict) and values.get("pid") == pid:
        (workspace / FILE).unlink(missing_ok=True)
