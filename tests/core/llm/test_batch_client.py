"""The client of files and batches, against the recorded teacher and against servers that have none."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.domain.chat import ChatRequest
from core.errors import EndpointRejected, EndpointUnreachable
from core.llm.batch_client import BatchAnswer, BatchClient, BatchNews, CannotList, Gone
from core.llm.dialect import Dialect
from core.llm.retry import RetryPolicy, Trouble
from core.shipped.teacher.recorded import TeacherOptions
from tests.core.llm.batchless import answering_only
from tests.core.llm.loopback import closed_port_url
from tests.core.shipped.teacher.teachers import example_prompt, teaching

FAST = RetryPolicy(attempts=2, first_wait_seconds=0.001)


@pytest.fixture(scope="module")
def url():
    with teaching(TeacherOptions(batch_seconds=0.1)) as address:
        yield address


def do(url: str, work, **options):
    async def inside():
        client = BatchClient(url, "starter", key=SecretStr("secret-key"), policy=FAST, **options)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(inside())


def request(seed: int, **fields) -> ChatRequest:
    return ChatRequest(({"role": "user", "content": example_prompt()},), seed=seed, **fields)


async def submitted(client: BatchClient, folder: Path, *lines: bytes, label: str = "label") -> tuple[str, BatchNews]:
    path = folder / "in.jsonl"
    path.write_bytes(b"".join(lines))
    file_id = await client.upload(path)
    return file_id, await client.submit(file_id, label)


async def over(client: BatchClient, news: BatchNews) -> BatchNews:
    limit = time.monotonic() + 20
    while not (news := await client.look(news.provider_id)).over and time.monotonic() < limit:
        await asyncio.sleep(0.01)
    return news


def read_all(client: BatchClient, path: Path) -> dict[str, BatchAnswer]:
    return {answer.key: answer for line in path.read_text().splitlines() if (answer := client.read(line))}


def test_lines_go_up_and_replies_come_down_by_key(url: str, tmp_path: Path):
    async def work(client: BatchClient):
        lines = [client.line(f"key-{n}", request(n), Dialect()) for n in range(5)]
        _, news = await submitted(client, tmp_path, *lines, client.line("wrong", request(9, temperature=9.0), Dialect()))
        news = await over(client, news)
        await client.download(news.output_file_id, tmp_path / "out")
        await client.download(news.error_file_id, tmp_path / "err")
        return news, read_all(client, tmp_path / "out"), read_all(client, tmp_path / "err")

    news, good, bad = do(url, work)
    assert (news.status, news.completed, news.failed) == ("completed", 5, 1)
    assert set(good) == {f"key-{n}" for n in range(5)}
    reply = good["key-3"].reply
    assert (reply.finish_reason, reply.model, reply.prompt_tokens > 0) == ("stop", "starter", True)
    assert json.loads(reply.raw)["custom_id"] == "key-3"
    assert (bad["wrong"].reply, bad["wrong"].trouble.passing) == (None, False)
    assert "temperature" in bad["wrong"].trouble.error.message


def test_a_batch_is_found_by_our_label_or_by_its_file_among_hundreds(url: str, tmp_path: Path):
    async def work(client: BatchClient):
        file_id, first = await submitted(client, tmp_path, client.line("a", request(1), Dialect()), label="the first")
        for n in range(120):
            await client.submit(file_id, f"later {n}")
        return (
            first.provider_id,
            await client.find("the first", "no-such-file", time.time()),
            await client.find("no such label", "no-such-file", time.time()),
            await client.find("no such label", file_id, time.time()),
            await client.find("the first", "no-such-file", time.time() + 7200),
        )

    first, by_label, nothing, by_file, too_old = do(url, work)
    assert (by_label.provider_id, nothing, by_file is not None) == (first, None, True)
    assert too_old is None  # after a page whose oldest is older than what is looked for


def test_a_file_the_provider_refuses_is_told_with_its_line(url: str, tmp_path: Path):
    async def work(client: BatchClient):
        return await over(client, (await submitted(client, tmp_path, client.line("a", request(1), Dialect()), b"{\n"))[1])

    news = do(url, work)
    assert (news.status, news.trouble_codes) == ("failed", {"invalid_json_line"})
    assert "line 2" in news.trouble


def test_what_is_gone_has_its_own_name(url: str, tmp_path: Path):
    for ask in (
        lambda client: client.look("batch_none"),
        lambda client: client.cancel("batch_none"),
        lambda client: client.download("file-none", tmp_path / "x"),
        lambda client: client.submit("file-none", "label"),
    ):
        with pytest.raises(Gone):
            do(url, ask)


def test_cancelling_what_is_over_is_no_error(url: str, tmp_path: Path):
    async def work(client: BatchClient):
        news = await over(client, (await submitted(client, tmp_path, client.line("a", request(1), Dialect())))[1])
        await client.cancel(news.provider_id)
        return await client.look(news.provider_id)

    assert do(url, work).status == "completed"


@pytest.mark.parametrize("status", [404, 405, 501])
def test_an_endpoint_without_batches_is_named_with_what_to_do(tmp_path: Path, status: int):
    (tmp_path / "in.jsonl").write_text("{}\n")
    with answering_only(status) as address:
        with pytest.raises(EndpointRejected, match="has no batches") as refused:
            do(address, lambda client: client.upload(tmp_path / "in.jsonl"))
        with pytest.raises(Trouble) as trouble:
            do(address, lambda client: client.submit("file-1", "label"))
        with pytest.raises(CannotList):
            do(address, lambda client: client.find("label", "file-1", time.time()))
    assert "without --batch" in refused.value.hint
    assert (trouble.value.error.message, trouble.value.passing) == (refused.value.message, False)


def test_a_bad_key_is_no_missing_list_and_is_not_repeated_to_anybody():
    with answering_only(401) as address, pytest.raises(EndpointRejected) as caught:  # not CannotList: nothing is known about the list
        do(address, lambda client: client.find("label", "file-1", time.time()))
    assert "secret-key" not in str(caught.value)
    assert "(401)" in caught.value.message


def test_an_endpoint_that_is_down_is_unreachable(tmp_path: Path):
    (tmp_path / "in.jsonl").write_text("{}\n")
    for ask in (lambda c: c.upload(tmp_path / "in.jsonl"), lambda c: c.look("batch_1"), lambda c: c.find("label", "f", 0.0)):
        with pytest.raises(EndpointUnreachable):
            do(closed_port_url(), ask)


@pytest.mark.parametrize(("line", "outcome"), [
    ("no json", None),
    ('{"no": "id"}', None),
    ('{"custom_id": "k", "response": null, "error": {"code": "batch_expired", "message": "late"}}', (False, None)),
    ('{"custom_id": "k", "response": null, "error": {"code": "odd", "message": "strange"}}', (False, "endpoint_rejected")),
    ('{"custom_id": "k", "response": {"status_code": 429, "body": {"error": {"message": "slow"}}}}', (False, "rate_limited")),
    ('{"custom_id": "k", "response": {"status_code": 503, "body": "busy"}}', (False, "endpoint_unreachable")),
    ('{"custom_id": "k", "response": {"status_code": 200, "body": {"choices": []}}}', (False, "not_the_protocol")),
    ('{"custom_id": "k", "response": {"status_code": 200, "body": {"choices": [{"message": {"content": "t"}}]}}}', (True, None)),
])  # fmt: skip
def test_every_line_is_a_reply_a_trouble_or_nothing(line: str, outcome: tuple[bool, str | None] | None):
    client = BatchClient("http://scripted/v1", "m")
    answer = client.read(line)
    found = answer and (answer.reply is not None, answer.trouble.error.code if answer.trouble else None)
    assert found == outcome
