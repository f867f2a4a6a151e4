"""Give hard negatives to triples that came without one, as a job."""

from __future__ import annotations

import streamlit as st

from core.domain.jobs import Job, JobKind
from core.domain.mining import MiningMethod, MiningPlan
from core.errors import BadInput, WorkbenchError
from core.workbench import Workbench
from pages.ui.job_watch import show_job
from pages.ui.session import open_workbench, reviewer
from pages.ui.widgets import visible

METHODS = {MiningMethod.BASELINE.value: "the baseline encoder", MiningMethod.BM25.value: "words (BM25)"}


def show_mining(workbench: Workbench) -> None:
    """The form where something is missing, and the last job."""
    missing = workbench.mining.missing()
    jobs = workbench.jobs.find(JobKind.MINE, limit=1)
    if not missing and not jobs:
        return
    st.markdown("##### Mine hard negatives")
    if jobs:
        show_job(jobs[0], key="mining", show_result=_show_result)
    if not missing:
        st.caption("Every triple has a hard negative.")
        return
    if jobs and jobs[0].state.active:
        return
    total = sum(missing.values())
    st.caption(f"{total:,} triples have none. Documents of the same group and language are ranked for each query.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Triples of", ["", *missing], key="mine-source", width=260,
            format_func=lambda s: f"{visible(s)} ({missing[s]:,})" if s else f"all sources ({total:,})",
        )  # fmt: skip
        st.selectbox("Ranked by", list(METHODS), key="mine-method", format_func=METHODS.__getitem__, width=200)
        st.slider("Ranks to choose from", 1, 200, (6, 100), key="mine-ranks", width=240, help="The best may be answers nobody marked.")
        st.slider("Score below, of the positive's", 0.5, 1.0, 0.95, 0.01, key="mine-share", width=240)
        st.button("Mine", key="mine", type="primary", icon=":material/construction:", on_click=mine)


def mine() -> None:
    """Start the job of the form."""
    state = st.session_state
    first, last = state["mine-ranks"]
    try:
        plan = MiningPlan(
            source=state["mine-source"],
            method=MiningMethod(state["mine-method"]),
            first_rank=first,
            last_rank=last,
            most_of_positive=state["mine-share"],
            reviewer=reviewer(),
        )
        open_workbench().mining.start(plan)
    except ValueError as error:
        state["dataset-problem"] = BadInput(f"This cannot be mined: {error}.", hint="Check your name in Settings and the ranks.")
    except WorkbenchError as error:
        state["dataset-problem"] = error


def _show_result(job: Job) -> None:
    facts = job.result
    changed = facts.get("changed_meanwhile", 0)  # jobs of before did not count them
    left = f" {changed:,} were edited or rejected in the meantime and are left as they are." if changed else ""
    st.success(
        f"{facts['found']:,} of {facts['triples']:,} triples got a hard negative in {facts['seconds']:,} s; for "
        f"{facts['none_fits']:,} no document fits.{left} Undo a step in Triples takes back all of them that nobody used since.",
        icon=":material/check:",
    )
