"""One query, two to four systems side by side."""

from __future__ import annotations

import functools
from pathlib import Path

import streamlit as st

from core.domain.jobs import JobState
from core.domain.ranking import Corpus, Hit, Ranking
from core.errors import WorkbenchError
from core.workbench import Workbench
from pages.ui.problems import problems_shown, show_problem
from pages.ui.ranking_view import Judged, show_histogram, show_hits, show_judged, show_times
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


def controls(workbench: Workbench, corpora: dict[str, Corpus]) -> tuple[str, list[str], str | None, int]:
    """Corpus, systems, instruction and number of hits; all of them live in the URL."""
    names = workbench.systems.names(lexical=True)
    labels = dict(names)
    tuned = [name for name in labels if name.startswith("run:")]
    where, who, how_many = st.columns([3, 5, 1.2], vertical_alignment="bottom")
    corpus_id = where.selectbox(
        "Documents", list(corpora), format_func=functools.partial(corpus_label, corpora), key="search_in", bind="query-params"
    )
    systems = who.multiselect(
        "Systems, the first is compared with the others",
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
    task = st.selectbox(
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
    with st.popover("Try a held-out query", icon=":material/target:", key="search-heldout"):
        if not versions:
            show_empty_state("No dataset version is frozen yet.", page=page_file("dataset"), action="Freeze one on the Dataset page")
            return
        version = st.selectbox("Dataset version", versions, format_func=lambda v: v.name, key="search-heldout-version")
        examples = workbench.search.heldout(version.id)
        if not examples:
            st.caption("This version holds nothing out. Freeze one with a held-out share on the Dataset page.")
            return
        st.selectbox(
            f"Query ({len(examples)} held out, never trained on)",
            examples,
            format_func=lambda e: f"[{e.group.value} · {e.language}] {e.texts.query[:100]}",
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


def ask(workbench: Workbench, corpus_id: str, systems: list[str], query: str, task: str | None, k: int, judged: Judged) -> Answers:
    """One ranking a system; a system that fails leaves the others alone. The first one also tells ranks of the others' hits."""
    answers: Answers = {}
    for system in systems:
        try:
            answers |= workbench.search.search(corpus_id, [system], query, task, k, ask_ranks_of=judged.ids)
        except WorkbenchError as error:
            answers[system] = error
    first = answers.get(systems[0]) if systems else None
    others = {hit.document.id for a in answers.values() if isinstance(a, Ranking) for hit in a.hits}
    if isinstance(first, Ranking) and others - set(first.ranks_of):
        asked = sorted(others | set(judged.ids))[:1000]
        again = workbench.search.search(corpus_id, [systems[0]], query, task, k, ask_ranks_of=asked)[systems[0]]
        answers[systems[0]] = Ranking(
            first.system, first.hits, first.encode_milliseconds, first.search_milliseconds, first.corpus_size,
            again.ranks_of, again.similarities_of, first.histogram,
        )  # fmt: skip
    return answers


@st.dialog("Document", width="large")
def open_hit(hit: Hit, corpus: Corpus, system: str, ranks: dict[str, int]) -> None:
    """The whole document, its rank in every column, and where the answer comes from."""
    workbench = open_workbench()
    labels = dict(workbench.systems.names(lexical=True))
    if hit.document.title:
        st.markdown(f"**{plain(hit.document.title)}**")
    show_text(hit.document.text, key="search-document-text")
    st.markdown("  \n".join(f"{plain(labels.get(name, name))}: rank **{rank:,}**" for name, rank in ranks.items()))
    st.divider()
    with problems_shown():
        show_lineage(workbench, corpus, system, hit)


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


def show_columns(workbench: Workbench, corpus: Corpus, systems: list[str], answers: Answers, judged: Judged, task: str | None) -> None:
    """One column a system."""
    labels = dict(workbench.systems.names(lexical=True))
    first = answers.get(systems[0])
    ranks_in_first = first.ranks_of if isinstance(first, Ranking) else {}
    for number, (column, system) in enumerate(zip(st.columns(len(systems)), systems, strict=True)):
        with column:
            st.markdown(f"##### {plain(labels.get(system, system))}")
            answer = answers.get(system)
            if answer is None:
                index_missing(workbench, corpus, system)
                continue
            if isinstance(answer, WorkbenchError):
                show_problem(answer)
                continue
            show_times(answer)
            if task and system in ("bm25", "baseline"):
                st.caption(":material/info: reads the query without the instruction")
            show_judged(answer, judged)
            with st.expander("Similarity of all documents", icon=":material/bar_chart:", key=f"search-histogram-{number}"):
                show_histogram(answer, key=f"search-chart-{number}")
            show_hits(
                answer,
                judged,
                ranks_in_first=ranks_in_first if number else None,
                key=f"search-{number}",
                on_open=lambda hit, system=system: open_hit(hit, corpus, system, ranks_everywhere(hit, answers)),  # type: ignore[misc]
            )


def ranks_everywhere(hit: Hit, answers: Answers) -> dict[str, int]:
    """Rank of a document in every column that knows it."""
    ranks = {}
    for name, answer in answers.items():
        if isinstance(answer, Ranking):
            shown = {h.document.id: h.rank for h in answer.hits}
            rank = shown.get(hit.document.id) or answer.ranks_of.get(hit.document.id)
            if rank:
                ranks[name] = rank
    return ranks


def nearest_training(workbench: Workbench, systems: list[str], query: str, task: str | None) -> None:
    """Training triples nearest to the query, for each tuned system among the columns."""
    labels = dict(workbench.systems.names(lexical=True))
    for system in (name for name in systems if name.startswith("run:")):
        if not st.toggle(f"Training triples nearest to this query: {labels.get(system, system)}", key=f"search-near-{system}"):
            continue
        with problems_shown(), st.spinner("Encoding the training queries of this run, once …"):
            near = workbench.search.nearest_triples(system, query, task)
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
        queries = [e.texts.query for e in workbench.search.heldout(corpus.id.removeprefix("version:"))[:4]]
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
        ready = [s for s in systems if workbench.search.standing(corpus.id, s).state.value == "ready"]
        if not query.strip():
            examples_to_try(corpus, workbench)
            if len(ready) < len(systems):
                show_columns(workbench, corpus, [s for s in systems if s not in ready], {}, Judged(), None)
            return
        judged = judged_of(workbench, corpus.id, query)
        if judged.words:
            st.caption(f":material/target: {judged.words} Its answer and hard negative are marked, with their ranks in all documents.")
        with st.spinner("Searching; a model that is not in memory yet is loaded first …", show_time=True):
            answers = ask(workbench, corpus.id, ready, query, task, k, judged)
        show_columns(workbench, corpus, systems, answers, judged, task)
        nearest_training(workbench, [s for s in systems if s in ready], query, task)


def show_page() -> None:
    """The page from top to bottom."""
    workbench = open_workbench()
    if following := st.session_state.pop("search-next-corpus", None):
        st.session_state["search_in"] = following
    st.title("Search", anchor=False)
    with problems_shown():
        corpora = {corpus.id: corpus for corpus in workbench.corpora.find()}
        with st.container(horizontal=True, key="search-tools"):
            heldout_picker(workbench)
            corpus_upload(workbench)
            st.caption("The address of this page holds query, documents, systems and instruction: copy it to show the same view.", width="content")
        upload_report()
        corpus_id, systems, task, k = controls(workbench, corpora)
        if not workbench.service.ready():
            wait_for_service()
            return
        search_panel(corpus_id, systems, task, k)


show_page()
