"""One OpenAI-compatible endpoint as a ChatModel: its pace, its throttle, its dialect and our retries around one HTTP call."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from math import ceil
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from pydantic import SecretStr

from core.domain.chat import ChatReply, ChatRequest, Toll
from core.llm.complaints import Complaints, body_text
from core.llm.completions import read_completion
from core.llm.dialect import Dialect
from core.llm.pace import Pace, RateLimits
from core.llm.retry import LONGEST_WAIT_SECONDS, Gate, RetryPolicy, Trouble, with_retries
from core.llm.throttle import Throttle

NO_KEY = "no-key-set"  # local servers need none, the client library insists on one
KEPT_HEADERS = ("x-request-id", "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "openai-processing-ms")
CONNECTIONS_A_POOL, MOST_POOLS = 12, 32
CHARACTERS_A_TOKEN = 4.0  # of English; only to keep the pace until the reply tells


class NoToll:
    """Every attempt is free: for trials and tests of a connection."""

    async def before(self) -> None:
        """Let it leave."""

    async def failed(self, *, maybe_billed: bool) -> None:
        """Count nothing."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How an endpoint is to be asked. `dialect` is what an earlier run found out, `learned` is told what this one finds out."""

    in_flight: int = 8
    limits: RateLimits = field(default_factory=RateLimits)
    dialect: Dialect | None = None
    learned: Callable[[Dialect], None] | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)


