"""Loaded encoders, shared by everyone who asks: one thread a model, requests that wait together are encoded together."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain.encoder import EncoderSpec, Role
from core.encoder.text_encoder import TextEncoder
from core.errors import OutOfMemory

SLICE_TEXTS = 32  # a long request is cut into slices, so that a query in between waits for one slice only
BATCH_TEXTS = 64
COLLECT_SECONDS = 0.004
SMALL_REQUEST = 8  # texts; requests up to this size go before longer ones
KEEP_MODELS = 3

Vectors = NDArray[np.float32]
Ask = Callable[[TextEncoder], Any]


@dataclass(order=True, slots=True)
class _Piece:
    """Work for one model: some texts of a request, or a question to the encoder itself."""

    priority: tuple[int, int]
    texts: list[str] = field(compare=False)
    manner: tuple[Role, str | None] = field(compare=False)
    deliver: Callable[[Any], None] = field(compare=False)
    fail: Callable[[BaseException], None] = field(compare=False)
    ask: Ask | None = field(default=None, compare=False)


class EncoderPool:
    """Encoders by fingerprint; the least recently used one leaves when there are more than `keep`."""

    def __init__(self, open_model: Callable[[EncoderSpec], TextEncoder], *, keep: int = KEEP_MODELS) -> None:
        self._open = open_model
        self._keep = keep
        self._workers: OrderedDict[str, _Worker] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, spec: EncoderSpec, texts: Sequence[str], role: Role, task: str | None = None) -> Future[Vectors]:
        """Unit vectors, shape (len(texts), dimensions), in the order of `texts`; the first request of a model loads it."""
        with self._lock:
            return self._worker(spec).encode(list(texts), role, task)

    def load(self, spec: EncoderSpec) -> None:
        """Wait until the model is in memory, so that what is timed afterwards is encoding only."""
        with self._lock:
            worker = self._worker(spec)
            loading = None if worker.ready else worker.ask(lambda _: None)
        if loading:
            loading.result()

    def ask(self, spec: EncoderSpec, question: Ask) -> Future[Any]:
        """`question(encoder)` in the encoder's own thread."""
        with self._lock:
            return self._worker(spec).ask(question)

    def loaded(self) -> list[dict[str, Any]]:
        """Models in memory: base, adapter, whether loading is over."""
        with self._lock:
            return [{"base": w.spec.base, "adapter": w.spec.adapter, "ready": w.ready} for w in self._workers.values()]

    def clear(self) -> None:
        """Let all models go; work that waits is done first."""
        with self._lock:
            for worker in self._workers.values():
                worker.close()
            self._workers.clear()

    def _worker(self, spec: EncoderSpec) -> _Worker:
        key = spec.fingerprint
        worker = self._workers.get(key)
        if worker is None or worker.failure is not None:  # a model that failed to load is tried again: its files may be there now
            worker = self._workers[key] = _Worker(spec, self._open)
        self._workers.move_to_end(key)
        while len(self._workers) > self._keep:
            self._workers.popitem(last=False)[1].close()
        return worker


class _Worker:
    """One model and the thread that alone touches it."""

    def __init__(self, spec: EncoderSpec, open_model: Callable[[EncoderSpec], TextEncoder]) -> None:
        self.spec = spec
        self.ready = False
        self.failure: BaseException | None = None  # why the model cannot be loaded
        self._open = open_model
        self._waiting: list[_Piece] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._run, name=f"encoder {spec.base}", daemon=True).start()

    def encode(self, texts: list[str], role: Role, task: str | None) -> Future[Vectors]:
        """Queue texts, in slices."""
        slices = [texts[i : i + SLICE_TEXTS] for i in range(0, len(texts), SLICE_TEXTS)]
        gather = _Gather(len(slices))
        rank = 0 if len(texts) <= SMALL_REQUEST else 1
        for number, part in enumerate(slices):
            self._add(_Piece((rank, next(self._numbers)), part, (role, task), gather.sink(number), gather.fail))
        return gather.future

    def ask(self, question: Ask) -> Future[Any]:
        """Queue a question."""
        gather = _Gather(1, joined=False)
        self._add(_Piece((0, next(self._numbers)), [], (Role.DOCUMENT, None), gather.sink(0), gather.fail, question))
        return gather.future

    def close(self) -> None:
        """End the thread, and so free the model, once nothing waits."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _add(self, piece: _Piece) -> None:
        with self._changed:
            if self.failure is not None:
                piece.fail(self.failure)
                return
            heapq.heappush(self._waiting, piece)
            self._changed.notify()

    def _run(self) -> None:
        try:
            encoder = self._open(self.spec)
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._give_up(_named(error))
            return
        self.ready = True
        while batch := self._next_batch():
            try:
                _do(encoder, batch)
            except BaseException as error:  # noqa: BLE001 - same
                for piece in batch:
                    piece.fail(_named(error))

    def _next_batch(self) -> list[_Piece]:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return []
                self._changed.wait()
        time.sleep(COLLECT_SECONDS)  # others who ask at the same moment join this batch
        with self._changed:
            batch = [heapq.heappop(self._waiting)]
            if batch[0].ask is not None:
                return batch
            size, rest = len(batch[0].texts), []
            while self._waiting and size < BATCH_TEXTS:
                piece = heapq.heappop(self._waiting)
                if piece.ask is None and piece.manner == batch[0].manner and size + len(piece.texts) <= BATCH_TEXTS:
                    batch.append(piece)
                    size += len(piece.texts)
                else:
                    rest.append(piece)
            for piece in rest:
                heapq.heappush(self._waiting, piece)
        return batch

    def _give_up(self, error: BaseException) -> None:
        with self._changed:
            self.failure = error
            waiting, self._waiting = self._waiting, []
        for piece in waiting:
            piece.fail(error)


class _Gather:
    """One Future for the parts of a request."""

    def __init__(self, parts: int, *, joined: bool = True) -> None:
        self.future: Future[Any] = Future()
        self._parts: list[Any] = [None] * parts
        self._missing = parts
        self._joined = joined
        if not parts:
            self.future.set_result(np.zeros((0, 0), dtype=np.float32))

    def sink(self, number: int) -> Callable[[Any], None]:
        """Where part `number` is delivered; parts of one request come from one thread, so no lock is needed."""

        def deliver(part: Any) -> None:
            self._parts[number] = part
            self._missing -= 1
            if not self._missing and not self.future.done():
                self.future.set_result(np.concatenate(self._parts) if self._joined else part)

        return deliver

    def fail(self, error: BaseException) -> None:
        """The request failed; the first reason stays."""
        if not self.future.done():
            self.future.set_exception(error)


def _do(encoder: TextEncoder, batch: list[_Piece]) -> None:
    if (question := batch[0].ask) is not None:
        batch[0].deliver(question(encoder))
        return
    role, task = batch[0].manner
    vectors = encoder.encode([text for piece in batch for text in piece.texts], role=role, task=task)
    start = 0
    for piece in batch:
        piece.deliver(vectors[start : start + len(piece.texts)])
        start += len(piece.texts)


def _named(error: BaseException) -> BaseException:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        named = OutOfMemory("The model does not fit in memory.", hint="Close other models or jobs on this machine, or use a smaller model.")
        named.__cause__ = error
        return named
    return error
