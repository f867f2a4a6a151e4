"""Where a search begins: a held-out query with known answers, or documents of one's own."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.workbench import Workbench
from pages.ui.problems import problems_shown
from pages.ui.ranking_view import snippet
from pages.ui.widgets import plain, show_empty_state

DATASET_PAGE = str(Path(__file__).resolve().parents[1] / "dataset.py")
FORMATS = ["txt", "md", "csv", "tsv", "jsonl", "ndjson", "zip"]


def choose_heldout(corpus_id: str) -> None:
    """Search with the held-out example that was picked, in its own version's documents and with its own task."""
    example = st.session_state.get("search-heldout-example")
    if example is not None:
        st.session_state["search_in"] = corpus_id
        st.session_state["search_task"] = example.task
        st.session_state["search_q"] = example.texts.query
        st.session_state["search-heldout"] = False


def heldout_picker(workbench: Workbench) -> None:
    """Pick a held-out query: its answer and hard negative are known, so ranks and scores can be shown."""
    versions = workbench.corpora.versions()
    # Read only while open, and closed by `choose_heldout`: its state lives under its key.
    with st.popover("Try a held-out query", icon=":material/target:", key="search-heldout", on_change="rerun") as picker:
        if not picker.open:
            return
        if not versions:
            show_empty_state("No dataset version is frozen yet.", page=DATASET_PAGE, action="Freeze one on the Dataset page")
            return
        version = st.selectbox("Dataset version", versions, format_func=lambda v: v.name, key="search-heldout-version", width=560)
        examples = workbench.search.heldout(version.id)
        if not examples:
            st.caption("This version holds nothing out. Freeze one with a held-out share on the Dataset page.")
            return
        st.selectbox(
            f"Query ({len(examples)} held out, never trained on)",
            examples,
            format_func=lambda e: f"{snippet(e.texts.query, width=64)} ({e.group.value}, {e.language})",
            width=560,
            index=None,
            placeholder="Choose a query",
            key="search-heldout-example",
            on_change=choose_heldout,
            args=(f"version:{version.id}",),
        )


def name_after_file() -> None:
    """Suggest the file's name for the corpus."""
    file = st.session_state.get("search-upload-file")
    st.session_state["search-upload-name"] = Path(file.name).stem if file else ""


def corpus_upload(workbench: Workbench) -> None:
    """Bring documents of one's own."""
    with st.popover("Bring documents", icon=":material/upload_file:", key="search-upload", on_change="rerun"):
        st.caption(
            "Plain text is cut into passages. CSV, TSV and JSON lines need a `text` column; `_id` and `title` are optional. "
            "A BEIR folder as zip works too."
        )
        file = st.file_uploader("File (UTF-8)", type=FORMATS, key="search-upload-file", on_change=name_after_file)
        name = st.text_input("Name of the corpus", key="search-upload-name")
        replace = st.checkbox("Replace the corpus of this name", key="search-upload-replace")
        if st.button("Import", key="search-upload-go", type="primary", disabled=not (file and name.strip())):
            with problems_shown():
                report = workbench.corpora.import_upload(name, file.name, file.getvalue(), replace=replace)
                st.session_state["search-upload-report"] = report
                st.session_state["search-next-corpus"] = report.corpus.id
                st.rerun()


def upload_report() -> None:
    """What the last import kept and what it left out, with lines."""
    report = st.session_state.get("search-upload-report")
    if report is None:
        return
    left_out = f"; {len(report.bad):,} bad rows were left out" if report.bad else ""
    repeated = f"; {report.duplicates:,} repeated a text" if report.duplicates else ""
    with st.container(border=True, key="search-import-report"):
        st.markdown(
            f":material/check: Imported **{plain(report.corpus.name)}**: {report.corpus.documents:,} documents{left_out}{repeated}."
        )
        if report.bad:
            rows = [{"line": row.line, "reason": row.reason} for row in report.bad[:500]]
            st.dataframe(rows, key="search-bad-rows", hide_index=True, width="stretch")
        if st.button("Close", key="search-import-close", type="tertiary"):
            del st.session_state["search-upload-report"]
            st.rerun()
