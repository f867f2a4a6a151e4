"""One text of a card, written anew by a language model: asked for with a key, shown as a change, saved or dropped by the reviewer."""

from __future__ import annotations

import streamlit as st

from core.domain.review import Action, TripleRecord
from core.domain.rewriting import Proposal, ProposalState, TextField
from core.errors import NotFound, WorkbenchError
from core.workbench import Workbench
from pages.ui.prompt_editor import money
from pages.ui.review_desk import lay_down, turn
from pages.ui.session import open_workbench, reviewer
from pages.ui.triple_card import TITLES, changes_html, text_html
from pages.ui.widgets import page_file, plain

PANEL_HEIGHT = 170  # pixels; the card stays in sight
NO_ENDPOINT = "rewrite-no-endpoint"


def _jobs() -> dict[str, str]:
    """Triple -> job whose proposal this reviewer has not settled; read from the workspace once a session."""
    workbench = open_workbench()
    whose = (str(workbench.settings.workspace), reviewer())
    if st.session_state.get("rewritings", (None,))[0] != whose:
        st.session_state["rewritings"] = (whose, workbench.rewriting.waiting(reviewer()))
    found: dict[str, str] = st.session_state["rewritings"][1]
    return found


def ask_for(record: TripleRecord, field: TextField) -> None:
    """Ask the endpoint that is offered first; the job works on whatever the reviewer does meanwhile."""
    workbench = open_workbench()
    turn("rewriting", False)
    try:
        endpoint = workbench.endpoints.default()
        if endpoint.embedded:
            st.session_state[NO_ENDPOINT] = True
        job_id = workbench.rewriting.start(endpoint, record, field, reviewer()).id
        before = _jobs().pop(record.id, job_id)
        _jobs()[record.id] = job_id
        if before != job_id:
            workbench.rewriting.settle(before)
    except WorkbenchError as error:
        st.session_state["review-problem"] = error


def show_rewriting(workbench: Workbench, record: TripleRecord) -> None:
    """What is being written for the card, or what was; a way to other cards for which something was written."""
    if st.session_state.pop(NO_ENDPOINT, False):
        st.page_link(page_file("settings"), label="Open Settings", icon=":material/settings:")
    jobs = _jobs()
    if (job_id := jobs.get(record.id)) is not None:
        try:
            proposal = workbench.rewriting.proposal(job_id)
        except NotFound:
            del jobs[record.id]
            return
        with st.container(border=True, key="rewriting-panel"):
            _show(workbench, record, proposal)
    elif jobs:
        _show_others(workbench, jobs)


def _show(workbench: Workbench, record: TripleRecord, proposal: Proposal) -> None:
    match proposal.state:
        case ProposalState.WRITING:
            _watch(proposal.job_id)
        case ProposalState.FAILED:
            what = f"**The {_name(proposal)} was not written.** {plain(proposal.problem)}"
            st.markdown(f":red[:material/error:] {what}\n\n**What to do:** {plain(proposal.hint)}")
            with st.container(horizontal=True):
                again = (record, proposal.plan.field)
                st.button("Ask again", key="rewrite-again", icon=":material/refresh:", on_click=ask_for, args=again)
                st.button("Close", key="drop-rewriting", type="tertiary", shortcut="N", on_click=drop, args=(proposal,))
        case ProposalState.READY:
            _show_proposal(workbench, record, proposal)


@st.fragment(run_every=1.0)
def _watch(job_id: str) -> None:
    """That somebody writes; the page is drawn again when they are done."""
    proposal = open_workbench().rewriting.proposal(job_id)
    if proposal.state is not ProposalState.WRITING:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        what = f"{plain(proposal.plan.model)} writes the {_name(proposal)} anew"
        st.markdown(f":material/hourglass_top: **{what} …** :small[:gray[go on meanwhile: every key works]]", width="stretch")
        if st.button("Stop", key="stop-rewriting", type="tertiary", icon=":material/stop:"):
            drop(proposal)
            st.rerun()


def _show_proposal(workbench: Workbench, record: TripleRecord, proposal: Proposal) -> None:
    plan = proposal.plan
    now = getattr(record.texts, plan.field.value)
    with st.container(horizontal=True, vertical_alignment="center"):
        facts = [plain(plan.model), money(proposal.cost), *([f"{proposal.seconds:.1f} s"] if proposal.seconds is not None else [])]
        st.markdown(f"**A new {_name(proposal)}** :small[:gray[{' · '.join(facts)}]]", width="stretch")
        st.button(
            "Save", key="save-rewriting", type="primary", shortcut="Y", icon=":material/save:", on_click=save, args=(record, proposal)
        )
        st.button("Drop", key="drop-rewriting", shortcut="N", on_click=drop, args=(proposal,))
        again = (record, plan.field)
        st.button("Ask again", key="rewrite-again", type="tertiary", icon=":material/refresh:", on_click=ask_for, args=again)
    if record.texts != plan.texts:
        st.caption(":material/group: The triple was changed since this was asked for; saving puts in the new text alone.")
    with st.container(height=PANEL_HEIGHT, border=False):
        st.html(changes_html(now, proposal.text) if now else text_html(proposal.text))
    found = workbench.checks.check(record.triple.with_texts(plan.applied_to(record.texts, proposal.text)))
    words = [flag.message for flag in found if flag.field in ("", plan.field.value)]
    said = (
        f":material/warning: The checks say: {plain('; '.join(words))}" if words else ":material/check: The checks find nothing against it."
    )
    st.caption(said)


def _show_others(workbench: Workbench, jobs: dict[str, str]) -> None:
    """The newest text that was written for another card."""
    card = next(iter(reversed(jobs)))
    try:
        proposal = workbench.rewriting.proposal(jobs[card])
    except NotFound:
        del jobs[card]
        return
    if proposal.state is ProposalState.READY:
        words = f"A new {_name(proposal)} waits on another card ({len(jobs)} in all)"
        st.button(words, key="to-rewriting", type="tertiary", icon=":material/ink_pen:", on_click=_go_to, args=(card,))


def _go_to(card: str) -> None:
    try:
        lay_down(open_workbench().review.card(card))
    except WorkbenchError as error:
        st.session_state["review-problem"] = error


def _name(proposal: Proposal) -> str:
    return TITLES[proposal.plan.field.value].lower()


def save(record: TripleRecord, proposal: Proposal) -> None:
    """Put the new text on the card: an edit like any other, whose reason says who wrote it."""
    workbench = open_workbench()
    texts = proposal.plan.applied_to(record.texts, proposal.text)
    try:
        workbench.review.decide(record.id, Action.EDIT, reviewer(), reason=proposal.reason, texts=texts, seen=record)
        drop(proposal)
        lay_down(workbench.review.card(record.id))
    except WorkbenchError as error:
        st.session_state["review-problem"] = error


def drop(proposal: Proposal) -> None:
    """The proposal is settled; its request stays in the ledger."""
    _jobs().pop(proposal.plan.triple_id, None)
    try:
        open_workbench().rewriting.settle(proposal.job_id)
    except WorkbenchError as error:
        st.session_state["review-problem"] = error
