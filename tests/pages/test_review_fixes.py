"""A mined negative and a text written anew: asked for on the card, chosen by a person, undone like any edit; no key waits for either."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.domain.encoder import Role
from core.domain.groups import TaskGroup
from core.domain.jobs import JobKind, JobState
from core.domain.mining import MiningPlan
from core.domain.review import Action
from core.domain.triple import Texts, Triple, Verdict
from core.review.candidates import CandidateFinder
from core.shipped.teacher.recorded import TeacherOptions
from core.storage.triples import TripleStore
from core.workbench import Workbench
from pages.ui.review_mining import CandidateKeeper
from tests.core.shipped.teacher.teachers import PLANT_TASK, teaching
from tests.factories import make_triple, make_triples
from tests.pages.test_review_page import HOSTILE, card, open_page, press


def until(app: AppTest, key: str, *, seconds: float = 60) -> AppTest:
    """Draw the page again until a button is there, as its own timer does in a browser."""
    limit = time.monotonic() + seconds
    while not any(button.key == key for button in app.button):
        assert time.monotonic() < limit, [m.value for m in app.markdown] + [c.value for c in app.caption]
        time.sleep(0.2)
        app.run()
        assert not app.exception
    return app


def by_words(app: AppTest) -> AppTest:
    app.session_state["mined-by"] = "bm25"  # needs no model
    return app


@pytest.fixture
def twenty(workbench: Workbench) -> list[str]:
    said = [(f"bread keeps in bag {i}", f"Bread keeps long in a bag, {i} days.", f"A bag of bread {'and butter ' * i}") for i in range(20)]
    return TripleStore(workbench.database).add([make_triple(*texts) for texts in said]).added


def test_a_mined_negative_is_an_edit_with_its_rank_and_undone_like_one(workspace: Path, workbench: Workbench, twenty: list[str]):
    app = open_page(workspace, order="oldest first")
    first = card(app)
    press(by_words(app), "open-mining")
    until(app, "take-mined-1")
    assert any("Ranks 6 to 100 of 38 documents" in c.value for c in app.caption)
    assert any("of the positive's" in c.value and c.value.startswith("rank ") for c in app.caption)
    press(app, "take-mined-2")
    record = workbench.review.card(first)
    assert record.texts.negative != record.triple.texts.negative
    assert record.texts.positive == record.triple.texts.positive
    (entry,) = workbench.review.history(first)
    assert entry.action is Action.EDIT
    assert entry.reason.startswith("mined by bm25: rank ")
    assert not any(b.key == "take-mined-1" for b in app.button)
    press(app, "undo")
    assert not workbench.review.card(first).edited


def test_too_few_documents_are_told_and_the_panel_closes(workspace: Path, workbench: Workbench):
    TripleStore(workbench.database).add(make_triples(2))
    app = by_words(open_page(workspace))
    app.button(key="open-mining").click().run()
    limit = time.monotonic() + 60
    while not app.error and time.monotonic() < limit:
        time.sleep(0.1)
        app.run()
    assert "only 2 other documents" in app.error[0].value
    app.button(key="mined-close").click().run()
    assert not app.error
    press(app, "accept")


def test_a_mined_text_is_shown_as_text(workspace: Path, workbench: Workbench):
    triples = [make_triple(f"pages of leaves {i}", f"leaves {i} {HOSTILE} {'x ' * i}", None) for i in range(14)]
    TripleStore(workbench.database).add(triples)
    app = until(press(by_words(open_page(workspace)), "open-mining"), "take-mined-1")
    shown = "".join(h.value for h in app.html)
    assert "&lt;script&gt;" in shown
    assert "<script>alert" not in shown
    assert "<img" not in shown


def plant(workbench: Workbench, count: int = 2) -> list[str]:
    texts = [Texts(f"leaves drop {i}", "Water it.", f"A fern is green, {i} times.") for i in range(count)]
    return TripleStore(workbench.database).add([Triple(TaskGroup.SHORT_LONG, PLANT_TASK, t, language="English") for t in texts]).added


def test_without_an_endpoint_the_way_to_settings_is_shown(workspace: Path, workbench: Workbench):
    plant(workbench)
    app = press(open_page(workspace), "open-rewriting")
    app.button(key="rewrite-query").click().run()
    assert not app.exception
    assert "No endpoint is configured" in app.error[0].value
    assert "Settings page" in app.error[0].value
    assert workbench.jobs.find(JobKind.REWRITE) == []
    press(app, "accept")


def test_a_text_is_written_anew_while_the_keys_go_on_and_saved_as_an_edit(workspace: Path, workbench: Workbench):
    ids = plant(workbench)
    with teaching() as address:
        workbench.endpoints.save({"name": "teacher", "base_url": address, "model": "starter"})
        workbench.endpoints.choose_default("teacher")
        app = press(press(open_page(workspace, order="oldest first"), "open-rewriting"), "rewrite-positive")
        press(app, "accept")  # it is still being written
        assert workbench.review.card(ids[0]).standing.verdict is Verdict.ACCEPTED
        assert card(app) == ids[1]
        until(app, "to-rewriting")
        press(app, "to-rewriting")
        assert card(app) == ids[0]
    assert any("<ins" in h.value for h in app.html)
    assert any("unknown price" in m.value for m in app.markdown)
    before = workbench.review.card(ids[0])
    press(app, "save-rewriting")
    record = workbench.review.card(ids[0])
    assert record.texts.positive != before.texts.positive
    assert (record.texts.query, record.texts.negative) == (before.texts.query, before.texts.negative)
    assert workbench.review.history(ids[0])[-1].reason.startswith("positive rewritten by starter (short-long rewrite v1, request ")
    assert not any(b.key == "save-rewriting" for b in app.button)
    press(app, "undo")
    assert not workbench.review.card(ids[0]).edited


def test_a_proposal_survives_a_reload_and_is_gone_once_dropped(workspace: Path, workbench: Workbench):
    ids = plant(workbench, 1)
    with teaching() as address:
        workbench.endpoints.save({"name": "teacher", "base_url": address, "model": "starter"})
        workbench.endpoints.choose_default("teacher")
        press(press(open_page(workspace), "open-rewriting"), "rewrite-negative")
        workbench.jobs.wait(workbench.jobs.find(JobKind.REWRITE)[0].id, timeout_seconds=120)
    app = until(open_page(workspace, card=ids[0]), "drop-rewriting")  # the first window holds it still
    press(app, "drop-rewriting")
    assert not any(b.key == "drop-rewriting" for b in open_page(workspace, card=ids[0]).button)
    assert workbench.review.history(ids[0]) == []


def test_what_the_endpoint_refuses_is_told_on_the_card_and_can_be_asked_again(workspace: Path, workbench: Workbench):
    plant(workbench, 1)
    with teaching() as address:
        workbench.endpoints.save({"name": "teacher", "base_url": address, "model": "starter+refusal"})
        workbench.endpoints.choose_default("teacher")
        app = press(press(open_page(workspace), "open-rewriting"), "rewrite-query")
        until(app, "rewrite-again")
    assert any("The query was not written." in m.value and "What to do" in m.value for m in app.markdown)
    press(app, "accept")


def test_asking_twice_stops_nothing_and_a_proposal_is_kept_until_another_is_asked_for(workspace: Path, workbench: Workbench):
    (only,) = plant(workbench, 1)
    with teaching(TeacherOptions(latency_seconds=2.0)) as address:
        workbench.endpoints.save({"name": "teacher", "base_url": address, "model": "starter"})
        workbench.endpoints.choose_default("teacher")
        app = press(press(open_page(workspace), "open-rewriting"), "rewrite-positive")
        press(press(app, "open-rewriting"), "rewrite-positive")
        (job,) = workbench.jobs.find(JobKind.REWRITE)
        assert job.state in (JobState.QUEUED, JobState.RUNNING, JobState.DONE)
        until(app, "save-rewriting")
    workbench.endpoints.remove("teacher")
    app.button(key="rewrite-again").click().run()
    assert "No endpoint is configured" in app.error[0].value
    assert workbench.rewriting.waiting("me") == {only: job.id}
    assert any(button.key == "save-rewriting" for button in app.button)


def test_a_search_under_way_does_not_keep_the_program_from_ending(workbench: Workbench, twenty: list[str]):
    begun, ending = threading.Event(), threading.Event()

    def embed(texts: Sequence[str], role: Role) -> np.ndarray:
        begun.set()
        ending.wait(60)
        return np.ones((len(texts), 2), dtype=np.float32)

    keeper = CandidateKeeper(CandidateFinder(TripleStore(workbench.database), embed))
    search = keeper.ask(workbench.review.card(twenty[0]), MiningPlan(reviewer="me"))
    assert begun.wait(60)
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "candidates"] == [True]
    ending.set()
    assert search.found.result(timeout=60).compared == 38
