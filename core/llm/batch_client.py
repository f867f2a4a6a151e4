"""Files and batches of one OpenAI-compatible endpoint: requests sent as a file, answered within a day, at half the price.

Everything but the submission of a batch may be repeated without harm and is; whoever submits looks first (`find`), see `submit`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import openai
from openai import AsyncOpenAI
from pydantic import SecretStr

from core.domain.chat import ChatReply, ChatRequest
from core.errors import EndpointError, EndpointRejected
from core.llm.complaints import Complaints
from core.llm.completions import NotACompletion, read_completion
from core.llm.dialect import Dialect
from core.llm.retry import Gate, RetryPolicy, Trouble, with_retries

PATH = "/v1/chat/completions"
MOST_REQUESTS = 50_000  # of one batch
MOST_BYTES = 200_000_000  # of its file
LABEL = "tercet_batch"  # in a batch's metadata: our own id of it
PAGE = 100  # batches a listing brings at once
CLOCK_SECONDS = 3600  # the provider's clock and ours may differ by so much
FILE_SECONDS = 600.0  # an upload or a download may take
NO_KEY = "no-key-set"  # local servers need none, the client library insists on one
NEVER_ARRIVED = frozenset(("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"))
NO_BATCHES_STATUS = frozenset((404, 405, 501))
CHUNK_BYTES = 1 << 20
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class BatchNews:
    """What the provider tells of a batch."""

    provider_id: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    completed: int = 0
    failed: int = 0
    trouble: str = ""  # why all of it failed
    trouble_codes: frozenset[str] = frozenset()

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """One line of a batch's output: a reply, or what went wrong, or neither where the request was not worked on."""

    key: str
    raw: str
    reply: ChatReply | None = None
    trouble: Trouble | None = None


class Gone(Exception):
    """A file or batch that the provider had is not there any more."""


class CannotList(Exception):
    """The provider does not say which batches it has."""


