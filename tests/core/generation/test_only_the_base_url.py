"""With network calls to anything but the given base_url forbidden, everything works, in jobs' own processes too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.settings import PROJECT_FOLDER
from core.shipped.teacher.recorded import TeacherOptions
from core.shipped.teacher.server import listening_on
from pages.routes import titles
from tests.core.shipped.teacher.teachers import teaching

BAN = Path(__file__).parent / "ban"
OPEN_EVERY_PAGE = f"""
import pathlib
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("pages/shell.py", default_timeout=60)
app.run()
for name in {list(titles())!r}:
    app.switch_page(str(pathlib.Path("pages", name + ".py").resolve())).run()
    assert not app.exception, (name, app.exception)
"""


class Banned:
    """Runs programs that may reach one address and nothing else."""

    def __init__(self, folder: Path, address: str) -> None:
        self._log = folder / "ban.jsonl"
        self._log.touch()
        kept = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
        own = {"TERCET_BAN_LOG": str(self._log), "TERCET_BAN_EXCEPT": address, "PYTHONPATH": str(BAN)}
        self.environment = {**kept, **own, "TERCET_WORKSPACE": str(folder / "workspace"), "TERCET_API_KEY": "sk-none"}

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], cwd=PROJECT_FOLDER, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )

    def tercet(self, *arguments: str) -> dict[str, Any]:
        done = self.python("-m", "core", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def seen(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self._log.read_text().splitlines()) if line["kind"] == kind]

    def jobs(self) -> set[str]:
        """Kinds of jobs that ran under the ban in a process of their own."""
        programs = [process["program"] for process in self.seen("process")]
        return {program[program.index("run") + 1].rpartition("-")[0] for program in programs if "jobs" in program and "run" in program}


@pytest.fixture
def taught(tmp_path: Path) -> Iterator[tuple[Banned, str]]:
    """A teacher outside the ban, and programs that may reach it alone."""
    with teaching() as url:
        yield Banned(tmp_path, url.removeprefix("http://").removesuffix("/v1")), url


@pytest.mark.parametrize("attempt", [
    "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)",
    "import socket; socket.getaddrinfo('nowhere.invalid', 443)",
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "import urllib.request; urllib.request.urlopen('http://nowhere.invalid/')",
    "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', 9))",
    "import httpx; httpx.get('http://nowhere.invalid/')",
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import socket; socket.gethostbyname(\"here.invalid\")'], check=True)",
])  # fmt: skip
def test_the_ban_holds_and_tells(tmp_path: Path, attempt: str):
    banned = Banned(tmp_path, "127.0.0.1:1")
    done = banned.python("-c", attempt)
    assert done.returncode != 0
    assert len(banned.seen("forbidden")) >= 1
    swallowed = f"try:\n    {attempt}\nexcept Exception:\n    pass"
    assert banned.python("-c", swallowed).returncode == 0
    assert len(banned.seen("forbidden")) >= 2


@pytest.mark.slow
def test_the_whole_of_generation_reaches_the_base_url_alone(taught: tuple[Banned, str]):
    banned, url = taught
    endpoint = ("--base-url", url, "--model", "starter", "--max-tokens", "8000")
    stormed = banned.tercet("brainstorm", "--count", "5", *endpoint)
    assert (stormed["added"], stormed["failed"]) == (5, 0)
    banned.tercet("tasks", "accept", "all")
    plan = ("--group", "short-long", "--group", "sts", "--group", "bitext", "--count", "4", "--language", "paper", *endpoint)
    assert banned.tercet("generate", *plan, "--dry-run")["requests"] == 12
    written = banned.tercet("generate", *plan)
    assert (written["planned"], written["parsed"], written["failed"]) == (12, 12, 0)
    assert banned.tercet("checks", "run", "--no-encoder")["state"] == "done"
    assert banned.tercet("checks", "run")["state"] == "done"  # the embedded encoder comes from a package, never from a hub
    assert banned.jobs() == {"brainstorm", "generate", "check"}
    assert banned.seen("forbidden") == []


@pytest.mark.slow
def test_a_batch_and_a_test_of_the_connection_reach_the_base_url_alone(tmp_path: Path):
    with teaching(TeacherOptions(batch_seconds=0.1)) as url:
        banned = Banned(tmp_path, url.removeprefix("http://").removesuffix("/v1"))
        plan = tmp_path / "plan.json"
        plan.write_text(json.dumps({"base_url": url, "model": "starter", "counts": {"sts": 3}, "batch": True, "max_tokens": 8000}))
        assert banned.tercet("generate", "--plan", str(plan))["parsed"] == 3
        code = f"""
from core.workbench import Workbench
endpoints = Workbench().endpoints
endpoint = endpoints.save({{"name": "mine", "base_url": {url!r}, "model": "starter"}})
report = endpoints.test(endpoint)
assert report.reachable and "starter" in report.models, report
"""
        done = banned.python("-c", code)
    assert done.returncode == 0, done.stderr
    assert banned.jobs() == {"generate"}
    assert banned.seen("forbidden") == []


@pytest.mark.slow
def test_every_page_opens_without_reaching_anything(taught: tuple[Banned, str]):
    banned, _ = taught
    done = banned.python("-c", OPEN_EVERY_PAGE)
    assert done.returncode == 0, done.stderr
    assert banned.seen("forbidden") == []


@pytest.mark.slow
def test_the_app_starts_and_answers_without_reaching_anything(taught: tuple[Banned, str]):
    banned, _ = taught
    with serving_the_app(banned) as address:
        assert "<title>" in fetched(f"{address}/")
        assert fetched(f"{address}/_stcore/health").strip() == "ok"
    assert banned.seen("forbidden") == []
    assert any("streamlit" in process["program"] for process in banned.seen("process"))


@contextmanager
def serving_the_app(banned: Banned) -> Iterator[str]:
    """As `make app` starts it."""
    with listening_on(0) as free:
        port = free.getsockname()[1]
    options = ("--server.showEmailPrompt", "false", "--server.port", str(port), "--server.headless", "true")
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", *options],
        cwd=PROJECT_FOLDER,
        env=banned.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        limit = time.monotonic() + 60
        while time.monotonic() < limit and process.poll() is None:
            try:
                fetched(f"http://127.0.0.1:{port}/_stcore/health")
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def fetched(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode()
