"""Slots: the values a prompt is varied by, drawn from a seed before anything is sent (METHOD.md 3; Wang et al. 2024, appendix C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

from core.domain.groups import GROUPS, TaskGroup
from core.domain.prompt import PromptStep
from core.domain.triple import SlotValue

LANGUAGE_SLOTS = frozenset(("language", "src_lang", "tgt_lang"))
REWRITE_SLOTS = frozenset(("task", "group", "field", "others", "current", "faults", "purpose", "language", "length", "key"))
_LEVELS = ("high school", "college", "PhD")
_SCHOOL_LEVELS = ("elementary school", "high school", "college")
_CLARITY = ("clear", "understandable with some effort", "ambiguous")
_UNITS = ("sentence", "phrase", "passage")

VALUES: dict[TaskGroup, dict[str, tuple[SlotValue, ...]]] = {
    TaskGroup.SHORT_LONG: {
        "query_type": ("extremely long-tail", "long-tail", "common"),
        "query_length": ("less than 5 words", "5 to 15 words", "at least 10 words"),
        "clarity": _CLARITY,
        "difficulty": _LEVELS,
        "num_words": (50, 100, 200, 300, 400, 500),
    },
    TaskGroup.LONG_SHORT: {
        "num_words": ("less than 10", "at least 10", "at least 50", "at least 100", "at least 200"),
        "difficulty": _LEVELS,
        "clarity": _CLARITY,
    },
    TaskGroup.SHORT_SHORT: {},
    TaskGroup.LONG_LONG: {},
    TaskGroup.STS: {"unit": _UNITS, "high_score": (4, 4.5, 5), "low_score": (2.5, 3, 3.5), "difficulty": _SCHOOL_LEVELS},
    TaskGroup.BITEXT: {"unit": _UNITS, "high_score": (4, 4.5, 5), "low_score": (1.5, 2, 2.5), "difficulty": _SCHOOL_LEVELS},
}

# Our own list of subjects. With no topics given, each brainstorm request is sent with three of them, because one fixed prompt
# repeats itself (SPEED, arXiv 2410.18634, seeds with Open Directory topics for the same reason).
TOPICS = tuple((Path(__file__).parent / "templates" / "topics.txt").read_text(encoding="utf-8").split("\n")[:-1])
TOPICS_A_REQUEST = 3


@dataclass(frozen=True, slots=True)
class Draw:
    """What one request asks for."""

    slots: dict[str, SlotValue]
    language: str | None = None
    target_language: str | None = None


def required_slots(group: TaskGroup, step: PromptStep) -> frozenset[str]:
    """Slots a template must use."""
    if step is PromptStep.BRAINSTORM:
        return frozenset(("count", "topics"))
    if step is PromptStep.REWRITE:
        return REWRITE_SLOTS
    languages = {"src_lang", "tgt_lang"} if group is TaskGroup.BITEXT else {"language"}
    task = {"task"} if GROUPS[group].brainstormed else set()
    return frozenset(VALUES[group]) | languages | task


def allowed_slots(group: TaskGroup, step: PromptStep) -> frozenset[str]:
    """Slots a template may use; the symmetric groups may mention their fixed task."""
    return required_slots(group, step) | (frozenset(("task",)) if step is PromptStep.EXAMPLE else frozenset())


def values_of(group: TaskGroup, step: PromptStep) -> dict[str, tuple[SlotValue, ...]]:
    """Every value of the drawn slots that have a fixed list."""
    return VALUES[group] if step is PromptStep.EXAMPLE else {}


def stream(seed: int, *parts: str | int) -> Random:
    """A generator that depends on the seed and the parts alone, so adding examples leaves earlier ones as they were."""
    text = ":".join(str(part) for part in (seed, *parts))
    return Random(sha256(text.encode()).digest())  # noqa: S311 - sampling, not secrecy


def draw_example(group: TaskGroup, random: Random, languages: Mapping[str, float]) -> Draw:
    """Slots and languages of one example. Bitext draws two different languages by the same weights."""
    slots: dict[str, SlotValue] = {name: random.choice(values) for name, values in VALUES[group].items()}
    language = draw_language(random, languages)
    if group is not TaskGroup.BITEXT:
        return Draw({**slots, "language": language}, language)
    others = {name: weight for name, weight in languages.items() if name != language and weight > 0}
    # A plan of one language still needs a second one for a translation: English, or French where English is the one.
    target = draw_language(random, others) if others else ("English" if language != "English" else "French")
    return Draw({**slots, "src_lang": language, "tgt_lang": target}, language, target)


def draw_topics(random: Random, topics: Sequence[str]) -> str:
    """Subjects of one brainstorm request: from the given ones, else from our list."""
    pool = [t.strip() for t in (topics or TOPICS)]
    return ", ".join(random.sample(pool, min(TOPICS_A_REQUEST, len(pool))))


def draw_language(random: Random, weights: Mapping[str, float]) -> str:
    """One language by weight."""
    names = sorted(weights)
    return random.choices(names, [weights[name] for name in names])[0]


def choose_task(task_ids: Sequence[str], random: Random) -> str:
    """One of the tasks, by rendezvous hashing: accepting one more task changes only the draws that go to it."""
    salt = random.getrandbits(64)
    return max(task_ids, key=lambda task_id: (_mixed(int(task_id[:16], 16) ^ salt), task_id))


def _mixed(number: int) -> int:
    """Finaliser of splitmix64: neighbouring numbers become unrelated ones."""
    mask = (1 << 64) - 1
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & mask
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & mask
    return number ^ (number >> 31)
