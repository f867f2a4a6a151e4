"""10,000 planned draws follow METHOD.md's tables, which stand here once more, by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations

import pytest
from scipy.stats import chi2_contingency, chisquare

from core.domain.groups import TaskGroup
from core.domain.languages import LANGUAGES, paper_weights
from core.domain.plans import GenerationPlan
from core.domain.request import PlannedRequest
from core.domain.task import EmbeddingTask, TaskState
from core.generation.request_planner import RequestPlanner
from core.settings import Settings
from core.storage.tasks import TaskStore
from core.workbench import Workbench

DRAWS = 10_000
ALPHA = 0.001  # of each comparison; seeds are fixed, so each passes always or never
TASKS = 8
MAJOR = (
    "Arabic", "Chinese (Simplified)", "Dutch", "French", "German", "Indonesian", "Italian", "Japanese", "Persian", "Polish", "Portuguese",
    "Russian", "Spanish",
)  # fmt: skip
CLARITY = ("clear", "understandable with some effort", "ambiguous")
LEVELS, SCHOOL_LEVELS = ("high school", "college", "PhD"), ("elementary school", "high school", "college")
UNITS, HIGH_SCORES = ("sentence", "phrase", "passage"), (4, 4.5, 5)
SLOTS: dict[TaskGroup, dict[str, tuple]] = {
    TaskGroup.SHORT_LONG: {
        "query_type": ("extremely long-tail", "long-tail", "common"),
        "query_length": ("less than 5 words", "5 to 15 words", "at least 10 words"),
        "clarity": CLARITY,
        "difficulty": LEVELS,
        "num_words": (50, 100, 200, 300, 400, 500),
    },
    TaskGroup.LONG_SHORT: {
        "num_words": ("less than 10", "at least 10", "at least 50", "at least 100", "at least 200"),
        "difficulty": LEVELS,
        "clarity": CLARITY,
    },
    TaskGroup.SHORT_SHORT: {},
    TaskGroup.LONG_LONG: {},
    TaskGroup.STS: {"unit": UNITS, "high_score": HIGH_SCORES, "low_score": (2.5, 3, 3.5), "difficulty": SCHOOL_LEVELS},
    TaskGroup.BITEXT: {"unit": UNITS, "high_score": HIGH_SCORES, "low_score": (1.5, 2, 2.5), "difficulty": SCHOOL_LEVELS},
}
LANGUAGE_NAMES = {"language": "language", "src_lang": "language", "tgt_lang": "target_language"}


def method_weights() -> dict[str, float]:
    rest = [name for name in LANGUAGES if name != "English" and name not in MAJOR]
    assert len(rest) == 86
    return {"English": 0.431, **dict.fromkeys(MAJOR, 0.029), **dict.fromkeys(rest, 0.192 / 86)}


def p_value(drawn: Sequence[object], weights: Mapping[object, float]) -> float:
    """Chance of draws at least so far from the weights; 0 where something was drawn that has no weight."""
    counts, total = Counter(drawn), sum(weights.values())
    if not counts.keys() <= weights.keys():
        return 0.0
    return float(chisquare([counts[v] for v in weights], [len(drawn) * w / total for w in weights.values()]).pvalue)


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> RequestPlanner:
    workbench = Workbench(Settings(workspace=tmp_path_factory.mktemp("workspace")))
    store = TaskStore(workbench.database)
    for group in (group for group in TaskGroup if group not in (TaskGroup.STS, TaskGroup.BITEXT)):
        store.add([EmbeddingTask(group, f"Given question {i}, find its answer.", TaskState.ACCEPTED) for i in range(TASKS)])
    return RequestPlanner(workbench.prompts, store)


@pytest.fixture(scope="module")
def drawn(planner: RequestPlanner):
    """Requests of one group by the paper's weights."""

    @cache
    def draw(group: TaskGroup, seed: int = 0, count: int = DRAWS) -> list[PlannedRequest]:
        return list(planner.generation(plan(group, seed=seed, count=count)))

    return draw


def plan(group: TaskGroup, *, languages: Mapping[str, float] | None = None, seed: int = 0, count: int = DRAWS) -> GenerationPlan:
    values = {"base_url": "http://scripted/v1", "model": "scripted", "counts": {group: count}, "seed": seed}
    return GenerationPlan.model_validate(values | {"languages": dict(languages or paper_weights())})


@pytest.mark.parametrize("group", list(TaskGroup))
def test_languages_come_by_the_weights_of_the_method(drawn, group: TaskGroup):
    languages = [request.language for request in drawn(group)]
    assert p_value(languages, method_weights()) > ALPHA
    assert set(languages) == set(LANGUAGES)  # the rarest is expected 22 times


