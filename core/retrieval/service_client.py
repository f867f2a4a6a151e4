"""The app's client of the model service: finds a live one, starts one where there is none, and asks it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from core.domain.chat import ChatReply, ChatRequest
from core.domain.encoder import Role
from core.domain.ranking import Ranking
from core.errors import ServiceUnavailable
from core.jobs.processes import kill_group
from core.retrieval.requests import MOST_TEXTS
from core.retrieval.service_file import LOG, START_LOCK, ServiceAddress, live_address, settings_environment, settings_mark
from core.retrieval.wire import error_of, ranking_of
from core.settings import PROJECT_FOLDER, Settings
from core.storage.database import translated_errors

START_SECONDS = 30.0
END_SECONDS = 12.0  # a service that is told to end gives its answers up to 10 s
ANSWER_SECONDS = 600.0  # a model may have to be loaded, or many texts encoded
SEE_LOG = "Read service.log in the workspace, then try again; `python -m core serve` starts it by hand."


class ModelService:
    """One service a workspace; every app process and viewer shares it."""

    def __init__(
        self,
        settings: Settings,
        *,
        environment: Callable[[], Mapping[str, str]] | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        """`command` starts a service in the foreground; absent: `python -m core serve` of this project."""
        self._settings = settings
        self._environment = environment
        self._command = list(command) if command else [
            *(sys.executable, "-m", "core", "serve", "--workspace", str(settings.workspace)),
            *("--idle-minutes", str(settings.service_idle_minutes)),
        ]  # fmt: skip
        self._starting: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(timeout=httpx.Timeout(ANSWER_SECONDS, connect=2.0), trust_env=False)

    def ready(self) -> bool:
        """Whether a live service answers now, with our settings; never starts one."""
        address = self._ours()
        answers = address is not None and self._healthy(address)
        if answers:
            self._starting = None
        return answers

    def ensure_started(self, wait_seconds: float = START_SECONDS) -> None:
        """Make sure a service runs; returns when it answers. One that runs with other settings than ours, or is older, is replaced.

        With `wait_seconds=0` it is only started, not waited for: ask `ready()` later.

        Raises:
            ServiceUnavailable: it did not answer in time, or ended at once.
        """
        if self.ready():
            return
        limit = time.monotonic() + wait_seconds
        try:
            with FileLock(self._settings.workspace / START_LOCK, timeout=max(0.0, wait_seconds)):
                if self.ready():
                    return
                if self._starting is None or self._starting.poll() is not None:  # else ours is still on its way
                    self._end_another()
                    self._starting = self._launch()
                if wait_seconds > 0:
                    self._wait(self._starting, limit)
        except Timeout as error:
            if wait_seconds and not self.ready():
                raise ServiceUnavailable("Another process has been starting the model service for too long.", hint=SEE_LOG) from error

    def embed(self, system: str, texts: Sequence[str], role: Role, task: str | None = None) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions), in the order of `texts`.

        Raises:
            NotFound, ModelError, ServiceUnavailable: with what to do.
        """
        rows: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), MOST_TEXTS):
            part = list(texts[start : start + MOST_TEXTS])
            body = {"model": system, "input": part, "role": role.value, "task": task, "encoding_format": "base64"}
            reply = self._post("/v1/embeddings", body)
            rows += [np.frombuffer(base64.b64decode(item["embedding"]), dtype="<f4") for item in reply["data"]]
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), dtype=np.float32)

    def chat(self, request: ChatRequest) -> ChatReply:
        """Ask the embedded teacher.

        Raises:
            EndpointError, ServiceUnavailable: with what to do.
        """
        schema = {"type": "json_schema", "json_schema": {"name": "reply", "schema": dict(request.schema)}} if request.schema else None
        body = {
            "model": self._settings.teacher_model,
            "messages": [dict(m) for m in request.messages],
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
            "seed": request.seed,
            "response_format": schema,
        }
        started = time.perf_counter()
        reply = self._post("/v1/chat/completions", body)
        choice, usage = reply["choices"][0], reply.get("usage") or {}
        return ChatReply(
            text=choice["message"]["content"],
            finish_reason=choice["finish_reason"],
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            seconds=time.perf_counter() - started,
            model=reply["model"],
            request_id=reply["id"],
        )

    def search(
        self,
        corpus_id: str,
        systems: Sequence[str],
        query: str,
        task: str | None = None,
        k: int = 10,
        *,
        ask_ranks_of: Sequence[str] = (),
    ) -> dict[str, Ranking]:
        """What each system answers; `ask_ranks_of` are document ids whose rank and similarity are wanted wherever they stand.

        Raises:
            NotFound: no such corpus or system, or the system has no index of the corpus.
            IndexMismatch, ModelError, ServiceUnavailable: with what to do.
        """
        body = {"corpus_id": corpus_id, "systems": list(systems), "query": query, "task": task, "k": k, "ask_ranks_of": list(ask_ranks_of)}
        return {name: ranking_of(values) for name, values in self._post("/search", body)["rankings"].items()}

    def tokens(self, system: str, text: str, *, role: Role = Role.QUERY, task: str | None = None) -> list[dict[str, Any]]:
        """Tokens as the model sees them, end token included: [{"id", "text", "special"}]."""
        reply = self._post("/tokens", {"model": system, "text": text, "role": role.value, "task": task})
        return list(reply["tokens"])

    def stop(self) -> None:
        """End the service of this workspace; nothing happens where none runs."""
        if address := live_address(self._settings.workspace):
            self._end(address)

    def _ours(self) -> ServiceAddress | None:
        """The live service, if it runs with our settings."""
        address = live_address(self._settings.workspace)
        return address if address and address.settings == settings_mark(self._settings) else None

    def _end_another(self) -> None:
        """End a service that would answer by other settings, and that keeps ours from starting; requests under way are answered first."""
        address = live_address(self._settings.workspace)
        if address and address.settings != settings_mark(self._settings):
            self._end(address)

    def _end(self, address: ServiceAddress) -> None:
        try:
            self._http.post(f"{address.url}/stop", headers=_bearer(address), timeout=5).raise_for_status()
        except httpx.HTTPError:
            kill_group(address.mark)
        limit = time.monotonic() + END_SECONDS
        while live_address(self._settings.workspace) == address and time.monotonic() < limit:
            time.sleep(0.05)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One request; a service that went away between two of them is started again, once."""
        for attempt in (1, 2):
            address = self._ours() if attempt == 1 else None
            if address is None:
                self.ensure_started()
                address = self._ours()
            if address is None:
                continue
            try:
                reply = self._http.post(f"{address.url}{path}", json=body, headers=_bearer(address))
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError) as error:
                if attempt == 2:
                    raise ServiceUnavailable("The model service ended while it was answering.", hint=SEE_LOG) from error
                continue
            except httpx.HTTPError as error:
                raise ServiceUnavailable(f"The model service did not answer: {error}.", hint=SEE_LOG) from error
            return _values(reply)
        raise ServiceUnavailable("The model service ends as soon as it is started.", hint=SEE_LOG)

    def _healthy(self, address: ServiceAddress) -> bool:
        try:
            return self._http.get(f"{address.url}/health", headers=_bearer(address), timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def _launch(self) -> subprocess.Popen[bytes]:
        with translated_errors(), (self._settings.workspace / LOG).open("ab") as log:
            # Like a job: a session of its own, and a file that, unlike a pipe, never fills and blocks it.
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=PROJECT_FOLDER,
                env={**(self._environment() if self._environment else os.environ), **settings_environment(self._settings)},
            )
        threading.Thread(target=process.wait, daemon=True).start()  # collects the zombie while we live
        return process

    def _wait(self, process: subprocess.Popen[bytes], limit: float) -> None:
        while time.monotonic() < limit:
            if self.ready():
                return
            # It may have ended because another service holds the workspace; then that one will answer.
            address = live_address(self._settings.workspace)
            if address and address.pid == process.pid and address.settings != settings_mark(self._settings):
                told = "The model service that was started goes by other settings than this program."
                raise ServiceUnavailable(told, hint="Start this program in the project's folder, so that both read the same .env file.")
            if process.poll() not in (None, 0):
                raise ServiceUnavailable(f"The model service ended at once (exit status {process.returncode}).", hint=SEE_LOG)
            time.sleep(0.1)
        raise ServiceUnavailable("The model service does not answer.", hint=SEE_LOG)


def _bearer(address: ServiceAddress) -> dict[str, str]:
    return {"Authorization": f"Bearer {address.token}"}


def _values(reply: httpx.Response) -> dict[str, Any]:
    try:
        body = reply.json()
    except ValueError:
        body = None
    if reply.status_code != 200 or not isinstance(body, dict):
        raise error_of(body, reply.status_code)
    return body
