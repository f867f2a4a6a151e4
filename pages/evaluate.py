"""How good is it, on tasks it never saw, and how sure is that?"""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from core.domain.jobs import Job, JobKind
from core.domain.plans import EvaluationPlan
from core.domain.report import GEOMETRY, METRIC_NAMES, Comparison, in_words
from core.workbench import Workbench
from pages.ui import score_charts
from pages.ui.job_watch import show_job
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.widgets import plain, show_empty_state, show_text


def show_start(workbench: Workbench) -> None:
    """The plan as a form: the test, the systems, and what will be asked."""
    with st.container(border=True, key="evaluate-plan"):
        left, right = st.columns([1, 2])
        tests = _tests(workbench)
        chosen_test = left.selectbox("Test", list(tests), format_func=lambda name: tests[name][0], key="evaluate-test")
        with left.popover("Bring a test collection", icon=":material/upload:", width="stretch"):
            _bring(workbench)
        systems = dict(workbench.systems.names(lexical=True))
        newest = next((name for name in systems if name.startswith("run:")), None)
        default = [name for name in ("raw", newest, "baseline", "bm25") if name in systems]
        chosen = right.multiselect("Systems", list(systems), default=default, format_func=systems.__getitem__, key="evaluate-systems")
        with problems_shown():
            plan = EvaluationPlan(**tests[chosen_test][1], systems=tuple(chosen) or ("raw",))
            test = workbench.evaluation.collection(plan)
            left.caption(f"Queries: {len(test.queries)}, tasks: {len(test.tasks)}. Each query ranks all {len(test.documents)} documents.")
            if right.button("Evaluate", key="evaluate-start", type="primary", icon=":material/play_arrow:", disabled=not chosen):
                job = workbench.evaluation.start(plan)
                st.session_state["evaluate-shown"] = job.id
                st.rerun()


def _tests(workbench: Workbench) -> dict[str, tuple[str, dict[str, str]]]:
    """Choice -> (what people read, fields of the plan): versions that hold something out, newest first, then collections."""
    found = {
        f"version {v.id}": (f"Version {v.name} · {v.heldout_count} held out", {"dataset_version_id": v.id})
        for v in workbench.dataset.versions()
        if v.heldout_count
    }
    return found | {f"collection {name}": (label, {"collection": name}) for name, label in workbench.evaluation.collections.names()}


def _bring(workbench: Workbench) -> None:
    """A form for a BEIR folder as zip."""
    with st.form("evaluate-bring", border=False):
        st.caption("A zip of a BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv. A query's metadata may name its task.")
        name = st.text_input("Name", key="evaluate-bring-name")
        upload = st.file_uploader("Zip", type="zip", key="evaluate-bring-file")
        if st.form_submit_button("Keep it in this workspace", key="evaluate-bring-go") and upload is not None:
            with problems_shown():
                workbench.evaluation.collections.add(name, upload.getvalue())
                st.rerun()


def choose_evaluation(workbench: Workbench) -> Job | None:
    """The evaluation to look at: the one just started, else the newest."""
    jobs = workbench.jobs.find(JobKind.EVALUATE)
    if not jobs:
        return None
    titles = {j.id: f"{j.created_at[:16].replace('T', ' ')} · {j.title} · {j.state.value}" for j in jobs}
    if st.session_state.get("evaluate-shown") not in titles:
        st.session_state["evaluate-shown"] = jobs[0].id
    shown = st.selectbox("Evaluation", list(titles), format_func=titles.__getitem__, key="evaluate-shown", persist_state="session")
    return next(j for j in jobs if j.id == shown)


def show_report(workbench: Workbench, job: Job) -> None:
    """Everything one evaluation found."""
    report = workbench.evaluation.report(job.id)
    st.markdown(
        f"**{plain(report['test']['name'])}**: {report['queries']} held-out queries of {report['tasks']} tasks, "
        f"each ranked against all {report['documents']} documents."
    )
    metric_side, html, data = st.columns([5, 2, 2], vertical_alignment="bottom")
    metric = metric_side.segmented_control(
        "Metric", list(METRIC_NAMES), format_func=METRIC_NAMES.__getitem__, default="ndcg_at_10", required=True, key="evaluate-metric"
    )
    name = f"evaluation-{report['test']['name']}".replace(" ", "-")
    html.download_button(
        "Report, HTML",
        workbench.evaluation.page(job.id),
        f"{name}.html",
        "text/html",
        key="evaluate-html",
        icon=":material/download:",
        width="stretch",
    )
    text = json.dumps(report, ensure_ascii=False, indent=1)
    data.download_button(
        "Report, JSON", text, f"{name}.json", "application/json", key="evaluate-json", icon=":material/download:", width="stretch"
    )
    tabs = st.tabs(["Scores", "By group and language", "Queries that moved", "Vectors", "Overlap and provenance"], key="evaluate-tabs")
    for tab, show in zip(tabs, (show_scores, show_parts, show_moved, show_geometry, show_provenance), strict=True):
        with tab:
            show(report, metric or "ndcg_at_10")


