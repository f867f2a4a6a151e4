from __future__ import annotations

import asyncio
import json

import pytest
import torch

from core.domain.chat import ChatRequest
from core.encoder.decoding import sample
from core.encoder.json_guide import bound_arrays, count_values
from core.encoder.teacher import EmbeddedTeacher
from core.errors import BadInput
from core.settings import Settings

TRIPLE = {
    "type": "object",
    "properties": {name: {"type": "string", "minLength": 3} for name in ("query", "positive", "negative")},
    "required": ["query", "positive", "negative"],
    "additionalProperties": False,
}
TASKS = {
    "type": "object",
    "properties": {"tasks": {"type": "array", "items": {"type": "string"}}, "score": {"type": "number", "minimum": 0, "maximum": 5}},
    "required": ["tasks", "score"],
    "additionalProperties": False,
}


def request(schema, *, seed: int = 0, **fields) -> ChatRequest:
    return ChatRequest(({"role": "user", "content": "write"},), schema=schema, seed=seed, **{"max_tokens": 512, **fields})


@pytest.fixture
def teacher(tiny_decoder, tmp_path) -> EmbeddedTeacher:
    return EmbeddedTeacher(Settings(workspace=tmp_path), folder=tiny_decoder)


def test_every_reply_of_a_random_model_parses_and_fits_the_schema(teacher):
    async def all_replies():
        return await asyncio.gather(*(teacher.reply(request(TRIPLE if i % 2 else TASKS, seed=i)) for i in range(6)))

    replies = asyncio.run(all_replies())
    for i, reply in enumerate(replies):
        value = json.loads(reply.text)
        assert set(value) == set((TRIPLE if i % 2 else TASKS)["required"])
        assert reply.finish_reason == "stop"
        assert reply.completion_tokens <= 512
    assert all(len(json.loads(r.text)["tasks"]) >= 1 for r in replies[::2])


def test_the_same_seed_gives_the_same_reply(teacher):
    first = asyncio.run(teacher.reply(request(TRIPLE, seed=7)))
    again = asyncio.run(teacher.reply(request(TRIPLE, seed=7)))
    other = asyncio.run(teacher.reply(request(TRIPLE, seed=8)))
    assert first.text == again.text != other.text


def test_free_text_ends_at_the_token_limit(teacher):
    reply = asyncio.run(teacher.reply(request(None, max_tokens=5)))
    assert reply.completion_tokens <= 5
    assert reply.finish_reason in ("stop", "length")


def test_a_prompt_longer_than_the_context_is_refused_and_the_teacher_lives_on(teacher):
    async def both():
        long = ChatRequest(({"role": "user", "content": "x" * 9000},), schema=TRIPLE)
        return await asyncio.gather(teacher.reply(long), teacher.reply(request(TRIPLE)), return_exceptions=True)

    refused, answered = asyncio.run(both())
    assert isinstance(refused, BadInput)
    assert json.loads(answered.text)


def test_temperature_zero_takes_the_likeliest_and_top_p_drops_the_tail():
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor([0.0, 2.0, 1.9])
    assert sample(logits, temperature=0, top_p=1, generator=generator) == 1
    drawn = {sample(logits, temperature=1, top_p=0.6, generator=generator) for _ in range(50)}
    assert drawn == {1, 2}  # 0.49 and 0.44 of the mass; the third would start beyond 0.6


def test_an_array_gets_a_minimum_and_a_maximum_and_values_are_counted():
    bounded = bound_arrays(TASKS)
    assert (bounded["properties"]["tasks"]["minItems"], bounded["properties"]["tasks"]["maxItems"]) == (1, 8)
    assert count_values(bounded) == 9
