"""What is on a reviewer's desk, and what the keys and buttons of the review page do.

Callbacks run before the page is drawn, so the next card shows at once. Trouble is kept in `review-problem` and shown by the page.
"""

from __future__ import annotations

import secrets

import streamlit as st

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.groups import TaskGroup
from core.domain.review import Action, TripleRecord
from core.domain.triple import Texts
from core.errors import NotFound, WorkbenchError
from core.workbench import Workbench
from pages.ui.problems import show_problem
from pages.ui.session import open_workbench, reviewer
from pages.ui.triple_card import FIELDS


def chosen_queue() -> ReviewQueue:
    """The queue of the filters, which live in the URL."""
    state = st.session_state
    wanted = TripleFilter(
        text=state.get("find", ""),
        groups=tuple(TaskGroup(g) for g in state.get("group", [])),
        languages=tuple(state.get("language", [])),
        task_id=state.get("task"),
        topic=state.get("topic"),
        flag_code=state.get("flag"),
        source=state.get("source"),
        flagged=True if state.get("flagged") else None,
    )
    seed = state.setdefault("review-seed", secrets.randbelow(2**31))
    return ReviewQueue(wanted, TripleOrder(state.get("order") or TripleOrder.SUSPICIOUS), seed, reviewer())


def forget_card() -> None:
    """A filter changed: begin at the start of the queue."""
    lay_down(None)


def lay_down(record: TripleRecord | None) -> None:
    """Put a card on the desk; the address names it, so that the same card can be linked to."""
    for name in ("rejecting", "editing"):
        st.session_state[name] = False
    if record:
        st.query_params["card"] = record.id
    else:
        st.query_params.pop("card", None)


def card_on_desk(workbench: Workbench, queue: ReviewQueue) -> TripleRecord | None:
    """The card the address names, else the first of the queue."""
    if wanted := st.query_params.get("card"):
        try:
            return workbench.review.card(wanted)
        except NotFound as error:
            show_problem(error)
            st.query_params.pop("card", None)
    record = workbench.review.next_card(queue)
    if record:
        st.query_params["card"] = record.id
    return record


def attempt(action: Action, triple_id: str, pending: bool, reason: str = "", texts: Texts | None = None) -> None:
    """Decide, then lay the next card down; trouble is shown and the card stays."""
    workbench, queue = open_workbench(), chosen_queue()
    try:
        workbench.review.decide(triple_id, action, queue.reviewer, reason=reason, texts=texts, while_pending=pending)
        if action in (Action.EDIT, Action.SWAP, Action.FLAG):
            lay_down(workbench.review.card(triple_id))
            return
        if action is not Action.SKIP:
            st.session_state["just-decided"] = (triple_id, action.value, reason)
        lay_down(workbench.review.next_card(queue, after=triple_id))
    except WorkbenchError as error:
        st.session_state["review-problem"] = error


def undo() -> None:
    """Take the newest step back and lay its card down again."""
    try:
        records = open_workbench().review.undo(reviewer())
        st.session_state.pop("just-decided", None)
        lay_down(records[0])
        st.toast(f"Undone: {len(records)} {'triple' if len(records) == 1 else 'triples'}.", icon=":material/undo:")
    except WorkbenchError as error:
        st.session_state["review-problem"] = error


def move(triple_id: str, backwards: bool) -> None:
    """Next or previous card without a decision."""
    desk, queue = open_workbench().review, chosen_queue()
    record = desk.previous_card(queue, triple_id) if backwards else desk.next_card(queue, after=triple_id)
    if record:
        lay_down(record)


def turn(name: str, value: bool) -> None:
    """Open or close the reasons or the edit form."""
    st.session_state["rejecting"] = st.session_state["editing"] = False
    st.session_state[name] = value


def save_edit(triple_id: str, pending: bool) -> None:
    """Write the texts of the form."""
    fields = {name: st.session_state.get(f"edit-{name}-{triple_id}") for name in FIELDS}
    attempt(Action.EDIT, triple_id, pending, texts=Texts(fields["query"] or "", fields["positive"] or "", fields["negative"]))


def apply_to_alike(ids: tuple[str, ...], action: str, reason: str) -> None:
    """Decide on all of them as one step."""
    workbench, queue = open_workbench(), chosen_queue()
    try:
        report = workbench.review.bulk(ids, Action(action), queue.reviewer, reason=reason, only_pending=True)
        st.session_state.pop("just-decided", None)
        st.toast(f"{len(report.changed)} triples decided. Undo takes them back as one.", icon=":material/done_all:")
        lay_down(workbench.review.next_card(queue, after=st.query_params.get("card")))
    except WorkbenchError as error:
        st.session_state["review-problem"] = error


def start_service() -> None:
    """Start it and go on; scores appear when it answers."""
    try:
        open_workbench().service.ensure_started(wait_seconds=0)
        st.session_state["service-starting"] = True
        st.toast("The model service is starting; scores appear in a few seconds.", icon=":material/hourglass_top:")
    except WorkbenchError as error:
        st.session_state["review-problem"] = error
