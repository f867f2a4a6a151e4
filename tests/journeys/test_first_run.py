"""A newcomer with no key, no GPU and no network walks the whole loop in one browser, on the embedded models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from core.domain.filters import TripleFilter
from core.domain.jobs import JobKind, JobState
from core.domain.task import TaskState
from core.domain.triple import Verdict
from core.settings import Settings
from core.workbench import Workbench
from pages.routes import titles
from tests.journeys.running import App, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
JOB_SECONDS = 420


def finished(workbench: Workbench, kind: JobKind) -> dict:
    """Result of the newest job of a kind, which must have ended well."""
    job = workbench.jobs.wait(workbench.jobs.find(kind)[0].id, timeout_seconds=JOB_SECONDS)
    assert job.state is JobState.DONE, (job.failure, workbench.jobs.log_tail(job.id))
    return job.result


def write_a_prompt_version(me: Visitor) -> None:
    me.open("prompts")
    me.segment("prompt-step-short-long", "Brainstorm")
    template = me.page.get_by_role("textbox", name="Template")
    expect(template).to_have_value(re.compile("topics|tasks"), timeout=20_000)
    me.page.wait_for_timeout(1000)
    template.fill(template.input_value() + "\nPrefer subjects of everyday life.")
    template.press("ControlOrMeta+Enter")
    me.settled()
    me.press("save-version")
    me.sees("v2")
    me.picture("01-prompts")


def get_tasks(me: Visitor, workbench: Workbench) -> None:
    me.open("tasks")
    me.write("brainstorm-count", "2")
    me.press("start-brainstorm")
    assert finished(workbench, JobKind.BRAINSTORM)["added"] >= 1
    me.open("tasks?tasks-state=proposed")
    me.picture("02-tasks")
    proposed = workbench.tasks.list(state=TaskState.PROPOSED)
    assert proposed
    me.page.locator(".st-key-tasks-table canvas").first.click(position={"x": 18, "y": 52}, force=True)
    me.settled()
    me.press("accept-tasks")
    assert len(workbench.tasks.list(state=TaskState.PROPOSED)) == len(proposed) - 1


def generate_triples(me: Visitor, workbench: Workbench) -> list[str]:
    me.open("generate")
    me.sees("weak")  # the page says plainly what the embedded teacher is worth
    for group in ("short-long", "long-short", "short-short", "long-long", "sts", "bitext"):
        me.write(f"count-{group}", "2" if group == "sts" else "0")
    me.press("start-generation")
    result = finished(workbench, JobKind.GENERATE)
    assert (result["sent"], result["parsed"], result["failed"]) == (2, 2, 0)
    me.picture("03-generate")
    return workbench.dataset.ids(TripleFilter(source="generated"))


def review_by_keyboard(me: Visitor, workbench: Workbench, generated: list[str]) -> None:
    me.open("review?source=generated")
    me.picture("04-review")
    me.type_key("x")
    me.sees("Unnatural or broken text")
    me.type_key("5")
    assert workbench.overview().triples[Verdict.REJECTED.value] == 1
    me.open("review?source=starter")
    me.type_key("a")
    assert workbench.overview().triples[Verdict.ACCEPTED.value] == 1
    me.type_key("Backspace")
    assert workbench.overview().triples.get(Verdict.ACCEPTED.value, 0) == 0
    me.type_key("a")
    me.type_key("h")
    me.sees("reject with a reason")
    me.picture("05-review-keys")
    rejected = [i for i in generated if workbench.review.card(i).standing.verdict is Verdict.REJECTED]
    assert len(rejected) == 1


def freeze(me: Visitor, workbench: Workbench) -> str:
    # Groups with short documents: three encoders read them all in this journey.
    me.open("dataset?source=starter&verdict=pending&groups=short-short&groups=long-short&groups=sts&languages=English")
    me.segment("scope", "All")
    me.press("bulk-accept")
    me.open("dataset?section=Versions")
    me.press("freeze")
    version = workbench.dataset.versions()[0]
    assert version.train_count > 60
    assert version.heldout_count > 10
    me.sees("sides of the split")
    me.picture("06-dataset")
    return version.id


def train(me: Visitor, workbench: Workbench) -> str:
    me.open("train")
    me.write("train-batch_size", "12")
    me.write("train-max_length", "32")
    me.write("train-steps", "6")
    me.press("train-start")
    me.picture("07-train-live")
    result = finished(workbench, JobKind.TRAIN)
    assert result["steps"] == 6
    me.open("train")
    me.picture("08-train-done")
    return f"run:{workbench.jobs.find(JobKind.TRAIN)[0].id}"


def evaluate(me: Visitor, workbench: Workbench) -> None:
    me.open("evaluate")
    me.press("evaluate-start")
    assert set(finished(workbench, JobKind.EVALUATE)["systems"]) >= {"raw", "baseline", "bm25"}
    me.open("evaluate")
    me.sees("nDCG@10")
    me.picture("09-evaluate")


def search_side_by_side(me: Visitor, workbench: Workbench, version: str, tuned: str) -> None:
    corpus = workbench.corpora.version_corpus(version)
    shown = quote(f"{corpus.name} ({corpus.documents:,} documents)")  # the address holds what the box shows
    me.open(f"search?search_in={shown}&search_q=a person who repairs bicycles")
    for system in ("raw", tuned):
        build = me.widget(f"search-build-{system}").locator("button")
        expect(build.first).to_be_visible()
        build.first.click()
        me.settled()
        assert finished(workbench, JobKind.INDEX)["documents"] == corpus.documents
        me.page.reload()
        me.settled()
    me.page.wait_for_timeout(500)
    expect(me.page.get_by_text(re.compile(r"\d ms")).first).to_be_visible(timeout=90_000)
    me.picture("10-search")


def draw_the_map(me: Visitor, workbench: Workbench) -> None:
    me.open("explore")
    me.choose("explore-source", "Version v1")  # the short texts of this journey, not all 924 triples
    me.press("explore-start")
    assert finished(workbench, JobKind.MAP)["points"] < 600
    me.open("explore")
    expect(me.page.locator("canvas").first).to_be_visible(timeout=60_000)
    me.page.wait_for_timeout(1500)
    me.picture("11-explore")


def take_the_lesson(me: Visitor) -> None:
    me.open("learn")
    for number in range(1, 6):
        me.page.wait_for_timeout(1000)
        me.settled()
        me.assert_no_trouble()
        me.picture(f"12-learn-{number}")
        if number < 5:
            me.press("learn-next")


def test_the_whole_loop(app_starter: Callable[..., App], visit: Callable[..., Visitor]) -> None:
    app = app_starter()
    me = visit(app)
    workbench = Workbench(Settings(workspace=app.workspace))
    me.open()
    me.picture("00-home-empty")
    me.press("load-starter", timeout_seconds=120)
    me.sees("to review", timeout_seconds=120)
    write_a_prompt_version(me)
    get_tasks(me, workbench)
    generated = generate_triples(me, workbench)
    assert len(generated) == 2
    review_by_keyboard(me, workbench, generated)
    version = freeze(me, workbench)
    tuned = train(me, workbench)
    evaluate(me, workbench)
    search_side_by_side(me, workbench, version, tuned)
    draw_the_map(me, workbench)
    take_the_lesson(me)
    me.open()
    me.picture("13-home-full")
    me.assert_no_trouble()
    lineage = workbench.dataset.lineage(workbench.dataset.examples(version)[0].triple_id)
    assert lineage["jobs"][0].kind is JobKind.TRAIN
    every_page_in_the_dark(visit(app, colours="dark"))


def every_page_in_the_dark(me: Visitor) -> None:
    for name in titles():
        me.open("" if name == "home" else name)
        me.page.wait_for_timeout(1000)
        me.settled()
        background = me.page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
        assert max(json.loads("[" + re.sub(r"rgba?\(|\)", "", background) + "]")[:3]) < 60, background
        me.assert_no_trouble()
        me.picture(f"dark-{name}")


def test_markup_in_the_data_is_shown_as_text(app_starter: Callable[..., App], visit: Callable[..., Visitor]) -> None:
    app = app_starter()
    workbench = Workbench(Settings(workspace=app.workspace))
    row = {
        "group": "short-long",
        "task": "Given <b>markup</b>, retrieve $x^2$ **bold** text.",
        "query": "<script>document.title='pwned'</script> [link](javascript:alert(1))",
        "positive": "<img src=x onerror=\"document.title='pwned'\"> ![i](http://example.com/i.png) # heading $$\\frac{1}{2}$$",
        "negative": "<iframe src='http://example.com'></iframe> \u202eevil\u202c",
    }
    workbench.dataset.import_rows(json.dumps(row).encode())
    me = visit(app)
    for page in ("review", "dataset", "tasks", ""):
        me.open(page)
        me.page.wait_for_timeout(500)
        assert me.page.title() != "pwned"
        made_of_data = "iframe[src*='example.com'], img[src*='example.com'], img[src=x], a[href^=javascript]"
        assert me.page.locator(made_of_data).count() == 0
        assert not any("pwned" in script for script in me.page.locator("script").all_inner_texts())
        me.assert_no_trouble()
    me.open("review")
    me.sees("<script>document.title='pwned'</script>")
