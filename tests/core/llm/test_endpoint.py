from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest
from pydantic import SecretStr

from core.domain.chat import ChatReply, ChatRequest
from core.errors import EndpointRejected, EndpointUnreachable, NotTheProtocol, RateLimited
from core.llm.dialect import Dialect, JsonMode
from core.llm.endpoint import EndpointModel, Habits
from core.llm.retry import RetryPolicy
from tests.core.llm.loopback import HANG_UP, Answer, closed_port_url, completion, serving

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
QUICK = RetryPolicy(attempts=4, attempts_when_limited=4, first_wait_seconds=0.01)
ASK = ChatRequest(({"role": "user", "content": "hello"},), SCHEMA, seed=5)


def ask(url: str, *requests: ChatRequest, key: str | None = None) -> list[ChatReply]:
    async def run() -> list[ChatReply]:
        model = EndpointModel(url, "some-model", key=SecretStr(key) if key else None, key_name="SOME_KEY", habits=Habits(policy=QUICK))
        try:
            return [await model.reply(request) for request in requests or (ASK,)]
        finally:
            await model.close()

    return asyncio.run(run())


def test_a_reply_keeps_its_raw_body_usage_and_request_id():
    with serving(lambda body, n: completion('{"a": "1"}')) as server:
        [reply] = ask(server.url, key="secret-key-1")
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens, reply.request_id) == ('{"a": "1"}', 11, 7, "req-1")
    assert '"chatcmpl-1"' in reply.raw
    assert server.keys == ["Bearer secret-key-1"]
    sent = server.bodies[0]
    assert (sent["model"], sent["max_tokens"], sent["seed"], sent["temperature"]) == ("some-model", 2048, 5, 1.0)
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA


def test_429_waits_as_long_as_the_endpoint_asks_and_tries_again():
    def answer(body, n):
        return Answer(429, {"error": {"message": "slow down"}}, {"retry-after": "0.3"}) if n == 0 else completion("{}")

    with serving(answer) as server:
        started = time.monotonic()
        ask(server.url)
        waited = time.monotonic() - started
    assert len(server.bodies) == 2
    assert waited >= 0.3


def test_429_for_an_empty_account_is_not_repeated():
    empty = Answer(429, {"error": {"message": "You have used it up.", "type": "insufficient_quota", "code": "insufficient_quota"}})
    with serving(lambda body, n: empty) as server, pytest.raises(RateLimited):
        ask(server.url)
    assert len(server.bodies) == 1


def test_5xx_is_repeated_until_the_attempts_are_used_up():
    with serving(lambda body, n: Answer(503, {"error": {"message": "busy"}})) as server, pytest.raises(EndpointUnreachable, match="503"):
        ask(server.url)
    assert len(server.bodies) == 4


def test_a_bad_key_is_not_repeated_and_not_shown():
    def answer(body, n):
        return Answer(401, {"error": {"message": "Incorrect API key: secret-key-1"}})

    with serving(answer) as server, pytest.raises(EndpointRejected) as caught:
        ask(server.url, key="secret-key-1")
    assert len(server.bodies) == 1
    assert "SOME_KEY" in caught.value.message
    assert "Settings" in caught.value.hint
    assert "secret-key-1" not in str(caught.value)


def test_a_closed_port_is_unreachable_and_says_where_and_what_to_do():
    url = closed_port_url()
    with pytest.raises(EndpointUnreachable) as caught:
        ask(url)
    assert url in caught.value.message
    assert "Settings" in caught.value.hint


def test_json_schema_falls_back_step_by_step_and_the_lesson_is_kept():
    def answer(body, n):
        kind = body.get("response_format", {}).get("type")
        return Answer(400, {"error": {"message": f"response_format {kind} is not supported"}}) if kind else completion("{}")

    with serving(answer) as server:
        ask(server.url, ASK, ASK)
    kinds = [body.get("response_format", {}).get("type") for body in server.bodies]
    assert kinds == ["json_schema", "json_object", None, None]  # the second request asks in the simplest way at once


