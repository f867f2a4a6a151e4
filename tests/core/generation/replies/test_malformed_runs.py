"""The corpus of malformed replies as a run meets it: what is kept, what is dropped for which reason, and that nothing is executed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from core.domain.chat import ChatRequest
from core.domain.groups import TaskGroup
from core.domain.task import EmbeddingTask, TaskState
from core.domain.triple import Texts
from core.generation.replies.parsing import read_example, read_tasks
from core.workbench import Workbench
from tests.core.generation.jobs import Bench, make_plan
from tests.core.generation.replies.test_parsing_malformed import GOOD, READ, REFUSED, N, P, Q
from tests.core.llm.scripted import ScriptedModel, make_reply
from tests.factories import TASK

NO_REPEATS = 16_384  # tokens: a reply cut off at the largest cap is not asked for again
FIELDS = {"user_query", "positive_document", "hard_negative_document"}


@pytest.fixture
def bench(workbench: Workbench, tmp_path: Path) -> Bench:
    bench = Bench(workbench, tmp_path)
    bench.tasks.add([EmbeddingTask(TaskGroup.SHORT_LONG, TASK, TaskState.ACCEPTED)])
    return bench


def run_all(bench: Bench, replies: list[tuple[str, str]]) -> dict:
    """One request a reply, (text, finish reason)."""

    def answer(request: ChatRequest, n: int):
        text, finish = replies[n]
        return make_reply(text, finish_reason=finish, raw=json.dumps({"number": n, "text": text}))

    plan = make_plan(len(replies), TaskGroup.SHORT_LONG, max_tokens=NO_REPEATS, in_flight=1)
    return bench.generate(ScriptedModel(answer), plan, job_id="one")


def as_asked(text: str) -> bool:
    try:
        return json.loads(text).keys() == FIELDS
    except (ValueError, AttributeError):
        return False


def test_at_least_sixty_cases_are_malformed_and_yet_complete():
    whole = [name for name, (text, _) in READ.items() if not as_asked(text)]
    whole += [name for name, (_, _, reason) in REFUSED.items() if reason != "length"]
    assert len(set(whole)) >= 70


def test_a_run_over_the_whole_corpus_keeps_every_reply_and_makes_a_triple_of_no_other_than_the_readable_ones(bench: Bench):
    readable = [(text, "stop") for text, _ in READ.values()]
    refused = [(text, finish) for text, finish, _ in REFUSED.values()]
    result = run_all(bench, readable + refused)
    assert (result["planned"], result["received"]) == (len(READ) + len(REFUSED),) * 2
    assert (result["parsed"], result["failed"]) == (len(READ), len(REFUSED))
    assert result["failures"] == Counter(reason for _, _, reason in REFUSED.values())
    wanted = {texts for _, texts in READ.values()}
    assert {record.triple.texts for record in bench.triples.find()} == wanted
    assert (result["added"], result["duplicates"]) == (len(wanted), len(READ) - len(wanted))
    failures = [json.loads(failure.raw) for failure in bench.desk.failures("one")]
    assert {failure["number"]: failure["text"] for failure in failures} == dict(enumerate((text for text, _ in refused), len(READ)))


def test_no_beginning_of_a_reply_and_no_reply_called_cut_is_ever_stored(bench: Bench):
    cut = [(GOOD[:end], "stop") for end in range(1, len(GOOD) - 1, 3)] + [(GOOD[:end], "length") for end in range(1, len(GOOD) + 1, 9)]
    cut += [(text, "length") for text, _ in READ.values()]
    cut += [(text, finish) for text, finish, reason in REFUSED.values() if reason == "length"]
    result = run_all(bench, cut)
    assert (result["parsed"], result["failed"], bench.triples.count()) == (0, len(cut), 0)
    assert result["failures"].keys() <= {"length", "not_json"}  # a lone brace is no object yet


def programs(canary: Path) -> list[str]:
    """Python that would make the file, in every place where a careless reader could run it."""
    act = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    shell = f"__import__('os').system('touch {canary}')"
    texts = f"'user_query': {Q!r}, 'positive_document': {P!r}"
    return [
        act,
        f"```python\n{act}\n```",
        f"exec({act!r})",
        f"{{{texts}, 'hard_negative_document': {act}}}",
        f"{{{texts}, 'hard_negative_document': str({act}) or {N!r}}}",
        f"{{{texts}, 'hard_negative_document': f\"{{{shell}}}\"}}",
        f"{{{texts}, 'hard_negative_document': {N!r}, {act}: 1}}",
        f"dict(user_query={Q!r}, positive_document={P!r}, hard_negative_document={shell})",
        f"[{act} for _ in (1,)]",
        f"(lambda: {act})()",
        f"{{**{{{texts}}}, 'hard_negative_document': {N!r}, 'x': {shell}}}",
        f"<think>{act}</think>{{{texts}, 'hard_negative_document': ({act}, {N!r})[1]}}",
        f"!!python/object/apply:os.system ['touch {canary}']",
        f"- !!python/object/apply:os.system ['touch {canary}']",
        f"{{{{ ''.__class__.__mro__[1].__subclasses__() }}}} {{% set x = {act} %}}",
        json.dumps({"user_query": Q, "positive_document": act, "hard_negative_document": shell}),
        json.dumps({"tasks": [act, f"{{{act}}}", "{0.__class__}", shell]}),
        json.dumps([act, shell]),
        f"1. {act}\n2. {shell}",
    ]


def test_the_canary_would_sing(tmp_path: Path):
    """Run by hand, these programs make the file: so its absence means that nobody ran them."""
    canary = tmp_path / "canary"
    for program in programs(canary)[3:5]:
        eval(program)  # what must never happen elsewhere
        assert canary.exists()
        canary.unlink()


def test_a_reply_that_holds_python_is_never_executed_neither_at_first_nor_when_it_is_read_again(bench: Bench, tmp_path: Path):
    canary = tmp_path / "canary"
    replies = programs(canary)
    for group in TaskGroup:
        for text in replies:
            read_example(group, make_reply(text))
            read_tasks(make_reply(text))
    result = run_all(bench, [(text, "stop") for text in replies])
    bench.workbench.replies.reread()
    assert not canary.exists()
    assert result["parsed"] + result["failed"] == len(replies)
    # The one that is JSON is a triple like any other: its code is text.
    texts = {record.triple.texts for record in bench.triples.find()}
    assert Texts(Q, *list(json.loads(replies[15]).values())[1:]) in texts
