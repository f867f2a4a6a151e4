"""The recorded teacher on HTTP: an ASGI application that speaks OpenAI's protocol for models, chat completions, files and batches.

Any key is taken, none is needed, and none is kept or logged.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.shipped.teacher.batch_api import BatchApi
from core.shipped.teacher.batches import Batches
from core.shipped.teacher.protocol import ApiError, Completion, read_json
from core.shipped.teacher.recorded import FAULT_HEADER, Answer, RecordedTeacher

STARTED = 1_700_000_000  # `created` of the models: some moment, always the same


class Traffic:
    """What went over the wire, for GET /counts."""

    def __init__(self) -> None:
        self._run = uuid.uuid4().hex[:12]
        self._number = 0
        self.in_flight = 0
        self.most_in_flight = 0

    def request_id(self) -> str:
        """A new one."""
        self._number += 1
        return f"req_{self._run}{self._number:08d}"

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request as in flight."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1


class ChatApi:
    """The endpoints that answer at once."""

    def __init__(self, teacher: RecordedTeacher, traffic: Traffic) -> None:
        self._teacher = teacher
        self._traffic = traffic

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/models", self.models),
            Route("/v1/models/{name:path}", self.model),
            Route("/counts", self.counts),
        ]

    async def chat(self, request: Request) -> Response:
        """One call, in one piece or as a stream."""
        started = time.perf_counter()
        with self._traffic.counted():
            try:
                answer = self._teacher.answer(read_json(await request.body()), header=request.headers.get(FAULT_HEADER, ""))
            except ApiError as error:
                return JSONResponse(error.body, error.status, headers=self._headers(started) | error.headers)
            if isinstance(answer.outcome, Completion) and answer.call.stream:
                events = _events(answer.outcome, answer, self._traffic)
                return StreamingResponse(events, media_type="text/event-stream", headers=self._headers(started))
            if answer.wait_seconds:
                await asyncio.sleep(answer.wait_seconds)
            if isinstance(answer.outcome, ApiError):
                return JSONResponse(answer.outcome.body, answer.outcome.status, headers=self._headers(started) | answer.outcome.headers)
            return JSONResponse(answer.outcome.body(), headers=self._headers(started))

    async def models(self, request: Request) -> Response:
        """All names."""
        listed = [_model(name) for name in self._teacher.models()]
        return JSONResponse({"object": "list", "data": listed}, headers=self._headers(time.perf_counter()))

    async def model(self, request: Request) -> Response:
        """One name."""
        name = request.path_params["name"]
        if name not in self._teacher.models():
            raise ApiError(404, f"The model “{name}” does not exist here.", param="model", code="model_not_found")
        return JSONResponse(_model(name), headers=self._headers(time.perf_counter()))

    async def counts(self, request: Request) -> Response:
        """What was asked since the start, for tests and measurements: calls, equal bodies sent again, faults, most in flight."""
        told = {"calls": 0, "repeated": 0, **self._teacher.counts}
        return JSONResponse(told | {"in_flight": self._traffic.in_flight, "most_in_flight": self._traffic.most_in_flight})

    def _headers(self, started: float) -> dict[str, str]:
        taken = round(1000 * (time.perf_counter() - started))
        return {"openai-processing-ms": str(taken), **self._teacher.limits.headers()}


def build_app(teacher: RecordedTeacher) -> ASGIApp:
    """The application. Its batches live as long as it does."""
    traffic = Traffic()
    batches = Batches(teacher)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await batches.end()

    routes = [*ChatApi(teacher, traffic).routes(), *BatchApi(batches).routes()]
    told: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        ApiError: _refused,
        HTTPException: _not_here,
        Exception: _failed,
    }
    return _Numbered(Starlette(routes=routes, exception_handlers=told, lifespan=lifespan), traffic)


class _Numbered:
    """Puts a request id on every answer, errors included."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", self._traffic.request_id().encode())]
            await send(message)

        await self._app(scope, receive, numbered)


async def _events(completion: Completion, answer: Answer, traffic: Traffic) -> AsyncIterator[bytes]:
    """The stream's events, the latency spread evenly before them."""
    options = answer.call.stream_options
    chunks = list(completion.chunks(include_usage=options is not None and options.include_usage))
    with traffic.counted():
        for chunk in chunks:
            if answer.wait_seconds:
                await asyncio.sleep(answer.wait_seconds / len(chunks))
            yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
        yield b"data: [DONE]\n\n"


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": STARTED, "owned_by": "tercet"}


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status, headers=error.headers)


async def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "unknown_url" if error.status_code in (404, 405) else None
    known = ApiError(error.status_code, f"{error.detail}: {request.method} {request.url.path}.", code=code)
    return JSONResponse(known.body, known.status, headers=error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    known = ApiError(500, f"The recorded teacher failed: {type(error).__name__}.", kind="server_error")
    return JSONResponse(known.body, known.status)
