"""A real app in a process of its own, and a visitor with a real browser."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, Request, expect

from core.settings import PROJECT_FOLDER
from tests.journeys.chromium import find_chromium

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
ARTIFACTS = PROJECT_FOLDER / "artifacts"


@dataclass
class App:
    """A running app and how to end it."""

    url: str
    workspace: Path
    process: subprocess.Popen
    log: Path

    def kill(self) -> None:
        """SIGKILL to the server alone, as a crash would be; jobs lead sessions of their own."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_app(workspace: Path, log: Path, **environment: str) -> App:
    port = free_port()
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"],
            cwd=PROJECT_FOLDER,
            env={**os.environ, "TERCET_WORKSPACE": str(workspace), **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        try:
            if httpx.get(f"{url}/_stcore/health", timeout=2).status_code == 200:
                return App(url, workspace, process, log)
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"The app did not start:\n{log.read_text()}")


def end_leftovers(workspace: Path) -> None:
    """Jobs and the model service outlive the app on purpose; a test must not leave them behind."""
    for process in psutil.process_iter(["cmdline"]):
        if str(workspace) in " ".join(process.info["cmdline"] or []):
            process.kill()


def launch_chromium(playwright: Playwright) -> Browser | None:
    """A started chromium, or None where there is none."""
    path = find_chromium()
    return playwright.chromium.launch(executable_path=path, args=ARGUMENTS) if path else None


def new_window(browser: Browser, *, colours: str = "light") -> BrowserContext:
    """A window of the size the pages are made for."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme=colours)
    context.set_default_timeout(60_000)
    return context


class Visitor:
    """A person at a browser: goes to pages, reads, clicks, and notices what should not happen."""

    def __init__(self, page: Page, app: App) -> None:
        self.page = page
        self.app = app
        self.foreign_requests: list[str] = []
        self.console_errors: list[str] = []
        page.on("request", self._note_request)
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((self.app.url, self.app.url.replace("http", "ws", 1), "data:", "blob:")):
            self.foreign_requests.append(request.url)

    def open(self, path: str = "") -> None:
        self.page.goto(f"{self.app.url}/{path}")
        self.settled()

    def settled(self, timeout_seconds: float = 60) -> None:
        """Wait until the script of the page has run."""
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=timeout_seconds * 1000)
        self.page.wait_for_timeout(250)

    def picture(self, name: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=False)

    def assert_no_trouble(self) -> None:
        assert self.page.locator("[data-testid=stException]").count() == 0, self.page.locator(
            "[data-testid=stException]"
        ).first.inner_text()
        assert self.foreign_requests == []
        assert self.console_errors == []

    # ---- what a hand does; keys are those of the widgets

    def widget(self, key: str) -> Locator:
        """The widget with this key."""
        return self.page.locator(f".st-key-{re.sub(r'[^a-zA-Z0-9_-]', '-', key)}").first

    def press(self, key: str, *, timeout_seconds: float = 60) -> None:
        """Click a button once it can be clicked, and wait for what comes of it."""
        button = self.widget(key).locator("button").first
        expect(button).to_be_enabled(timeout=timeout_seconds * 1000)
        button.click()
        self.settled()

    def write(self, key: str, text: str) -> None:
        """Put text into a field and leave it."""
        field = self.widget(key).locator("input, textarea").first
        field.fill(text)
        field.press("Tab")
        self.settled()

    def choose(self, key: str, option: str) -> None:
        """Pick an option of a select box by its text."""
        self.widget(key).locator("[data-baseweb=select], input").first.click()
        self.page.get_by_role("option", name=option, exact=False).first.click()
        self.settled()

    def segment(self, key: str, label: str) -> None:
        """Pick one of a row of choices."""
        self.widget(key).get_by_role("radio", name=label).or_(self.widget(key).get_by_role("button", name=label)).first.click()
        self.settled()

    def type_key(self, key: str) -> None:
        """Press a key of the keyboard with no field in focus."""
        self.page.keyboard.press(key)
        self.page.wait_for_timeout(150)
        self.settled()

    def sees(self, text: str, *, timeout_seconds: float = 60) -> None:
        """Wait until the page shows a text."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=timeout_seconds * 1000)
