"""The real thing: jobs that send batches to the recorded teacher, killed without warning and resumed, and the commands for them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable

import httpx2
import openai
import pytest
from typer.testing import CliRunner

from core.cli.main import app
from core.domain.batch import BatchState
from core.domain.jobs import Job, JobState
from core.domain.request import RequestState
from core.llm.dialect import Dialect
from core.shipped.teacher.recorded import TeacherOptions
from core.storage.ledger import Ledger
from core.workbench import Workbench
from tests.core.generation.jobs import make_plan
from tests.core.llm.batchless import answering_only
from tests.core.shipped.teacher.teachers import teaching

PRICE = {"prompt": 1.0, "completion": 2.0}


def start(workbench: Workbench, url: str, count: int, *, asked_before: bool = True, **fields) -> Job:
    if asked_before:
        workbench._teachers.capabilities.keep(url, "starter", Dialect())
    return workbench.generation.start_generation(make_plan(count, base_url=url, model="starter", batch=True, price=PRICE, **fields))


def until(condition: Callable[[], object], *, seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not condition() and time.monotonic() < limit:
        time.sleep(0.02)
    assert condition()


def submitted(url: str) -> Counter[str]:
    """How often each request stands in a batch of this server."""
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
        files = [client.files.content(batch.input_file_id).text for batch in client.batches.list(limit=100)]
    return Counter(json.loads(line)["custom_id"] for text in files for line in text.splitlines())


def run(*arguments: str) -> tuple[int, dict, str]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    lines = result.stdout.strip().splitlines()
    return result.exit_code, json.loads(lines[-1]) if lines else {}, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("state", [BatchState.PREPARED, BatchState.SUBMITTED, BatchState.COLLECTED])
def test_after_kill_9_a_resumed_job_collects_what_was_submitted_and_submits_nothing_again(workbench: Workbench, state: BatchState):
    order = list(BatchState)
    with teaching(TeacherOptions(batch_seconds=4.0 if state is BatchState.SUBMITTED else 0.5)) as url:
        job = start(workbench, url, 400)
        until(lambda: [b for b in workbench.generation.batches(job.id) if order.index(b.state) >= order.index(state)])
        os.killpg(workbench.jobs.get(job.id).pid, signal.SIGKILL)
        workbench.jobs.wait(job.id, timeout_seconds=20)
        if workbench.jobs.get(job.id).state is JobState.LOST:
            workbench.jobs.resume(job.id)
        ended = workbench.jobs.wait(job.id, timeout_seconds=90)
        made = submitted(url)
    assert ended.state is JobState.DONE, workbench.jobs.log_tail(job.id)
    assert (ended.result["planned"], ended.result["received"], ended.result["sent"]) == (400, 400, 400)
    assert (len(made), set(made.values())) == (400, {1})
    tally = Ledger(workbench.database).tally(job.id)
    assert tally.cost == pytest.approx((tally.prompt_tokens * 1.0 + tally.completion_tokens * 2.0) / 1e6 / 2)


@pytest.mark.slow
def test_a_model_nobody_asked_before_gets_one_request_directly(workbench: Workbench):
    with teaching(TeacherOptions(batch_seconds=0.2)) as url:
        job = start(workbench, url, 20, asked_before=False)
        ended = workbench.jobs.wait(job.id, timeout_seconds=60)
        made, counts = submitted(url), httpx2.get(url.replace("/v1", "/counts")).json()
    assert ended.state is JobState.DONE, workbench.jobs.log_tail(job.id)
    assert (ended.result["received"], len(made), counts["calls"]) == (20, 19, 20)
    assert workbench._teachers.capabilities.find(url, "starter") == Dialect()


@pytest.mark.slow
def test_from_the_shell_a_batch_is_listed_cancelled_and_the_rest_sent_on_resume(workbench: Workbench):
    with teaching(TeacherOptions(batch_seconds=8.0)) as url:
        job = start(workbench, url, 100)
        until(lambda: [b for b in workbench.generation.batches(job.id) if b.completed])
        listed = run("batches", "list", "--job", job.id)[1]["batches"]
        assert [(b["requests"], b["state"], b["status"]) for b in listed] == [(100, "submitted", "in_progress")]
        assert run("batches", "cancel", job.id)[:2] == (0, {"cancelled": 1})
        ended = workbench.jobs.wait(job.id, timeout_seconds=60)
        assert (ended.state, "was cancelled" in ended.failure.message) == (JobState.FAILED, True)
        tally = Ledger(workbench.database).tally(job.id)
        assert 0 < tally.received < 100
        assert tally.by_state[RequestState.PLANNED] == 100 - tally.received
        code, _, told = run("batches", "cancel", job.id)
        assert (code, "no batch at an endpoint" in told) == (1, True)


@pytest.mark.slow
def test_generate_and_brainstorm_with_batch(workbench: Workbench):
    with teaching(TeacherOptions(batch_seconds=0.2)) as url:
        address = ("--base-url", url, "--model", "starter", "--batch")
        code, made, told = run("generate", "--group", "sts", "--count", "5", *address)
        assert (code, made["state"], made["received"]) == (0, "done", 5), told
        code, made, told = run("brainstorm", "--group", "short-long", "--count", "30", *address)
        assert (code, made["state"], made["received"], made["added"] > 0) == (0, "done", 2, True), told
        assert len(submitted(url)) == 5 - 1 + 2  # the first ever went out directly


@pytest.mark.slow
def test_an_endpoint_without_batches_says_so(workbench: Workbench):
    with answering_only(404) as url:
        workbench._teachers.capabilities.keep(url, "m", Dialect())
        code, _, told = run("generate", "--group", "sts", "--count", "2", "--base-url", url, "--model", "m", "--batch")
    assert code == 1
    assert "has no batches" in " ".join(told.split())
    assert "without --batch" in " ".join(told.split())
