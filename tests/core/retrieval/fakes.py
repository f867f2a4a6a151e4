"""An encoder and a model service without models: vectors from words, so nearness can be told by hand."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from core.domain.chat import ChatReply, ChatRequest
from core.domain.encoder import EncoderSpec, Role
from core.errors import ModelNotFound
from core.retrieval.engine import SearchEngine

WIDTH = 512


class WordEncoder:
    """Each word is one of 512 directions; texts that share words are near. Records what it was asked."""

    def __init__(self, spec: EncoderSpec) -> None:
        self.spec = spec
        self.dimensions = WIDTH
        self.calls: list[tuple[int, Role, str | None]] = []

    def encode(self, texts: Sequence[str], *, role: Role, task: str | None = None, batch_size: int = 32) -> np.ndarray:
        self.calls.append((len(texts), role, task))
        vectors = np.zeros((len(texts), WIDTH), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, zlib.crc32(word.encode()) % WIDTH] += 1
            if not vectors[row].any():
                vectors[row, 0] = 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def open_words(spec: EncoderSpec, _settings) -> WordEncoder:
    if spec.base.startswith("missing/"):
        raise ModelNotFound(f"The model {spec.base} cannot be loaded.", hint="Check the spelling.")
    return WordEncoder(spec)


class EchoTeacher:
    """Answers with the last message, or with an object where a schema is asked."""

    name = "echo"
    base_url = "embedded"

    async def reply(self, request: ChatRequest) -> ChatReply:
        text = '{"answer": 1}' if request.schema else request.messages[-1]["content"]
        return ChatReply(text, "stop", 3, 5, 0.01, "echo", request_id="chatcmpl-1")


class InProcessService:
    """What pages ask of ModelService, answered by an engine of this process."""

    def __init__(self, engine: SearchEngine, *, running: bool = True) -> None:
        self.engine = engine
        self.running = running
        self.started = 0

    def ready(self) -> bool:
        return self.running

    def ensure_started(self, wait_seconds: float = 30) -> None:
        self.started += 1

    def embed(self, system, texts, role, task=None):
        return self.engine.embed(system, list(texts), role, task)

    def search(self, corpus_id, systems, query, task=None, k=10, *, ask_ranks_of=()):
        return {s: self.engine.search(corpus_id, s, query, task=task, k=k, ask_ranks_of=ask_ranks_of) for s in systems}
