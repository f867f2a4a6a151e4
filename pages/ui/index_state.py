"""What a search waits for: the model service, and indexes that are missing, stale or being built."""

from __future__ import annotations

import streamlit as st

from core.domain.jobs import JobState
from core.domain.ranking import Corpus
from core.workbench import Workbench
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.widgets import job_badge, plain


@st.fragment(run_every=1)
def wait_for_service() -> None:
    """The model service starts in its own process; this looks for it every second."""
    workbench = open_workbench()
    with problems_shown():
        if workbench.service.ready():
            st.rerun()
        workbench.service.ensure_started(wait_seconds=0)
        with st.status("Starting the model service …"):
            st.caption("It keeps the models in memory for everyone on this machine. The first start takes a few seconds.")


@st.fragment(run_every=1)
def watch_index(corpus_id: str, system: str) -> None:
    """Progress of an index job; the page is drawn again when it is over."""
    workbench = open_workbench()
    standing = workbench.search.standing(corpus_id, system)
    job = standing.job
    if job is None or not job.state.active:
        st.rerun()
        return
    events, _ = workbench.jobs.events(job.id)
    last = next((e for e in reversed(events) if e["kind"] == "progress"), None)
    done, total = (last["done"], max(1, last["total"])) if last else (0, 1)
    note = f"{last['done']:,} of {last['total']:,} {last['unit']} · {last['note']}" if last else "starting the job …"
    st.progress(min(1.0, done / total), text=note)
    if job.state is not JobState.STOPPING and st.button("Stop", key=f"search-stop-{system}", icon=":material/stop:"):
        with problems_shown():
            workbench.jobs.stop(job.id)


def index_missing(workbench: Workbench, corpus: Corpus, system: str) -> None:
    """Why this column is empty, and the button that mends it."""
    standing = workbench.search.standing(corpus.id, system)
    if standing.state.value == "building":
        st.markdown(":material/hourglass: Building this index …")
        watch_index(corpus.id, system)
        return
    if standing.state.value == "stale":
        st.warning("The documents changed since this index was built.", icon=":material/history:")
    elif standing.job is not None:
        job_badge(standing.job)
        failure = standing.job.failure
        st.markdown(plain(failure.message) if failure else "The last index job was stopped; what it encoded is kept.")
    else:
        st.markdown(f":material/inbox: No index of these {corpus.documents:,} documents yet.")
    if st.button("Build index", key=f"search-build-{system}", type="primary", icon=":material/database:"):
        with problems_shown():
            workbench.search.start_index(corpus.id, system)
            st.rerun()
