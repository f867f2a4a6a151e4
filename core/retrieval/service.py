"""The model service: encoders, search and the embedded teacher for every process of this machine, over loopback HTTP.

`/v1/embeddings` and `/v1/chat/completions` speak OpenAI's format, so any program that can use OpenAI can use a tuned model at once.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol

import numpy as np
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.domain.chat import ChatModel, ChatReply, ChatRequest
from core.errors import BadInput, ServiceUnavailable, WorkbenchError
from core.retrieval.engine import SearchEngine
from core.retrieval.requests import ChatCall, EmbeddingsCall, SearchCall, TokensCall
from core.retrieval.systems import SystemCatalogue
from core.retrieval.wire import error_body, ranking_body, status_of

LOG = logging.getLogger(__name__)
THREADS = 64  # most of them wait for a model's own thread
IDLE_CHECK_SECONDS = 1.0


Answer = Callable[["ServiceState", Request], Awaitable[dict[str, Any]]]


class Ending(Protocol):
    """How the service is told to end."""

    def __call__(self) -> None:
        """End after the requests under way."""
        ...


class ServiceState:
    """What the endpoints share."""

    def __init__(self, engine: SearchEngine, catalogue: SystemCatalogue, make_teacher: Callable[[], ChatModel]) -> None:
        self.engine = engine
        self.catalogue = catalogue
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="service")
        self.teacher_lock = asyncio.Lock()
        self.make_teacher = make_teacher
        self.teacher: ChatModel | None = None
        self.in_flight = 0
        self.last_used = time.monotonic()

    async def off_loop(self, work: Callable[[], Any]) -> Any:
        """Do blocking work in a thread, so that /health stays quick."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def reply(self, request: ChatRequest) -> ChatReply:
        """One answer of the teacher; one at a time, in a thread of its own."""
        async with self.teacher_lock:
            return await self.off_loop(lambda: asyncio.run(self._teach(request)))

    async def _teach(self, request: ChatRequest) -> ChatReply:
        if self.teacher is None:
            self.teacher = self.make_teacher()
        return await self.teacher.reply(request)


def build_service(
    engine: SearchEngine,
    catalogue: SystemCatalogue,
    *,
    token: str,
    make_teacher: Callable[[], ChatModel],
    end: Ending,
    idle_seconds: float | None = None,
) -> ASGIApp:
    """The ASGI application. `end` is called when someone asks to stop, or after `idle_seconds` without a request."""
    state = ServiceState(engine, catalogue, make_teacher)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watch = asyncio.create_task(_end_when_idle(state, idle_seconds, end)) if idle_seconds else None
        yield
        if watch:
            watch.cancel()
        engine.pool.clear()
        state.threads.shutdown(wait=False, cancel_futures=True)

    async def health(request: Request) -> JSONResponse:
        return _health(state, request)

    async def stop(_: Request) -> JSONResponse:
        asyncio.get_running_loop().call_later(0.05, end)
        return JSONResponse({"stopping": True})

    routes = [
        Route("/health", health),
        Route("/v1/models", _told(state, _models)),
        Route("/v1/embeddings", _told(state, _embeddings), methods=["POST"]),
        Route("/v1/chat/completions", _told(state, _chat), methods=["POST"]),
        Route("/search", _told(state, _search), methods=["POST"]),
        Route("/tokens", _told(state, _tokens), methods=["POST"]),
        Route("/stop", stop, methods=["POST"]),
    ]
    return _BearerOnly(Starlette(routes=routes, lifespan=lifespan), token)


def _health(state: ServiceState, request: Request) -> JSONResponse:
    facts: dict[str, Any] = {"status": "ok"}
    if "authorization" in request.headers:  # checked before we get here
        facts |= {"models": state.engine.pool.loaded(), "in_flight": state.in_flight, "idle_seconds": time.monotonic() - state.last_used}
    return JSONResponse(facts)


