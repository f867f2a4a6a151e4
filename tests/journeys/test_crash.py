"""The app is killed while a model trains: the run goes on, is found again, stopped, resumed, and ends as if nothing had happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.domain.jobs import Job, JobKind, JobState
from core.settings import Settings
from core.workbench import Workbench
from tests.journeys.running import App, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STEPS = 32


def steps_done(workbench: Workbench, job: Job) -> int:
    events, _ = workbench.jobs.events(job.id)
    return max((e["step"] for e in events if e["kind"] == "step"), default=0)


def wait_for_step(workbench: Workbench, job: Job, step: int) -> None:
    limit = time.monotonic() + 180
    while steps_done(workbench, job) < step:
        assert time.monotonic() < limit, workbench.jobs.log_tail(job.id)
        assert workbench.jobs.get(job.id).state.active, workbench.jobs.log_tail(job.id)
        time.sleep(0.2)


def prepared(workspace: Path) -> Workbench:
    workbench = Workbench(Settings(workspace=workspace))
    workbench.dataset.load_starter(accept=True)
    workbench.dataset.freeze("v1", heldout_share=0.2)
    return workbench


def start_a_run(me: Visitor, workbench: Workbench) -> Job:
    me.open("train")
    for field, value in (("batch_size", "6"), ("max_length", "24"), ("steps", str(STEPS))):
        me.write(f"train-{field}", value)
    me.press("train-start")
    return workbench.jobs.find(JobKind.TRAIN)[0]


def test_a_run_survives_the_app(app_starter: Callable[..., App], visit: Callable[..., Visitor], tmp_path: Path) -> None:
    workbench = prepared(tmp_path / "workspace")
    first = app_starter()
    job = start_a_run(visit(first), workbench)
    wait_for_step(workbench, job, 3)
    first.kill()
    wait_for_step(workbench, job, steps_done(workbench, job) + 2)
    assert workbench.jobs.get(job.id).state is JobState.RUNNING

    me = visit(app_starter())
    me.open("train")
    expect(me.page.get_by_role("button", name="Fullscreen: Loss (nats)")).to_be_attached(timeout=60_000)
    me.sees("running")
    me.picture("20-train-found-again")
    me.press("train-stop")
    stopped = workbench.jobs.wait(job.id, timeout_seconds=120)
    assert stopped.state is JobState.STOPPED
    assert 0 < steps_done(workbench, job) < STEPS
    me.open("train")
    me.sees("stopped")
    me.press("train-resume")
    resumed = workbench.jobs.wait(job.id, timeout_seconds=300)
    assert resumed.state is JobState.DONE, workbench.jobs.log_tail(job.id)
    me.assert_no_trouble()

    whole = workbench.training.start(workbench.training.clone_of(job))
    uninterrupted = workbench.jobs.wait(whole.id, timeout_seconds=300)
    assert uninterrupted.state is JobState.DONE, workbench.jobs.log_tail(whole.id)
    assert resumed.result["encoder"]["adapter_hash"] == uninterrupted.result["encoder"]["adapter_hash"]
