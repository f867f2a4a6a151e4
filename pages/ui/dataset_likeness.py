"""Triples that say the same: clusters of near duplicates, with one click to settle each."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.jobs import JobKind
from core.domain.review import Action, RejectReason, TripleRecord
from core.domain.triple import Verdict
from core.errors import WorkbenchError
from core.review.clusters import Cluster
from core.workbench import Workbench
from pages.ui.job_watch import show_ended, watch_job
from pages.ui.session import open_workbench, reviewer
from pages.ui.widgets import show_empty_state, visible

CLUSTERS_A_PAGE = 10
TEXT_SHOWN = 400  # characters
ROWS_A_CLUSTER = 50


def show_duplicates(workbench: Workbench) -> None:
    """The clusters of the last check, or how to get one."""
    jobs = workbench.jobs.find(JobKind.CHECK, limit=1)
    if jobs and jobs[0].state.active:
        watch_job(jobs[0].id, key="cluster-check")
        return
    if jobs and jobs[0].failure:
        show_ended(jobs[0], key="cluster-check")
    checked = (jobs[0].ended_at or jobs[0].created_at) if jobs else ""
    found, pairs = _clusters(str(workbench.settings.workspace), checked, workbench.dataset.newest_decision())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Look for near duplicates", key="find-duplicates", icon=":material/search:", on_click=look_again)
        looked = f"Last looked for {checked[:16].replace('T', ' ')} UTC." if jobs else "Never looked for."
        st.caption(f"{looked} Pairs share {workbench.checks.thresholds().near_duplicate:.0%} or more of the 5-grams of query and positive.")
    if jobs and (all_pairs := int(jobs[0].result.get("near_duplicates", 0))) > pairs:
        st.caption(
            f"The last check found {all_pairs:,} pairs; these clusters are of the {pairs:,} most alike. Look again when they are settled."
        )
    if not found:
        show_empty_state("No near duplicates are open." if jobs else "Nobody looked for near duplicates yet. The button above starts it.")
        return
    others = sum(len(cluster.others) for cluster in found)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{len(found):,} clusters**, {others + len(found):,} triples. The first of each is the one to keep.")
        st.button(
            f"Keep the best of all, reject {others:,}",
            key="keep-all",
            icon=":material/done_all:",
            on_click=keep_best,
            args=(tuple(found),),
        )
    pages = -(-len(found) // CLUSTERS_A_PAGE)
    page = min(int(st.session_state.get("cluster-page", 1)), pages)
    shown = found[(page - 1) * CLUSTERS_A_PAGE : page * CLUSTERS_A_PAGE]
    wanted = [i for cluster in shown for i in cluster.ids[:ROWS_A_CLUSTER]]
    records = {record.id: record for record in workbench.review.cards(wanted)}
    for cluster in shown:
        _show_cluster(cluster, [records[i] for i in cluster.ids[:ROWS_A_CLUSTER]])
    if pages > 1:
        st.pagination(pages, key="cluster-page")


@st.cache_resource(show_spinner="Joining near duplicates …", max_entries=2)
def _clusters(workspace: str, checked: str, newest_entry: int) -> tuple[list[Cluster], int]:
    # All arguments are there to be hashed: pairs change with a check, what is open of them with the log. The clusters are never changed.
    workbench = open_workbench()
    pairs = workbench.checks.near_duplicates()
    return workbench.dataset.clusters(pairs), len(pairs)


def _show_cluster(cluster: Cluster, records: list[TripleRecord]) -> None:
    with st.container(border=True, key=f"cluster-{cluster.best}"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            more = f" · the first {len(records)} are shown" if len(records) < len(cluster.ids) else ""
            st.markdown(f"**{len(cluster.ids):,} triples** · the closest pair shares {cluster.similarity:.0%}{more}")
            st.button(
                f"Keep the best, reject {len(cluster.others):,}",
                key=f"keep-{cluster.best}",
                icon=":material/check:",
                on_click=keep_best,
                args=((cluster,),),
            )
        st.dataframe(_table(records), hide_index=True, key=f"cluster-rows-{cluster.best}")


def _table(records: list[TripleRecord]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "": "★ keep" if i == 0 else "",
            "no.": r.number,
            "verdict": r.standing.verdict.value,
            "suspicion": round(r.suspicion, 2),
            "query": visible(r.texts.query[:TEXT_SHOWN]),
            "positive": visible(r.texts.positive[:TEXT_SHOWN]),
            "hard negative": visible((r.texts.negative or "")[:TEXT_SHOWN]),
            "source": visible(r.triple.source),
        }
        for i, r in enumerate(records)
    )


def look_again() -> None:
    """Start a check of all triples without the encoder."""
    try:
        open_workbench().checks.start(encoder=False)
    except WorkbenchError as error:
        st.session_state["dataset-problem"] = error


def keep_best(clusters: tuple[Cluster, ...]) -> None:
    """Reject all but the first of each cluster, as one step; where somebody rejected the first meanwhile, nothing would be kept."""
    review = open_workbench().review
    try:
        first = review.cards([cluster.best for cluster in clusters])
        kept = {record.id for record in first if record.standing.verdict is not Verdict.REJECTED}
        if left := sum(cluster.best not in kept for cluster in clusters):
            what = "1 cluster was" if left == 1 else f"{left:,} clusters were"
            st.toast(f"{what} left as is: the one to keep has been rejected since. Look at the list again.", icon=":material/group:")
        ids = [i for cluster in clusters if cluster.best in kept for i in cluster.others]
        if not ids:
            return
        with st.spinner(f"Rejecting {len(ids):,} triples …", show_time=True):
            report = review.bulk(ids, Action.REJECT, reviewer(), reason=RejectReason.DUPLICATE.value)
        st.toast(f"{len(report.changed):,} rejected as duplicates. Undo takes it back as one.", icon=":material/done_all:")
    except WorkbenchError as error:
        st.session_state["dataset-problem"] = error
