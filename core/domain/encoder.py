"""What an encoder is, said without loading one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from core.domain.identity import plan_hash

EMBEDDED_BASE = "embedded:smollm2-135m"
EMBEDDED_BASELINE = "embedded:minilm"
GENERAL_TASK = "Given a question, retrieve passages that answer it."  # instruction where nobody chose another
LATER = ("bidirectional", "layers")  # fields that specs did not have from the start


class Pooling(StrEnum):
    """How token states become one vector."""

    LAST_TOKEN = "last-token"  # noqa: S105 - a token of text
    MEAN = "mean"


class Role(StrEnum):
    """Queries carry the task's instruction, documents never do."""

    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """Everything that decides an encoder's vectors. Equal fingerprints mean comparable vectors."""

    base: str = EMBEDDED_BASE  # embedded:..., a hub id or a local folder
    adapter: str | None = None  # folder of a peft adapter
    adapter_hash: str | None = None  # of the adapter's weights: a retrained adapter is another encoder
    pooling: Pooling = Pooling.LAST_TOKEN
    instructed: bool = True  # put the task's instruction before a query
    append_eos: bool = True
    max_length: int = 512  # tokens, EOS included
    bidirectional: bool = False  # tokens see later ones as well
    layers: int | None = None  # the base's first layers only; all where None

    @property
    def fingerprint(self) -> str:
        """Id of the vectors this spec gives; the adapter counts by its weights, not by where it lies."""
        facts = asdict(self)
        facts.pop("adapter")
        facts = {name: value for name, value in facts.items() if name not in LATER or value}  # older fingerprints stay what they were
        return plan_hash(facts)

    @classmethod
    def baseline(cls) -> EncoderSpec:
        """The embedded MiniLM sentence encoder: mean pooling, no instruction, its own end token."""
        return cls(EMBEDDED_BASELINE, pooling=Pooling.MEAN, instructed=False, append_eos=False, max_length=256)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderSpec:
        """Inverse of `as_dict`."""
        return cls(**{**values, "pooling": Pooling(values.get("pooling", Pooling.LAST_TOKEN))})


def instructed_query(task: str | None, query: str) -> str:
    """The paper's query text (Wang et al. 2024, equation 1)."""
    return f"Instruct: {task}\nQuery: {query}" if task else query
