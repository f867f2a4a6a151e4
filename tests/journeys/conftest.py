"""A real app in a real browser. Without a chromium these tests are skipped by name; under CI=true that is a failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.journeys.running import App, Visitor, end_leftovers, launch_chromium, new_window, start_app


@pytest.fixture
def app_starter(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start apps on one workspace; whatever is left of them is ended."""
    started: list[App] = []
    workspace = tmp_path / "workspace"

    def start(**environment: str) -> App:
        started.append(start_app(workspace, tmp_path / f"app-{len(started)}.log", **environment))
        return started[-1]

    yield start
    for app in started:
        if app.process.poll() is None:
            app.kill()
    end_leftovers(workspace)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = launch_chromium(playwright)
        if chromium is None:
            if os.environ.get("CI") == "true":
                pytest.fail("No chromium was found and CI=true: browser tests must run here.")
            pytest.skip("not run: no chromium was found (run `make browser`)")
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open a browser window on an app, light or dark."""
    contexts = []

    def visit_app(app: App, *, colours: str = "light") -> Visitor:
        contexts.append(new_window(browser, colours=colours))
        return Visitor(contexts[-1].new_page(), app)

    yield visit_app
    for context in contexts:
        context.close()