def test_the_second_language_of_a_translation_comes_by_the_weights_of_those_that_are_left(drawn):
    weights = method_weights()
    expected = {t: sum(s_weight * weights[t] / (1 - s_weight) for s, s_weight in weights.items() if s != t) for t in weights}
    assert sum(expected.values()) == pytest.approx(1)
    requests = drawn(TaskGroup.BITEXT)
    assert p_value([request.target_language for request in requests], expected) > ALPHA
    assert all(request.language != request.target_language for request in requests)


@pytest.mark.parametrize(("group", "slot"), [(group, slot) for group, slots in SLOTS.items() for slot in slots])
def test_every_value_of_every_slot_comes_equally_often(drawn, group: TaskGroup, slot: str):
    values = [request.slots[slot] for request in drawn(group)]
    assert p_value(values, dict.fromkeys(SLOTS[group][slot], 1.0)) > ALPHA


@pytest.mark.parametrize("group", list(TaskGroup))
def test_a_request_has_the_slots_of_the_method_and_no_others_and_its_prompt_holds_them(drawn, group: TaskGroup):
    languages = {"src_lang", "tgt_lang"} if group is TaskGroup.BITEXT else {"language"}
    for request in drawn(group):
        assert request.slots.keys() == SLOTS[group].keys() | languages
        assert all(request.slots[slot] == getattr(request, LANGUAGE_NAMES[slot]) for slot in languages)
        prompt = request.messages[0]["content"]
        assert all(str(value) in prompt for value in request.slots.values())


@pytest.mark.parametrize("group", [TaskGroup.SHORT_LONG, TaskGroup.LONG_SHORT, TaskGroup.STS, TaskGroup.BITEXT])
def test_no_slot_tells_anything_about_another_one_nor_about_the_task_or_the_sampling_seed(drawn, group: TaskGroup):
    facts = [
        {**{slot: request.slots[slot] for slot in SLOTS[group]}, "english": request.language == "English", "task": request.task_id,
         "seed": request.parameters["seed"] % 5}
        for request in drawn(group)
    ]  # fmt: skip
    for one, other in combinations([name for name in facts[0] if len({fact[name] for fact in facts}) > 1], 2):
        pairs = Counter((fact[one], fact[other]) for fact in facts)
        table = [[pairs[a, b] for b in {fact[other] for fact in facts}] for a in {fact[one] for fact in facts}]
        assert chi2_contingency(table).pvalue > ALPHA, (one, other)


def test_every_accepted_task_comes_equally_often(drawn):
    tasks = [request.task_id for request in drawn(TaskGroup.SHORT_SHORT)]
    assert len(set(tasks)) == TASKS
    assert p_value(tasks, dict.fromkeys(tasks, 1.0)) > ALPHA


def test_a_wrong_weight_fails(planner: RequestPlanner, drawn):
    languages = [request.language for request in drawn(TaskGroup.SHORT_SHORT)]
    weights = method_weights()
    for wrong in ({"English": 0.35}, {"French": 0.058}):
        assert p_value(languages, weights | wrong) < ALPHA, wrong
    for wrong in ({"English": 0.35}, {"French": 0.058}, {"Welsh": 0.01}):
        mistaken = planner.generation(plan(TaskGroup.SHORT_SHORT, languages=weights | wrong))
        assert p_value([request.language for request in mistaken], weights) < ALPHA, wrong
    assert p_value(languages, {name: weight for name, weight in weights.items() if name != "Thai"}) == 0
    lengths = [request.slots["num_words"] for request in drawn(TaskGroup.SHORT_LONG)]
    values = SLOTS[TaskGroup.SHORT_LONG]["num_words"]
    for wrong in (dict.fromkeys(values, 1.0) | {500: 1.2}, dict.fromkeys(values[:-1], 1.0), dict.fromkeys((*values, 1000), 1.0)):
        assert p_value(lengths, wrong) < ALPHA, wrong


@pytest.mark.parametrize("group", list(TaskGroup))
def test_the_same_seed_plans_the_same_requests_and_another_seed_others(planner: RequestPlanner, drawn, group: TaskGroup):
    keys = [request.key for request in drawn(group, count=500)]
    assert keys == [request.key for request in planner.generation(plan(group, count=500))]
    assert keys[:200] == [request.key for request in planner.generation(plan(group, count=200))]  # whatever follows
    assert len(set(keys)) == 500
    other = drawn(group, seed=1, count=500)
    assert set(keys).isdisjoint(request.key for request in other)
    assert [request.slots for request in other] != [request.slots for request in drawn(group, count=500)]
