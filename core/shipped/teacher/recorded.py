"""The recorded teacher: a language model endpoint that needs no model, because it answers from the starter set.

It is the classroom's teacher without a key, and the server that tests and measurements talk to. `RecordedTeacher` decides what is answered;
core.shipped.teacher.app puts it on HTTP.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from random import Random
from typing import Any

from core.errors import BadInput
from core.generation.prompts.slots import stream
from core.shipped.records import Record
from core.shipped.teacher.faults import (
    HTTP_FAULTS,
    MALFORMED,
    REFUSAL_TEXT,
    FaultMix,
    NamedFault,
    TeacherFault,
    cut_off,
    malformed,
    named_faults,
)
from core.shipped.teacher.limits import RateLimits
from core.shipped.teacher.protocol import ApiError, ChatCall, Choice, Completion, first_tokens
from core.shipped.teacher.replies import UNKNOWN, StarterReplies
from core.shipped.teacher.schema_shape import fitted

MODEL = "starter"
FAULT_HEADER = "x-teacher-fault"
REMEMBERED_BODIES = 500_000  # whose sendings are counted; the oldest are forgotten


@dataclass(frozen=True, slots=True)
class TeacherOptions:
    """How the teacher behaves."""

    models: tuple[str, ...] = (MODEL,)
    latency_seconds: float = 0.0  # of every reply
    slow_seconds: float = 5.0  # what the fault `slow` adds
    retry_after_seconds: float = 1.0  # what the fault `429` asks for
    faults: FaultMix = field(default_factory=lambda: FaultMix({}))
    seed: int = 0  # of the drawn faults
    distinct: bool = False  # mark every query, so that no two replies are equal
    requests_a_minute: int | None = None
    tokens_a_minute: int | None = None
    batch_seconds: float = 5.0  # from the creation of a batch to its end


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gets: a completion or an error, after so long."""

    call: ChatCall
    outcome: Completion | ApiError
    wait_seconds: float = 0.0