def show_scores(report: dict[str, Any], metric: str) -> None:
    """Scores with intervals, then each pair in words and as a table."""
    st.markdown("##### Scores")
    st.altair_chart(score_charts.interval_chart(report, metric), key="evaluate-intervals", width="stretch", alt="Score of each system")
    if metric == "recall_at_100" and report["documents"] <= 100:
        st.info(f"Recall@100 says nothing here: the corpus has only {report['documents']} documents.", icon=":material/info:")
    if report["comparisons"]:
        st.markdown("##### Differences")
        chart = score_charts.difference_chart(report, metric)
        st.altair_chart(chart, key="evaluate-differences", width="stretch", alt="Difference of each pair of systems")
    st.dataframe(score_charts.score_table(report), key="evaluate-scores", hide_index=True, width="stretch")
    st.caption("Mean over queries with its 95 % bootstrap interval.")
    if not report["comparisons"]:
        return
    st.markdown("##### In plain words")
    for found in (c for c in report["comparisons"] if c["metric"] == metric):
        labels = (score_charts.label_of(report, found[side]) for side in ("system", "against"))
        icon = ":material/trending_up:" if found["difference"] > 0 else ":material/trending_down:"
        st.markdown(f"{icon} {plain(in_words(Comparison(**found), *labels))}")
    p_column = st.column_config.NumberColumn(format="%.4f")
    table = score_charts.comparison_table(report, metric)
    st.dataframe(table, key="evaluate-pairs", hide_index=True, width="stretch", column_config={"p": p_column, "p (Holm)": p_column})
    st.caption("Two-sided paired permutation test over the same queries; Holm's correction over the pairs of this metric.")


def show_parts(report: dict[str, Any], metric: str) -> None:
    """The same scores by group and language: one average alone hides where a gain lies."""
    for key, title in (("by_group", "By group"), ("by_language", "By language"), ("by_task", "By task")):
        st.markdown(f"##### {title}")
        if key != "by_task":
            chart = score_charts.breakdown_chart(report, key, metric)
            st.altair_chart(chart, key=f"evaluate-{key}", width="stretch", alt=f"Scores {title.lower()}")
        st.dataframe(score_charts.breakdown_table(report, key, metric), key=f"evaluate-{key}-table", hide_index=True, width="stretch")
    st.caption("Few queries make wide intervals: read n first.")


def show_moved(report: dict[str, Any], _metric: str) -> None:
    """The queries a system improved and hurt most against another, with their texts."""
    if not report["moved"]:
        show_empty_state("One system alone moves nothing. Evaluate two.")
        return
    names = [f"{score_charts.label_of(report, m['against'])} → {score_charts.label_of(report, m['system'])}" for m in report["moved"]]
    chosen = st.selectbox("From → to", range(len(names)), format_func=names.__getitem__, key="evaluate-pair")
    moved = report["moved"][chosen]
    for column, kind, icon in zip(st.columns(2), ("improved", "hurt"), (":material/trending_up:", ":material/trending_down:"), strict=True):
        with column:
            st.markdown(f"##### {icon} Most {kind}")
            if not moved[kind]:
                st.caption(f"No query was {kind}.")
            for number, query in enumerate(moved[kind]):
                _query_card(query, f"evaluate-{kind}-{number}")


def _query_card(query: dict[str, Any], key: str) -> None:
    title = f"{query['change']:+.3f} · rank {query['rank_before']} → {query['rank_after']} · {query['query'][:90]}"
    with st.expander(plain(title), key=key):
        st.caption(plain(f"{query['group']} · {query['language']} · {query['task']}"))
        for name, field in (("Query", "query"), ("Positive", "positive"), ("First before", "first_before"), ("First after", "first_after")):
            same = field.startswith("first") and query[field] == query["positive"]
            st.markdown(f"**{name}**{' · the positive' if same else ''}")
            show_text(query[field][:1500])


def show_geometry(report: dict[str, Any], _metric: str) -> None:
    """What the vectors look like, each measure explained in one line."""
    table = score_charts.geometry_table(report)
    if table.empty:
        show_empty_state("No system of this evaluation has vectors: BM25 compares words.")
        return
    st.dataframe(table, key="evaluate-geometry", hide_index=True, width="stretch")
    for _, name, meaning in GEOMETRY:
        st.markdown(f"**{name}**: {meaning}.")
    st.caption("Alignment and uniformity as in Wang and Isola (2020). BM25 has no vectors, so it is not in this table.")


def show_provenance(report: dict[str, Any], _metric: str) -> None:
    """Was anything of the test trained on? And what exactly made these numbers?"""
    for number, overlap in enumerate(report["overlap"]):
        counts = [f"{len(overlap[part])} {part}" for part in ("queries", "documents", "tasks")]
        clean = not any(overlap[part] for part in ("queries", "documents", "tasks"))
        icon = ":material/check_circle: No overlap with" if clean else f":material/warning: {', '.join(counts)} of the test occur in"
        st.markdown(f"{icon} the {plain(overlap['with'])}.")
        rows = [{"kind": part, "text": text} for part in ("tasks", "queries", "documents") for text in overlap[part]]
        if rows:
            st.dataframe(rows, key=f"evaluate-overlap-{number}", hide_index=True, width="stretch", height=200)
    st.caption("Strings compared ignoring case and spacing.")
    encoders = {s: {"fingerprint": f["fingerprint"], "encoder": f["encoder"]} for s, f in report["systems"].items()}
    facts = {k: report[k] for k in ("test", "plan", "plan_hash", "packages", "job", "created_at")}
    st.json(facts | {"systems": encoders}, expanded=1)


st.title("Evaluate")
st.caption("Every system ranks the whole corpus of the test for every query. Whether anything of it was trained on is told under Overlap.")
with problems_shown():
    opened = open_workbench()
    show_start(opened)
    evaluation = choose_evaluation(opened)
    if evaluation is None:
        show_empty_state("No evaluation yet. Choose a test and systems above, then press Evaluate.")
    else:
        show_job(evaluation, key="evaluate", show_result=lambda job: show_report(opened, job))
