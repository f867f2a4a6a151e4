from __future__ import annotations

import pytest

from core.domain.chat import ChatReply
from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep
from core.domain.request import PlannedRequest
from core.domain.review import Action
from core.domain.task import TaskState
from core.domain.triple import Flag
from core.domain.yields import Yield, YieldAxis, total
from core.storage.ledger import Ledger
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.factories import make_task, make_triple

FLAG = Flag("copied_query", "The positive repeats the query.")


def planned(i: int, *, step: PromptStep = PromptStep.EXAMPLE, **fields) -> PlannedRequest:
    values = {"group": TaskGroup.SHORT_LONG, "model": "m", "parameters": {"seed": i}, "schema": None, "task_id": "t"}
    return PlannedRequest(step=step, base_url="http://x/v1", messages=({"role": "user", "content": f"ask {i}"},), **(values | fields))


def reply() -> ChatReply:
    return ChatReply("{}", "stop", 100, 40, 1.0, "m", raw="{}")


@pytest.fixture
def asked(workbench: Workbench) -> Workbench:
    """Six requests of two languages and two models: 4 parsed, 1 failed with a reply, 1 only planned; one accepted, one rejected."""
    ledger, triples = Ledger(workbench.database), TripleStore(workbench.database)
    version = workbench.prompts.newest(TaskGroup.SHORT_LONG, PromptStep.EXAMPLE).id
    requests = [
        planned(i, language="French" if i < 3 else "Hausa", model="m" if i < 4 else "free", prompt_version_id=version) for i in range(6)
    ]
    ledger.plan(requests[:3], "one")
    ledger.plan(requests[3:], "two")
    made = []
    for i, request in enumerate(requests[:5]):
        ledger.mark_sent(request.key, "one" if i < 3 else "two")
        ledger.mark_received(request.key, reply(), 0.01 if request.model == "m" else None)
        if i == 2:
            ledger.mark_failed(request.key, "not_json")
            continue
        ledger.mark_parsed(request.key)
        lineage = {"model": request.model, "prompt_version_id": version, "request_key": request.key}
        made.append(make_triple(f"question {i}", source="generated", language=request.language, **lineage))
    imported = make_triple("from a file", source="import", language="French", model="m", prompt_version_id=version)
    triples.add([*made, imported], {made[0].id: [FLAG]})
    workbench.review.decide(made[0].id, Action.ACCEPT, "me")
    workbench.review.decide(made[1].id, Action.REJECT, "me", reason="other")
    return workbench


def by(workbench: Workbench, axis: YieldAxis) -> dict[str, Yield]:
    return {found.name: found for found in workbench.yields.by(axis)}


def test_requests_triples_and_money_are_counted_by_language(asked: Workbench):
    found = by(asked, YieldAxis.LANGUAGE)
    french = found["French"]
    assert (french.sent, french.replies, french.parsed, french.failed) == (3, 3, 2, 1)
    assert (french.made, french.flagged, french.accepted, french.rejected, french.waiting) == (
        2,
        1,
        1,
        1,
        0,
    )  # not the import
    assert (french.prompt_tokens, french.completion_tokens) == (300, 120)
    assert french.cost_per_accepted == pytest.approx(0.03)  # the reply that failed is paid too
    hausa = found["Hausa"]
    assert (hausa.sent, hausa.parsed, hausa.made, hausa.waiting) == (2, 2, 2, 2)
    assert (hausa.unpriced, hausa.cost, hausa.cost_per_accepted) == (1, None, None)
    assert hausa.known_cost == pytest.approx(0.01)


@pytest.mark.parametrize(("axis", "sent"), [(YieldAxis.MODEL, {"m": 4, "free": 1}), (YieldAxis.GROUP, {"short-long": 5})])
def test_each_axis_counts_the_same_requests(asked: Workbench, axis: YieldAxis, sent: dict[str, int]):
    found = by(asked, axis)
    assert {name: one.sent for name, one in found.items()} == sent
    together = total(found.values())
    assert (together.sent, together.parsed, together.made, together.flagged, together.accepted, together.unpriced) == (5, 4, 4, 1, 1, 1)


def test_the_yields_of_one_job_are_of_its_requests_alone(asked: Workbench):
    [one] = asked.yields.by(YieldAxis.PROMPT, job_ids=["one"])
    [two] = asked.yields.by(YieldAxis.PROMPT, job_ids=["two"])
    assert (one.sent, one.made, one.flagged, one.accepted) == (3, 2, 1, 1)
    assert (two.sent, two.made, two.flagged, two.accepted) == (2, 2, 0, 0)
    assert asked.yields.by(YieldAxis.PROMPT, job_ids=["one", "two"])[0].made == by(asked, YieldAxis.PROMPT)[one.name].made == 4


def test_requests_of_a_job_tell_their_draw_and_what_became_of_them(asked: Workbench):
    found = {one.draw: one for one in asked.yields.requests_of("one")}
    assert [found["t", i].state.value for i in range(3)] == ["parsed", "parsed", "failed"]
    assert (found["t", 0].flagged, found["t", 1].flagged) == (True, False)
    assert (found["t", 2].reason, found["t", 2].triple_id, found["t", 2].verdict) == ("not_json", None, None)


def test_nothing_asked_is_no_yield_and_rows_are_never_read(workbench: Workbench):
    assert workbench.yields.by(YieldAxis.MODEL) == []
    wanted = {
        "requests": ("step = 'example'", "prompt_version_id, state, attempts, finish_reason, prompt_tokens, completion_tokens, cost"),
        "triples": ("source = 'generated'", "prompt_version_id, verdict, suspicion"),
    }
    with workbench.database.reading() as connection:
        for table, (where, columns) in wanted.items():
            query = f'SELECT "group", language, model, {columns} FROM {table} WHERE {where}'
            plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
            assert f"COVERING INDEX {table}_by_yield" in plan[0]


def test_a_brainstorm_is_judged_by_its_tasks(workbench: Workbench):
    ledger = Ledger(workbench.database)
    version = workbench.prompts.newest(TaskGroup.LONG_LONG, PromptStep.BRAINSTORM).id
    request = planned(1, step=PromptStep.BRAINSTORM, group=TaskGroup.LONG_LONG, prompt_version_id=version, task_id=None)
    ledger.plan([request], "one")
    ledger.mark_sent(request.key, "one")
    ledger.mark_received(request.key, reply(), 0.02)
    ledger.mark_parsed(request.key)
    states = (TaskState.ACCEPTED, TaskState.ACCEPTED, TaskState.REJECTED, TaskState.PROPOSED)
    workbench.tasks.store(
        [make_task(f"Task number {i}.", group=TaskGroup.LONG_LONG, state=state, request_key=request.key) for i, state in enumerate(states)]
    )
    assert workbench.yields.by(YieldAxis.PROMPT) == []
    [found] = workbench.yields.by(YieldAxis.PROMPT, step=PromptStep.BRAINSTORM)
    assert (found.name, found.made, found.accepted, found.rejected, found.waiting, found.flagged) == (version, 4, 2, 1, 1, 0)
    assert found.cost_per_accepted == pytest.approx(0.01)
