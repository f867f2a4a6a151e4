"""OpenAI's files and batches, as far as chat completions by batch need them. Everything is kept in memory and gone with the server."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from core.shipped.teacher.protocol import ApiError, Completion
from core.shipped.teacher.recorded import RecordedTeacher

ENDPOINT = "/v1/chat/completions"
MOST_LINES = 50_000
MOST_ERRORS = 50  # of a batch that is refused
STEPS = 20  # in which a batch's lines are answered
WINDOW_SECONDS = 24 * 3600
OVER = frozenset(("completed", "failed", "cancelled"))


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of the server."""

    id: str
    name: str
    purpose: str
    content: bytes
    created_at: int

    def body(self) -> dict[str, Any]:
        """As the API shows it."""
        facts = {"id": self.id, "object": "file", "bytes": len(self.content), "created_at": self.created_at}
        return facts | {"filename": self.name, "purpose": self.purpose, "status": "processed", "expires_at": None}


@dataclass
class Batch:
    """One batch. `told` is its API object and changes as the work goes on."""

    told: dict[str, Any]
    lines: bytes
    work: asyncio.Task[None] | None = None
    cancelled: bool = False
    done: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)

    def set(self, status: str) -> None:
        """Move on; each status but the first has its own time."""
        self.told["status"] = status
        if f"{status}_at" in self.told:
            self.told[f"{status}_at"] = int(time.time())


