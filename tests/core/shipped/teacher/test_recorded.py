"""The recorded teacher as OpenAI's own client sees it."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from core.domain.groups import TaskGroup
from core.errors import BadInput
from core.generation.replies.reply_schemas import example_schema, task_list_schema
from core.shipped.teacher.app import build_app
from core.shipped.teacher.faults import FaultMix
from core.shipped.teacher.recorded import RecordedTeacher, TeacherOptions
from core.shipped.teacher.replies import UNKNOWN
from core.shipped.teacher.server import listening_on, serve_teacher
from tests.core.shipped.teacher.teachers import brainstorm_prompt, example_prompt, fields_of, starter_records, teaching

KEY = "sk-secret-of-a-test"
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "reply", "strict": True, "schema": example_schema(TaskGroup.SHORT_LONG, {"num_words": 50})},
}


@pytest.fixture(scope="module")
def url():
    with teaching() as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str):
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, prompt: str | None = None, **options):
    asked = {"model": "starter", "temperature": 1.0, "top_p": 1.0, "seed": 1} | options
    return client.chat.completions.create(messages=[{"role": "user", "content": prompt or example_prompt()}], **asked)


def text_of(completion) -> str:
    return completion.choices[0].message.content


@pytest.mark.parametrize("form", [None, {"type": "text"}, {"type": "json_object"}, SCHEMA], ids=["none", "text", "object", "schema"])
def test_an_example_comes_whatever_the_format(client: openai.OpenAI, form: dict | None):
    completion = ask(client, **({"response_format": form} if form else {}))
    assert tuple(json.loads(text_of(completion))) == fields_of(TaskGroup.SHORT_LONG)
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.usage.completion_tokens == -(-len(text_of(completion).encode()) // 4)


def test_equal_requests_get_equal_answers_and_other_seeds_others(client: openai.OpenAI):
    texts = [text_of(ask(client, seed=seed)) for seed in (1, 1, *range(2, 14))]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 3
    assert text_of(ask(client, seed=1, max_tokens=4000, response_format=SCHEMA)) == texts[0]
    several = ask(client, n=5).choices
    assert [choice.index for choice in several] == list(range(5))
    assert len({choice.message.content for choice in several}) > 1


def test_a_brainstorm_fits_its_schema(client: openai.OpenAI):
    form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": task_list_schema(12)}}
    tasks = json.loads(text_of(ask(client, brainstorm_prompt(TaskGroup.LONG_SHORT, 12), response_format=form)))["tasks"]
    assert len(tasks) == 12
    assert {tuple(entry) for entry in tasks} == {("task", "topic")}


def test_an_unknown_prompt_is_answered_politely_and_in_the_schema_asked_for(client: openai.OpenAI):
    assert text_of(ask(client, "Tell me a joke.")) == UNKNOWN
    schema = {"type": "object", "properties": {"joke": {"type": "string"}, "rating": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "joke", "schema": schema}}
    assert json.loads(text_of(ask(client, "Tell me a joke.", response_format=form))) == {"joke": UNKNOWN, "rating": 0}


@pytest.mark.parametrize("options", [{}, {"response_format": SCHEMA}, {"n": 2}], ids=str)
def test_a_stream_adds_up_to_the_whole_answer(client: openai.OpenAI, options: dict):
    whole = ask(client, **options)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}, **options))
    for choice in whole.choices:
        deltas = [c for chunk in chunks for c in chunk.choices if c.index == choice.index]
        assert deltas[0].delta.role == "assistant"
        assert "".join(c.delta.content or "" for c in deltas) == choice.message.content
        assert [c.finish_reason for c in deltas if c.finish_reason] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert all(chunk.choices for chunk in ask(client, stream=True, **options))


def test_models_are_listed_each_with_its_faults(client: openai.OpenAI):
    names = [model.id for model in client.models.list()]
    assert names[0] == "starter"
    assert "starter+truncated" in names
    assert client.models.retrieve("starter+429").id == "starter+429"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-0")


def test_every_answer_has_a_request_id_and_limits(client: openai.OpenAI):
    answers = [
        client.chat.completions.with_raw_response.create(model="starter", messages=[{"role": "user", "content": "hi"}]) for _ in "ab"
    ]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 2
    kinds = [f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")]
    assert [name for name in (*kinds, "openai-processing-ms") if name not in answers[0].headers] == []


@pytest.mark.parametrize(("options", "error", "param"), [
    ({"model": "gpt-0"}, openai.NotFoundError, "model"),
    ({"model": "starter+flood"}, openai.NotFoundError, "model"),
    ({"temperature": 3}, openai.BadRequestError, "temperature"),
    ({"max_tokens": 0}, openai.BadRequestError, "max_tokens"),
    ({"extra_body": {"messages": []}}, openai.BadRequestError, "messages"),
    ({"extra_body": {"seed": "x"}}, openai.BadRequestError, "seed"),
    ({"response_format": {"type": "xml"}}, openai.BadRequestError, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, openai.BadRequestError, "response_format.json_schema"),
    ({"extra_headers": {"x-teacher-fault": "flood"}}, openai.BadRequestError, "x-teacher-fault"),
])  # fmt: skip
def test_what_cannot_be_used_is_refused_in_openais_format(client: openai.OpenAI, options: dict, error: type, param: str):
    with pytest.raises(error) as told:
        ask(client, **options)
    assert told.value.param == param
    assert told.value.body.keys() == {"message", "type", "param", "code"}


def test_bodies_that_are_no_json_and_addresses_that_do_not_exist(url: str):
    for body in (b"{", b"[1]", b"\xff", b"[" * 100_000):
        answer = httpx.post(f"{url}/chat/completions", content=body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert httpx.get(f"{url}/nothing").json()["error"]["code"] == "unknown_url"
    assert httpx.get(f"{url}/chat/completions").status_code == 405
    broken = {"content-type": "multipart/form-data; boundary=x"}
    answers = [
        httpx.get(f"{url}/nothing"),
        httpx.get(f"{url}/models/gpt-0"),
        httpx.post(f"{url}/files", content=b"--y\r\n", headers=broken),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 400]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3
    parts = [{"type": "text", "text": example_prompt()}]
    answer = httpx.post(f"{url}/chat/completions", json={"model": "starter", "messages": [{"role": "user", "content": parts}]})
    assert tuple(json.loads(answer.json()["choices"][0]["message"]["content"])) == fields_of(TaskGroup.SHORT_LONG)


def test_even_a_defect_of_the_teacher_is_told_in_openais_format():
    class Broken(RecordedTeacher):
        def answer(self, body, *, header="", limited=True):
            raise ZeroDivisionError(KEY)

    async def ask_it() -> httpx.Response:
        transport = httpx.ASGITransport(build_app(Broken([], TeacherOptions())), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://teacher") as http:
            return await http.post("/v1/chat/completions", json={})

    answer = asyncio.run(ask_it())
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
    assert KEY not in answer.text


def test_odd_characters_and_numbers_do_no_harm(url: str):
    schema = {"type": "object", "properties": {"\ud800": {"type": "string"}, "b": {"const": float("nan")}}}
    body = {"model": "starter", "messages": [{"role": "user", "content": "hi"}], "seed": 10**400}
    body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert httpx.post(f"{url}/chat/completions", content=json.dumps(body)).status_code == 200
    for model, status in (("starter", 200), ("starter\ud800", 404)):
        half = {"model": model, "messages": [{"role": "user", "content": "\ud800"}]}
        assert httpx.post(f"{url}/chat/completions", content=json.dumps(half)).status_code == status


@pytest.mark.parametrize(("fault", "error"), [
    ("400", openai.BadRequestError), ("401", openai.AuthenticationError), ("429", openai.RateLimitError), ("quota", openai.RateLimitError),
    ("500", openai.InternalServerError), ("503", openai.InternalServerError),
])  # fmt: skip
def test_faults_of_http_by_name_and_by_header(client: openai.OpenAI, fault: str, error: type[openai.APIStatusError]):
    for options in (
        {"model": f"starter+{fault}"},
        {"extra_headers": {"x-teacher-fault": fault}},
        {"model": f"starter+{fault}", "stream": True},
    ):
        with pytest.raises(error) as told:
            ask(client, **options)
        assert told.value.response.headers["x-request-id"]
    assert (told.value.response.headers.get("retry-after") == "1") == (fault in ("429", "503"))
    assert (told.value.code == "insufficient_quota") == (fault == "quota")


def test_a_fault_of_the_first_sendings_only(client: openai.OpenAI):
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            ask(client, model="starter+429x2", seed=77)
    assert text_of(ask(client, model="starter+429x2", seed=77)) == text_of(ask(client, seed=77))


def test_faults_of_the_reply(client: openai.OpenAI):
    whole = text_of(ask(client))
    cut = ask(client, model="starter+truncated").choices[0]
    assert cut.finish_reason == "length"
    assert whole.startswith(cut.message.content)
    assert len(cut.message.content) < len(whole)
    capped = ask(client, max_completion_tokens=10)
    assert (capped.choices[0].finish_reason, capped.usage.completion_tokens) == ("length", 10)
    refused = ask(client, model="starter+refusal", response_format=SCHEMA).choices[0].message
    assert refused.content is None
    assert "sorry" in refused.refusal
    streamed = list(ask(client, model="starter+refusal", response_format=SCHEMA, stream=True))
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in streamed) == refused.refusal
    assert text_of(ask(client, model="starter+refusal")) == refused.refusal
    assert text_of(ask(client, model="starter+empty")) == ""
    foreign = json.loads(text_of(ask(client, model="starter+wrong_language")))["user_query"]
    languages = {r.triple.texts.query: r.triple.language for r in starter_records()}
    assert languages[foreign] != "English"
    fenced = text_of(ask(client, model="starter+fences+trailing_comma"))
    assert fenced.startswith("```json\n{")
    assert fenced.endswith(",}\n```")


def test_slow_adds_its_seconds_and_counts_tell_what_was_in_flight():
    with teaching(TeacherOptions(latency_seconds=0.05, slow_seconds=0.05)) as url:
        with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client, ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda seed: ask(client, seed=seed % 4, model="starter+slow"), range(8)))
        counts = httpx.get(f"{url.removesuffix('/v1')}/counts").json()
    assert {name: counts[name] for name in ("calls", "repeated", "slow", "in_flight")} == {
        "calls": 8,
        "repeated": 4,
        "slow": 8,
        "in_flight": 0,
    }
    assert 2 <= counts["most_in_flight"] <= 8


def test_drawn_faults_befall_the_same_requests_and_a_repetition_may_pass():
    def run() -> list[int]:
        with teaching(TeacherOptions(faults=FaultMix.read("500:0.5"), seed=3)) as url, httpx.Client() as http:
            bodies = [{"model": "starter", "seed": n % 10, "messages": [{"role": "user", "content": "hi"}]} for n in range(40)]
            return [http.post(f"{url}/chat/completions", json=body).status_code for body in bodies]

    first = run()
    assert first == run()
    assert all({first[n + 10 * k] for k in range(4)} <= {200, 500} for n in range(10))
    assert any(first[n] == 500 and 200 in first[n::10] for n in range(10))


def test_rate_limits_are_kept_and_told():
    with teaching(TeacherOptions(requests_a_minute=3)) as url, openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        for seed in range(3):
            ask(client, seed=seed)
        with pytest.raises(openai.RateLimitError) as told:
            ask(client)
    assert told.value.response.headers["x-ratelimit-limit-requests"] == "3"
    assert 0 < float(told.value.response.headers["retry-after"]) <= 20


def test_other_names_and_distinct_replies():
    options = TeacherOptions(models=("gpt-4.1-mini", "a+b"), distinct=True)
    with teaching(options) as url, openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        texts = {text_of(ask(client, seed=seed, model="gpt-4.1-mini")) for seed in range(60)}
        assert text_of(ask(client, model="a+b+empty")) == ""
    assert len(texts) == 60


def test_a_key_is_never_needed_and_never_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture):
    with caplog.at_level(logging.DEBUG), teaching() as url:
        body = {"model": "starter", "messages": [{"role": "user", "content": "hi"}]}
        for headers in ({}, {"authorization": f"Bearer {KEY}"}):
            assert httpx.post(f"{url}/chat/completions", json=body, headers=headers).status_code == 200
        httpx.post(f"{url}/chat/completions", content=b"{", headers={"authorization": f"Bearer {KEY}"})
        with httpx.Client() as http:
            http.get(f"{url}/nothing?key={KEY}", headers={"authorization": f"Bearer {KEY}"})
    ours = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert KEY not in "".join(capfd.readouterr()) + "".join(r.getMessage() for r in ours)


def test_a_port_that_is_taken_is_told_with_a_hint():
    with listening_on(0) as taken:
        taken.listen(1)
        with pytest.raises(BadInput, match="cannot be used") as told:
            serve_teacher([], TeacherOptions(), port=taken.getsockname()[1], on_start=lambda port: None)
    assert "--port 0" in told.value.hint
