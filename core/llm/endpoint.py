"""One OpenAI-compatible endpoint as a ChatModel: its pace, its throttle, its dialect and our retries around one HTTP call."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from core.domain.chat import ChatReply, ChatRequest, Toll
from core.llm.complaints import Complaints, said_in
from core.llm.completions import NotACompletion, read_completion
from core.llm.dialect import Dialect
from core.llm.pace import Pace, RateLimits
from core.llm.retry import LONGEST_WAIT_SECONDS, Gate, RetryPolicy, Trouble, with_retries
from core.llm.throttle import Throttle
from core.llm.wire import Answer, Wire, WireError, may_have_arrived

KEPT_HEADERS = ("x-request-id", "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "openai-processing-ms")
INVALID_FORMAT = re.compile(r"(?s)(?=.*response_format).*(?:validation|should be|invalid|support)", re.IGNORECASE)
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
        self._complaints = Complaints(base_url, model, key_name=key_name, key=key)
        secret = key.get_secret_value() if key else None
        self._wire = Wire(base_url, secret, timeout_seconds=timeout_seconds, connections=habits.in_flight + 1)

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

    @property
    def flows(self) -> bool:
        """Whether nothing holds requests back: no limit, no pause that was asked for, no overload."""
        return self._first_is_over and self._throttle.full and not self._gate.closed and not self.pace.holds

    async def models(self) -> list[str]:
        """Names of the models the endpoint offers.

        Raises:
            EndpointError: see `reply`.
        """

        async def attempt() -> list[str]:
            try:
                answer = await self._wire.get("/models")
            except WireError as error:
                raise self._silence(error) from error
            if answer.status >= 400:
                raise self._refusal(answer)
            try:
                return sorted(str(entry["id"]) for entry in json.loads(answer.text)["data"])
            except (ValueError, KeyError, TypeError) as error:
                raise self._complaints.not_the_protocol(answer.text) from error

        return await with_retries(attempt, RetryPolicy(attempts=1, attempts_when_limited=1), self._gate)

    async def close(self) -> None:
        """Give the connections back."""
        await self._wire.close()

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
                await self._keep(used)
                return reply

    async def _once(self, body: dict[str, Any], tokens: int, toll: Toll) -> ChatReply:
        await self.pace.take(tokens)
        await self._gate.passed()
        await toll.before()
        sent_at = time.monotonic()
        try:
            answer = await self._wire.post("/chat/completions", body)
        except WireError as error:
            raise await self._noted(self._silence(error), toll, sent_at) from error
        self._look_at_limits(answer.headers)
        if answer.status >= 400:
            trouble = await self._noted(self._refusal(answer), toll, sent_at)
            # 400 and 422 speak of the request; llama-cpp-python says 500 where it does not know a response format
            if answer.status in (400, 422) or (answer.status == 500 and INVALID_FORMAT.search(answer.text)):
                raise _Refused(said_in(answer.text), trouble)
            raise trouble
        try:
            reply = self._read(answer.text, answer.headers, time.monotonic() - sent_at)
        except Trouble as trouble:  # an answer that is no reply
            raise await self._noted(trouble, toll, sent_at) from None
        self._correct_pace(tokens, reply)
        return reply

    def _silence(self, error: BaseException) -> Trouble:
        return self._complaints.of_silence(error, late=isinstance(error, TimeoutError), arrived=may_have_arrived(error))

    def _refusal(self, answer: Answer) -> Trouble:
        return self._complaints.of_answer(answer.status, answer.text, answer.headers.get("retry-after"))

    async def _noted(self, trouble: Trouble, toll: Toll, sent_at: float) -> Trouble:
        if trouble.overload:
            self._throttle.overloaded(sent_at)
        await toll.failed(maybe_billed=trouble.maybe_billed)
        return trouble

    def _look_at_limits(self, headers: Mapping[str, str]) -> None:
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

    async def _keep(self, used: Dialect) -> None:
        """A dialect is kept when a request in it was answered, not when another was refused."""
        self.dialect = self.dialect.narrowed(used)  # requests in flight together may have learned different things
        if self.dialect != self._known:
            self._known = self.dialect
            if self._learned:
                await asyncio.to_thread(self._learned, self.dialect)  # it writes to a disk

    def _read(self, raw: str, headers: Mapping[str, str], seconds: float) -> ChatReply:
        kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
        try:
            body = json.loads(raw)
            return read_completion(body, raw, model=self.name, request_id=headers.get("x-request-id"), seconds=seconds, headers=kept)
        except (ValueError, RecursionError, NotACompletion):
            raise self._complaints.not_the_protocol(raw) from None


class _Refused(Exception):
    """A request was called bad; a simpler one may not be."""

    def __init__(self, complaint: str, trouble: Trouble) -> None:
        super().__init__(complaint)
        self.complaint = complaint
        self.trouble = trouble
