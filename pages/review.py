"""Clear a queue of triples: one card, one key, the next card."""

from __future__ import annotations

import streamlit as st

from core.domain.filters import ReviewQueue
from core.domain.review import TripleRecord
from core.domain.triple import Verdict
from core.workbench import Workbench
from pages.ui.problems import problems_shown, show_problem
from pages.ui.review_bar import show_actions
from pages.ui.review_desk import VIEWS, card_on_desk, chosen_queue, prepare_next, start_service, turn, undo
from pages.ui.review_filters import show_filters
from pages.ui.review_forms import show_alike, show_edit_form
from pages.ui.review_mining import show_mined
from pages.ui.review_people import show_people, show_readings
from pages.ui.review_rewriting import show_rewriting
from pages.ui.review_steps import show_origin
from pages.ui.review_window import keep_card
from pages.ui.session import open_workbench, reviewer
from pages.ui.triple_card import show_card, show_from_the_top, was_swapped
from pages.ui.triple_scores import SCORING, score_words, scores_now
from pages.ui.widgets import page_file, plain, show_empty_state

BAR = "<style>[data-testid=stBottomBlockContainer]{padding:.6rem 2rem .9rem}</style>"  # the bar of keys takes little room


def show_progress(workbench: Workbench, queue: ReviewQueue) -> None:
    """Mine, all, speed and expected end on one line."""
    now = workbench.review.progress(queue)
    words = [
        f"**{now.waiting:,}** {'to settle' if queue.disputed else 'waiting for you'}",
        f"**{now.decided:,}** of {now.total:,} decided",
        f"**{now.mine:,}** by you",
    ]
    if now.disputed:
        words.append(f"**{now.disputed:,}** disputed")
    if now.per_hour and now.hours_left is not None:
        minutes = now.hours_left * 60
        left = "under a minute" if minutes < 1 else f"{minutes:.0f} min" if minutes < 120 else f"{now.hours_left:.1f} h"
        words.append(f"**{now.per_hour:.0f}** an hour, {left} left at that speed")
    title, line = st.columns([1, 4], vertical_alignment="center")
    title.subheader("Review", anchor=False)
    line.progress(now.decided / now.total if now.total else 0.0, text=" · ".join(words))


def show_desk(workbench: Workbench, record: TripleRecord) -> None:
    """The card with its scores, the form where it is open, history below."""
    scores, note = scores_now(workbench, record.texts)
    if len(record.standing.readings) > 1 and record.standing.verdict is not Verdict.PENDING:
        show_readings(record)
    if st.session_state.get("editing"):
        show_edit_form(record)
    else:
        show_rewriting(workbench, record)
        show_mined(workbench, record)
        pending = record.standing.verdict is Verdict.PENDING
        suggestion = workbench.review.suggestion(record, reviewer()) if pending else None
        show_card(record, scores=scores, show_changes=bool(st.session_state.get("show-changes", True)), suggestion=suggestion)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(score_words(scores) if scores else note), width="stretch")
        if not scores and not workbench.service.ready():
            st.button("Start the model service", key="start-service", type="tertiary", icon=":material/play_arrow:", on_click=start_service)
        if record.edited and not was_swapped(record):
            st.toggle("Show what was changed", value=True, key="show-changes")
        if not st.session_state.get("editing"):
            show_fixes()
        with st.popover("History and origin", icon=":material/history:", key="history", width="content"):
            show_origin(workbench, record)
    if note == SCORING or st.session_state.get("service-starting"):
        wait_for_scores(record.id, note)


def show_fixes() -> None:
    """Fixes that another text is needed for: a mined one, or one a model writes."""
    fixes = (("Mine a negative", "mining", "M", "construction"), ("Write anew", "rewriting", "W", "ink_pen"))
    for label, panel, shortcut, icon in fixes:
        args = (panel, not st.session_state.get(panel))
        st.button(label, key=f"open-{panel}", shortcut=shortcut, icon=f":material/{icon}:", type="tertiary", on_click=turn, args=args)


@st.fragment(run_every=1.0)
def wait_for_scores(triple_id: str, note: str) -> None:
    """Draw the page again once there is news of the scores; the card itself is already on screen."""
    workbench = open_workbench()
    if scores_now(workbench, workbench.review.card(triple_id).texts)[1] != note:
        st.session_state.pop("service-starting", None)
        st.rerun()


def show_nothing_left(workbench: Workbench, queue: ReviewQueue) -> None:
    """Why there is no card, and what to do next."""
    if not workbench.dataset.count():
        message = "There are no triples yet. Write some, or load the starter set below."
        show_empty_state(message, page=page_file("generate"), action="Generate triples")
        if st.button("Load the starter set", key="load-starter", type="primary", icon=":material/inbox:"):
            with problems_shown(), st.spinner("Reading and checking every triple …"):
                workbench.dataset.load_starter()
                st.rerun()
        return
    if queue.disputed:
        show_empty_state("No dispute waits. Readers who differ on a triple bring it here; People shows how far they agree.")
    elif not queue.wanted.empty:
        show_empty_state("No waiting triple passes these filters. Clear some of them.")
    else:
        show_empty_state("The queue is empty: everything was decided.", page=page_file("dataset"), action="Freeze a version")
    if skipped := workbench.review.skipped(queue):
        st.caption(f"You skipped {skipped:,} {'triple' if skipped == 1 else 'triples'}; undo brings the newest back.")
    with st.bottom.container(horizontal=True, horizontal_alignment="center"):
        st.button("Undo", key="undo", icon=":material/undo:", shortcut="Backspace", on_click=undo)


def show_queue(workbench: Workbench, queue: ReviewQueue) -> None:
    """One card and its keys."""
    if problem := st.session_state.pop("review-problem", None):
        show_problem(problem)
    if not queue.disputed:
        show_alike(workbench)
    record = card_on_desk(workbench, queue)
    if record is None:
        show_nothing_left(workbench, queue)
        return
    show_desk(workbench, record)
    show_actions(record)
    show_from_the_top(record.id)
    keep_card(queue)
    prepare_next(workbench, queue, record)


st.html(BAR)
workbench = open_workbench()
with problems_shown():
    head, strip = st.container(), st.container()
    with strip:
        show_filters(workbench)
    queue = chosen_queue()
    with head:
        show_progress(workbench, queue)
    if st.session_state.get("view") == VIEWS[-1]:
        show_people(workbench)
    else:
        show_queue(workbench, queue)
