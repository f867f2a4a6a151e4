"""Is that process still the one we started? Pid, start time and boot id together answer it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from core.storage.jobs import ProcessMark

START_TIME_SLACK_SECONDS = 2.0  # psutil derives start times from the boot time, which may be adjusted


def boot_id() -> str:
    """Changes with every start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))


def mark_of(pid: int) -> ProcessMark:
    """Mark of a running process."""
    return ProcessMark(pid, psutil.Process(pid).create_time(), boot_id())


def is_alive(mark: ProcessMark | None) -> bool:
    """Whether the marked process runs. A zombie is dead: it only waits to be collected."""
    if mark is None or mark.boot_id != boot_id():
        return False
    try:
        process = psutil.Process(mark.pid)
        same = abs(process.create_time() - mark.started) < START_TIME_SLACK_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_group(mark: ProcessMark) -> None:
    """End the process and its children, where it leads a process group as each job does; one started in a shell may lead none."""
    if not is_alive(mark):
        return
    with suppress(ProcessLookupError):  # it may end by itself meanwhile
        try:
            os.killpg(mark.pid, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(mark.pid, signal.SIGKILL)