class Batches:
    """All files and batches of one server."""

    def __init__(self, teacher: RecordedTeacher) -> None:
        self.files: dict[str, StoredFile] = {}
        self.batches: dict[str, Batch] = {}
        self._teacher = teacher
        self._run = uuid.uuid4().hex[:8]  # an id of an earlier server names nothing here
        self._numbers = count(1)

    def store(self, name: str, purpose: str, content: bytes) -> StoredFile:
        """Keep a file."""
        stored = StoredFile(f"file-{self._run}{next(self._numbers):08d}", name, purpose, content, int(time.time()))
        self.files[stored.id] = stored
        return stored

    def file(self, file_id: str) -> StoredFile:
        """One file.

        Raises:
            ApiError: 404, there is none.
        """
        if file_id not in self.files:
            raise ApiError(404, f"No such file: {file_id}.", param="id")
        return self.files[file_id]

    def batch(self, batch_id: str) -> Batch:
        """One batch.

        Raises:
            ApiError: 404, there is none.
        """
        if batch_id not in self.batches:
            raise ApiError(404, f"No batch found with id '{batch_id}'.", param="id")
        return self.batches[batch_id]

    def create(self, body: Any) -> Batch:
        """Start a batch; its lines are checked afterwards, as OpenAI does.

        Raises:
            ApiError: 400 or 404, the request itself cannot be used.
        """
        given = body if isinstance(body, dict) else {}
        for name, value in (("endpoint", ENDPOINT), ("completion_window", "24h")):
            if given.get(name) != value:
                raise ApiError(400, f"Invalid value for '{name}': only '{value}' is served here.", param=name, code="invalid_value")
        stored = self.file(str(given.get("input_file_id")))
        if stored.purpose != "batch":
            raise ApiError(400, f"The file {stored.id} was not uploaded for a batch.", param="input_file_id", code="invalid_purpose")
        batch = Batch(_told(f"batch_{self._run}{next(self._numbers):08d}", stored.id, given.get("metadata")), stored.content)
        self.batches[batch.told["id"]] = batch
        batch.work = asyncio.create_task(self._carry_out_or_fail(batch))
        return batch

    def cancel(self, batch_id: str) -> Batch:
        """Stop a batch; what it answered so far is kept.

        Raises:
            ApiError: 404 or 409, there is none or it is over.
        """
        batch = self.batch(batch_id)
        if batch.told["status"] in OVER:
            raise ApiError(409, f"The batch {batch_id} is {batch.told['status']} and cannot be cancelled.", code="batch_not_cancellable")
        if not batch.cancelled:
            batch.cancelled = True
            batch.set("cancelling")
        return batch

    async def end(self) -> None:
        """Stop all work."""
        for batch in self.batches.values():
            if batch.work is not None and not batch.work.done():
                batch.work.cancel()
                with suppress(asyncio.CancelledError):
                    await batch.work

    async def _carry_out_or_fail(self, batch: Batch) -> None:
        """Whatever goes wrong here, the batch ends: a client would poll for a day."""
        try:
            await self._carry_out(batch)
        except Exception as error:
            batch.told["errors"] = {"object": "list", "data": [{"code": "server_error", "message": f"{type(error).__name__}: {error}"}]}
            batch.set("failed")
            raise  # the teacher's log names it

    async def _carry_out(self, batch: Batch) -> None:
        seconds = self._teacher.options.batch_seconds
        await asyncio.sleep(seconds / STEPS)
        lines, errors = read_lines(batch.lines)
        batch.told["request_counts"]["total"] = len(lines)
        if errors:
            batch.told["errors"] = {"object": "list", "data": errors}
            batch.set("failed")
            return
        if not batch.cancelled:
            batch.set("in_progress")
        size = -(-len(lines) // STEPS)
        pause = (seconds - seconds / STEPS) / (-(-len(lines) // size) + 1)  # a short batch takes as long as a long one
        for start in range(0, len(lines), size):
            await asyncio.sleep(pause)
            if batch.cancelled:
                break
            for line in lines[start : start + size]:
                self._answer(batch, line)
                await asyncio.sleep(0)  # other requests are answered meanwhile
            batch.told["request_counts"] |= {"completed": len(batch.done), "failed": len(batch.failed)}
        if not batch.cancelled:
            batch.set("finalizing")
        await asyncio.sleep(pause)
        self._finish(batch)

    def _answer(self, batch: Batch, line: Mapping[str, Any]) -> None:
        try:
            outcome: Completion | ApiError = self._teacher.answer(line["body"], limited=False).outcome
        except ApiError as error:
            outcome = error
        number = next(self._numbers)
        status, body = (outcome.status, outcome.body) if isinstance(outcome, ApiError) else (200, outcome.body())
        response = {"status_code": status, "request_id": f"req_b{number:08d}", "body": body}
        entry = {"id": f"batch_req_{number:08d}", "custom_id": line["custom_id"], "response": response, "error": None}
        (batch.failed if isinstance(outcome, ApiError) else batch.done).append(entry)

    def _finish(self, batch: Batch) -> None:
        name = batch.told["id"]
        Random(name).shuffle(batch.done)  # noqa: S311 - OpenAI promises no order either; clients must go by custom_id
        for kind, entries in (("output", batch.done), ("error", batch.failed)):
            if entries:
                content = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries).encode("utf-8", "replace")
                batch.told[f"{kind}_file_id"] = self.store(f"{name}_{kind}.jsonl", "batch_output", content).id
        batch.set("cancelled" if batch.cancelled else "completed")


def _told(batch_id: str, file_id: str, metadata: Any) -> dict[str, Any]:
    now = int(time.time())
    moments = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
    return {
        "id": batch_id,
        "object": "batch",
        "endpoint": ENDPOINT,
        "errors": None,
        "input_file_id": file_id,
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "expires_at": now + WINDOW_SECONDS,
        **{f"{moment}_at": None for moment in moments},
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": metadata,
    }


def read_lines(content: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Requests of a batch's file, and what is wrong with it in the API's form. Nothing is carried out where anything is wrong."""
    lines: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    known: set[str] = set()
    models: set[str] = set()
    for number, raw in enumerate(content.split(b"\n"), 1):
        if not raw.strip():
            continue
        found = _line(raw, known, models)
        if isinstance(found, dict):
            lines.append(found)
        else:
            code, message = found
            errors.append({"code": code, "message": message, "param": None, "line": number})
        if len(lines) > MOST_LINES or len(errors) >= MOST_ERRORS:
            break
    if len(lines) > MOST_LINES:
        errors = [{"code": "too_many_tasks", "message": f"A batch holds at most {MOST_LINES} requests.", "param": None, "line": None}]
    if not lines and not errors:
        errors = [{"code": "empty_file", "message": "The input file is empty.", "param": None, "line": None}]
    return lines, errors


def _line(raw: bytes, known: set[str], models: set[str]) -> dict[str, Any] | tuple[str, str]:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        return "invalid_json_line", "This line is not valid JSON."
    if not isinstance(line, dict) or not isinstance(line.get("custom_id"), str) or not isinstance(line.get("body"), dict):
        return "invalid_request", "A line needs a text custom_id and an object body."
    if line.get("method") != "POST" or line.get("url") != ENDPOINT:
        return "invalid_url", f"A line of this batch must POST to {ENDPOINT}."
    if line["custom_id"] in known:
        return "duplicate_custom_id", f"The custom_id “{line['custom_id']}” was used before."
    known.add(line["custom_id"])
    models.add(str(line["body"].get("model")))
    if len(models) > 1:
        return "mismatched_model", "All requests of a batch must name the same model."
    return line