def test_max_tokens_seed_and_temperature_are_left_out_where_they_are_refused():
    def answer(body, n):
        if "max_tokens" in body:
            return Answer(400, {"error": {"message": "Unsupported parameter: use 'max_completion_tokens' instead"}})
        if "seed" in body:
            return Answer(400, {"error": {"message": "unknown field seed"}})
        if "temperature" in body:
            return Answer(400, {"error": {"message": "temperature must be 1"}})
        return completion("{}")

    with serving(answer) as server:
        ask(server.url)
    last = server.bodies[-1]
    assert last["max_completion_tokens"] == 2048
    assert not {"max_tokens", "seed", "temperature", "top_p"} & last.keys()


def test_a_bad_request_about_something_else_is_rejected_at_once():
    forbidden = Answer(400, {"error": {"message": "the content policy forbids this"}})
    with serving(lambda body, n: forbidden) as server, pytest.raises(EndpointRejected, match="content policy"):
        ask(server.url)
    assert len(server.bodies) == 1


def test_a_web_page_is_not_taken_for_a_reply():
    page = Answer(200, "<html>welcome</html>", {"content-type": "text/html"})
    with serving(lambda body, n: page) as server, pytest.raises(EndpointRejected, match="not an OpenAI-compatible reply"):
        ask(server.url)


def test_the_models_of_an_endpoint_are_listed():
    async def run(url: str) -> list[str]:
        model = EndpointModel(url, "x")
        try:
            return await model.models()
        finally:
            await model.close()

    with serving(lambda body, n: completion("{}")) as server:
        assert asyncio.run(run(server.url)) == ["another", "loopback"]


class CountingToll:
    """Counts attempts, and how many of those that failed were maybe billed."""

    def __init__(self) -> None:
        self.attempts = 0
        self.failed_ones: list[bool] = []

    async def before(self) -> None:
        self.attempts += 1

    async def failed(self, *, maybe_billed: bool) -> None:
        self.failed_ones.append(maybe_billed)


def ask_many(url: str, number: int, *, toll: CountingToll | None = None, timeout_seconds: float = 30, **habits) -> EndpointModel:
    async def run() -> EndpointModel:
        model = EndpointModel(url, "some-model", timeout_seconds=timeout_seconds, habits=Habits(policy=QUICK, **habits))
        try:
            await asyncio.gather(*(model.reply_for(ASK, toll or CountingToll()) for _ in range(number)))
        finally:
            await model.close()
        return model

    return asyncio.run(run())


def no_schema(body, n):
    kind = body.get("response_format", {}).get("type")
    return Answer(400, {"error": {"message": f"response_format {kind} is not supported"}}) if kind == "json_schema" else completion("{}")


def test_of_many_at_once_only_the_first_finds_out_what_is_refused():
    kept: list[Dialect] = []
    with serving(no_schema) as server:
        ask_many(server.url, 6, learned=kept.append)
    assert len(server.bodies) == 7
    assert [dialect.json_mode for dialect in kept] == [JsonMode.OBJECT]


def test_what_an_earlier_run_found_out_is_used_at_once_and_survives_being_kept():
    kept: list[Dialect] = []
    dialect = Dialect.from_record(Dialect(json_mode=JsonMode.OBJECT, takes_seed=False).as_record())
    with serving(no_schema) as server:
        ask_many(server.url, 3, dialect=dialect, learned=kept.append)
    assert (len(server.bodies), kept) == (3, [])
    assert "seed" not in server.bodies[0]
    assert Dialect.from_record({"json_mode": "of a later version"}) is None


def test_a_lesson_that_did_not_help_is_not_kept():
    refusal = Answer(400, {"error": {"message": "the story of the seed offends our policy"}})
    kept: list[Dialect] = []
    with serving(lambda body, n: refusal) as server, pytest.raises(EndpointRejected):
        ask_many(server.url, 1, learned=kept.append)
    assert kept == []


