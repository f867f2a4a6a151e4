"""Faults on purpose: which one befalls a request, and what it does to a reply."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from random import Random

from core.errors import BadInput


class TeacherFault(StrEnum):
    """What can go wrong with a reply; the value is how requests and options name it."""

    BAD_REQUEST = "400"
    BAD_KEY = "401"
    RATE_LIMIT = "429"
    QUOTA = "quota"  # 429 too, but waiting does not help
    SERVER_ERROR = "500"
    OVERLOADED = "503"
    SLOW = "slow"
    TRUNCATED = "truncated"
    REFUSAL = "refusal"
    EMPTY = "empty"
    WRONG_LANGUAGE = "wrong_language"  # of examples; a list of tasks is always English
    MALFORMED = "malformed"  # one of the next four
    FENCES = "fences"
    PROSE = "prose"
    TRAILING_COMMA = "trailing_comma"
    RAW_NEWLINE = "raw_newline"


HTTP_FAULTS = frozenset(
    (
        TeacherFault.BAD_REQUEST,
        TeacherFault.BAD_KEY,
        TeacherFault.RATE_LIMIT,
        TeacherFault.QUOTA,
        TeacherFault.SERVER_ERROR,
        TeacherFault.OVERLOADED,
    )
)
MALFORMED = (TeacherFault.FENCES, TeacherFault.PROSE, TeacherFault.TRAILING_COMMA, TeacherFault.RAW_NEWLINE)
NAMED = re.compile(r"([a-z_]+|\d{3})(?:x(\d{1,6}))?")
ESCAPED_NEWLINE = re.compile(r"(?<!\\)\\n")
KNOWN = frozenset(fault.value for fault in TeacherFault)
REFUSAL_TEXT = "I'm sorry, but I can't help with this request."
HINT = f"Known faults: {', '.join(TeacherFault)}."


@dataclass(frozen=True, slots=True)
class NamedFault:
    """A fault a request asks for itself. `429x2` befalls only the first two sendings of an equal body."""

    fault: TeacherFault
    sendings: int | None = None

    def befalls(self, sending: int) -> bool:
        """Whether it befalls this sending, counted from 1."""
        return self.sendings is None or sending <= self.sendings


def named_faults(names: str, separator: str) -> tuple[NamedFault, ...]:
    """Faults a request names, for example `slow,429x2`.

    Raises:
        BadInput: no such fault.
    """
    found = []
    for name in (part.strip() for part in names.split(separator)):
        match = NAMED.fullmatch(name)
        if match is None or match.group(1) not in KNOWN:
            raise BadInput(f"There is no fault “{name}”.", hint=HINT)
        found.append(NamedFault(TeacherFault(match.group(1)), int(match.group(2)) if match.group(2) else None))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class FaultMix:
    """Shares of requests that each fault befalls; a request has at most one fault drawn for it."""

    shares: Mapping[TeacherFault, float]

    @classmethod
    def read(cls, text: str) -> FaultMix:
        """A mix written as `429:0.05,500:0.02,truncated:0.1`; an empty text is none.

        Raises:
            BadInput: an unknown fault, a share that is no number from 0 to 1, or shares that sum to more than 1.
        """
        shares: dict[TeacherFault, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, share = part.partition(":")
            if name.strip() not in KNOWN:
                raise BadInput(f"There is no fault “{name.strip()}”.", hint=HINT)
            try:
                shares[TeacherFault(name.strip())] = float(share)
            except ValueError as error:
                raise BadInput(f"“{part}” has no readable share.", hint="Write faults as 429:0.05,truncated:0.1") from error
        if not all(0 <= share <= 1 for share in shares.values()) or sum(shares.values()) > 1 + 1e-9:
            raise BadInput("Shares of faults lie from 0 to 1 and sum to at most 1.", hint="Write faults as 429:0.05,truncated:0.1")
        return cls(shares)

    def draw(self, seed: int, request: bytes, sending: int) -> TeacherFault | None:
        """The fault of one sending of a request, or None: the same for the same seed, body and number, so a repetition may succeed."""
        if not self.shares:
            return None
        digest = sha256(b"%d:%d:" % (seed, sending) + request).digest()
        point = int.from_bytes(digest[:8]) / 2**64
        for fault, share in self.shares.items():
            point -= share
            if point < 0:
                return fault
        return None


def malformed(text: str, faults: Collection[TeacherFault], random: Random) -> str:
    """A JSON text with the asked blemishes: all of it is still there, but a strict parser refuses it or finds words around it."""
    kinds = {random.choice(MALFORMED) if fault is TeacherFault.MALFORMED else fault for fault in faults}
    if TeacherFault.TRAILING_COMMA in kinds and (end := text.rfind("}")) >= 0:
        text = f"{text[:end]},{text[end:]}"
    if TeacherFault.RAW_NEWLINE in kinds:
        text = _with_raw_newline(text)
    if TeacherFault.FENCES in kinds:
        text = f"```json\n{text}\n```"
    if TeacherFault.PROSE in kinds:
        text = f"Here is what you asked for:\n\n{text}\n\nI hope it helps; tell me if you want another one."
    return text


def cut_off(text: str, random: Random) -> str:
    """The first part of a text, between a third and four fifths of it, as a token limit leaves it."""
    return text[: max(1, int(len(text) * random.uniform(0.33, 0.8)))]


def _with_raw_newline(text: str) -> str:
    mended = ESCAPED_NEWLINE.sub("\n", text)
    return mended if mended != text else text.replace('": "', '": "\n', 1)  # right behind an opening quotation mark