class RecordedTeacher:
    """Answers chat calls from the starter set, with the faults that were ordered."""

    def __init__(self, records: list[Record], options: TeacherOptions) -> None:
        self.options = options
        self.limits = RateLimits(options.requests_a_minute, options.tokens_a_minute)
        self.counts: Counter[str] = Counter()  # calls | repeated | fault names
        self._replies = StarterReplies(records)
        self._fingerprint = f"fp_{sha256(''.join(record.id for record in records).encode()).hexdigest()[:10]}"
        self._sendings: dict[bytes, int] = {}
        self._run = uuid.uuid4().hex[:8]
        self._numbers = count(1)

    def models(self) -> list[str]:
        """Names a request may use: each model, and each with a fault."""
        return [name for model in self.options.models for name in (model, *(f"{model}+{fault}" for fault in TeacherFault))]

    def answer(self, body: Any, *, header: str = "", limited: bool = True) -> Answer:
        """What a decoded body gets.

        Args:
            body: Of POST /v1/chat/completions.
            header: Faults the request asks for besides those in the model's name.
            limited: Count it towards the rate limits.

        Raises:
            ApiError: 400, 404 or 429: the call cannot be used, names no model of ours, or comes too soon.
        """
        self.counts["calls"] += 1
        call = ChatCall.read(body)
        named = self._named(call.model, header)
        if limited:
            self.limits.take(call.prompt_tokens + call.token_limit)  # as hosted endpoints count: what it may cost at most
        digest = sha256(json.dumps(body, sort_keys=True).encode()).digest()
        faults = self._faults(named, digest)
        self.counts.update(fault.value for fault in faults)
        wait = self.options.latency_seconds + (self.options.slow_seconds if TeacherFault.SLOW in faults else 0.0)
        error = next((self._error(fault) for fault in sorted(faults & HTTP_FAULTS)), None)
        return Answer(call, error or self._completion(call, faults), wait)

    def _named(self, model: str, header: str) -> tuple[NamedFault, ...]:
        base = max((m for m in self.options.models if model == m or model.startswith(f"{m}+")), key=len, default=None)
        try:
            if base is None:
                raise BadInput(f"The model “{model}” does not exist here.", hint=f"There is: {', '.join(self.options.models)}.")
            suffixed = named_faults(model[len(base) + 1 :], "+") if model != base else ()
        except BadInput as error:
            raise ApiError(404, str(error), param="model", code="model_not_found") from error
        try:
            return suffixed + (named_faults(header, ",") if header else ())
        except BadInput as error:
            raise ApiError(400, str(error), param=FAULT_HEADER, code="invalid_value") from error

    def _faults(self, named: tuple[NamedFault, ...], digest: bytes) -> frozenset[TeacherFault]:
        sending = self._sendings.pop(digest, 0) + 1
        self._sendings[digest] = sending  # at the end again: the oldest stand first
        if len(self._sendings) > REMEMBERED_BODIES:
            del self._sendings[next(iter(self._sendings))]
        self.counts["repeated"] += sending > 1
        if named:  # a request that orders its faults has no others
            return frozenset(one.fault for one in named if one.befalls(sending))
        drawn = self.options.faults.draw(self.options.seed, digest, sending)
        return frozenset((drawn,) if drawn else ())

    def _error(self, fault: TeacherFault) -> ApiError:
        wait = {"retry-after": f"{self.options.retry_after_seconds:g}"}
        if fault is TeacherFault.RATE_LIMIT:
            text = f"Rate limit reached. Try again in {self.options.retry_after_seconds:g} s."
            return ApiError(429, text, kind="requests", code="rate_limit_exceeded", headers=wait)
        if fault is TeacherFault.QUOTA:
            return ApiError(429, "The quota of this account is used up.", kind="insufficient_quota", code="insufficient_quota")
        if fault is TeacherFault.BAD_REQUEST:
            return ApiError(400, "This request was refused on purpose.", code="invalid_value")
        if fault is TeacherFault.BAD_KEY:
            return ApiError(401, "The key was refused on purpose.", code="invalid_api_key")
        if fault is TeacherFault.OVERLOADED:
            return ApiError(503, "The server is overloaded on purpose.", kind="server_error", headers=wait)
        return ApiError(500, "The server failed on purpose.", kind="server_error")

    def _completion(self, call: ChatCall, faults: Set[TeacherFault]) -> Completion:
        choices = tuple(self._choice(call, faults, index) for index in range(call.n or 1))
        return Completion(f"chatcmpl-{self._run}{next(self._numbers):010d}", call.model, self._fingerprint, call.prompt_tokens, choices)

    def _choice(self, call: ChatCall, faults: Set[TeacherFault], index: int) -> Choice:
        if TeacherFault.REFUSAL in faults:
            held = call.schema_asked is not None
            return Choice(None, REFUSAL_TEXT) if held else Choice(REFUSAL_TEXT)
        # The token limit is left out, so that a reply asked for again with a higher one is the same reply in full.
        mark = sha256(json.dumps([call.prompt, call.seed, index]).encode()).hexdigest()
        random = stream(0, "reply", mark)
        text = "" if TeacherFault.EMPTY in faults else self._text(call, faults, random, mark[:8])
        if TeacherFault.MALFORMED in faults or not faults.isdisjoint(MALFORMED):
            text = malformed(text, faults, random)
        if TeacherFault.TRUNCATED in faults:
            return Choice(cut_off(text, random), finish_reason="length")
        shortened = first_tokens(text, call.token_limit)
        return Choice(shortened, finish_reason="stop" if shortened == text else "length")

    def _text(self, call: ChatCall, faults: Set[TeacherFault], random: Random, mark: str) -> str:
        value = self._replies.value(
            call.prompt, random, wrong_language=TeacherFault.WRONG_LANGUAGE in faults, mark=mark if self.options.distinct else ""
        )
        schema: Mapping[str, Any] | None = call.schema_asked
        if value is None and schema is None:
            return UNKNOWN
        return json.dumps(value if schema is None else fitted(schema, value, UNKNOWN), ensure_ascii=False)
