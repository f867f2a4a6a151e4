"""The client against a real process that serves words instead of models."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from core.domain.encoder import EncoderSpec, Role
from core.errors import NotFound, ServiceUnavailable
from core.jobs.processes import is_alive
from core.retrieval.service_client import ModelService
from core.retrieval.service_file import live_address, settings_environment, settings_mark, write_address
from core.settings import Settings
from tests.core.retrieval.fakes import WordEncoder

SERVER = """
import sys
from core.retrieval.corpora import CorpusShelf
from core.retrieval import service_process
from core.retrieval.engine import SearchEngine
from core.retrieval.systems import SystemCatalogue
from core.settings import Settings
from core.storage.corpora import CorpusStore
from core.storage.database import Database
from tests.core.retrieval.conftest import Board, OneVersion
from tests.core.retrieval.fakes import open_words

settings = Settings(workspace=sys.argv[1])
database = Database(settings.sqlalchemy_url)
database.migrate()
catalogue = SystemCatalogue(Board([]), settings)
engine = SearchEngine(catalogue, CorpusShelf(CorpusStore(database), OneVersion()), settings, open_encoder=open_words)
served = service_process.run_service(engine, catalogue, settings)
open(settings.workspace / "ends.txt", "a").write("served\\n" if served else "refused\\n")
"""


@pytest.fixture
def settings(workspace) -> Settings:
    workspace.mkdir()
    return Settings(workspace=workspace)


@pytest.fixture
def make_client(settings, tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    clients = []

    def make(**changes) -> ModelService:
        own = settings.model_copy(update=changes)
        command = [sys.executable, str(script), str(settings.workspace)]
        clients.append(ModelService(own, command=command, environment=lambda: environment))
        return clients[-1]

    yield make
    for client in clients:
        client.stop()


@pytest.mark.slow
def test_start_reuse_lose_and_start_again(make_client, settings):
    client = make_client()
    assert not client.ready()
    vectors = client.embed("raw", ["a b", "c"], Role.DOCUMENT)
    assert np.array_equal(vectors, WordEncoder(EncoderSpec()).encode(["a b", "c"], role=Role.DOCUMENT))
    first = live_address(settings.workspace)
    assert stat.S_IMODE((settings.workspace / "service.json").stat().st_mode) == 0o600

    other = make_client()  # another app process finds it
    other.ensure_started()
    assert live_address(settings.workspace) == first
    with pytest.raises(NotFound, match="no training run"):
        other.embed("run:nothing", ["x"], Role.QUERY)
    assert client.search("version:v1id", ["bm25"], "soap", k=1)["bm25"].hits[0].document.text == "spray with soap"

    os.kill(first.pid, signal.SIGKILL)
    assert _within(5, lambda: not is_alive(first.mark))
    assert not client.ready()
    assert client.embed("raw", ["a b"], Role.DOCUMENT).shape == (1, 512)  # a new one, without anyone asking for it
    assert live_address(settings.workspace).pid != first.pid

    client.stop()
    assert live_address(settings.workspace) is None
    assert not (settings.workspace / "service.json").exists()


@pytest.mark.slow
def test_a_service_with_other_settings_is_replaced_by_the_next_who_asks(make_client, settings):
    before = make_client()
    before.embed("raw", ["a"], Role.DOCUMENT)
    first = live_address(settings.workspace)
    after = make_client(base_model="some/other-base")  # the app was restarted
    assert not after.ready()
    after.embed("raw", ["a"], Role.DOCUMENT)
    second = live_address(settings.workspace)
    assert (second.pid != first.pid, is_alive(first.mark), after.ready(), before.ready()) == (True, False, True, False)
    [loaded] = after._http.get(f"{second.url}/health", headers={"Authorization": f"Bearer {second.token}"}).json()["models"]
    assert loaded["base"] == "some/other-base"


@pytest.mark.slow
def test_a_service_of_a_version_that_did_not_tell_its_settings_is_replaced(make_client, settings):
    client = make_client()
    client.ensure_started()
    first = live_address(settings.workspace)
    write_address(settings.workspace, replace(first, settings=""))
    client.ensure_started(wait_seconds=0)  # as a page does it
    assert _within(30, client.ready)
    assert live_address(settings.workspace).pid != first.pid


def test_the_mark_tells_settings_a_service_goes_by_and_no_others(settings):
    def mark(**changes) -> str:
        return settings_mark(settings.model_copy(update=changes))

    assert mark() == settings_mark(settings) == mark(reviewer="another", service_idle_minutes=3, api_key=SecretStr("a-key"))
    changes = ({"base_model": "x/y"}, {"device": "cuda"}, {"threads": 1}, {"models_folder": Path("/elsewhere")}, {"teacher_model": "z"})
    assert len({mark(), *(mark(**change) for change in changes)}) == len(changes) + 1
    given = settings_environment(settings.model_copy(update={"base_model": "x/y", "threads": None}))
    assert given["TERCET_BASE_MODEL"] == "x/y"
    assert not {"TERCET_THREADS", "TERCET_API_KEY"} & set(given)


@pytest.mark.slow
def test_two_apps_that_start_at_once_share_one_service(make_client, settings):
    clients = [make_client(), make_client(), make_client()]
    threads = [threading.Thread(target=client.ensure_started) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(client.ready() for client in clients)
    assert len({live_address(settings.workspace).pid}) == 1
    second = make_client()._launch()  # even one that nobody's lock held back ends at once
    assert second.wait(20) == 0
    assert (settings.workspace / "ends.txt").read_text() == "refused\n"


def test_a_service_that_ends_at_once_is_told_with_where_to_look(settings):
    client = ModelService(settings, command=[sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"])
    with pytest.raises(ServiceUnavailable, match="exit status 3") as caught:
        client.ensure_started()
    assert "service.log" in caught.value.hint
    assert "no such thing" in (settings.workspace / "service.log").read_text()


def test_starting_without_waiting_returns_at_once(settings):
    client = ModelService(settings, command=[sys.executable, "-c", "import time; time.sleep(1)"])
    started = time.monotonic()
    client.ensure_started(wait_seconds=0)
    client.ensure_started(wait_seconds=0)
    assert time.monotonic() - started < 0.9
    assert not client.ready()


def test_a_torn_or_foreign_address_counts_as_none(settings):
    (settings.workspace / "service.json").write_text('{"port": 1')
    assert live_address(settings.workspace) is None
    (settings.workspace / "service.json").write_text('{"port": 1, "token": "t", "pid": 1, "process_start": 0, "boot_id": "b"}')
    assert live_address(settings.workspace) is None


def _within(seconds: float, holds) -> bool:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if holds():
            return True
        time.sleep(0.02)
    return holds()
