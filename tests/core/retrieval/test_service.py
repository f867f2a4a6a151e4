from __future__ import annotations

import base64

import numpy as np
import pytest
from starlette.testclient import TestClient

from core.domain.encoder import EncoderSpec, Role
from core.retrieval.service import build_service
from core.retrieval.wire import error_of, ranking_of
from tests.core.retrieval.fakes import WIDTH, EchoTeacher, WordEncoder
from tests.core.retrieval.test_engine import build

BEARER = {"Authorization": "Bearer secret"}


@pytest.fixture
def ended():
    return []


@pytest.fixture
def client(engine, catalogue, ended):
    app = build_service(engine, catalogue, token="secret", make_teacher=EchoTeacher, end=lambda: ended.append(True))
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}])
def test_every_door_but_health_wants_the_token(client, headers):
    for method, path in [("GET", "/v1/models"), ("POST", "/v1/embeddings"), ("POST", "/search"), ("POST", "/stop"), ("GET", "/nothing")]:
        reply = client.request(method, path, headers=headers)
        assert reply.status_code == 401
        assert reply.json()["error"]["hint"]


def test_health_tells_a_stranger_nothing_and_a_wrong_token_is_refused(client):
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/health", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/health", headers=BEARER).json()["models"] == []


def test_embeddings_speak_openais_format(client):
    reply = client.post("/v1/embeddings", headers=BEARER, json={"model": "raw", "input": ["a b", "c"], "user": "ignored"}).json()
    assert reply["object"] == "list"
    assert [item["index"] for item in reply["data"]] == [0, 1]
    expected = WordEncoder(EncoderSpec()).encode(["a b", "c"], role=Role.DOCUMENT)
    assert np.allclose([item["embedding"] for item in reply["data"]], expected)
    packed = client.post("/v1/embeddings", headers=BEARER, json={"model": "raw", "input": "a b", "encoding_format": "base64"}).json()
    assert np.allclose(np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), dtype="<f4"), expected[0])
    assert len(expected[0]) == WIDTH


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "run:nothing", "input": "x"}, 404, "not_found"),
        ({"model": "bm25", "input": "x"}, 404, "not_found"),
        ({"model": "missing/model", "input": "x"}, 404, "model_not_found"),
        ({"model": "raw", "input": "x", "dimensions": 3}, 400, "bad_input"),
        ({"model": "raw", "input": []}, 400, "bad_input"),
        ({"model": "raw"}, 400, "bad_input"),
    ],
)
def test_errors_are_json_with_code_message_hint_and_a_fitting_status(client, body, status, code):
    reply = client.post("/v1/embeddings", headers=BEARER, json=body)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["hint"]
    assert error_of(reply.json(), status).code == code


def test_a_body_that_is_no_json_is_refused(client):
    assert client.post("/search", headers=BEARER, content=b"{").status_code == 400


def test_the_openai_client_itself_can_use_it(client):
    import openai

    api = openai.OpenAI(base_url="http://testserver/v1", api_key="secret", http_client=client)
    assert len(api.embeddings.create(model="raw", input=["x", "y"]).data[1].embedding) == WIDTH
    told = api.chat.completions.create(model="smollm2-135m", messages=[{"role": "user", "content": "say this"}])
    assert told.choices[0].message.content == "say this"
    assert told.usage.total_tokens == 8
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    told = api.chat.completions.create(model="smollm2-135m", messages=[{"role": "user", "content": "x"}], response_format=schema)
    assert told.choices[0].message.content == '{"answer": 1}'
    with pytest.raises(openai.NotFoundError, match="no training run"):
        api.embeddings.create(model="run:nothing", input="x")


def test_search_answers_what_the_engine_answers(client, engine, shelf, settings):
    build(shelf, settings, EncoderSpec())
    body = {"corpus_id": "version:v1id", "systems": ["raw", "bm25"], "query": "water at dawn", "k": 3, "ask_ranks_of": ["absent"]}
    rankings = client.post("/search", headers=BEARER, json=body).json()["rankings"]
    assert list(rankings) == ["raw", "bm25"]
    ranking = ranking_of(rankings["raw"])
    assert ranking.hits == engine.search("version:v1id", "raw", "water at dawn", k=3).hits
    assert ranking.hits[0].document.text == "water at dawn"


def test_stop_ends_it(client, ended):
    assert client.post("/stop", headers=BEARER).status_code == 200
    client.get("/health")
    import time

    time.sleep(0.1)
    client.get("/health")
    assert ended


def test_it_ends_itself_when_idle_and_not_before(engine, catalogue, ended):
    import time

    app = build_service(engine, catalogue, token="secret", make_teacher=EchoTeacher, end=lambda: ended.append(True), idle_seconds=0.4)
    with TestClient(app) as client:
        for _ in range(4):
            time.sleep(0.15)
            client.get("/v1/models", headers=BEARER)
            assert not ended
        time.sleep(0.7)
        assert ended
