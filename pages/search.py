"""One query, two to four systems side by side."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from core.domain.jobs import JobState
from core.domain.ranking import Corpus, Hit, Ranking
from core.errors import WorkbenchError
from core.workbench import Workbench
from pages.ui.problems import problems_shown, show_problem
from pages.ui.ranking_view import Judged, show_histogram, show_hits, show_judged, show_times, snippet
from pages.ui.session import open_workbench
from pages.ui.widgets import job_badge, plain, show_empty_state, show_text

FOLDER = Path(__file__).parent
MOST_SYSTEMS = 4
NO_TASK = "No instruction"
GENERAL_TASK = "Given a question, retrieve passages that answer it."
EXAMPLES = {
    "demo": ["how do I join two paths", "run a function later without blocking", "why is my list shared between calls", "读取文本文件的每一行"],
}
Answers = dict[str, Ranking | WorkbenchError]


@dataclass(frozen=True, slots=True)
class Asked:
    """One search: what was asked of which systems; `ready` are those that have an index."""

    corpus: Corpus
    systems: tuple[str, ...]
    ready: tuple[str, ...]
    query: str
    task: str | None
    k: int


def page_file(name: str) -> str:
    """Path of a page as st.page_link wants it."""
    return str(FOLDER / f"{name}.py")


def corpus_label(corpora: dict[str, Corpus], corpus_id: str) -> str:
    """Name and size of a corpus."""
    corpus = corpora[corpus_id]
    return f"{corpus.name} ({corpus.documents:,} documents)"


def set_query(text: str) -> None:
    """Put a query into the search box (a callback, so that it runs before the box is drawn)."""
    st.session_state["search_q"] = text


def choose_heldout(corpus_id: str) -> None:
    """Search with the held-out example that was picked, in its own version's documents and with its own task."""
    example = st.session_state.get("search-heldout-example")
    if example is not None:
        st.session_state["search_in"] = corpus_id
        st.session_state["search_task"] = example.task
        st.session_state["search_q"] = example.texts.query
        st.session_state["search-heldout"] = False


def controls(workbench: Workbench, corpora: dict[str, Corpus]) -> tuple[str, list[str], str | None, int]:
    """Corpus, systems, instruction and number of hits; all of them live in the URL."""
    names = workbench.systems.names(lexical=True)
    labels = dict(names)
    tuned = [name for name in labels if name.startswith("run:")]
    who, how_many = st.columns([7, 1], vertical_alignment="bottom")
    where, told = st.columns([3, 5], vertical_alignment="bottom")
    corpus_id = where.selectbox(
        "Documents", list(corpora), format_func=functools.partial(corpus_label, corpora), key="search_in", bind="query-params"
    )
    systems = who.multiselect(
        "Systems side by side (the others are compared with the first)",
        list(labels),
        default=["raw", tuned[0] if tuned else "baseline"],
        format_func=lambda name: labels.get(name, name),
        max_selections=MOST_SYSTEMS,
        key="search_by",
        bind="query-params",
    )
    k = how_many.selectbox("Hits", [5, 10, 20, 50], index=1, key="search_k", bind="query-params")
    tasks = list(dict.fromkeys([GENERAL_TASK, NO_TASK, *workbench.search.instructions()]))
    chosen = st.session_state.get("search_task")
    if chosen and chosen not in tasks:
        tasks.append(chosen)
    task = told.selectbox(
        "Instruction before the query (choose one, or type your own)",
        tasks,
        accept_new_options=True,
        key="search_task",
        bind="query-params",
        help="Tuned models read it as `Instruct: … Query: …`. Documents never carry one, so an index serves every task.",
    )
    return corpus_id, systems, None if task in (None, NO_TASK) else task, k


def heldout_picker(workbench: Workbench) -> None:
    """Pick a held-out query: its answer and hard negative are known, so ranks and scores can be shown."""
    versions = workbench.corpora.versions()
    # Read only while open, and closed by `choose_heldout`: its state lives under its key.
    with st.popover("Try a held-out query", icon=":material/target:", key="search-heldout", on_change="rerun") as picker:
        if not picker.open:
            return
        if not versions:
            show_empty_state("No dataset version is frozen yet.", page=page_file("dataset"), action="Freeze one on the Dataset page")
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


