"""Clear a queue of triples: one card, one key, the next card."""

from __future__ import annotations

import streamlit as st

from core.domain.filters import ReviewQueue, TripleOrder
from core.domain.review import Action, RejectReason, TripleRecord
from core.domain.triple import Verdict
from core.workbench import Workbench
from pages.ui.filter_options import filter_options
from pages.ui.problems import problems_shown, show_problem
from pages.ui.review_desk import (
    VIEWS,
    apply_to_alike,
    attempt,
    card_on_desk,
    chosen_queue,
    forget_card,
    move,
    open_edit,
    prepare_next,
    save_edit,
    start_service,
    turn,
    undo,
)
from pages.ui.review_people import show_people, show_readings
from pages.ui.review_steps import show_origin, show_steps
from pages.ui.review_window import keep_card
from pages.ui.session import open_workbench, reviewer
from pages.ui.triple_card import FIELDS, TITLES, changes_html, show_card, show_from_the_top, text_html, was_swapped
from pages.ui.triple_scores import SCORING, score_words, scores_now
from pages.ui.widgets import page_file, plain, show_empty_state

BAR = "<style>[data-testid=stBottomBlockContainer]{padding:.6rem 2rem .9rem}</style>"  # the bar of keys takes little room
KEYS_HELP = """
| Key | Does | Key | Does |
|---|---|---|---|
| **A** | accept | **E** | edit a text (the original is kept) |
| **X**, then **1**–**7** | reject with a reason | **S** | swap positive and negative |
| **Space** | skip: you do not see it again | **P** | promote: the negative becomes the positive |
| **Backspace** | undo your last step | **F** | flag for somebody else |
| **L** | list your last 50 steps, undo any | **J**, **K** | next, previous |
| **Esc** | close the reasons or the form | **H** | this help |

A key does nothing while you type in a field.
"""


def show_filters(workbench: Workbench) -> None:
    """Order and filters; all of them in the address."""
    options = filter_options(workbench)
    with st.container(horizontal=True, vertical_alignment="center", key="review-filters"):
        st.segmented_control(
            "View",
            VIEWS,
            key="view",
            default=VIEWS[0],
            required=True,
            label_visibility="collapsed",
            bind="query-params",
            on_change=forget_card,
        )
        st.text_input(
            "Find",
            key="find",
            type="search",
            placeholder="Find in texts and tasks",
            label_visibility="collapsed",
            width=200,
            bind="query-params",
            on_change=forget_card,
        )
        orders = [order.value for order in TripleOrder]
        st.selectbox("Order", orders, key="order", label_visibility="collapsed", width=190, bind="query-params", on_change=forget_card)
        with st.popover("Filters" + _active_count(), icon=":material/filter_list:", key="filters"):
            for key, label in (("group", "Groups"), ("language", "Languages")):
                st.multiselect(label, list(options[key]), key=key, placeholder="all", bind="query-params", on_change=forget_card)
            _choice("Task", "task", options["task"])
            _choice("Topic", "topic", options["topic"])
            _choice("Found by a check", "flag", options["flag_code"])
            _choice("Source", "source", options["source"])
            st.toggle("Only what a person flagged", key="flagged", bind="query-params", on_change=forget_card)
        st.space("stretch")
        st.button("Steps", key="last-steps", icon=":material/history:", shortcut="L", on_click=show_steps, type="tertiary")
        st.button("Keys", key="help", icon=":material/keyboard:", shortcut="H", on_click=show_keys, type="tertiary")


def _choice(label: str, key: str, options: dict[str, str]) -> None:
    st.selectbox(
        label,
        list(options),
        index=None,
        key=key,
        format_func=lambda o: options.get(o, o),
        placeholder="all",
        bind="query-params",
        on_change=forget_card,
    )


def _active_count() -> str:
    active = sum(bool(st.session_state.get(name)) for name in ("group", "language", "task", "topic", "flag", "source", "flagged"))
    return f" ({active})" if active else ""


@st.dialog("Keys", width="medium")
def show_keys() -> None:
    """The help overlay."""
    st.markdown(KEYS_HELP)


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


def show_actions(record: TripleRecord) -> None:
    """The bar at the bottom: one button and one key for each action."""
    if st.session_state.get("editing"):
        return  # a key must not throw away what was typed
    with st.bottom.container(key="review-actions"):
        if st.session_state.get("rejecting"):
            _show_reasons_bar(record)
            return
        rows = (
            ("Accept", "accept", "A", attempt, (Action.ACCEPT, record)),
            ("Reject", "reject", "X", turn, ("rejecting", True)),
            ("Skip", "skip", "Space", attempt, (Action.SKIP, record)),
            ("Undo", "undo", "Backspace", undo, ()),
            ("Edit", "edit", "E", open_edit, (record,)),
            ("Swap", "swap", "S", attempt, (Action.SWAP, record)),
            ("Promote", "promote", "P", attempt, (Action.PROMOTE, record)),
            ("Flag", "flag-it", "F", attempt, (Action.FLAG, record)),
            (":material/arrow_back:", "previous", "K", move, (record.id, True)),
            (":material/arrow_forward:", "next", "J", move, (record.id, False)),
        )
        with st.container(horizontal=True, horizontal_alignment="center", gap="xsmall"):
            for label, key, shortcut, act, args in rows:
                st.button(
                    label,
                    key=key,
                    shortcut=shortcut,
                    on_click=act,
                    args=args,
                    type="primary" if key == "accept" else "secondary",
                    disabled=key in ("swap", "promote") and record.texts.negative is None,
                    help={"previous": "Previous card", "next": "Next card"}.get(key),
                )


