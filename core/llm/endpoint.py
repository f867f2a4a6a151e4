"""One OpenAI-compatible endpoint as a ChatModel."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
from openai import AsyncOpenAI
from pydantic import SecretStr

from core.domain.chat import ChatReply, ChatRequest
from core.errors import EndpointError, EndpointRejected, EndpointUnreachable, RateLimited
from core.llm.dialect import Dialect
from core.llm.retry import PASSING_STATUS, Gate, RetryPolicy, Trouble, seconds_asked, with_retries

NO_KEY = "no-key-set"  # local servers need none, the client library insists on one
KEPT_HEADERS = ("x-request-id", "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "openai-processing-ms")


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
        policy: RetryPolicy | None = None,
    ) -> None:
        self.base_url = base_url
        self.name = model
        self.dialect = Dialect()  # learned from refusals
        self._key_name = key_name if key else ""
        self._policy = policy or RetryPolicy()
        self._gate = Gate()
        secret = key.get_secret_value() if key else NO_KEY
        # Retries are ours (core.llm.retry): the library's own would hide attempts that may be billed.
        self._client = AsyncOpenAI(api_key=secret, base_url=base_url, max_retries=0, timeout=timeout_seconds)

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Answer one request; the raw body is kept whole.

        Raises:
            EndpointUnreachable: refused, timed out or unknown name, after retries.
            RateLimited: still told to slow down after retries.
            EndpointRejected: bad key, unknown model or bad request; repeating cannot help.
        """
        started = time.perf_counter()

        async def attempt() -> ChatReply:
            return await self._once(request, started)

        return await with_retries(attempt, self._policy, self._gate)

    async def models(self) -> list[str]:
        """Names of the models the endpoint offers.

        Raises:
            EndpointError: see `reply`.
        """

        async def attempt() -> list[str]:
            try:
                answer = await self._client.models.with_raw_response.list()
                return sorted(str(entry["id"]) for entry in json.loads(answer.text)["data"])
            except openai.APIError as error:
                raise self._trouble(error) from error
            except (ValueError, KeyError, TypeError) as error:
                raise Trouble(self._not_the_protocol(), passing=False) from error

        return await with_retries(attempt, RetryPolicy(attempts=1), self._gate)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def _once(self, request: ChatRequest, started: float) -> ChatReply:
        while True:
            used = self.dialect
            try:
                answer = await self._client.chat.completions.with_raw_response.create(**used.body(self.name, request))
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                simpler = used.after_refusal(_body_text(error), request)
                if simpler is None:
                    raise self._trouble(error) from error
                self.dialect = simpler  # remembered: the next request does not pay for this lesson again
                continue
            except openai.APIError as error:
                raise self._trouble(error) from error
            return self._read(answer.text, dict(answer.headers), time.perf_counter() - started)

    def _read(self, raw: str, headers: dict[str, str], seconds: float) -> ChatReply:
        try:
            body: dict[str, Any] = json.loads(raw)
            choice = body["choices"][0]
            message = choice["message"]
            text, refusal = message.get("content") or "", message.get("refusal")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise Trouble(self._not_the_protocol(), passing=False) from error
        usage = body.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        text = _whole_characters(text if isinstance(text, str) else json.dumps(text, ensure_ascii=False))
        return ChatReply(
            text=text,
            finish_reason="refusal" if refusal and not text else str(choice.get("finish_reason") or "stop"),
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            seconds=round(seconds, 3),
            model=str(body.get("model") or self.name),
            request_id=headers.get("x-request-id") or body.get("id"),
            raw=raw,
            headers={name: headers[name] for name in KEPT_HEADERS if name in headers},
        )

    def _trouble(self, error: openai.APIError) -> Trouble:
        if isinstance(error, openai.APITimeoutError):
            return Trouble(self._unreachable("did not answer in time"), passing=True, at_most=2)
        if isinstance(error, openai.APIConnectionError):
            return Trouble(self._unreachable(f"cannot be reached ({self._without_key(_root_cause(error))})"), passing=True, at_most=3)
        if not isinstance(error, openai.APIStatusError):
            return Trouble(self._not_the_protocol(), passing=False)
        status, said = error.status_code, self._without_key(_body_text(error))[:300]
        if status == 429:
            limited = RateLimited(
                f"{self.base_url} asks to slow down (429): {said}", hint="Lower the number in flight, or check the quota of the account."
            )
            exhausted = "insufficient_quota" in said
            return Trouble(limited, passing=not exhausted, wait_seconds=seconds_asked(error.response.headers.get("retry-after")))
        if status in PASSING_STATUS or status >= 500:
            wait = seconds_asked(error.response.headers.get("retry-after"))
            return Trouble(self._unreachable(f"answered {status}: {said}"), passing=True, wait_seconds=wait)
        return Trouble(self._rejected(status, said), passing=False)

    def _without_key(self, text: str) -> str:
        """Some servers repeat the key they refuse."""
        return text.replace(self._client.api_key, "(the key)")

    def _unreachable(self, what: str) -> EndpointUnreachable:
        return EndpointUnreachable(
            f"The endpoint {self.base_url} {what}.",
            hint="Check the address on the Settings page and that the server runs there, or choose the embedded teacher; then resume.",
        )

    def _rejected(self, status: int, said: str) -> EndpointError:
        if status in (401, 403):
            key = f"the key {self._key_name}" if self._key_name else "no key"
            return EndpointRejected(
                f"{self.base_url} refused {key} ({status}): {said}",
                hint="Give a valid key on the Settings page, or set the environment variable the endpoint names, then resume.",
            )
        if status == 404:
            return EndpointRejected(
                f"{self.base_url} does not know the model “{self.name}” or the address ({status}): {said}",
                hint="Test the connection on the Settings page: it lists the models. The address usually ends in /v1.",
            )
        return EndpointRejected(f"{self.base_url} refused the request ({status}): {said}", hint="Repeating it will not help; change it.")

    def _not_the_protocol(self) -> EndpointRejected:
        return EndpointRejected(
            f"{self.base_url} answered something that is not an OpenAI-compatible reply.",
            hint="Check the address on the Settings page; it usually ends in /v1.",
        )


def _whole_characters(text: str) -> str:
    """The text with halves of characters, which a broken JSON escape leaves and no database holds, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _body_text(error: openai.APIStatusError) -> str:
    """What the server said."""
    body = error.body
    if isinstance(body, dict):
        return str(body.get("message") or body)
    return str(body or error.message)


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
