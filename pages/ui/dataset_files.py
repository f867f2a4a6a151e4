"""Bring triples in from a file with a report on every bad row, mine what they lack, and take them out."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.domain.dataset import FALLBACK_TASK, ExportFormat, Fallbacks
from core.domain.filters import TripleFilter
from core.domain.groups import TaskGroup
from core.domain.triple import Verdict
from core.review.exporting import ENDINGS as FORMAT_ENDINGS
from core.review.forms import lost_in
from core.review.importing import ENDINGS
from core.review.loading_notes import CAUTIONS
from core.review.shelf import MOST_WEIGHT
from core.workbench import Workbench
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench, reviewer
from pages.ui.widgets import plain, visible

MIME = {"jsonl": "application/jsonl", "csv": "text/csv", "parquet": "application/vnd.apache.parquet", "zip": "application/zip"}
NAMES = {
    ExportFormat.JSONL: "JSONL",
    ExportFormat.CSV: "CSV",
    ExportFormat.PARQUET: "Parquet",
    ExportFormat.HUGGING_FACE: "Hugging Face datasets",
    ExportFormat.SENTENCE_TRANSFORMERS: "sentence-transformers triplets",
    ExportFormat.FLAGEMBEDDING: "FlagEmbedding",
    ExportFormat.TEVATRON: "Tevatron",
    ExportFormat.BEIR: "BEIR folder",
}
WITH_INSTRUCTION = (ExportFormat.SENTENCE_TRANSFORMERS, ExportFormat.TEVATRON)  # the others have a place of its own for it
ROW_EXAMPLE = """{"group": "short-long", "task": "Given …, retrieve …", "query": "…", "positive": "…", "negative": "…"}
{"anchor": "…", "positive": "…", "negative": "…"}
{"question": "…", "answer": "…"}
{"query": "…", "pos": ["…"], "neg": ["…"], "prompt": "Given …, retrieve …"}
{"query_id": "…", "query": "…", "positive_passages": [{"docid": "…", "text": "…"}], "negative_passages": []}"""


def show_import(workbench: Workbench) -> None:
    """Upload, choose what absent keys mean, import, read the report."""
    st.markdown("##### Import")
    words = "JSONL, JSON, CSV, TSV, Parquet, Arrow, or a zip of them: everything the export below writes, a BEIR folder too"
    file = st.file_uploader(words, type=list(ENDINGS), key="import-file")
    name, weight = st.columns(2)
    given = name.text_input("Name of this data", "import", key="import-source", max_chars=80, help="Its triples carry it as their source.")
    source = given.strip() or "import"
    times = weight.number_input(
        "Sampling weight", 0.0, MOST_WEIGHT, workbench.dataset.weights().get(source, 1.0), 0.1, key=f"import-weight-{source}",
        help="How often training plans draw this source, against 1 for the others. 0.5 draws another half each epoch.",
    )  # fmt: skip
    with st.expander("What a row looks like, and what stands in for what it lacks", icon=":material/help:"):
        st.code(ROW_EXAMPLE, language="json", wrap_lines=True)
        st.caption("Rows of the other four forms take these where they name none:")
        group = st.selectbox("Group", [g.value for g in TaskGroup], key="import-group")
        task = st.text_input("Task: the instruction its queries are trained with", FALLBACK_TASK, key="import-task")
        left, right = st.columns(2)
        language = left.text_input("Language", "English", key="import-language")
        target = right.text_input("Language of translations", "", key="import-target", placeholder="for the group bitext")
    with st.container(horizontal=True, vertical_alignment="center"):
        start = st.button("Import", key="import", type="primary", icon=":material/upload:", disabled=file is None)
        accept = st.toggle("Accept all rows at once", key="import-accept", help="As one step of yours, which can be undone.")
    if start and file is not None:
        st.session_state.pop("import-report", None)
        fallbacks = Fallbacks(TaskGroup(group), task.strip() or FALLBACK_TASK, language.strip() or "English", target.strip() or None)
        with problems_shown(), st.spinner("Reading and checking every row …"):
            report = workbench.dataset.import_rows(
                file.getvalue(),
                name=file.name,
                source=source,
                weight=times,
                accept_as=reviewer() if accept else None,
                fallbacks=fallbacks,
            )
            st.session_state["import-report"] = (file.name, report)
    if "import-report" in st.session_state:
        _show_report(*st.session_state["import-report"])


def _show_report(name: str, report: Any) -> None:
    with st.container(border=True):
        st.caption(plain(f"Imported from {name}"))
        facts = {
            "new": len(report.added),
            "known already": len(report.duplicates),
            "accepted": report.accepted,
            "bad rows": len(report.bad),
        }
        for column, (label, count) in zip(st.columns(4), facts.items(), strict=True):
            column.metric(label, f"{count:,}")
        if report.without_negative:
            st.info(f"{report.without_negative:,} new triples have no hard negative. Mine some below.", icon=":material/construction:")
        if report.unused_negatives:
            st.caption(f"{report.unused_negatives:,} further negatives were left aside: a triple holds one.")
        if report.bad:
            st.warning("These rows were left out; the others are in.", icon=":material/warning:")
            rows = [{"file": visible(row.part), "line": row.line, "reason": visible(row.reason)} for row in report.bad]
            st.dataframe(pd.DataFrame(rows), hide_index=True, key="bad-rows")


def show_export(workbench: Workbench) -> None:
    """A version, or the triples as they stand now, as a file."""
    st.markdown("##### Export")
    versions = workbench.dataset.versions()
    sizes = {v.id: v.train_count + v.heldout_count for v in versions}
    sources = {f"version:{v.id}": f"version {v.name}" for v in versions}
    sources |= {f"verdict:{v.value}": f"{v.value} triples as they stand now" for v in (Verdict.ACCEPTED, Verdict.PENDING, Verdict.REJECTED)}
    sources["verdict:"] = "all triples as they stand now"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.selectbox("What", list(sources), key="export-what", format_func=lambda s: sources[s], width=320)
        format_ = ExportFormat(
            st.selectbox("Format", [f.value for f in ExportFormat], key="export-format", width=260, format_func=lambda f: NAMES[f])
        )
        ending = FORMAT_ENDINGS[format_]
        kind, _, value = source.partition(":")
        wanted = TripleFilter(verdict=Verdict(value) if kind == "verdict" and value else None)
        rows = workbench.dataset.count(wanted) if kind == "verdict" else sizes[value]
        st.download_button(
            f"Download {rows:,} rows",
            lambda: export(kind, value, wanted, format_),
            file_name=f"tercet-{sources[source].replace(' ', '-')}.{ending}",
            mime=MIME[ending],
            key="export",
            icon=":material/download:",
            disabled=not rows,
            on_click="ignore",
        )
    if format_ in WITH_INSTRUCTION:
        st.toggle("Put the task before each query (Instruct: … Query: …)", True, key="export-instruction")
    st.caption(plain(f"It can be imported again. Not in it: {lost_in(format_)}."))
    if caution := CAUTIONS.get(format_):
        st.caption(plain(caution))


def export(kind: str, value: str, wanted: TripleFilter, format_: ExportFormat) -> bytes:
    """The file, made when it is asked for."""
    shelf, instruction = open_workbench().dataset, bool(st.session_state.get("export-instruction", True))
    chosen: dict[str, Any] = {"version": value} if kind == "version" else {"wanted": wanted}
    return shelf.export(**chosen, format=format_, instruction=instruction).data