class BatchClient:
    """Asks one endpoint. Make it inside the event loop that uses it, and close it there.

    `known_dialect` tells what the workspace knows of how this model wants to be asked, None while nobody has asked it.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key: SecretStr | None = None,
        key_name: str = "TERCET_API_KEY",
        timeout_seconds: float = 120.0,
        known_dialect: Callable[[], Dialect | None] = lambda: None,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.base_url = base_url
        self.known_dialect = known_dialect
        self._model = model
        self._policy = policy or RetryPolicy()
        self._gate = Gate()
        secret = key.get_secret_value() if key else NO_KEY
        self._complaints = Complaints(base_url, model, key_name=key_name, key=key)
        self._client = AsyncOpenAI(api_key=secret, base_url=base_url, max_retries=0, timeout=timeout_seconds)

    def line(self, key: str, request: ChatRequest, dialect: Dialect) -> bytes:
        """The request as a line of a batch's file; its key comes back with the answer."""
        body = dialect.body(self._model, request)
        entry = {"custom_id": key, "method": "POST", "url": PATH, "body": body}
        return json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    async def upload(self, path: Path) -> str:
        """Hand a file in; returns the provider's id of it. One that is handed in twice costs nothing and does nothing.

        Raises:
            EndpointError: refused, or unreachable after retries.
        """

        async def attempt() -> str:
            answer = await self._client.files.with_raw_response.create(file=path, purpose="batch", timeout=FILE_SECONDS)
            return str(_object(answer.text)["id"])

        return await self._kept_trying(attempt)

    async def submit(self, file_id: str, label: str) -> BatchNews:
        """Make a batch of an uploaded file. Tried once: look for it with `find` before trying again.

        Raises:
            Trouble: with `passing` where a batch may have been made although no answer came.
            Gone: the provider has no such file any more; nothing was made.
        """
        body = {"input_file_id": file_id, "endpoint": PATH, "completion_window": "24h", "metadata": {LABEL: label}}
        try:
            answer = await self._client.post("/batches", cast_to=httpx2.Response, body=body)
            return _news(_object(answer.text))
        except openai.APIError as error:
            raise self._named(error, about=file_id, submitting=True) from error
        except (ValueError, KeyError, TypeError) as error:
            raise self._complaints.not_the_protocol("") from error

    async def find(self, label: str, file_id: str, since: float) -> BatchNews | None:
        """The batch that was made under our label or of this file; None where the provider lists none.

        Args:
            label: As it was submitted with.
            file_id: Of its requests, for providers that drop metadata.
            since: Seconds since the epoch; older batches are not looked at.

        Raises:
            CannotList: the provider does not say which batches it has.
            EndpointError: unreachable after retries, or refused.
        """
        after: str | None = None
        while True:
            page = await self._batches_after(after)
            for entry in page:
                if (entry.get("metadata") or {}).get(LABEL) == label or entry.get("input_file_id") == file_id:
                    return _news(entry)
            oldest = page[-1] if page else {}
            if len(page) < PAGE or float(oldest.get("created_at") or 0) < since - CLOCK_SECONDS or oldest.get("id") == after:
                return None
            after = str(oldest["id"])

    async def look(self, provider_id: str) -> BatchNews:
        """A batch as it stands.

        Raises:
            Gone: there is no such batch any more.
            EndpointError: unreachable after retries, or refused.
        """

        async def attempt() -> BatchNews:
            return _news(_object((await self._client.get(f"/batches/{provider_id}", cast_to=httpx2.Response)).text))

        return await self._kept_trying(attempt, about=provider_id)

    async def cancel(self, provider_id: str) -> None:
        """Ask the provider to stop; what it answered so far is kept and paid. One that is over already is left as it is.

        Raises:
            Gone: there is no such batch any more.
            EndpointError: unreachable after retries, or refused.
        """

        async def attempt() -> None:
            try:
                await self._client.post(f"/batches/{provider_id}/cancel", cast_to=httpx2.Response)
            except openai.ConflictError:
                return

        await self._kept_trying(attempt, about=provider_id)

    async def download(self, file_id: str, path: Path) -> None:
        """Write a file of the provider's to `path`.

        Raises:
            Gone: it is not kept any more.
            EndpointError: unreachable after retries, or refused.
        """

        async def attempt() -> None:
            async with self._client.files.with_streaming_response.content(file_id, timeout=FILE_SECONDS) as answer:
                with path.open("wb") as file:
                    async for chunk in answer.iter_bytes(CHUNK_BYTES):
                        file.write(chunk)

        await self._kept_trying(attempt, about=file_id)

    def read(self, line: str) -> BatchAnswer | None:
        """One line of an output or error file; None where it names no request."""
        try:
            entry = _object(line)
            key = str(entry["custom_id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        response, error = entry.get("response"), entry.get("error")
        if isinstance(response, dict):
            return self._read_response(key, line, response)
        code = str(error.get("code")) if isinstance(error, dict) else ""
        if code in ("batch_expired", "batch_cancelled") or not isinstance(error, dict):
            return BatchAnswer(key, line)
        refused = EndpointRejected(f"{self.base_url} did not answer ({code}): {error.get('message')}", hint="Repeating it will not help.")
        return BatchAnswer(key, line, trouble=Trouble(refused, passing=False))

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    def _read_response(self, key: str, line: str, response: Mapping[str, Any]) -> BatchAnswer:
        status, body = response.get("status_code"), response.get("body")
        said = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        if isinstance(status, int) and status >= 400:
            return BatchAnswer(key, line, trouble=self._complaints.of_answer(status, said))
        request_id = response.get("request_id")
        try:
            reply = read_completion(body, line, model=self._model, request_id=request_id if isinstance(request_id, str) else None)
        except NotACompletion:
            return BatchAnswer(key, line, trouble=self._complaints.not_the_protocol(said))
        return BatchAnswer(key, line, reply)

    async def _batches_after(self, after: str | None) -> list[dict[str, Any]]:
        async def attempt() -> list[dict[str, Any]]:
            asked = {"limit": PAGE} | ({"after": after} if after else {})
            try:
                page = _object((await self._client.get("/batches", cast_to=httpx2.Response, options={"params": asked})).text)["data"]
                return [entry for entry in page if isinstance(entry, dict)]
            except openai.APIStatusError as error:
                if error.status_code not in NO_BATCHES_STATUS:
                    raise
                raise CannotList(f"it answered {error.status_code}") from error
            except (ValueError, KeyError, TypeError) as error:
                raise CannotList("its list cannot be read") from error

        return await self._kept_trying(attempt)

    async def _kept_trying(self, attempt: Callable[[], Awaitable[Found]], *, about: str = "") -> Found:
        async def one() -> Found:
            try:
                return await attempt()
            except openai.APIError as error:
                raise self._named(error, about=about) from error
            except httpx2.HTTPError as error:  # a download that broke off
                raise self._trouble_of(openai.APIConnectionError(request=error.request)) from error
            except (ValueError, KeyError, TypeError) as error:
                raise self._complaints.not_the_protocol("") from error

        return await with_retries(one, self._policy, self._gate)

    def _trouble_of(self, error: openai.APIError) -> Trouble:
        """What an exception of the client library means."""
        if isinstance(error, openai.APIConnectionError):
            arrived = type(error.__cause__).__name__ not in NEVER_ARRIVED
            return self._complaints.of_silence(error, late=isinstance(error, openai.APITimeoutError), arrived=arrived)
        if isinstance(error, openai.APIStatusError):
            return self._complaints.of_answer(error.status_code, error.response.text, error.response.headers.get("retry-after"))
        return self._complaints.not_the_protocol("")

    def _named(self, error: openai.APIError, *, about: str, submitting: bool = False) -> Exception:
        """What went wrong; `about` is the id of the thing that was asked for, empty where the endpoint itself was."""
        if not isinstance(error, openai.APIStatusError) or error.status_code not in NO_BATCHES_STATUS:
            return self._trouble_of(error)
        # The words of the provider, not of something between us that lost its way: the id, or at least the protocol's kind of error.
        if (
            error.status_code == 404
            and about
            and (about in str(error.body or error.message) or (isinstance(error.body, dict) and not submitting))
        ):
            return Gone(about)
        return Trouble(no_batches(self.base_url, error.status_code), passing=False)


def no_batches(base_url: str, status: int) -> EndpointError:
    """The endpoint serves no batches."""
    return EndpointRejected(
        f"{base_url} has no batches (it answered {status}).",
        hint="Run without --batch (without `batch` in the plan): the same requests then go out one by one, at the full price.",
    )


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _news(entry: Mapping[str, Any]) -> BatchNews:
    counts, errors = entry.get("request_counts") or {}, entry.get("errors") or {}
    told = [error for error in errors.get("data") or [] if isinstance(error, dict)]
    first = told[0] if told else {}
    place = f" (line {first['line']})" if first.get("line") else ""
    return BatchNews(
        provider_id=str(entry["id"]),
        status=str(entry["status"]),
        output_file_id=entry.get("output_file_id"),
        error_file_id=entry.get("error_file_id"),
        completed=int(counts.get("completed") or 0),
        failed=int(counts.get("failed") or 0),
        trouble=f"{first.get('message') or first.get('code')}{place}" if first else "",
        trouble_codes=frozenset(str(error.get("code")) for error in told),
    )
