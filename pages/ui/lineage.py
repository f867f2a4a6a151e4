"""Where a triple came from and where it went: prompt version, request, decisions, versions, runs."""

from __future__ import annotations

import streamlit as st

from core.domain.review import TripleRecord
from core.workbench import Workbench
from pages.ui.triple_card import show_history
from pages.ui.widgets import page_file, plain, show_text

TOO_LONG = 4000  # characters of a reply shown at once


def show_lineage(workbench: Workbench, record: TripleRecord) -> None:
    """Four columns, in the order of the work."""
    found = workbench.dataset.lineage(record.id)
    st.markdown("##### From the prompt to the model")
    written, decided, frozen, trained = st.columns(4, border=True)
    with written:
        st.markdown("**:material/edit_note: Written**")
        _show_origin(record, found["prompt_version"], found["request"])
    with decided:
        st.markdown("**:material/rate_review: Decisions**")
        if found["decisions"]:
            show_history(found["decisions"])
        else:
            st.caption("None yet.")
    with frozen:
        st.markdown("**:material/inventory_2: Versions**")
        for entry in found["versions"]:
            st.markdown(f"**{plain(entry['version'].name)}** :gray[· {entry['split']} · `{entry['version'].content_hash[:10]}`]")
        if not found["versions"]:
            st.caption("In no version yet.")
    with trained:
        st.markdown("**:material/model_training: Runs**")
        for job in found["jobs"]:
            st.page_link(page_file("train"), label=f"{plain(job.title)} ({job.state.value})")
        if not found["jobs"]:
            st.caption("No run was trained on it.")
    st.page_link(page_file("review"), label="Open in review", icon=":material/rate_review:", query_params={"card": record.id})


def _show_origin(record: TripleRecord, version: dict[str, object] | None, request: dict[str, object] | None) -> None:
    triple = record.triple
    st.markdown(plain(f"{triple.source}, {triple.created_at[:16].replace('T', ' ')} UTC"))
    if version:
        st.markdown(f"Prompt **{plain(str(version['group']))} v{version['number']}**")
    if request:
        cost = request["cost"]
        money = "unknown cost" if not isinstance(cost, int | float) else f"{cost:.5f} US dollars"
        st.caption(plain(f"{request['model']} · {request['prompt_tokens']} + {request['completion_tokens']} tokens · {money}"))
        with st.popover("Raw reply", icon=":material/data_object:", key="raw-reply"):
            show_text(str(request["raw"] or "")[:TOO_LONG])
    if not version and not request:
        st.caption("By a person or a file: no prompt and no request.")
    st.caption(f"id {record.id}")