def corpus_upload(workbench: Workbench) -> None:
    """Bring documents of one's own."""
    with st.popover("Bring documents", icon=":material/upload_file:", key="search-upload"):
        st.caption("Plain text is cut into passages. CSV, TSV and JSON lines need a `text` column; `_id` and `title` are optional. A BEIR folder as zip works too.")
        file = st.file_uploader("File (UTF-8)", type=["txt", "md", "csv", "tsv", "jsonl", "ndjson", "zip"], key="search-upload-file")
        name = st.text_input("Name of the corpus", key="search-upload-name", value=Path(file.name).stem if file else "")
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
        st.markdown(f":material/check: Imported **{plain(report.corpus.name)}**: {report.corpus.documents:,} documents{left_out}{repeated}.")
        if report.bad:
            rows = [{"line": row.line, "reason": row.reason} for row in report.bad[:500]]
            st.dataframe(rows, key="search-bad-rows", height=160, hide_index=True, width="stretch")
        if st.button("Close", key="search-import-close", type="tertiary"):
            del st.session_state["search-upload-report"]
            st.rerun()


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


def judged_of(workbench: Workbench, corpus_id: str, query: str) -> Judged:
    """What the dataset version behind the corpus knows of this query."""
    known = workbench.search.judgement(corpus_id, query)
    if known is None:
        return Judged()
    side = "held out: no model was trained on it" if known.split.value == "heldout" else "part of the training split"
    return Judged(known.positives, known.negatives, f"This query is {side}.")


def ask(workbench: Workbench, asked: Asked, judged: Judged) -> Answers:
    """One ranking a system; a system that fails leaves the others alone. The first one also tells ranks of the others' hits."""
    answers: Answers = {}
    for system in asked.ready:
        try:
            answers |= workbench.search.search(asked.corpus.id, [system], asked.query, asked.task, asked.k, ask_ranks_of=judged.ids)
        except WorkbenchError as error:
            answers[system] = error
    first = answers.get(asked.systems[0])
    others = {hit.document.id for a in answers.values() if isinstance(a, Ranking) for hit in a.hits}
    if isinstance(first, Ranking) and others - set(first.ranks_of):
        wanted = sorted(others | set(judged.ids))[:1000]
        again = workbench.search.search(asked.corpus.id, [first.system], asked.query, asked.task, asked.k, ask_ranks_of=wanted)
        told = again[first.system]
        answers[first.system] = replace(first, ranks_of=told.ranks_of, similarities_of=told.similarities_of)
    return answers


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
    """hit -> index -> job -> run -> dataset version, with a link to each that has a page."""
    st.markdown(":material/account_tree: **Where this hit comes from**")
    st.caption(f"document {hit.document.id} of {plain(corpus.name)}: {plain(corpus.source)}")
    lineage = workbench.search.lineage(corpus.id, system)
    if lineage is None:
        st.caption("BM25 counts words; no model and no training are behind it.")
        return
    facts = lineage.facts
    st.markdown(
        f":material/database: Index of {facts.documents:,} documents, {facts.dimensions} dimensions, built {facts.built_at[:16].replace('T', ' ')} UTC "
        f"in {facts.seconds:.0f} s by job `{facts.job_id}`  \nencoder fingerprint `{facts.fingerprint}`, base {plain(str(facts.encoder.get('base')))}"
    )
    if lineage.run is None:
        st.caption("The model behind it was not trained here.")
        return
    st.page_link(page_file("train"), label=f"Training run {lineage.run.id}: {lineage.run.title}", icon=":material/model_training:")
    if lineage.version is not None:
        st.page_link(
            page_file("dataset"),
            label=f"Dataset version {lineage.version.name} ({lineage.version.train_count:,} training examples)",
            icon=":material/dataset:",
        )


def show_columns(workbench: Workbench, asked: Asked, answers: Answers, judged: Judged) -> None:
    """One column a system."""
    labels = dict(workbench.systems.names(lexical=True))
    systems = asked.systems
    first = answers.get(systems[0])
    ranks_in_first = first.ranks_of if isinstance(first, Ranking) else {}
    for column, system in zip(st.columns(len(systems)), systems, strict=True):  # row by row, so that the columns stay level
        column.markdown(f"**{plain(labels.get(system, system))}**")
    for number, (column, system) in enumerate(zip(st.columns(len(systems)), systems, strict=True)):
        if isinstance(answer := answers.get(system), Ranking):
            with column:
                show_facts(answer, judged, asked.task, number)
    for number, (column, system) in enumerate(zip(st.columns(len(systems)), systems, strict=True)):
        with column:
            answer = answers.get(system)
            if answer is None:
                index_missing(workbench, asked.corpus, system)
            elif isinstance(answer, WorkbenchError):
                show_problem(answer)
            else:
                opened = functools.partial(open_hit, asked, system)
                show_hits(answer, judged, ranks_in_first=ranks_in_first if number else None, key=f"search-{number}", on_open=opened)


