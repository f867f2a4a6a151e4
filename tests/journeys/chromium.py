"""Find a chromium: one already installed, else playwright's own, else Debian's package where we may install it.

`python -m tests.journeys.chromium` tries all three and says what came of it; it never fails, since only browser tests need one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find_chromium() -> str | None:
    """Path of a chromium that can be started, or None."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    if MAC.exists():
        return str(MAC)
    return _playwrights_own()


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def get_chromium() -> str | None:
    """`find_chromium`, after trying to install one where there is none."""
    if found := find_chromium():
        return found
    _quietly([sys.executable, "-m", "playwright", "install", "chromium"], seconds=300)
    if found := find_chromium():
        return found
    if shutil.which("apt-get") and os.geteuid() == 0:
        _quietly(["apt-get", "update", "-qq"], seconds=120)
        _quietly(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], seconds=600)
    return find_chromium()


def _quietly(command: list[str], *, seconds: float) -> None:
    try:
        subprocess.run(command, check=False, capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"{command[0]}: {error}\n")


if __name__ == "__main__":
    sys.stdout.write(f"Browser tests: {get_chromium() or 'NO CHROMIUM FOUND; they will be reported as not run'}\n")