def test_a_request_that_is_too_large_teaches_nothing_about_words():
    def answer(body, n):
        return Answer(400, {"error": {"message": "'max_tokens' or 'max_completion_tokens' is too large: the maximum context length is 8"}})

    with serving(answer) as server, pytest.raises(EndpointRejected, match="too large"):
        ask_many(server.url, 1)
    assert len(server.bodies) == 1


def test_every_attempt_is_asked_for_and_the_ones_that_failed_are_told():
    def answer(body, n):
        return {0: Answer(500, {"error": {"message": "oops"}}), 1: Answer(504, "gave up waiting")}.get(n) or completion("{}")

    toll = CountingToll()
    with serving(answer) as server:
        ask_many(server.url, 1, toll=toll)
    assert (toll.attempts, toll.failed_ones, len(server.bodies)) == (3, [False, True], 3)


def test_a_request_that_timed_out_is_an_attempt_that_was_maybe_billed():
    def answer(body, n):
        if n == 0:
            time.sleep(0.6)
        return completion("{}")

    toll = CountingToll()
    with serving(answer) as server:
        ask_many(server.url, 1, toll=toll, timeout_seconds=0.3)
    assert (toll.attempts, toll.failed_ones) == (2, [True])


def test_a_refused_connection_was_not_billed():
    toll = CountingToll()
    with pytest.raises(EndpointUnreachable):
        ask_many(closed_port_url(), 1, toll=toll)
    assert toll.failed_ones == [False] * 3


def test_a_connection_that_breaks_off_before_the_answer_was_maybe_billed_and_is_not_called_late():
    toll = CountingToll()
    with serving(lambda body, n: Answer(HANG_UP)) as server, pytest.raises(EndpointUnreachable, match="cannot be reached"):
        ask_many(server.url, 1, toll=toll)
    assert toll.failed_ones == [True] * 3


def test_an_answer_that_is_no_reply_is_kept_with_its_error():
    with serving(lambda body, n: Answer(200, '{"welcome": true}')) as server, pytest.raises(NotTheProtocol) as caught:
        ask(server.url)
    assert (caught.value.body, caught.value.code) == ('{"welcome": true}', "not_the_protocol")
    assert len(server.bodies) == 1


def test_an_error_inside_a_successful_answer_counts_as_that_error():
    def answer(body, n):
        return Answer(200, {"error": {"code": 429, "message": "upstream is busy"}}) if n == 0 else completion("{}")

    with serving(answer) as server:
        ask(server.url)
    assert len(server.bodies) == 2


def test_limits_told_by_headers_are_learned_and_overload_halves_what_is_in_flight():
    def answer(body, n):
        if n < 8:
            return Answer(429, {"error": {"message": "slow down"}}, {"retry-after": "0.05"})
        return Answer(200, completion("{}").body, {"x-ratelimit-limit-requests": "6000", "x-ratelimit-limit-tokens": "9000000"})

    with serving(answer) as server:
        model = ask_many(server.url, 8, in_flight=8, dialect=Dialect())
    assert model.pace.told.requests_per_minute == 6000
    assert model._throttle.limit < 8
    assert len(server.bodies) == 16


def test_after_the_first_answer_all_who_waited_go_at_once():
    """The ninth answer comes only when eight are being asked at the same time: one after another would wait for ever."""
    together = threading.Barrier(8, timeout=10)

    def answer(body, n):
        if n > 0:
            together.wait()
        return completion("{}")

    async def run() -> list[ChatReply]:
        model = EndpointModel(server.url, "some-model", habits=Habits(policy=RetryPolicy(attempts=1), in_flight=9))
        try:
            return await asyncio.gather(*(model.reply(ASK) for _ in range(9)))
        finally:
            await model.close()

    with serving(answer) as server:
        assert len(asyncio.run(run())) == 9


def test_numbers_no_database_holds_are_no_counts():
    body = json.loads(json.dumps(completion("{}").body)) | {"usage": {"prompt_tokens": 10**30, "completion_tokens": -1}}
    with serving(lambda _, n: Answer(200, body)) as server:
        [reply] = ask(server.url)
    assert (reply.prompt_tokens, reply.completion_tokens) == (None, None)
