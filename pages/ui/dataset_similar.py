"""What is similar to one triple: by the meaning of query and positive where all triples were compared, else by their words."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.jobs import JobKind
from core.domain.review import TripleRecord
from core.errors import NothingToDo, WorkbenchError
from core.workbench import Workbench
from pages.ui.job_watch import show_ended, watch_job
from pages.ui.session import open_workbench
from pages.ui.widgets import plain, show_empty_state, visible

CHOSEN = "chosen-triples"  # in the session: ids selected on all pages of the table
BY_WORDS = 8
ROWS = 50
ROWS_IN_SIGHT = 10
MOST = 2000  # that can be selected at once
TEXT_SHOWN = 400  # characters


def show_similar(workbench: Workbench, record: TripleRecord) -> None:
    """The similar ones under the selected triple, from where they can be selected too."""
    if not st.toggle("Similar triples", key="similar"):
        return
    jobs = workbench.jobs.find(JobKind.LIKEN, limit=1)
    if jobs and jobs[0].state.active:
        watch_job(jobs[0].id, key="liken-job")
        return
    if jobs and jobs[0].state.resumable:
        show_ended(jobs[0], key="liken-job")
    listing = workbench.likeness.listing()
    if listing is None:
        _offer("No triples were compared by meaning yet: these share words.", "Compare all triples by meaning")
        _show_by_words(workbench, record)
        return
    least = st.slider("Cosine of query and positive at least", 0.3, 1.0, 0.8, 0.01, key="similar-least", width=340)
    try:
        found = workbench.likeness.nearest(record, least=least, most=MOST)
    except NothingToDo as behind:
        _offer(behind.message, "Compare the new ones too")
        _show_by_words(workbench, record)
        return
    if not found.near:
        show_empty_state(f"No other triple has a cosine of {least:.2f} or more with this one. Move the slider to the left.")
    else:
        others = [identifier for identifier, _ in found.near]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                f"Select these {len(others):,}", key="select-similar", icon=":material/select_check_box:", on_click=select, args=(others,),
                help="They join the selection above the table, where they are accepted or rejected together and undone as one step.",
            )  # fmt: skip
            st.button("Select them and this one", key="select-similar-too", type="tertiary", on_click=select, args=([record.id, *others],))
        cosines = dict(found.near)
        _show_rows([(other, cosines[other.id]) for other in workbench.review.cards(others[:ROWS])], "cosine")
        more = f"; the first {ROWS} are shown" if len(others) > ROWS else ""
        when = listing.made_at[:16].replace("T", " ")
        st.caption(f"{len(others):,} of {found.compared:,} triples, compared by the baseline encoder on {when} UTC{more}.")
    if (late := workbench.dataset.count() - len(listing.ids)) > 0:
        _offer(f"{late:,} triples came after they were compared.", "Compare the new ones too")


def select(ids: list[str]) -> None:
    """Add triples to the selection of the table."""
    state = st.session_state
    state[CHOSEN] = {**state.get(CHOSEN, {}), **dict.fromkeys(ids)}
    state.pop("table-view", None)
    st.toast(f"{len(state[CHOSEN]):,} triples are selected. Decide on them above the table.", icon=":material/select_check_box:")


def compare() -> None:
    """Start the job that encodes the triples."""
    try:
        open_workbench().likeness.start()
    except WorkbenchError as error:
        st.session_state["dataset-problem"] = error


def _offer(message: str, action: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(action, key="liken", icon=":material/hub:", on_click=compare, help="A job of its own, which can be stopped and goes on.")
        st.caption(message, width="content")


def _show_by_words(workbench: Workbench, record: TripleRecord) -> None:
    found = workbench.dataset.similar(record, count=BY_WORDS)
    if not found:
        st.caption("No other triple of this language shares a word with it.")
        return
    _show_rows(found, "shared words")
    st.caption(plain(f"By words of query and positive; n = {len(found)}."))


def _show_rows(rows: list[tuple[TripleRecord, float]], by: str) -> None:
    table = [
        {
            by: round(score, 3),
            "no.": r.number,
            "verdict": r.standing.verdict.value,
            "query": visible(r.texts.query[:TEXT_SHOWN]),
            "positive": visible(r.texts.positive[:TEXT_SHOWN]),
            "task": visible(r.triple.task),
        }
        for r, score in rows
    ]
    narrow = {name: st.column_config.TextColumn(width="medium") for name in ("query", "positive")}
    height = 38 + 35 * min(ROWS_IN_SIGHT, len(table))
    st.dataframe(pd.DataFrame(table), hide_index=True, key="similar-rows", column_config=narrow, height=height)
