"""What the recorded teacher writes: examples and tasks of the starter set, chosen for the prompt that was sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any

from core.domain.groups import GROUPS, TaskGroup
from core.domain.identity import normalise
from core.domain.prompt import PromptStep
from core.domain.triple import Triple
from core.generation.prompts.slots import LANGUAGE_SLOTS
from core.shipped.records import Record
from core.shipped.teacher.asked import Asked, PromptReader

UNKNOWN = (
    "I am the recorded teacher. I only know the prompts that ship with this project and answer them from its starter set. "
    "Please send one of those, as it is or a little edited."
)
NO_SLOTS = frozenset((*LANGUAGE_SLOTS, "task"))  # what decides the pool, not the weight within it
LENGTH_SLOTS = frozenset(("num_words", "query_length", "unit"))  # they weigh more: a text of another length is seen at once
KEPT_WEIGHTS = 4096
TASKS_WITHOUT_A_COUNT = 20


class StarterReplies:
    """Answers prompts from the starter set. The same prompt with the same random state always has the same answer."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._prompts = PromptReader()
        self._pools: dict[Hashable, list[Triple]] = defaultdict(list)
        self._tasks: dict[TaskGroup, dict[str, str]] = defaultdict(dict)  # group -> task -> topic, in the order of the files
        for triple in (record.triple for record in records):
            self._tasks[triple.group].setdefault(triple.task, triple.topic)
            for key in _keys(triple.group, normalise(triple.task), triple.language, triple.target_language):
                self._pools[key].append(triple)
        self._weighted = lru_cache(KEPT_WEIGHTS)(self._weights)

    def value(self, prompt: str, random: Random, *, wrong_language: bool = False, mark: str = "") -> dict[str, Any] | None:
        """The JSON object that answers a prompt, or None where the prompt is unknown.

        Args:
            prompt: The text of the request.
            random: Decides between the answers that fit.
            wrong_language: Take an example in a language that was not asked for.
            mark: Put behind the query, so that answers differ where the starter set would repeat itself.
        """
        asked = self._prompts.read(prompt)
        if asked is None or not self._pools[asked.group,]:
            return None
        if asked.step is PromptStep.BRAINSTORM:
            return {"tasks": self._some_tasks(asked, random)}
        if asked.step is PromptStep.REWRITE:
            return self._rewritten(asked, prompt, random, wrong_language=wrong_language)
        triple = self._other_language(asked, random) if wrong_language else self._example(asked, random)
        return _fields(triple, mark)

    def _some_tasks(self, asked: Asked, random: Random) -> list[dict[str, str]]:
        known = self._tasks[asked.group]
        count = asked.slots.get("count", "")
        wanted = int(count) if count.isascii() and count.isdigit() else TASKS_WITHOUT_A_COUNT
        return [{"task": task, "topic": known[task]} for task in random.sample(list(known), min(wanted, len(known)))]

    def _rewritten(self, asked: Asked, prompt: str, random: Random, *, wrong_language: bool) -> dict[str, str] | None:
        """One text of another example: of the same task and language if there is one, and none that the prompt holds already."""
        name = asked.slots.get("key", "")
        if name not in GROUPS[asked.group].fields:
            return None
        task, language = normalise(asked.slots.get("task", "")), asked.slots.get("language")
        query = name == GROUPS[asked.group].query_field

        def fit(triple: Triple) -> tuple[bool, bool]:
            spoken = (triple.language if query else triple.document_language) == language
            return spoken is not wrong_language, normalise(triple.task) == task

        others = [triple for triple in self._pools[asked.group,] if (text := _fields(triple, "")[name]) and text not in prompt]
        best = max(map(fit, others), default=None)
        return {name: _fields(random.choice([t for t in others if fit(t) == best]), "")[name]} if others else None

    def _example(self, asked: Asked, random: Random) -> Triple:
        language, target = _languages(asked)
        keys = _keys(asked.group, normalise(asked.slots.get("task", "")), language, target)
        key = next(key for key in keys if self._pools.get(key))
        wanted = tuple(sorted((name, value) for name, value in asked.slots.items() if name not in NO_SLOTS))
        return random.choices(self._pools[key], cum_weights=self._weighted(key, wanted))[0]

    def _other_language(self, asked: Asked, random: Random) -> Triple:
        language, target = _languages(asked)
        wanted = target or language
        others = [triple for triple in self._pools[asked.group,] if triple.document_language != wanted]
        return random.choice(others or self._pools[asked.group,])

    def _weights(self, key: Hashable, wanted: tuple[tuple[str, str], ...]) -> list[int]:
        """Cumulated weights of a pool: an example written for the slots asked for comes more often, and none never comes."""
        return list(accumulate(2 ** _agreement(triple, wanted) for triple in self._pools[key]))


def _agreement(triple: Triple, wanted: tuple[tuple[str, str], ...]) -> int:
    return sum(3 if name in LENGTH_SLOTS else 1 for name, value in wanted if str(triple.slots.get(name)) == value)


def _keys(group: TaskGroup, task: str, language: str | None, target: str | None) -> Iterator[Hashable]:
    """Pools from the narrowest to the widest: this task in this language, this language, this target, this task, this group."""
    if GROUPS[group].fixed_task:
        task = ""
    if task and language:
        yield group, "task and language", task, language
    if language:
        yield group, "languages", language, target
    if target:
        yield group, "target", target
    if task:
        yield group, "task", task
    yield (group,)


def _languages(asked: Asked) -> tuple[str | None, str | None]:
    return asked.slots.get("language") or asked.slots.get("src_lang"), asked.slots.get("tgt_lang")


def _fields(triple: Triple, mark: str) -> dict[str, str]:
    facts, texts = GROUPS[triple.group], triple.texts
    values: Mapping[str, str | None] = {
        facts.query_field: f"{texts.query} ({mark})" if mark else texts.query,
        facts.positive_field: texts.positive,
        facts.negative_field or "": texts.negative,
    }
    return {name: values[name] or "" for name in facts.fields}
