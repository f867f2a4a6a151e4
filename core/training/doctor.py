"""Is this machine fit for the work? Each check says what was found and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from core.encoder.embedded import BASELINE, DECODER, prepare, verify
from core.errors import WorkbenchError
from core.settings import Settings

PACKAGES = ("torch", "transformers", "peft", "safetensors", "faiss-cpu", "umap-learn", "streamlit", "openai", "SQLAlchemy", "llguidance")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MEMORY_NEEDED, DISK_NEEDED = 8e9, 2e9


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    found: str
    ok: bool
    needed: bool = True  # False: its absence costs comfort, not function
    hint: str = ""


def examine(settings: Settings) -> list[Check]:
    """All checks, none of which raises."""
    models: list[tuple[str, Callable[[], object]]] = [
        ("decoder package", lambda: verify(DECODER)),
        ("baseline package", lambda: verify(BASELINE)),
        ("decoder converted", lambda: prepare(settings)),
    ]
    return [
        _python(),
        *(_package(name) for name in PACKAGES),
        *(_guarded(name, action) for name, action in models),
        _cpu(),
        _device(settings),
        _memory(),
        _disk(settings.workspace),
        _writable(settings.workspace),
        _browser(),
    ]


def _python() -> Check:
    return Check("python", platform.python_version(), sys.version_info >= (3, 11), hint="" if sys.version_info >= (3, 11) else "Use 3.11+.")


def _package(name: str) -> Check:
    try:
        return Check(name, metadata.version(name), ok=True)
    except metadata.PackageNotFoundError:
        return Check(name, "not installed", ok=False, hint="Run `make install`.")


def _guarded(name: str, action: Callable[[], object]) -> Check:
    try:
        action()
    except WorkbenchError as error:
        return Check(name, error.message, ok=False, hint=error.hint)
    except Exception as error:  # noqa: BLE001 - a missing package must be told like any other fault
        return Check(name, f"{type(error).__name__}: {error}", ok=False, hint="Run `make setup` again.")
    return Check(name, "verified", ok=True)


def _cpu() -> Check:
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("flags")[2].partition("\n")[0].split())
    except OSError:
        flags = set()
    fast = [name for name in ("amx_bf16", "avx512_bf16") if name in flags]
    found = f"{os.cpu_count()} cores, {', '.join(fast) or 'no bfloat16 instructions'}"
    return Check("cpu", found, ok=bool(fast), needed=False, hint="" if fast else "Training runs in float32, two to three times slower.")


def _device(settings: Settings) -> Check:
    gpu = Path("/proc/driver/nvidia/version").exists()
    if settings.device.startswith("cuda") and not gpu:
        return Check("device", f"{settings.device} asked for, no NVIDIA driver", ok=False, hint="Set TERCET_DEVICE=auto.")
    return Check("device", "NVIDIA GPU" if gpu else "CPU", ok=True)


def _memory() -> Check:
    free = psutil.virtual_memory().available
    ok = free >= MEMORY_NEEDED
    return Check("memory", f"{free / 1e9:.1f} GB free", ok=ok, hint="" if ok else "Training the embedded decoder needs about 8 GB.")


def _disk(folder: Path) -> Check:
    place = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(place).free
    ok = free >= DISK_NEEDED
    return Check("disk", f"{free / 1e9:.1f} GB free at {place}", ok=ok, hint="" if ok else "Free about 2 GB.")


def _writable(folder: Path) -> Check:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check("workspace", f"{folder}: {error.strerror}", ok=False, hint="Choose another folder: --workspace or TERCET_WORKSPACE.")
    return Check("workspace", str(folder), ok=True)


def _browser() -> Check:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return Check("chromium", found or "not found", ok=bool(found), needed=False, hint="" if found else "Only browser tests need it.")
