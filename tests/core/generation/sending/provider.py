"""A provider of batches in this process: it works when it is told to, loses answers, and can kill whoever asks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import EndpointUnreachable
from core.llm.batch_client import BatchClient, BatchNews, CannotList, Gone
from core.llm.dialect import Dialect
from core.llm.retry import Trouble
from tests.core.llm.scripted import example_text

URL = "http://scripted/v1"


class Killed(BaseException):
    """A kill cannot be caught by the code under test either."""


def reply_line(key: str, text: str, *, finish_reason: str = "stop") -> str:
    message = {"role": "assistant", "content": text}
    body = {"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": finish_reason, "message": message}]}
    body["usage"] = {"prompt_tokens": 100, "completion_tokens": 50}
    return json.dumps({"custom_id": key, "response": {"status_code": 200, "request_id": "r", "body": body}, "error": None})


def error_line(key: str, status: int) -> str:
    return json.dumps({"custom_id": key, "response": {"status_code": status, "body": {"error": {"message": "no"}}}, "error": None})


@dataclass
class Provider:
    """`answer(line, number)` is a line of the output file, or None for a request that stays without one."""

    answer: Callable[[dict[str, Any], int], str | None] = lambda line, n: reply_line(line["custom_id"], example_text("sts", n))
    status: str = "completed"  # in which batches end
    trouble_codes: frozenset[str] = frozenset()
    looks_until_over: int = 1
    kill_at: str = ""  # "before upload", "after submit", …: once
    lists: bool = True
    lose_answers_of: str = ""  # "submit": done, but the answer does not come; "submit first": not done either
    on_look: Callable[[], None] = lambda: None
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    batches: dict[str, BatchNews] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    lines_read: int = 0
    answered: int = 0

    def client(self, *_: object) -> ScriptedClient:
        return ScriptedClient(self)

    def point(self, name: str) -> None:
        if self.kill_at == name:
            self.kill_at = ""
            raise Killed(name)

    def keys_submitted(self) -> list[str]:
        """Of every request in every batch: one that stands there twice was paid twice."""
        return [line["custom_id"] for file_id in self.labels for line in self.files[file_id]]


class ScriptedClient(BatchClient):
    """The real client's reading and writing of lines, over a provider without a network."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(URL, "scripted", known_dialect=Dialect)
        self.provider = provider

    async def upload(self, path: Path) -> str:
        self.provider.point("before upload")
        file_id = f"file-{len(self.provider.files) + 1}"
        self.provider.files[file_id] = [json.loads(line) for line in path.read_text().splitlines()]
        self.provider.point("after upload")
        return file_id

    async def submit(self, file_id: str, label: str) -> BatchNews:
        provider = self.provider
        provider.point("before submit")
        if provider.lose_answers_of == "submit first":
            provider.lose_answers_of = ""
            raise Trouble(EndpointUnreachable("no answer", hint="wait"), passing=True, maybe_billed=True)
        if file_id not in provider.files:
            raise Gone(file_id)
        news = BatchNews(f"batch-{len(provider.labels) + 1}", "validating")
        provider.batches[news.provider_id] = news
        provider.labels[file_id] = label
        provider.point("after submit")
        if provider.lose_answers_of == "submit":
            raise Trouble(EndpointUnreachable("no answer", hint="wait"), passing=True, maybe_billed=True)
        return news

    async def find(self, label: str, file_id: str, since: float) -> BatchNews | None:
        assert abs(since - time.time()) < 3600
        if not self.provider.lists:
            raise CannotList("it answered 404")
        made = list(self.provider.labels.values())
        return self.provider.batches[f"batch-{made.index(label) + 1}"] if label in made else None

    async def look(self, provider_id: str) -> BatchNews:
        provider = self.provider
        provider.point("before look")
        if provider_id not in provider.batches:
            raise Gone(provider_id)
        provider.on_look()
        provider.looked[provider_id] = provider.looked.get(provider_id, 0) + 1
        if provider.looked[provider_id] >= provider.looks_until_over:
            self._finish(provider_id)
        return provider.batches[provider_id]

    async def cancel(self, provider_id: str) -> None:
        if provider_id not in self.provider.batches:
            raise Gone(provider_id)
        self.provider.cancelled.append(provider_id)

    async def download(self, file_id: str, path: Path) -> None:
        self.provider.point("before download")
        if file_id not in self.provider.outputs:
            raise Gone(file_id)
        path.write_text(self.provider.outputs[file_id])
        self.provider.point("after download")

    def read(self, line: str):
        self.provider.lines_read += 1
        self.provider.point(f"line {self.provider.lines_read}")
        return super().read(line)

    def _finish(self, provider_id: str) -> None:
        provider = self.provider
        news = provider.batches[provider_id]
        if news.over:
            return
        file_id = list(provider.labels)[int(provider_id.removeprefix("batch-")) - 1]
        found = []
        for line in provider.files[file_id]:
            found.append(provider.answer(line, provider.answered))
            provider.answered += 1
        lines = [line for line in found if line is not None]
        output = f"output-of-{provider_id}" if lines and provider.status != "failed" else None
        if output:
            provider.outputs[output] = "".join(f"{line}\n" for line in reversed(lines))  # in no order
        trouble = "the file is wrong" if provider.status == "failed" else ""
        provider.batches[provider_id] = replace(
            news, status=provider.status, output_file_id=output, trouble=trouble, trouble_codes=provider.trouble_codes, completed=len(lines)
        )
