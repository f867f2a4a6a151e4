"""Bring triples in from a file with a report on every bad row, and take them out."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.domain.dataset import FALLBACK_TASK, ExportFormat, Fallbacks
from core.domain.filters import TripleFilter
from core.domain.groups import TaskGroup
from core.domain.triple import Verdict
from core.workbench import Workbench
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench, reviewer
from pages.ui.widgets import visible

MIME = {ExportFormat.JSONL: "application/jsonl", ExportFormat.CSV: "text/csv", ExportFormat.PARQUET: "application/vnd.apache.parquet"}
ROW_EXAMPLE = """{"group": "short-long", "task": "Given …, retrieve …", "query": "…", "positive": "…", "negative": "…"}
{"anchor": "…", "positive": "…", "negative": "…"}"""


def show_import(workbench: Workbench) -> None:
    """Upload, choose what absent keys mean, import, read the report."""
    st.markdown("##### Import")
    file = st.file_uploader("A JSONL file: one JSON object a line", type=["jsonl", "json", "ndjson"], key="import-file")
    with st.expander("What a row looks like", icon=":material/help:"):
        st.code(ROW_EXAMPLE, language="json", wrap_lines=True)
        st.caption("Rows of the second form take these:")
        group = st.selectbox("Group", [g.value for g in TaskGroup], key="import-group")
        task = st.text_input("Task", FALLBACK_TASK, key="import-task")
        language = st.text_input("Language", "English", key="import-language")
    with st.container(horizontal=True, vertical_alignment="center"):
        start = st.button("Import", key="import", type="primary", icon=":material/upload:", disabled=file is None)
        accept = st.toggle("Accept all rows at once", key="import-accept", help="As one step of yours, which can be undone.")
    if start and file is not None:
        st.session_state.pop("import-report", None)
        fallbacks = Fallbacks(TaskGroup(group), task.strip() or FALLBACK_TASK, language.strip() or "English")
        with problems_shown(), st.spinner("Reading and checking every row …"):
            report = workbench.dataset.import_rows(file.getvalue(), accept_as=reviewer() if accept else None, fallbacks=fallbacks)
            st.session_state["import-report"] = (file.name, report)
    if "import-report" in st.session_state:
        _show_report(*st.session_state["import-report"])


def _show_report(name: str, report: Any) -> None:
    with st.container(border=True):
        st.caption(f"Imported from {visible(name)}".replace("_", "\\_"))
        facts = {
            "new": len(report.added),
            "known already": len(report.duplicates),
            "accepted": report.accepted,
            "bad rows": len(report.bad),
        }
        for column, (label, count) in zip(st.columns(4), facts.items(), strict=True):
            column.metric(label, f"{count:,}")
        if report.bad:
            st.warning("These rows were left out; the others are in.", icon=":material/warning:")
            st.dataframe(
                pd.DataFrame({"line": row.line, "reason": visible(row.reason)} for row in report.bad), hide_index=True, key="bad-rows"
            )


def show_export(workbench: Workbench) -> None:
    """A version, or the triples as they stand now, as a file."""
    st.markdown("##### Export")
    sources = {f"version:{v.id}": f"version {v.name}" for v in workbench.dataset.versions()}
    sources |= {f"verdict:{v.value}": f"{v.value} triples as they stand now" for v in (Verdict.ACCEPTED, Verdict.PENDING, Verdict.REJECTED)}
    sources["verdict:"] = "all triples as they stand now"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.selectbox("What", list(sources), key="export-what", format_func=lambda s: sources[s], width=320)
        format_ = ExportFormat(st.selectbox("Format", [f.value for f in ExportFormat], key="export-format", width=140))
        kind, _, value = source.partition(":")
        wanted = TripleFilter(verdict=Verdict(value) if kind == "verdict" and value else None)
        rows = workbench.dataset.count(wanted) if kind == "verdict" else len(workbench.dataset.examples(value))
        st.download_button(
            f"Download {rows:,} rows",
            lambda: export(kind, value, wanted, format_),
            file_name=f"tercet-{sources[source].replace(' ', '-')}.{format_.value}",
            mime=MIME[format_],
            key="export",
            icon=":material/download:",
            disabled=not rows,
            on_click="ignore",
        )
    st.caption(
        "JSONL can be imported again; triples that were never edited keep their ids. "
        "Keys: group, task, language, topic, slots, query, positive, negative."
    )


def export(kind: str, value: str, wanted: TripleFilter, format_: ExportFormat) -> bytes:
    """The file, made when it is asked for."""
    shelf = open_workbench().dataset
    data, _ = shelf.export(version=value, format=format_) if kind == "version" else shelf.export(wanted=wanted, format=format_)
    return data
