"""What is on a reviewer's desk, and what the keys and buttons of the review page do.

Callbacks run before the page is drawn, so the next card shows at once. Trouble is kept in `review-problem` and shown by the page.
"""

from __future__ import annotations

import secrets

import streamlit as st

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.groups import TaskGroup
from core.domain.review import TEXT_ACTIONS, Action, Step, TripleRecord
from core.domain.triple import Texts
from core.errors import NotFound, NothingToDo, WorkbenchError
from core.workbench import Workbench
from pages.ui.problems import show_problem
from pages.ui.review_window import held_card, holder, note_held
from pages.ui.session import open_workbench, reviewer
from pages.ui.triple_card import FIELDS
from pages.ui.triple_scores import scores_now

DISPUTES = "Disputes"
VIEWS = ("Queue", DISPUTES, "People")
PANELS = ("rejecting", "editing", "rewriting", "mining")  # what can be open on a card, one at a time


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
    order = TripleOrder(state.get("order") or TripleOrder.SUSPICIOUS)
    return ReviewQueue(wanted, order, seed, reviewer(), holder(), disputed=state.get("view") == DISPUTES)


def forget_card() -> None:
    """A filter changed: begin at the start of the queue."""
    lay_down(None)


def lay_down(record: TripleRecord | None, *, taken: bool = False) -> None:
    """Put a card on the desk; the address names it, so that the same card can be linked to. `taken`: this window holds it already."""
    for name in PANELS:
        st.session_state[name] = False
    st.session_state.pop("edit-conflict", None)
    if record:
        st.query_params["card"] = record.id
    else:
        st.query_params.pop("card", None)
    if taken:
        note_held(record.id if record else None)


def card_on_desk(workbench: Workbench, queue: ReviewQueue) -> TripleRecord | None:
    """The card the address names, else the first of the queue."""
    if wanted := st.query_params.get("card"):
        try:
            return held_card(workbench, wanted, queue)
        except NotFound as error:
            show_problem(error)
            st.query_params.pop("card", None)
    record = workbench.review.next_card(queue)
    note_held(record.id if record else None)
    if record:
        st.query_params["card"] = record.id
    return record


def attempt(action: Action, record: TripleRecord, reason: str = "") -> None:
    """Decide on the card as it was drawn, then lay the next one down; trouble is shown and the card stays."""
    workbench, queue = open_workbench(), chosen_queue()
    try:
        # A flag speaks of no verdict and no text: it is right whatever happened meanwhile.
        seen = None if action is Action.FLAG else record
        workbench.review.decide(record.id, action, queue.reviewer, reason=reason, seen=seen)
        if action in (*TEXT_ACTIONS, Action.FLAG):
            lay_down(workbench.review.card(record.id))
            return
        if action is not Action.SKIP:
            st.session_state["just-decided"] = (record.id, action.value, reason)
        lay_down(workbench.review.next_card(queue, after=record.id), taken=True)
    except WorkbenchError as error:
        st.session_state["review-problem"] = error


def undo() -> None:
    """Take the newest step back and lay its card down again."""
    workbench = open_workbench()
    try:
        steps = workbench.review.steps(reviewer())
        if not steps:
            raise NothingToDo("There is nothing of yours to undo.", hint="Decide on a triple first.")
        take_back(workbench, steps[0])
    except WorkbenchError as error:
        st.session_state["review-problem"] = error


def take_back(workbench: Workbench, step: Step) -> None:
    """Undo one of the last steps and lay its card down.

    Raises:
        BadInput: somebody else changed the texts since, or the step was undone already.
    """
    records = workbench.review.undo_step(reviewer(), step)
    st.session_state.pop("just-decided", None)
    lay_down(records[0])
    st.toast(f"Undone: {len(records)} {'triple' if len(records) == 1 else 'triples'}.", icon=":material/undo:")


def move(triple_id: str, backwards: bool) -> None:
    """Next or previous card without a decision."""
    desk, queue = open_workbench().review, chosen_queue()
    try:
        record = desk.previous_card(queue, triple_id) if backwards else desk.next_card(queue, after=triple_id)
    except WorkbenchError as error:
        st.session_state["review-problem"] = error
        return
    if record:
        lay_down(record, taken=True)


def turn(name: str, value: bool) -> None:
    """Open or close one of the panels; the others are closed."""
    for other in PANELS:
        st.session_state[other] = False
    st.session_state.pop("edit-conflict", None)
    st.session_state[name] = value


def open_edit(record: TripleRecord) -> None:
    """Open the form, and remember what it was opened on."""
    turn("editing", True)
    st.session_state["edit-base"] = record


def save_edit() -> None:
    """Write the texts of the form; where somebody was faster, keep them in the form and show what was changed meanwhile."""
    workbench, queue = open_workbench(), chosen_queue()
    base: TripleRecord = st.session_state["edit-base"]
    fields = {name: st.session_state.get(f"edit-{name}-{base.id}") for name in FIELDS}
    texts = Texts(fields["query"] or "", fields["positive"] or "", fields["negative"])
    try:
        workbench.review.decide(base.id, Action.EDIT, queue.reviewer, texts=texts, seen=base)
        lay_down(workbench.review.card(base.id))
    except WorkbenchError as error:
        st.session_state["review-problem"] = error
        now = workbench.review.card(base.id)
        if now.standing != base.standing:
            st.session_state["edit-conflict"] = base.texts
            st.session_state["edit-base"] = now


def prepare_next(workbench: Workbench, queue: ReviewQueue, record: TripleRecord) -> None:
    """Ask for the scores of the card that comes next, so that they are there when it is."""
    following = workbench.review.peek(queue, after=record.id) if workbench.service.ready() else None
    if following:
        scores_now(workbench, following.texts)


def apply_to_alike(ids: tuple[str, ...], action: str, reason: str) -> None:
    """Decide on all of them as one step."""
    workbench, queue = open_workbench(), chosen_queue()
    try:
        report = workbench.review.bulk(ids, Action(action), queue.reviewer, reason=reason, only_pending=True)
        st.session_state.pop("just-decided", None)
        st.toast(f"{len(report.changed)} triples decided. Undo takes them back as one.", icon=":material/done_all:")
        lay_down(workbench.review.next_card(queue, after=st.query_params.get("card")), taken=True)
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