def _show_reasons_bar(record: TripleRecord) -> None:
    with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center", gap="xsmall"):
        st.markdown(":small[**because**]", width="content")
        for number, reason in enumerate(RejectReason, 1):
            st.button(
                reason.value.capitalize(),
                key=f"reason-{number}",
                shortcut=str(number),
                on_click=attempt,
                args=(Action.REJECT, record, reason.value),
            )
        st.button("Cancel", key="cancel-reject", type="tertiary", shortcut="Escape", on_click=turn, args=("rejecting", False))


def show_edit_form(record: TripleRecord) -> None:
    """The texts as they stand, to be changed; what was written first stays visible."""
    with st.form(f"edit-form-{record.id}", border=True):
        st.markdown("**Edit** :small[:gray[the original is kept, and the change can be undone]]")
        names = [name for name in FIELDS if getattr(record.texts, name) is not None]
        conflict = st.session_state.get("edit-conflict")
        for column, name in zip(st.columns(len(names)), names, strict=True):
            with column:
                st.text_area(TITLES[name], getattr(record.texts, name), key=f"edit-{name}-{record.id}", height=260)
                if conflict and getattr(conflict, name) != getattr(record.texts, name):
                    st.caption(":material/group: Changed by somebody else while you were writing; save again to keep yours")
                    st.html(changes_html(getattr(conflict, name) or "", getattr(record.texts, name)))
                if record.edited and getattr(record.triple.texts, name) != getattr(record.texts, name):
                    st.caption("As first written")
                    st.html(text_html(getattr(record.triple.texts, name)))
        with st.container(horizontal=True):
            st.form_submit_button("Save", key="save-edit", type="primary", icon=":material/save:", on_click=save_edit)
            st.form_submit_button("Cancel", key="cancel-edit", shortcut="Escape", on_click=turn, args=("editing", False))


def show_alike(workbench: Workbench) -> None:
    """After a decision: the same verdict for all that share the fault."""
    done = st.session_state.get("just-decided")
    alike = workbench.review.alike(workbench.review.card(done[0])) if done else None
    if not done or alike is None:
        return
    verb = "accepted" if done[1] == Action.ACCEPT else "rejected"
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="alike"):
        n = len(alike.ids)
        st.markdown(
            f":material/content_copy: **{n} more {'looks' if n == 1 else 'look'} like the one you just {verb}**: same task and prompt, "
            f"and the check *{plain(alike.flag.code.replace('_', ' '))}*.",
            width="stretch",
        )
        with st.popover("Preview", icon=":material/visibility:", key="alike-preview"):
            for record in alike.examples:
                st.html(text_html(record.texts.query))
                st.caption(plain(next((f.message for f in record.flags if f.code == alike.flag.code), "")))
            if n > len(alike.examples):
                st.caption(f"… and {n - len(alike.examples)} more")
        label = f"{'Accept' if done[1] == Action.ACCEPT else 'Reject'} all {n}"
        st.button(label, key="alike-apply", type="primary", on_click=apply_to_alike, args=(alike.ids, done[1], done[2]))
        st.button(
            "",
            key="alike-dismiss",
            type="tertiary",
            icon=":material/close:",
            help="Dismiss",
            on_click=lambda: st.session_state.pop("just-decided", None),
        )


def show_desk(workbench: Workbench, record: TripleRecord) -> None:
    """The card with its scores, the form where it is open, history below."""
    scores, note = scores_now(workbench, record.texts)
    if len(record.standing.readings) > 1 and record.standing.verdict is not Verdict.PENDING:
        show_readings(record)
    if st.session_state.get("editing"):
        show_edit_form(record)
    else:
        pending = record.standing.verdict is Verdict.PENDING
        suggestion = workbench.review.suggestion(record, reviewer()) if pending else None
        show_card(record, scores=scores, show_changes=bool(st.session_state.get("show-changes", True)), suggestion=suggestion)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(score_words(scores) if scores else note), width="stretch")
        if not scores and not workbench.service.ready():
            st.button("Start the model service", key="start-service", type="tertiary", icon=":material/play_arrow:", on_click=start_service)
        if record.edited and not was_swapped(record):
            st.toggle("Show what was changed", value=True, key="show-changes")
        with st.popover("History and origin", icon=":material/history:", key="history", width="content"):
            show_origin(workbench, record)
    if note == SCORING or st.session_state.get("service-starting"):
        wait_for_scores(record.id, note)


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
