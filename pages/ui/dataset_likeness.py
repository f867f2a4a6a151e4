"""Triples that say the same: clusters of near duplicates with one click to settle each, and what is similar to one triple."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.jobs import JobKind
from core.domain.review import Action, RejectReason, TripleRecord
from core.errors import WorkbenchError
from core.retrieval.corpora import VERSION_PREFIX
from core.retrieval.desk import IndexState
from core.retrieval.systems import BASELINE
from core.review.clusters import Cluster
from core.workbench import Workbench
from pages.ui.job_watch import show_ended, watch_job
from pages.ui.session import open_workbench, reviewer
from pages.ui.widgets import plain, show_empty_state, visible

CLUSTERS_A_PAGE = 10
TEXT_SHOWN = 400  # characters
SIMILAR = 8
VERSIONS_LOOKED_AT = 3


def show_duplicates(workbench: Workbench) -> None:
    """The clusters of the last check, or how to get one."""
    jobs = workbench.jobs.find(JobKind.CHECK, limit=1)
    if jobs and jobs[0].state.active:
        watch_job(jobs[0].id, key="cluster-check")
        return
    if jobs and jobs[0].failure:
        show_ended(jobs[0], key="cluster-check")
    pairs = workbench.checks.near_duplicates()
    found = workbench.dataset.clusters(pairs)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Look for near duplicates", key="find-duplicates", icon=":material/search:", on_click=look_again)
        checked = f"Last looked for {(jobs[0].ended_at or jobs[0].created_at)[:16].replace('T', ' ')} UTC." if jobs else "Never looked for."
        st.caption(
            f"{checked} Pairs share {workbench.checks.thresholds().near_duplicate:.0%} or more of the 5-grams of query and positive."
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
    for cluster in found[(page - 1) * CLUSTERS_A_PAGE : page * CLUSTERS_A_PAGE]:
        _show_cluster(cluster)
    if pages > 1:
        st.pagination(pages, key="cluster-page")


def _show_cluster(cluster: Cluster) -> None:
    with st.container(border=True, key=f"cluster-{cluster.best.id}"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{len(cluster.records)} triples** · the closest pair shares {cluster.similarity:.0%}")
            st.button(
                f"Keep the best, reject {len(cluster.others)}",
                key=f"keep-{cluster.best.id}",
                icon=":material/check:",
                on_click=keep_best,
                args=((cluster,),),
            )
        st.dataframe(_table(cluster.records), hide_index=True, key=f"cluster-rows-{cluster.best.id}")


def _table(records: tuple[TripleRecord, ...]) -> pd.DataFrame:
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
    """Reject all but the first of each cluster, as one step."""
    try:
        ids = [i for cluster in clusters for i in cluster.others]
        report = open_workbench().review.bulk(ids, Action.REJECT, reviewer(), reason=RejectReason.DUPLICATE.value)
        st.toast(f"{len(report.changed):,} rejected as duplicates. Undo takes it back as one.", icon=":material/done_all:")
    except WorkbenchError as error:
        st.session_state["dataset-problem"] = error


def show_similar(workbench: Workbench, record: TripleRecord) -> None:
    """What resembles one triple: by the baseline's vectors where a version has an index of them, else by words."""
    if not st.toggle("Similar triples", key="similar"):
        return
    with st.spinner("Looking …"):
        version = _indexed_version(workbench)
        found, by = (_by_vectors(workbench, version, record) if version else []), "cosine"
        if not found:
            found, by = workbench.dataset.similar(record, count=SIMILAR), "shared words"
    if not found:
        st.caption("No other triple of this language shares a word with it.")
        return
    rows = [
        {by: round(score, 3), "no.": r.number, "verdict": r.standing.verdict.value, "query": visible(r.texts.query[:TEXT_SHOWN]),
         "positive": visible(r.texts.positive[:TEXT_SHOWN]), "task": visible(r.triple.task)} for r, score in found
    ]  # fmt: skip
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="similar-rows")
    told = f"By the baseline's vectors in version {version[1]}" if version and by == "cosine" else "By words of query and positive"
    st.caption(plain(f"{told}; n = {len(found)}."))


def _indexed_version(workbench: Workbench) -> tuple[str, str] | None:
    """(id, name) of the newest of the last versions that the baseline has an index of, if the model service is up."""
    if not workbench.service.ready():
        return None
    for version in workbench.dataset.versions()[:VERSIONS_LOOKED_AT]:
        if workbench.search.standing(f"{VERSION_PREFIX}{version.id}", BASELINE).state is IndexState.READY:
            return version.id, version.name
    return None


def _by_vectors(workbench: Workbench, version: tuple[str, str], record: TripleRecord) -> list[tuple[TripleRecord, float]]:
    ranking = workbench.search.search(f"{VERSION_PREFIX}{version[0]}", [BASELINE], record.texts.query, k=3 * SIMILAR)[BASELINE]
    nearest = {hit.document.text: hit.similarity for hit in ranking.hits}
    holders = workbench.dataset.holding_texts(list(nearest))
    scored = {
        other.id: (other, max(nearest.get(text, -1.0) for text in (other.triple.texts.positive, other.triple.texts.negative or "")))
        for other in holders
        if other.id != record.id
    }
    return sorted(scored.values(), key=lambda pair: (-pair[1], pair[0].number))[:SIMILAR]
