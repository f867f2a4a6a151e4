"""The app is killed: a run that trains goes on and ends as if nothing had happened, and no decision that was shown is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.domain.jobs import Job, JobKind, JobState
from core.domain.review import Action
from core.settings import Settings
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.factories import make_triples
from tests.journeys.running import App, Visitor
from tests.journeys.test_review import card_of, press_until_next

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
    wait_until(lambda: workbench.jobs.find(JobKind.TRAIN))
    return workbench.jobs.find(JobKind.TRAIN)[0]


def wait_until(what: Callable[[], object], *, seconds: float = 60) -> None:
    """A click is answered when the server comes to it, which on a busy machine is after the page looks still."""
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.05)


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
    wait_until(lambda: workbench.jobs.get(job.id).state is not JobState.STOPPED)
    resumed = workbench.jobs.wait(job.id, timeout_seconds=300)
    assert resumed.state is JobState.DONE, workbench.jobs.log_tail(job.id)
    me.assert_no_trouble()

    whole = workbench.training.start(workbench.training.clone_of(job))
    uninterrupted = workbench.jobs.wait(whole.id, timeout_seconds=300)
    assert uninterrupted.state is JobState.DONE, workbench.jobs.log_tail(whole.id)
    assert resumed.result["encoder"]["adapter_hash"] == uninterrupted.result["encoder"]["adapter_hash"]


def test_no_decision_is_lost_when_the_server_is_killed_between_two_keys(
    app_starter: Callable[..., App], visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    workbench = Workbench(Settings(workspace=tmp_path / "workspace"))
    TripleStore(workbench.database).add(make_triples(30))
    kinds = {"a": Action.ACCEPT, " ": Action.SKIP, "x": Action.REJECT}
    shown: list[tuple[str, Action]] = []  # what the next card has said was done
    for pressed in ("aa", "a x", "xaa", " "):
        app = app_starter()
        me = visit(app)
        me.open("review?order=oldest%20first")
        for key in pressed:
            card = card_of(me)
            press_until_next(me, *([key, "2"] if key == "x" else [key]))
            shown.append((card, kinds[key]))
        app.kill()  # right after the next card came
        fresh = Workbench(Settings(workspace=tmp_path / "workspace"))
        assert [(i, fresh.review.history(i)[-1].action) for i, _ in shown] == shown
        assert [fresh.review.card(i).standing.verdict for i, _ in shown] == [workbench.review.card(i).standing.verdict for i, _ in shown]
    assert len({card for card, _ in shown}) == len(shown) == 9

    app = app_starter()
    me = visit(app)
    me.open("review?order=oldest%20first")
    assert card_of(me) not in {card for card, _ in shown}
    before = card_of(me)
    me.page.keyboard.press("a")  # killed while the key is on its way: it was taken or it was not, and the log says which
    app.kill()
    log = Workbench(Settings(workspace=tmp_path / "workspace")).review.history(before)
    assert [entry.action for entry in log] in ([], [Action.ACCEPT])
    later = visit(app_starter())
    later.open(f"review?card={before}")
    later.sees("accepted by" if log else "waiting")
    later.type_key("Backspace")
    later.sees("Undone: 1 triple")
    assert card_of(later) == (before if log else shown[-1][0])
    later.assert_no_trouble()
