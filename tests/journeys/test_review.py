"""A reviewer at the keyboard, alone and with a colleague; nothing is clicked that a key can do."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

from core.domain.filters import TripleFilter
from core.domain.jobs import JobKind
from core.domain.people import ReviewRules
from core.domain.review import Action
from core.domain.triple import Verdict
from core.settings import Settings
from core.shipped.teacher.recorded import TeacherOptions
from core.workbench import Workbench
from tests.core.shipped.teacher.teachers import teaching
from tests.journeys.running import App, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CARDS = 30
HOSTILE = "<script>document.title='pwned'</script> **bold** $x^2$ \\frac{1}{2} [a](http://b.c) \u202eesrever\u202c \x07 <b>b</b>"


def rows(count: int) -> bytes:
    """Triples of one German task and one English one, every German query in capitals."""
    made = [
        {
            "group": "short-long",
            "task": f"Given a question of batch {i % 2}, retrieve the page that answers it.",
            "language": "German" if i % 2 else "English",
            "query": f"question number {i} about subject {i * 7}",
            "positive": f"The page that answers matter {i} at length, with all that belongs to it.",
            "negative": f"A page near matter {i} that answers nothing of it.",
        }
        for i in range(count)
    ]
    return "\n".join(json.dumps(row) for row in made).encode()


def card_of(me: Visitor) -> str:
    return parse_qs(urlparse(me.page.url).query)["card"][0]


def press_until_next(me: Visitor, *keys: str) -> None:
    """Press keys, then wait for another card."""
    before = card_of(me)
    for key in keys:
        me.type_key(key)
    me.page.wait_for_function("before => !location.search.includes(before)", arg=before, timeout=30_000)
    me.settled()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_thirty_cards_by_keyboard_alone(app_starter: Callable[..., App], visit: Callable[..., Visitor], colours: str) -> None:
    app = app_starter()
    workbench = Workbench(Settings(workspace=app.workspace))
    workbench.dataset.import_rows(rows(90))
    desk = workbench.review
    me = visit(app, colours=colours)
    me.open("review?language=German&order=oldest%20first")
    decided: list[str] = []
    for i in range(CARDS):
        decided.append(card_of(me))
        press_until_next(me, *(["x", str(i % 7 + 1)] if i % 3 == 2 else [" "] if i % 10 == 9 else ["a"]))
    assert len(set(decided)) == CARDS
    assert {desk.card(i).triple.language for i in decided} == {"German"}
    verdicts = [desk.card(i).standing.verdict for i in decided]
    assert (verdicts.count(Verdict.REJECTED), verdicts.count(Verdict.ACCEPTED), verdicts.count(Verdict.PENDING)) == (10, 18, 2)
    assert len({desk.card(i).standing.reason for i in decided}) == 8  # all seven keys, and none
    me.picture(f"review-card-{colours}")

    here = card_of(me)
    press_until_next(me, "j")
    press_until_next(me, "k")
    assert card_of(me) == here
    assert "language=German" in me.page.url  # the filter came along
    me.type_key("s")
    assert desk.card(here).texts.positive == desk.card(here).triple.texts.negative
    me.type_key("f")
    assert desk.card(here).standing.flagged
    for _ in range(2):
        me.type_key("Backspace")
    assert not desk.card(here).edited
    assert not desk.card(here).standing.flagged
    me.type_key("p")
    assert desk.card(here).texts.negative is None
    me.type_key("Backspace")
    me.type_key("e")
    me.page.get_by_role("textbox", name="Query").fill("a better question")
    me.page.keyboard.press("ControlOrMeta+Enter")
    me.sees("edited")
    assert desk.card(here).texts.query == "a better question"

    # A bulk action in between, and undo goes back over it as one step.
    bulk = desk.bulk(workbench.dataset.ids(TripleFilter(languages=("English",))), Action.ACCEPT, "me")
    assert len(bulk.changed) == 45
    me.type_key("Backspace")
    me.sees("Undone: 45 triples")
    assert workbench.dataset.count(TripleFilter(languages=("English",), verdict=Verdict.ACCEPTED)) == 0
    assert desk.card(here).texts.query == "a better question"

    me.type_key("l")
    me.sees("Your last steps")
    me.picture(f"review-steps-{colours}")
    first = next(s for s in desk.steps("me") if s.triple_id == decided[0])
    me.press(f"undo-step-{first.first_id}")
    assert desk.card(decided[0]).standing.verdict is Verdict.PENDING
    assert desk.card(decided[1]).standing.verdict is Verdict.ACCEPTED
    me.type_key("h")
    me.sees("reject with a reason")
    me.picture(f"review-keys-{colours}")
    me.assert_no_trouble()


def test_two_browsers_never_get_the_same_card_and_settle_what_they_differ_on(
    app_starter: Callable[..., App], visit: Callable[..., Visitor]
) -> None:
    app = app_starter()
    workbench = Workbench(Settings(workspace=app.workspace))
    workbench.dataset.import_rows(rows(12))
    one, other = visit(app), visit(app)
    one.open("review")
    other.open("review")
    seen: list[str] = []
    for _ in range(5):
        for browser in (one, other):
            assert card_of(one) != card_of(other)
            seen.append(card_of(browser))
            press_until_next(browser, "a")
    assert len(set(seen)) == 10
    left = card_of(other)
    other.page.close()  # its card comes back to the queue
    press_until_next(one, "a")
    expect_card(one, left)

    workbench.review.team.set_rules(ReviewRules(overlap_share=1.0, readers=2))
    workbench.review.decide(left, Action.REJECT, "bob", reason="duplicate")
    one.type_key("a")
    one.page.wait_for_timeout(500)
    assert workbench.review.card(left).standing.verdict is Verdict.DISPUTED
    one.open("review?view=Disputes")
    one.sees("The readers differ")
    one.picture("review-dispute")
    one.type_key("x")
    one.type_key("6")
    one.sees("No dispute waits")
    one.open("review?view=People")
    one.sees("Krippendorff's alpha")
    one.picture("review-people")
    one.assert_no_trouble()


def expect_card(me: Visitor, card: str) -> None:
    """The card may be given back a moment after the other window closed: ask again for a while."""
    for _ in range(20):
        if card_of(me) == card:
            return
        me.open("review")
        me.page.wait_for_timeout(500)
    assert card_of(me) == card


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_another_negative_and_a_new_text_by_keyboard_while_the_queue_goes_on(
    app_starter: Callable[..., App], visit: Callable[..., Visitor], colours: str
) -> None:
    app = app_starter()
    workbench = Workbench(Settings(workspace=app.workspace))
    workbench.dataset.load_starter()
    with teaching(TeacherOptions(latency_seconds=2)) as address:
        workbench.endpoints.save({"name": "teacher", "base_url": address, "model": "starter"})
        workbench.endpoints.choose_default("teacher")
        me = visit(app, colours=colours)
        me.open("review?group=short-long&language=English&order=oldest%20first")
        first = card_of(me)
        me.type_key("w")
        me.type_key("2")
        me.sees("writes the positive anew")
        press_until_next(me, "a")  # a decision waits for nobody
        assert workbench.review.card(first).standing.verdict is Verdict.ACCEPTED
        workbench.jobs.wait(workbench.jobs.find(JobKind.REWRITE)[0].id, timeout_seconds=120)
        press_until_next(me, "j")
        me.press("to-rewriting")
        assert card_of(me) == first
        me.sees("A new positive")
        me.picture(f"review-rewriting-{colours}")
        me.type_key("y")
        me.sees("edited")
    assert workbench.review.history(first)[-1].reason.startswith("positive rewritten by starter")
    me.type_key("Backspace")
    me.sees("Undone: 1 triple")
    assert not workbench.review.card(first).edited

    me.type_key("m")
    me.widget("mined").get_by_text("words (BM25)").click()
    expect(me.widget("take-mined-1")).to_be_visible(timeout=120_000)
    me.picture(f"review-mined-{colours}")
    me.type_key("1")
    me.sees("edited")
    assert workbench.review.history(first)[-1].reason.startswith("mined by bm25: rank ")
    me.type_key("Backspace")
    me.sees("Undone: 1 triple")
    assert workbench.review.card(first).texts == workbench.review.card(first).triple.texts
    me.assert_no_trouble()


def test_hostile_texts_are_shown_as_text_wherever_review_shows_them(app_starter: Callable[..., App], visit: Callable[..., Visitor]) -> None:
    app = app_starter()
    workbench = Workbench(Settings(workspace=app.workspace))
    row = {
        "group": "short-long",
        "task": HOSTILE.replace("\x07", ""),
        "query": HOSTILE,
        "positive": f"{HOSTILE} p",
        "negative": f"{HOSTILE} n",
    }
    workbench.dataset.import_rows(json.dumps(row).encode())
    workbench.review.team.set_rules(ReviewRules(overlap_share=1.0, readers=2))
    (card,) = workbench.dataset.ids()
    workbench.review.decide(card, Action.ACCEPT, HOSTILE)
    workbench.review.decide(card, Action.REJECT, "me", reason=HOSTILE)
    me = visit(app)
    for address in (f"review?card={card}", "review?view=Disputes", "review?view=People"):
        me.open(address)
        me.page.wait_for_timeout(500)
        if "view=People" not in address:
            me.widget("history").locator("button").first.click()
            me.settled()
        assert me.page.title() != "pwned"
        body = me.page.locator("[data-testid=stMain]")
        expect(body.locator("b", has_text="b").filter(has_text="bold")).to_have_count(0)
        assert body.locator("a[href*='b.c'], .katex").count() == 0
        assert not any("pwned" in script for script in me.page.locator("script").all_inner_texts())
        assert "\u202e" not in body.inner_text()
        me.assert_no_trouble()
        me.picture(f"review-hostile-{address[-6:]}")
