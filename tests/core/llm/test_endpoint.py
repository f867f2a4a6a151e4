from __future__ import annotations

import asyncio
import time

import pytest
from pydantic import SecretStr

from core.domain.chat import ChatReply, ChatRequest
from core.errors import EndpointRejected, EndpointUnreachable, RateLimited
from core.llm.endpoint import EndpointModel
from core.llm.retry import RetryPolicy
from tests.core.llm.loopback import Answer, closed_port_url, completion, serving

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
QUICK = RetryPolicy(attempts=4, first_wait_seconds=0.01)
ASK = ChatRequest(({"role": "user", "content": "hello"},), SCHEMA, seed=5)


def ask(url: str, *requests: ChatRequest, key: str | None = None) -> list[ChatReply]:
    async def run() -> list[ChatReply]:
        model = EndpointModel(url, "some-model", key=SecretStr(key) if key else None, key_name="SOME_KEY", policy=QUICK)
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
    empty = Answer(429, {"error": {"message": "insufficient_quota: pay first"}})
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
