"""The embedded teacher: the shipped 135M chat model as a ChatModel, in process, offline, free and weak.

Its replies always fit the schema; its texts are those of a very small model. For data worth training on, set a real endpoint.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch

from core.domain.chat import ChatReply, ChatRequest
from core.domain.plans import EMBEDDED_TEACHER
from core.encoder.decoding import Draft, write_all
from core.encoder.embedded import decoder_folder
from core.encoder.json_guide import JsonGuide, Vocabulary
from core.encoder.language_model import pick_dtype, quiet_loading
from core.errors import BadInput
from core.settings import Settings

BATCH = 8  # requests written together
GATHER_SECONDS = 0.05  # wait this long for more before a batch starts
CONTEXT_TOKENS = 8192

_Job = tuple[ChatRequest, "Future[ChatReply]"]


class EmbeddedTeacher:
    """Answers chat requests; those waiting at the same time are written in one batch."""

    name = "smollm2-135m"
    base_url = EMBEDDED_TEACHER

    def __init__(self, settings: Settings, *, folder: Path | None = None) -> None:
        self._settings = settings
        self._folder = folder  # another chat model's folder; the shipped one where absent
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._worker: threading.Thread | None = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._vocabulary: Vocabulary | None = None

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Answer one request; the event loop stays free meanwhile.

        Raises:
            BadInput: the schema or the length of the prompt cannot be used.
            ModelError: the model is missing or not the shipped one.
        """
        future: Future[ChatReply] = Future()
        with self._starting:
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="embedded-teacher", daemon=True)
                self._worker.start()
        self._waiting.put((request, future))
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Let the worker end and the model go."""
        with self._starting:
            worker, self._worker = self._worker, None
        if worker:
            self._waiting.put(None)
            await asyncio.to_thread(worker.join)
        self._model = self._tokenizer = self._vocabulary = None

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            jobs, ending = self._gather(first)
            try:
                self._load()
                self._answer(jobs)
            except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
                for _, future in jobs:
                    if not future.done():
                        future.set_exception(error)
            if ending:
                return

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        jobs = [first]
        until = time.monotonic() + GATHER_SECONDS
        while len(jobs) < BATCH:
            try:
                job = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _load(self) -> None:
        if self._vocabulary is not None:
            return
        if self._settings.threads:
            torch.set_num_threads(self._settings.threads)
        folder = self._folder or decoder_folder(self._settings)
        with quiet_loading(str(folder)):
            from transformers import AutoModelForCausalLM, AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            dtype = pick_dtype(torch.device("cpu"))
            self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True).eval()
        self._vocabulary = Vocabulary(self._tokenizer, self._model.config.vocab_size)

    def _answer(self, jobs: list[_Job]) -> None:
        started = time.monotonic()
        ready: list[tuple[Draft, Future[ChatReply]]] = []
        for request, future in jobs:
            if not future.set_running_or_notify_cancel():
                continue
            try:
                ready.append((self._draft(request), future))
            except BadInput as error:
                future.set_exception(error)
        if ready:
            write_all(self._model, [draft for draft, _ in ready])
        for draft, future in ready:
            future.set_result(self._as_reply(draft, time.monotonic() - started))

    def _draft(self, request: ChatRequest) -> Draft:
        vocabulary = self._vocabulary
        assert vocabulary is not None
        prompt = self._prompt(request)
        if len(prompt) + request.max_tokens > CONTEXT_TOKENS:
            raise BadInput(
                f"The prompt has {len(prompt)} tokens; with {request.max_tokens} for the reply it exceeds {CONTEXT_TOKENS}.",
                hint="Shorten the prompt, or set a real endpoint.",
            )
        guide = JsonGuide(vocabulary, request.schema, max_tokens=request.max_tokens) if request.schema is not None else None
        generator = torch.Generator()
        if request.seed is None:
            generator.seed()
        else:
            generator.manual_seed(request.seed)
        return Draft(prompt, request.max_tokens, request.temperature, request.top_p, generator, guide, vocabulary.eos)

    def _prompt(self, request: ChatRequest) -> list[int]:
        # Here the template belongs: this is a chat. (Texts to embed are never wrapped in one.)
        messages = [dict(message) for message in request.messages]
        encoded = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
        return list(encoded["input_ids"])

    def _as_reply(self, draft: Draft, seconds: float) -> ChatReply:
        text = self._tokenizer.decode(draft.written, skip_special_tokens=True)
        body = {"model": self.name, "text": text, "finish_reason": draft.finish_reason}
        return ChatReply(
            text=text,
            finish_reason=draft.finish_reason,
            prompt_tokens=len(draft.prompt),
            completion_tokens=len(draft.written),
            seconds=seconds,
            model=self.name,
            raw=json.dumps(body, ensure_ascii=False),
        )
