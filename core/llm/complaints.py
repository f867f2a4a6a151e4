"""What went wrong at an endpoint, in our words: foreign errors become ours here, without the key."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr

from core.errors import EndpointError, EndpointRejected, EndpointUnreachable, NotTheProtocol, RateLimited
from core.llm.retry import OVERLOAD_STATUS, PASSING_STATUS, Trouble, seconds_asked

ANSWER_LOST_STATUS = frozenset((408, 502, 504))  # somebody between us gave up waiting: the model may have answered
SHOWN_CHARACTERS = 300


class Complaints:
    """Names the trouble with one model at one endpoint."""

    def __init__(self, base_url: str, model: str, *, key_name: str, key: SecretStr | None) -> None:
        self._base_url = base_url
        self._model = model
        self._key_name = key_name if key else ""
        self._key = key.get_secret_value() if key else ""

    def of_silence(self, error: BaseException, *, late: bool, arrived: bool) -> Trouble:
        """No answer came. `late`: time ran out; `arrived`: the endpoint may have worked on the request."""
        if late:
            return Trouble(self._unreachable("did not answer in time"), passing=True, at_most=2, overload=arrived, maybe_billed=arrived)
        what = self._unreachable(f"cannot be reached ({self._without_key(_root_cause(error))})")
        return Trouble(what, passing=True, at_most=3, maybe_billed=arrived)

    def of_answer(self, status: int, body: str, retry_after: str | None = None) -> Trouble:
        """What an HTTP status with a body means; the body is kept with the error."""
        told = self.of_status(status, said_in(body), retry_after)
        told.error.body = self._without_key(body)
        return told

    def of_status(self, status: int, text: str, retry_after: str | None = None) -> Trouble:
        """What an HTTP status with the server's words means."""
        said, wait = self._without_key(text)[:SHOWN_CHARACTERS], seconds_asked(retry_after)
        if status == 429:
            limited = RateLimited(
                f"{self._base_url} asks to slow down (429): {said}", hint="Lower the number in flight, or check the quota of the account."
            )
            return Trouble(limited, passing="insufficient_quota" not in said, wait_seconds=wait, overload=True)
        if status in PASSING_STATUS or status >= 500:
            return Trouble(
                self._unreachable(f"answered {status}: {said}"),
                passing=True,
                wait_seconds=wait,
                overload=status in OVERLOAD_STATUS,
                maybe_billed=status in ANSWER_LOST_STATUS,
            )
        return Trouble(self._rejected(status, said), passing=False)

    def not_the_protocol(self, body: str) -> Trouble:
        """A successful answer that is no reply. Some gateways put an error with its status there; then that counts."""
        error = _error_in(body)
        if error and isinstance(code := error.get("code"), int) and code >= 400:
            return self.of_status(code, str(error.get("message") or error))
        what = NotTheProtocol(
            f"{self._base_url} answered something that is not an OpenAI-compatible reply.",
            hint="Check the address on the Settings page; it usually ends in /v1.",
            body=self._without_key(body),
        )
        return Trouble(what, passing=False, maybe_billed=True)

    def _without_key(self, text: str) -> str:
        """Some servers repeat the key they refuse."""
        return text.replace(self._key, "(the key)") if self._key else text

    def _unreachable(self, what: str) -> EndpointUnreachable:
        return EndpointUnreachable(
            f"The endpoint {self._base_url} {what}.",
            hint="Check the address on the Settings page and that the server runs there, or choose the embedded teacher; then resume.",
        )

    def _rejected(self, status: int, said: str) -> EndpointError:
        if status in (401, 403):
            key = f"the key {self._key_name}" if self._key_name else "no key"
            return EndpointRejected(
                f"{self._base_url} refused {key} ({status}): {said}",
                hint="Give a valid key on the Settings page, or set the environment variable the endpoint names, then resume.",
            )
        if status == 404:
            return EndpointRejected(
                f"{self._base_url} does not know the model “{self._model}” or the address ({status}): {said}",
                hint="Test the connection on the Settings page: it lists the models. The address usually ends in /v1.",
            )
        return EndpointRejected(f"{self._base_url} refused the request ({status}): {said}", hint="Repeating it will not help; change it.")


def said_in(body: str) -> str:
    """The server's words in the body of a refusal, with the protocol's names for it; the body itself where it is not the protocol's."""
    error = _error_in(body)
    if error is None:
        return body
    said = str(error.get("message") or error)
    names = [name for name in (error.get("code"), error.get("type")) if isinstance(name, str) and name not in said]
    return f"{said} ({', '.join(dict.fromkeys(names))})" if names else said


def _error_in(body: str) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else None


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