async def _models(state: ServiceState, _: Request) -> dict[str, Any]:
    names = await state.off_loop(state.catalogue.names)
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "tercet", "label": label} for name, label in names]}


async def _embeddings(state: ServiceState, request: Request) -> dict[str, Any]:
    call = await _body(request, EmbeddingsCall)
    texts = call.texts()
    vectors = await state.off_loop(lambda: state.engine.embed(call.model, texts, call.role, call.task))
    if call.dimensions not in (None, vectors.shape[1]):
        raise BadInput(f"{call.model} gives {vectors.shape[1]} dimensions, not {call.dimensions}.", hint="Leave `dimensions` out.")
    data = [{"object": "embedding", "index": i, "embedding": _written(row, call.encoding_format)} for i, row in enumerate(vectors)]
    read = await state.off_loop(lambda: state.engine.count_tokens(call.model, texts, call.role, call.task))
    return {"object": "list", "data": data, "model": call.model, "usage": {"prompt_tokens": read, "total_tokens": read}}


async def _chat(state: ServiceState, request: Request) -> dict[str, Any]:
    call = await _body(request, ChatCall)
    reply = await state.reply(call.request())
    message = {"role": "assistant", "content": reply.text}
    used = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
    return {
        "id": reply.request_id or f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}],
        "usage": {**used, "total_tokens": sum(n for n in used.values() if n)},
    }


async def _search(state: ServiceState, request: Request) -> dict[str, Any]:
    call = await _body(request, SearchCall)

    def search_all() -> dict[str, Any]:
        return {
            system: ranking_body(
                state.engine.search(call.corpus_id, system, call.query, task=call.task, k=call.k, ask_ranks_of=call.ask_ranks_of)
            )
            for system in call.systems
        }

    return {"rankings": await state.off_loop(search_all)}


async def _tokens(state: ServiceState, request: Request) -> dict[str, Any]:
    call = await _body(request, TokensCall)
    return {"tokens": await state.off_loop(lambda: state.engine.tokens(call.model, call.text, call.role, call.task))}


def _told(state: ServiceState, answer: Answer) -> Callable[[Request], Awaitable[JSONResponse]]:
    """An endpoint whose errors become JSON with a fitting status, and whose use keeps the service awake."""

    async def endpoint(request: Request) -> JSONResponse:
        state.in_flight += 1
        try:
            return JSONResponse(await answer(state, request))
        except WorkbenchError as error:
            return JSONResponse(error_body(error), status_of(error))
        except Exception as error:
            LOG.exception("request failed")
            told = f"The model service failed: {type(error).__name__}: {error}."
            named = ServiceUnavailable(told, hint="See service.log in the workspace.")
            return JSONResponse(error_body(named), 500)
        finally:
            state.in_flight -= 1
            state.last_used = time.monotonic()

    return endpoint


async def _body(request: Request, kind: Any) -> Any:
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadInput(f"The request cannot be used: {where}: {first['msg']}.", hint="Correct that field and send it again.") from error


def _written(row: Any, encoding_format: str) -> Any:
    return base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode() if encoding_format == "base64" else [float(x) for x in row]


async def _end_when_idle(state: ServiceState, idle_seconds: float, end: Ending) -> None:
    while state.in_flight or time.monotonic() - state.last_used < idle_seconds:
        await asyncio.sleep(min(IDLE_CHECK_SECONDS, idle_seconds / 4))
    end()


class _BearerOnly:
    """Lets requests with our token through, and /health without any; compared in constant time."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization")
            open_to_all = scope["path"] == "/health" and given is None
            if not open_to_all and not hmac.compare_digest(given or b"", self._expected):
                await _refuse(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Callable[[Message], Awaitable[None]]) -> None:
    facts = {"code": "unauthorised", "type": "unauthorised", "message": "The token is missing or wrong."}
    body = {"error": {**facts, "hint": "Send `Authorization: Bearer …` with the token of service.json in the workspace."}}
    await JSONResponse(body, 401, headers={"WWW-Authenticate": "Bearer"})(scope, receive, send)
