"""One hit opened: the whole document, its rank in every column, and where the answer comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.domain.ranking import Corpus, Hit
from core.workbench import Workbench
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.widgets import plain, show_text

PAGES = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Asked:
    """One search: what was asked of which systems; `ready` are those that have an index."""

    corpus: Corpus
    systems: tuple[str, ...]
    ready: tuple[str, ...]
    query: str
    task: str | None
    k: int


@st.dialog("Document", width="medium")
def open_hit(asked: Asked, system: str, hit: Hit) -> None:
    """The whole document, its rank in every column, and where the answer comes from."""
    workbench = open_workbench()
    labels = dict(workbench.systems.names(lexical=True))
    if hit.document.title:
        st.markdown(f"**{plain(hit.document.title)}**")
    show_text(hit.document.text, key="search-document-text")
    st.divider()
    with problems_shown():
        again = workbench.search.search(asked.corpus.id, asked.ready, asked.query, asked.task, 1, ask_ranks_of=[hit.document.id])
        for name, ranking in again.items():
            rank, similarity = ranking.ranks_of[hit.document.id], ranking.similarities_of[hit.document.id]
            st.markdown(f"{plain(labels.get(name, name))}: rank **{rank:,}** of {ranking.corpus_size:,} ({similarity:.3f})")
        st.divider()
        show_lineage(workbench, asked.corpus, system, hit)


def show_lineage(workbench: Workbench, corpus: Corpus, system: str, hit: Hit) -> None:
    """From hit to index, job, run and dataset version, with a link to each that has a page."""
    st.markdown(":material/account_tree: **Where this hit comes from**")
    st.caption(f"document {plain(hit.document.id)} of {plain(corpus.name)}: {plain(corpus.source)}")
    lineage = workbench.search.lineage(corpus.id, system)
    if lineage is None:
        st.caption("BM25 counts words; no model and no training are behind it.")
        return
    facts = lineage.facts
    built = f"built {facts.built_at[:16].replace('T', ' ')} UTC in {facts.seconds:.0f} s by job `{facts.job_id}`"
    st.markdown(
        f":material/database: Index of {facts.documents:,} documents, {facts.dimensions} dimensions, {built}  \n"
        f"encoder fingerprint `{facts.fingerprint}`, base {plain(str(facts.encoder.get('base')))}"
    )
    if lineage.run is None:
        st.caption("The model behind it was not trained here.")
        return
    st.page_link(
        str(PAGES / "train.py"), label=f"Training run {plain(lineage.run.id)}: {plain(lineage.run.title)}", icon=":material/model_training:"
    )
    if lineage.version is not None:
        st.page_link(
            str(PAGES / "dataset.py"),
            label=f"Dataset version {plain(lineage.version.name)} ({lineage.version.train_count:,} training examples)",
            icon=":material/dataset:",
        )
