"""A ChatModel that answers from a script, and replies that fit each group."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from core.domain.chat import ChatReply, ChatRequest
from core.domain.groups import GROUPS, TaskGroup


def make_reply(text: str, *, finish_reason: str = "stop", **fields) -> ChatReply:
    values = {"prompt_tokens": 100, "completion_tokens": 50, "seconds": 0.01, "model": "scripted", "raw": text or "{}"} | fields
    return ChatReply(text=text, finish_reason=finish_reason, **values)


def example_text(group: TaskGroup, number: int = 0) -> str:
    """A JSON object that fits the group; every number gives another one."""
    words = {name: f"{name} number {number} tells of matter {number * 7919} in its own words" for name in GROUPS[group].fields}
    return json.dumps(words)


def tasks_text(*tasks: str) -> str:
    return json.dumps({"tasks": [{"task": task, "topic": "testing"} for task in tasks]})


class ScriptedModel:
    """`answer(request, number)` gives text, a whole ChatReply, or raises. No reply comes before `overlap` requests were there at once."""

    name = "scripted"

    def __init__(
        self, answer: Callable[[ChatRequest, int], str | ChatReply], *, base_url: str = "http://scripted/v1", overlap: int = 1
    ) -> None:
        self.base_url = base_url
        self.requests: list[ChatRequest] = []
        self.most_in_flight = 0
        self._answer = answer
        self._in_flight = 0
        self._overlap, self._enough = overlap, asyncio.Event()

    async def reply(self, request: ChatRequest) -> ChatReply:
        number = len(self.requests)
        self.requests.append(request)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        if self._in_flight >= self._overlap:
            self._enough.set()
        try:
            await asyncio.wait_for(self._enough.wait(), timeout=20)
            answer = self._answer(request, number)
        finally:
            self._in_flight -= 1
        return make_reply(answer) if isinstance(answer, str) else answer
