"""Try a prompt: one real call, shown with everything about it. Nothing is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.domain.chat import ChatReply, ChatRequest
from core.domain.endpoint import Endpoint
from core.domain.groups import TaskGroup
from core.domain.plans import EndpointPlan
from core.domain.prompt import Preview, PromptStep, TrialReport
from core.domain.triple import Texts, Triple
from core.generation.checks.triple_checks import check_triple
from core.generation.replies.parsing import read_example, read_tasks
from core.generation.replies.reply_schemas import example_schema, task_list_schema
from core.generation.sending.teachers import Teachers, close_model
from core.llm.pricing import price

EMBEDDED_TASKS = 4  # a trial on the embedded teacher asks for fewer tasks, so that it ends within seconds


class PromptTrial:
    """Asks an endpoint once; the embedded teacher answers from the model service, so that no web process loads it."""

    def __init__(self, teachers: Teachers, ask_embedded: Callable[[ChatRequest], ChatReply]) -> None:
        self._teachers = teachers
        self._ask_embedded = ask_embedded

    def run(self, endpoint: Endpoint, group: TaskGroup, step: PromptStep, preview: Preview) -> TrialReport:
        """Send a rendered prompt once and read the reply.

        Raises:
            EndpointError, ServiceUnavailable: with what to do.
        """
        request = ChatRequest(
            messages=({"role": "user", "content": preview.text},),
            schema=self._schema(endpoint, group, step, preview),
            temperature=endpoint.temperature,
            top_p=endpoint.top_p,
            max_tokens=endpoint.max_tokens,
        )
        reply = self._ask_embedded(request) if endpoint.embedded else asyncio.run(self._ask(endpoint, request))
        cost = price(endpoint.base_url, endpoint.model, reply.prompt_tokens, reply.completion_tokens, endpoint.price)
        if step is PromptStep.BRAINSTORM:
            tasks, reading = read_tasks(reply)
            return TrialReport(reply, None, tuple(tasks), (), cost, reading.reason, reading.detail, reading.repaired)
        texts, reading = read_example(group, reply)
        flags = tuple(check_triple(_triple_of(group, preview, texts))) if texts else ()
        return TrialReport(reply, texts, (), flags, cost, reading.reason, reading.detail, reading.repaired)

    async def _ask(self, endpoint: Endpoint, request: ChatRequest) -> ChatReply:
        plan = EndpointPlan(
            base_url=endpoint.base_url, model=endpoint.model, api_key_env=endpoint.api_key_env, timeout_seconds=endpoint.timeout_seconds
        )
        model = self._teachers.open(plan)
        try:
            return await model.reply(request)
        finally:
            await close_model(model)

    def _schema(self, endpoint: Endpoint, group: TaskGroup, step: PromptStep, preview: Preview) -> dict[str, object]:
        if step is PromptStep.EXAMPLE:
            return example_schema(group, preview.slots, bounded=endpoint.embedded)
        count = int(preview.slots["count"])
        return task_list_schema(min(count, EMBEDDED_TASKS) if endpoint.embedded else count, bounded=endpoint.embedded)


def _triple_of(group: TaskGroup, preview: Preview, texts: Texts) -> Triple:
    return Triple(group, preview.task or "", texts, preview.language or "English", preview.target_language, slots=preview.slots)
