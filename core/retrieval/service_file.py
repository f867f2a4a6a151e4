"""`service.json`: where the model service of a workspace answers, and who it is. Readable by its owner only: it holds the token."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from core import __version__
from core.domain.identity import content_id
from core.errors import WorkspaceDamaged
from core.jobs.processes import is_alive
from core.settings import Settings
from core.storage.artifacts import read_json, write_json
from core.storage.database import translated_errors
from core.storage.jobs import ProcessMark

FILE = "service.json"
LOCK = "service.lock"  # held by the service as long as it lives
START_LOCK = "service.start.lock"  # held by a client while it starts one
LOG = "service.log"
GONE_BY = ("database_url", "models_folder", "base_model", "teacher_model", "device", "threads")


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """One running service."""

    port: int
    token: str
    pid: int
    process_start: float  # seconds since the epoch
    boot_id: str
    settings: str = ""  # `settings_mark` of what it runs with; "" from a version that did not tell

    @property
    def url(self) -> str:
        """Base URL; the service binds the loopback address only."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def mark(self) -> ProcessMark:
        """Names its process for ever."""
        return ProcessMark(self.pid, self.process_start, self.boot_id)


def settings_mark(settings: Settings) -> str:
    """Equal for processes whose services give the same answers at the same speed: this version, and the settings a service goes by."""
    return content_id("service", __version__, json.dumps(settings.model_dump(mode="json", include=set(GONE_BY)), sort_keys=True))


def settings_environment(settings: Settings) -> dict[str, str]:
    """Environment variables that give another process these settings, wherever its own `.env` lies."""
    values = settings.model_dump(mode="json", include=set(GONE_BY), exclude_none=True)
    return {f"{Settings.model_config['env_prefix']}{name.upper()}": str(value) for name, value in values.items()}


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