class EndpointModel:
    """Asks one model at one base URL. Make it inside the event loop that uses it, and close it there."""

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key: SecretStr | None = None,
        key_name: str = "TERCET_API_KEY",
        timeout_seconds: float = 120.0,
        habits: Habits | None = None,
    ) -> None:
        self.base_url = base_url
        self.name = model
        habits = habits or Habits()
        self.dialect = habits.dialect or Dialect()  # corrected by refusals
        self.pace = Pace(habits.limits)
        self._known = habits.dialect  # what is kept already
        self._learned = habits.learned
        self._policy = habits.policy
        self._throttle = Throttle(habits.in_flight)
        self._gate = Gate()
        self._first = asyncio.Lock()
        self._first_is_over = habits.dialect is not None
        self._usual_reply_tokens: float | None = None
        secret = key.get_secret_value() if key else NO_KEY
        self._complaints = Complaints(base_url, model, key_name=key_name if key else "", key=secret)
        # Retries are ours (core.llm.retry): the library's own would hide attempts that may be billed.
        # Several pools of connections: a pool looks at each of its connections for each request, a third of the time a request takes.
        certificates = httpx2.create_ssl_context()
        self._clients = [
            AsyncOpenAI(
                api_key=secret,
                base_url=base_url,
                max_retries=0,
                timeout=timeout_seconds,
                http_client=DefaultAsyncHttpxClient(verify=certificates),
            )
            for _ in range(min(MOST_POOLS, ceil(habits.in_flight / CONNECTIONS_A_POOL)))
        ]
        self._next_client = cycle(self._clients)

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Answer one request; the raw body is kept whole.

        Raises:
            EndpointUnreachable: refused, timed out or unknown name, after retries.
            RateLimited: still told to slow down after retries.
            EndpointRejected: bad key, unknown model or bad request; repeating cannot help.
            NotTheProtocol: no reply of the protocol; the error holds its body.
        """
        return await self.reply_for(request, NoToll())

    async def reply_for(self, request: ChatRequest, toll: Toll) -> ChatReply:
        """Answer one request, asking before every attempt.

        Raises:
            EndpointError: see `reply`.
            WorkbenchError: what the toll raised.
        """

        async def attempt() -> ChatReply:
            if not self._first_is_over:
                async with self._first:  # of an endpoint nobody asked before, one request finds out the dialect for all
                    if not self._first_is_over:
                        try:
                            return await self._in_turn(request, toll)
                        finally:
                            self._first_is_over = True
            return await self._in_turn(request, toll)

        return await with_retries(attempt, self._policy, self._gate)

    async def models(self) -> list[str]:
        """Names of the models the endpoint offers.

        Raises:
            EndpointError: see `reply`.
        """

        async def attempt() -> list[str]:
            raw = ""
            try:
                raw = (await self._clients[0].models.with_raw_response.list()).text
                return sorted(str(entry["id"]) for entry in json.loads(raw)["data"])
            except openai.APIError as error:
                raise self._complaints.of(error) from error
            except (ValueError, KeyError, TypeError) as error:
                raise self._complaints.not_the_protocol(raw) from error

        return await with_retries(attempt, RetryPolicy(attempts=1, attempts_when_limited=1), self._gate)

    async def close(self) -> None:
        """Give the connections back."""
        for client in self._clients:
            await client.close()

    async def _in_turn(self, request: ChatRequest, toll: Toll) -> ChatReply:
        """One attempt, and one more for each simplification of the dialect it needs."""
        used = self.dialect
        async with self._throttle.slot():
            while True:
                try:
                    reply = await self._once(used.body(self.name, request), self._tokens_expected(request), toll)
                except _Refused as refused:
                    simpler = used.after_refusal(refused.complaint, request)
                    if simpler is None:
                        raise refused.trouble from None
                    used = simpler
                    continue
                self._throttle.worked()
                self._keep(used)
                return reply

    async def _once(self, body: dict[str, Any], tokens: int, toll: Toll) -> ChatReply:
        await self.pace.take(tokens)
        await self._gate.passed()
        await toll.before()
        sent_at = time.monotonic()
        try:
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
            # Past the library's typed methods: they look at every field of every request, a quarter of the time a request takes us.
            answer = await next(self._next_client).post("/chat/completions", cast_to=httpx2.Response, content=content)
            self._look_at_limits(answer.headers)
            reply = self._read(answer.text, answer.headers, time.monotonic() - sent_at)
        except Trouble as trouble:  # an answer that is no reply
            raise await self._noted(trouble, toll, sent_at) from None
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            raise _Refused(body_text(error), await self._noted(self._complaints.of(error), toll, sent_at)) from error
        except openai.APIError as error:
            if isinstance(error, openai.APIStatusError):
                self._look_at_limits(error.response.headers)
            raise await self._noted(self._complaints.of(error), toll, sent_at) from error
        self._correct_pace(tokens, reply)
        return reply

    async def _noted(self, trouble: Trouble, toll: Toll, sent_at: float) -> Trouble:
        if trouble.overload:
            self._throttle.overloaded(sent_at)
        await toll.failed(maybe_billed=trouble.maybe_billed)
        return trouble

    def _look_at_limits(self, headers: httpx2.Headers) -> None:
        seconds = self.pace.learn(headers)
        if 0 < seconds <= LONGEST_WAIT_SECONDS:
            self._gate.close_for(seconds)

    def _tokens_expected(self, request: ChatRequest) -> int:
        prompt = sum(len(message["content"]) for message in request.messages) / CHARACTERS_A_TOKEN
        return round(prompt + (request.max_tokens if self._usual_reply_tokens is None else self._usual_reply_tokens))

    def _correct_pace(self, tokens: int, reply: ChatReply) -> None:
        if reply.prompt_tokens is not None and reply.completion_tokens is not None:
            self.pace.correct(tokens, reply.prompt_tokens + reply.completion_tokens)
            usual = self._usual_reply_tokens
            self._usual_reply_tokens = reply.completion_tokens if usual is None else 0.9 * usual + 0.1 * reply.completion_tokens

    def _keep(self, used: Dialect) -> None:
        """A dialect is kept when a request in it was answered, not when another was refused."""
        self.dialect = self.dialect.narrowed(used)  # requests in flight together may have learned different things
        if self.dialect != self._known:
            self._known = self.dialect
            if self._learned:
                self._learned(self.dialect)

    def _read(self, raw: str, headers: httpx2.Headers, seconds: float) -> ChatReply:
        kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
        try:
            body = json.loads(raw)
            return read_completion(body, raw, model=self.name, request_id=headers.get("x-request-id"), seconds=seconds, headers=kept)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            raise self._complaints.not_the_protocol(raw) from None


class _Refused(Exception):
    """A request was called bad; a simpler one may not be."""

    def __init__(self, complaint: str, trouble: Trouble) -> None:
        super().__init__(complaint)
        self.complaint = complaint
        self.trouble = trouble
