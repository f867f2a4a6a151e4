"""The Batch API, as OpenAI's own client sees it."""

from __future__ import annotations

import json
import time

import openai
import pytest

from core.domain.groups import TaskGroup
from core.shipped.teacher.batches import ENDPOINT, MOST_LINES, OVER, read_lines
from core.shipped.teacher.recorded import RecordedTeacher, TeacherOptions
from tests.core.shipped.teacher.teachers import example_prompt, fields_of, teaching


@pytest.fixture(scope="module")
def client():
    with teaching(TeacherOptions(batch_seconds=0.0)) as url, openai.OpenAI(base_url=url, api_key="any", max_retries=0) as made:
        yield made


def body(seed: int, model: str = "starter", **options) -> dict:
    return {"model": model, "seed": seed, "messages": [{"role": "user", "content": example_prompt()}], **options}


def line(number: int, **changes) -> dict:
    return {"custom_id": f"row-{number}", "method": "POST", "url": ENDPOINT, "body": body(number)} | changes


def jsonl(*lines: dict) -> bytes:
    return "".join(json.dumps(entry) + "\n" for entry in lines).encode()


def submit(client: openai.OpenAI, content: bytes, **options):
    uploaded = client.files.create(file=("plan.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=uploaded.id, endpoint=ENDPOINT, completion_window="24h", **options)


def over(client: openai.OpenAI, batch_id: str):
    limit = time.monotonic() + 20
    while (batch := client.batches.retrieve(batch_id)).status not in OVER and time.monotonic() < limit:
        time.sleep(0.01)
    return batch


def entries(client: openai.OpenAI, file_id: str) -> dict[str, dict]:
    found = [json.loads(entry) for entry in client.files.content(file_id).text.splitlines()]
    return {entry["custom_id"]: entry for entry in found}


def test_a_batch_from_upload_to_its_replies(client: openai.OpenAI):
    batch = submit(client, jsonl(*(line(n) for n in range(30))), metadata={"job": "generate-1"})
    assert (batch.status, batch.output_file_id) == ("validating", None)
    done = over(client, batch.id)
    assert (done.status, done.error_file_id, done.metadata) == ("completed", None, {"job": "generate-1"})
    assert done.request_counts.model_dump() == {"total": 30, "completed": 30, "failed": 0}
    assert done.completed_at >= done.in_progress_at >= done.created_at
    replies = entries(client, done.output_file_id)
    assert set(replies) == {f"row-{n}" for n in range(30)}
    assert list(replies) != [f"row-{n}" for n in range(30)]  # in no order
    alone = client.chat.completions.create(**body(7))
    response = replies["row-7"]["response"]
    assert response["status_code"] == 200
    assert response["body"]["choices"][0]["message"]["content"] == alone.choices[0].message.content
    assert response["body"]["usage"]["total_tokens"] == alone.usage.total_tokens
    assert tuple(json.loads(alone.choices[0].message.content)) == fields_of(TaskGroup.SHORT_LONG)


def test_refused_requests_go_to_the_error_file(client: openai.OpenAI):
    done = over(client, submit(client, jsonl(line(1), line(2, body=body(2, temperature=9)))).id)
    assert done.request_counts.model_dump() == {"total": 2, "completed": 1, "failed": 1}
    assert set(entries(client, done.output_file_id)) == {"row-1"}
    refused = entries(client, done.error_file_id)["row-2"]["response"]
    assert (refused["status_code"], refused["body"]["error"]["param"]) == (400, "temperature")
    faulty = over(client, submit(client, jsonl(line(1, body=body(1, "starter+500")), line(2, body=body(2, "starter+500")))).id)
    assert (faulty.output_file_id, len(entries(client, faulty.error_file_id))) == (None, 2)


@pytest.mark.parametrize(("content", "code", "at"), [
    (b"", "empty_file", None),
    (jsonl(line(1)) + b"{\n", "invalid_json_line", 2),
    (jsonl(line(1), line(1)), "duplicate_custom_id", 2),
    (jsonl(line(1), line(2, url="/v1/embeddings")), "invalid_url", 2),
    (jsonl({"method": "POST"}), "invalid_request", 1),
    (jsonl(line(1), line(2, body=body(2, "starter+429"))), "mismatched_model", 2),
])  # fmt: skip
def test_a_file_with_a_fault_fails_as_a_whole(client: openai.OpenAI, content: bytes, code: str, at: int | None):
    failed = over(client, submit(client, content).id)
    assert (failed.status, failed.output_file_id) == ("failed", None)
    assert [(error.code, error.line) for error in failed.errors.data] == [(code, at)]


def test_too_many_lines():
    lines = b"".join(b'{"custom_id":"%d","method":"POST","url":"%s","body":{}}\n' % (n, ENDPOINT.encode()) for n in range(MOST_LINES + 1))
    assert [error["code"] for error in read_lines(lines)[1]] == ["too_many_tasks"]


def test_a_cancelled_batch_ends_and_cannot_be_cancelled_again():
    with teaching(TeacherOptions(batch_seconds=2.0)) as url, openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
        batch = submit(client, jsonl(*(line(n) for n in range(40))))
        limit = time.monotonic() + 20
        while not client.batches.retrieve(batch.id).request_counts.completed and time.monotonic() < limit:
            time.sleep(0.01)
        assert client.batches.cancel(batch.id).status == "cancelling"
        done = over(client, batch.id)
        assert done.status == "cancelled"
        assert 0 < done.request_counts.completed < 40
        assert len(entries(client, done.output_file_id)) == done.request_counts.completed
        with pytest.raises(openai.ConflictError):
            client.batches.cancel(batch.id)


def test_lists_are_paged_newest_first(client: openai.OpenAI):
    made = [submit(client, jsonl(line(n))).id for n in range(3)]
    listed = [batch.id for batch in client.batches.list(limit=2)]
    assert listed[:3] == made[::-1]
    assert len(listed) == len(set(listed))
    assert all(stored.object == "file" for stored in client.files.list(limit=2))


def test_what_does_not_exist_or_cannot_be_used(client: openai.OpenAI):
    stored = client.files.create(file=("a.jsonl", b"x"), purpose="batch")
    assert client.files.retrieve(stored.id).bytes == 1
    assert client.files.delete(stored.id).deleted
    for ask in (client.files.retrieve, client.files.content, client.files.delete, client.batches.retrieve, client.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            ask(stored.id)
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id=stored.id, endpoint=ENDPOINT, completion_window="24h")
    with pytest.raises(openai.BadRequestError, match="endpoint"):
        client.batches.create(input_file_id=stored.id, endpoint="/v1/embeddings", completion_window="24h")
    other = client.files.create(file=("a.txt", b"x"), purpose="user_data")
    with pytest.raises(openai.BadRequestError, match="not uploaded for a batch"):
        client.batches.create(input_file_id=other.id, endpoint=ENDPOINT, completion_window="24h")
    with pytest.raises(openai.BadRequestError):
        client.post("/files", body={"purpose": "batch"}, cast_to=object)


def test_a_fault_of_the_teacher_itself_ends_the_batch(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch):
    def broken(self, body, **_):
        raise LookupError("no record")

    monkeypatch.setattr(RecordedTeacher, "answer", broken)
    done = over(client, submit(client, jsonl(line(0))).id)
    assert (done.status, done.errors.data[0].message) == ("failed", "LookupError: no record")
