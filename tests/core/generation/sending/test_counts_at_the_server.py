"""What a plan costs, counted where it is paid: at the server."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from core.domain.groups import TaskGroup
from core.domain.plans import GenerationPlan
from core.domain.task import EmbeddingTask, TaskState
from core.llm.endpoint import EndpointModel, Habits
from core.shipped.teacher.recorded import TeacherOptions
from core.workbench import Workbench
from tests.core.generation.jobs import Bench, make_plan
from tests.core.llm.loopback import Answer, completion, serving
from tests.core.llm.scripted import example_text
from tests.core.shipped.teacher.teachers import PLANT_TASK, teaching

ROWS = 150
REFUSAL = {"error": {"message": "The prompt was stopped by the content filter.", "type": "invalid_request_error", "code": "content_filter"}}


@pytest.fixture
def bench(workbench: Workbench, tmp_path: Path) -> Bench:
    return Bench(workbench, tmp_path)


def over_http(bench: Bench, plan: GenerationPlan, *, job_id: str) -> dict:
    bench.desk._open_model = lambda plan: EndpointModel(plan.base_url, plan.model, habits=Habits(in_flight=plan.in_flight))
    return bench.carry_out(plan, job_id)


def calls(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/counts") as answer:
        return json.load(answer)["calls"]


@pytest.mark.parametrize("more", list(TaskGroup))
def test_one_more_example_is_one_more_request_whatever_its_group(bench: Bench, more: TaskGroup):
    groups = [group for group in TaskGroup if group not in (TaskGroup.STS, TaskGroup.BITEXT)]
    bench.tasks.add([EmbeddingTask(group, f"{PLANT_TASK} ({group.value})", TaskState.ACCEPTED) for group in groups])
    counts = dict.fromkeys(TaskGroup, 3)
    with teaching(TeacherOptions(distinct=True)) as url:
        plan = make_plan(base_url=url, model="starter", counts=counts, max_tokens=8000, languages={"English": 0.5, "German": 0.5})
        assert over_http(bench, plan, job_id="one")["parsed"] == 18
        assert calls(url) == 18
        longer = plan.model_copy(update={"counts": counts | {more: 4}})
        result = over_http(bench, longer, job_id="two")
        assert calls(url) == 19
        assert (result["planned"], result["answered_before"], result["sent"], result["parsed"]) == (19, 18, 1, 1)
        over_http(bench, longer, job_id="three")
        assert calls(url) == 19
    assert bench.triples.count() == 19


@pytest.mark.parametrize("refused", [0, 77, ROWS - 1])
def test_one_http_400_in_150_leaves_149_and_one_failure_with_its_reason_and_body(bench: Bench, refused: int):
    def answer(body, n):
        return Answer(400, REFUSAL) if n == refused else completion(example_text("sts", n))

    with serving(answer) as server:
        plan = make_plan(ROWS, base_url=server.url, in_flight=16)
        result = over_http(bench, plan, job_id="one")
    assert len(server.bodies) == ROWS  # repeating a refused request would not help
    assert (result["planned"], result["parsed"], result["failed"], result["added"]) == (ROWS, ROWS - 1, 1, ROWS - 1)
    assert result["failures"] == {"endpoint_rejected": 1}
    assert bench.triples.count() == ROWS - 1
    [failure] = bench.desk.failures("one")
    [event] = [one for one in bench.events("one", "request") if one["reason"]]
    assert (failure.reason, event["key"]) == ("endpoint_rejected", failure.key)
    assert REFUSAL["error"]["message"] in event["detail"]


def test_a_refused_request_is_sent_again_when_the_plan_is_run_again_and_the_others_are_not(bench: Bench):
    def answer(body, n):
        return Answer(400, REFUSAL) if n == 5 else completion(example_text("sts", n))

    with serving(answer) as server:
        plan = make_plan(20, base_url=server.url)
        assert over_http(bench, plan, job_id="one")["parsed"] == 19
        assert over_http(bench, plan, job_id="two")["parsed"] == 1
    assert bench.triples.count() == 20
    sent = Counter(json.dumps(body, sort_keys=True) for body in server.bodies)
    assert sorted(sent.values()) == [1] * 19 + [2]


def test_the_body_of_a_refusal_is_kept_with_the_failure(bench: Bench):
    with serving(lambda body, n: Answer(400, REFUSAL)) as server:
        over_http(bench, make_plan(1, base_url=server.url), job_id="one")
    [failure] = bench.desk.failures("one")
    assert json.loads(failure.error_body or "null") == REFUSAL


def test_sent_counts_what_this_job_sent_and_not_what_an_earlier_one_did(bench: Bench):
    def answer(body, n):
        return Answer(400, REFUSAL) if n == 1 else completion(example_text("sts", n))

    with serving(answer) as server:
        plan = make_plan(4, base_url=server.url)
        over_http(bench, plan, job_id="one")
        assert over_http(bench, plan, job_id="two")["sent"] == 1


# what llama-cpp-python 0.3.36 answers
LLAMA_CPP_PYTHON = {
    "error": {
        "message": "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be"
        " 'text' or 'json_object'\", 'input': 'json_schema', 'ctx': {'expected': \"'text' or 'json_object'\"}}\n",
        "type": "internal_server_error",
        "param": None,
        "code": None,
    }
}


def test_a_server_that_refuses_a_schema_with_status_500_is_asked_for_a_json_object(bench: Bench):
    def answer(body, n):
        if body.get("response_format", {}).get("type") == "json_schema":
            return Answer(500, LLAMA_CPP_PYTHON)
        return completion(example_text("sts", n))

    with serving(answer) as server:
        result = over_http(bench, make_plan(4, base_url=server.url), job_id="one")
    assert (result["parsed"], result["failed"]) == (4, 0)
