"""How fast the next card comes, and a filter answers, with 100,000 triples in the store.

Claims (issue 6): next card in under 150 ms in the process and under 300 ms in the browser (p95 of 200 decisions), a filter change in under
1 s. The triples are those of data/starter and data/faults over and over, each copy with a mark in its texts and the flags of its original.
`next_card` is one decision and the next card, as a key press asks for them; `page_calls` is all that one run of the page's script asks of
the workbench; `filter` is the first card and the counts of Review, and the count and first rows of Dataset, for each of a few filters.
`browser_filter` is from Enter in the search field of Dataset until the table of what was found stands, for texts rare and frequent.
`browser_next_card` is from the key press until all texts of the next card are drawn, in a chromium, with the app in a process of its own.
Memory is the app's resident set, before and after the decisions.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.groups import TaskGroup
from core.domain.review import Action
from core.domain.triple import Flag, Texts, Triple
from core.generation.checks.triple_checks import check_triple
from core.settings import PROJECT_FOLDER, Settings
from core.shipped.records import read_faults, read_starter
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.journeys.running import launch_chromium, new_window, start_app

DECISIONS = 200
BATCH = 5000  # triples added in one transaction
REVIEWER = "bench"
DATA = PROJECT_FOLDER / "data"
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
RUNNING = "[data-testid=stApp][data-test-script-state=running]"
READING_MILLISECONDS = 200  # between two key presses; nobody reads faster
FILTERS = (
    TripleFilter(groups=(TaskGroup.STS,)),
    TripleFilter(languages=("German",)),
    TripleFilter(text="water"),
    TripleFilter(text="no text holds this"),
    TripleFilter(flag_code="truncated"),
    TripleFilter(source="starter", languages=("English",), groups=(TaskGroup.SHORT_LONG,)),
)
SEARCHED = ("water", "水", "the", "no text holds this", "两周", "machine")  # the short ones are too short for the index of texts
# In the page: time from the key press to the frame in which query and positive bear another mark than before. Each copy has its own.
WATCH = """() => {
  const mark = field => (document.querySelector(`.st-key-card-${field}`)?.innerText.match(/#\\d+#/) || [''])[0];
  window.took = [];
  addEventListener('keydown', event => {
    if (event.key === 'x') return;  // opens the reasons; the number after it decides
    const began = performance.now(), before = mark('query');
    const look = () => {
      const now = mark('query');
      if (now && now !== before && mark('positive') === now) window.took.push(performance.now() - began);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, true);
}"""


def fill(workbench: Workbench, wanted: int) -> None:
    """Copies of the shipped triples until there are as many as wanted; each original is checked once."""
    store = TripleStore(workbench.database)
    originals = [record.triple for read, name in ((read_starter, "starter"), (read_faults, "faults")) for record in read(DATA / name)[0]]
    flags = [check_triple(triple) for triple in originals]
    for start in range(store.count(), wanted, BATCH):
        copies: list[Triple] = []
        found: dict[str, list[Flag]] = {}
        for number in range(start, min(start + BATCH, wanted)):
            copies.append(marked(originals[number % len(originals)], f"#{number}#"))
            found[copies[-1].id] = flags[number % len(originals)]
        store.add(copies, found)


def marked(triple: Triple, mark: str) -> Triple:
    """The same with a mark at the end of each text."""
    texts = triple.texts
    negative = None if texts.negative is None else f"{texts.negative} {mark}"
    return triple.with_texts(Texts(f"{texts.query} {mark}", f"{texts.positive} {mark}", negative))


def in_process(workbench: Workbench, decisions: int) -> dict[str, float]:
    """Decisions and filters, as the page asks for them."""
    desk, queue = workbench.review, ReviewQueue(reviewer=REVIEWER, holder="bench-process")
    card = desk.next_card(queue)
    steps: list[float] = []
    runs: list[float] = []
    for number in range(decisions):
        if card is None:
            break
        began = time.perf_counter()
        action, reason = (Action.REJECT, "unnatural or broken text") if number % 3 else (Action.ACCEPT, "")
        desk.decide(card.id, action, REVIEWER, reason=reason, seen=card)
        following = desk.next_card(queue, after=card.id)
        steps.append(time.perf_counter() - began)
        desk.progress(queue)
        desk.alike(desk.card(card.id))
        if following:
            desk.history(following.id)
            desk.suggestion(following, REVIEWER)
            desk.peek(queue, after=following.id)
        runs.append(time.perf_counter() - began)
        card = following
    filters: list[float] = []
    for wanted in FILTERS:
        for _ in range(3):
            began = time.perf_counter()
            desk.next_card(replace(queue, wanted=wanted))
            desk.progress(replace(queue, wanted=wanted))
            filters.append(time.perf_counter() - began)
            began = time.perf_counter()
            workbench.dataset.count(wanted)
            workbench.dataset.search(wanted, TripleOrder.SUSPICIOUS)
            filters.append(time.perf_counter() - began)
    desk.learner.wait()
    return {**spread("next_card", steps), **spread("page_calls", runs), **spread("filter", filters)}


def in_browser(folder: Path, decisions: int) -> dict[str, float]:
    """Decisions by keyboard at a real page."""
    log = folder.with_name("review-bench-app.log")
    app = start_app(folder, log)
    try:
        with sync_playwright() as playwright:
            chromium = launch_chromium(playwright)
            if chromium is None:
                raise SystemExit("No chromium was found: run `make browser`.")
            page = new_window(chromium).new_page()
            page.goto(f"{app.url}/review")
            page.wait_for_selector(IDLE)
            memory = psutil.Process(app.process.pid).memory_info().rss
            page.evaluate(WATCH)
            for number in range(decisions):
                if number % 3:  # both verdicts, so that the order is learnt beside it
                    page.keyboard.press("x")
                    page.wait_for_selector(".st-key-reason-1")
                    page.wait_for_selector(IDLE)
                page.keyboard.press("1" if number % 3 else "a")
                page.wait_for_function("n => window.took.length > n", arg=number)
                page.wait_for_selector(IDLE)
                page.wait_for_timeout(READING_MILLISECONDS)
            took = [milliseconds / 1000 for milliseconds in page.evaluate("window.took")]
            after = psutil.Process(app.process.pid).memory_info().rss
            searches = searched_in(page, app.url)
            chromium.close()
    finally:
        app.kill()
    return {
        **spread("browser_next_card", took),
        **spread("browser_filter", searches),
        "app_memory_mb_before": memory // 2**20,
        "app_memory_mb_after": after // 2**20,
    }


def searched_in(page: Page, url: str) -> list[float]:
    """Seconds from Enter to the end of the run that shows what was found; each text three times, the first ones with everything cold."""
    took = []
    page.goto(f"{url}/dataset")
    page.wait_for_selector(IDLE)
    field = page.locator(".st-key-text input").first
    for wanted in SEARCHED * 3:
        page.wait_for_timeout(READING_MILLISECONDS)
        field.fill(wanted)
        began = time.perf_counter()
        field.press("Enter")
        page.wait_for_selector(RUNNING)
        page.wait_for_selector(IDLE)
        took.append(time.perf_counter() - began)
    return took


def spread(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile in ms, and how many."""
    milliseconds = sorted(1000 * one for one in seconds)
    p95 = milliseconds[max(0, math.ceil(0.95 * len(milliseconds)) - 1)]
    return {f"{name}_p95_ms": round(p95, 1), f"{name}_median_ms": round(statistics.median(milliseconds), 1), f"{name}_n": len(milliseconds)}


def main() -> None:
    """Build the workspace, decide on 200 cards in the process and 200 by keyboard, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="the last line is JSON either way")
    parser.add_argument("--triples", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=DECISIONS)
    parser.add_argument("--workspace", type=Path, help="keep the workspace here, and use it again; a temporary folder where absent")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.workspace or Path(temporary) / "workspace").resolve()
        workbench = Workbench(Settings(workspace=folder))
        began = time.perf_counter()
        fill(workbench, asked.triples)
        figures: dict[str, float] = {"triples": workbench.dataset.count(), "fill_seconds": round(time.perf_counter() - began, 1)}
        figures |= in_process(workbench, asked.decisions)
        figures |= in_browser(folder, asked.decisions)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