def show_facts(answer: Ranking, judged: Judged, task: str | None, number: int) -> None:
    """Times, scores where the query is judged, and all similarities."""
    show_times(answer, note=" · no instruction" if task and answer.system in ("bm25", "baseline") else "")
    show_judged(answer, judged)
    with st.expander("Similarity of all documents", icon=":material/bar_chart:", key=f"search-histogram-{number}"):
        show_histogram(answer, key=f"search-chart-{number}")


def nearest_training(workbench: Workbench, asked: Asked) -> None:
    """Training triples nearest to the query, for each tuned system among the columns."""
    labels = dict(workbench.systems.names(lexical=True))
    for system in (name for name in asked.ready if name.startswith("run:")):
        if not st.toggle(f"Training triples nearest to this query: {labels.get(system, system)}", key=f"search-near-{system}"):
            continue
        with problems_shown(), st.spinner("Encoding the training queries of this run, once …"):
            near = workbench.search.nearest_triples(system, asked.query, asked.task)
            rows = [
                {
                    "similarity": round(similarity, 3),
                    "query": example.texts.query,
                    "positive": example.texts.positive,
                    "hard negative": example.texts.negative or "",
                    "task": example.task,
                    "triple": example.triple_id,
                }
                for example, similarity in near.nearest
            ]
            st.dataframe(rows, key=f"search-near-table-{system}", hide_index=True, width="stretch")
            st.caption(f"{near.compared:,} of {near.training_examples:,} training queries compared.")


def examples_to_try(corpus: Corpus, workbench: Workbench) -> None:
    """What an empty search box offers."""
    if corpus.id.startswith("version:"):
        heldout = workbench.search.heldout(corpus.id.removeprefix("version:"))
        queries = sorted((e.texts.query for e in heldout), key=len)[:4]  # short ones can be read at a glance
    else:
        queries = EXAMPLES.get(corpus.id, [])
    show_empty_state(f"Type a query to rank {corpus.documents:,} documents" + (", or try one of these." if queries else "."))
    with st.container(horizontal=True, key="search-examples"):
        for number, query in enumerate(queries):
            st.button(query[:80], key=f"search-example-{number}", on_click=set_query, args=(query,), icon=":material/search:")


@st.fragment
def search_panel(corpus_id: str, systems: list[str], task: str | None, k: int) -> None:
    """The search box and its answer: searched while one types, without drawing the rest of the page again."""
    workbench = open_workbench()
    query = st.text_input(
        "Query", key="search_q", type="search", live="350ms", bind="query-params", placeholder="Search as you type", label_visibility="collapsed"
    )
    with problems_shown():
        corpus = workbench.corpora.get(corpus_id)
        if not systems:
            show_empty_state("Choose one to four systems above.")
            return
        ready = tuple(s for s in systems if workbench.search.standing(corpus.id, s).state.value == "ready")
        asked = Asked(corpus, tuple(systems), ready, query, task, k)
        if not query.strip():
            examples_to_try(corpus, workbench)
            if missing := tuple(s for s in systems if s not in ready):
                show_columns(workbench, replace(asked, systems=missing), {}, Judged())
            return
        judged = judged_of(workbench, corpus.id, query)
        if judged.words:
            st.caption(f":material/target: {judged.words} Its answer and hard negative are marked, with their ranks in all documents.")
        with st.spinner("Searching; a model that is not in memory yet is loaded first …", show_time=True):
            answers = ask(workbench, asked, judged)
        show_columns(workbench, asked, answers, judged)
        nearest_training(workbench, asked)


def show_page() -> None:
    """The page from top to bottom."""
    workbench = open_workbench()
    if following := st.session_state.pop("search-next-corpus", None):
        st.session_state["search_in"] = following
    with problems_shown():
        corpora = {corpus.id: corpus for corpus in workbench.corpora.find()}
        with st.container(horizontal=True, vertical_alignment="bottom", key="search-tools"):
            st.title("Search", anchor=False, width="stretch")
            heldout_picker(workbench)
            corpus_upload(workbench)
        upload_report()
        corpus_id, systems, task, k = controls(workbench, corpora)
        if not workbench.service.ready():
            wait_for_service()
            return
        search_panel(corpus_id, systems, task, k)
        st.caption(":material/link: The address of this page holds query, documents, systems and instruction: copy it to show the same view.")


show_page()
