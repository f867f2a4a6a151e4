"""One job, watched: progress while it works, and what to do when it ended badly."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.domain.jobs import Job, JobState
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.widgets import job_badge, plain


@st.fragment(run_every=1)
def watch_job(job_id: str, *, key: str) -> None:
    """Progress of a job at work, with its stop button; the page is drawn again when it is over."""
    with problems_shown():
        board = open_workbench().jobs
        job = board.get(job_id)
        if not job.state.active:
            st.rerun()
        with st.container(border=True, key=f"{key}-watch"):
            _title(job)
            events, _ = board.events(job_id)
            last = next((e for e in reversed(events) if e["kind"] == "progress"), None)
            if (place := board.line.places().get(job_id)) is not None:
                st.progress(0.0, text=plain(str(place)))
            elif last is None:
                st.progress(0.0, text="starting …")
            else:
                done, total = last["done"], max(1, last["total"])
                st.progress(min(1.0, done / total), text=plain(f"{done:,} of {total:,} {last['unit']} · {last['note']}"))
            if job.state is not JobState.STOPPING and st.button("Stop", key=f"{key}-stop", icon=":material/stop:"):
                board.stop(job_id)
                st.rerun(scope="fragment")


def show_job(job: Job, *, key: str, show_result: Callable[[Job], None]) -> None:
    """A job as it stands: watched while it works, its result when it is done, why it ended otherwise."""
    if job.state.active:
        watch_job(job.id, key=key)
    elif job.state is JobState.DONE:
        show_result(job)
    else:
        show_ended(job, key=key)


def show_ended(job: Job, *, key: str) -> None:
    """A job that stopped, failed or was lost: why, what to do, its log, and a button to go on."""
    with st.container(border=True, key=f"{key}-ended"):
        _title(job)
        if job.failure:
            st.markdown(f"{plain(job.failure.message)}\n\n**What to do:** {plain(job.failure.hint)}")
        with problems_shown():
            if st.button("Go on where it left off", key=f"{key}-resume", icon=":material/play_arrow:"):
                open_workbench().jobs.resume(job.id)
                st.rerun()
            with st.expander("Log", key=f"{key}-log"):
                st.code(open_workbench().jobs.log_tail(job.id, characters=6000) or "The log is empty.", language=None, height=240)


def _title(job: Job) -> None:
    name, state = st.columns([3, 1], vertical_alignment="center")  # the badge fits half a page too
    name.markdown(f"**{plain(job.title)}**")
    with state:
        job_badge(job)
