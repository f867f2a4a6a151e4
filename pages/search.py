"""One query, two to four systems side by side."""

from __future__ import annotations

import functools
from dataclasses import replace

import streamlit as st

from core.domain.encoder import GENERAL_TASK
from core.domain.ranking import Corpus, Ranking
from core.errors import WorkbenchError
from core.workbench import Workbench
from pages.ui.hit_dialog import Asked, open_hit
from pages.ui.index_state import index_missing, wait_for_service
from pages.ui.problems import problems_shown, show_problem
from pages.ui.ranking_view import Judged, show_histogram, show_hits, show_judged, show_times, snippet
from pages.ui.search_sources import corpus_upload, heldout_picker, upload_report
from pages.ui.session import open_workbench
from pages.ui.widgets import plain, show_empty_state

MOST_SYSTEMS = 4
NO_TASK = "No instruction"
EXAMPLES = {  # by corpus id
    "demo": [
        "how do I join two paths",
        "run a function later without blocking",
        "why is my list shared between calls",
        "读取文本文件的每一行",
    ],
}
Answers = dict[str, Ranking | WorkbenchError]


def corpus_label(corpora: dict[str, Corpus], corpus_id: str) -> str:
    """Name and size of a corpus."""
    corpus = corpora[corpus_id]
    return f"{corpus.name} ({corpus.documents:,} documents)"


def set_query(text: str) -> None:
    """Put a query into the search box (a callback, so that it runs before the box is drawn)."""
    st.session_state["search_q"] = text


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
        if not st.toggle(f"Training triples nearest to this query: {plain(labels.get(system, system))}", key=f"search-near-{system}"):
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
            label = plain(snippet(query, width=80))
            st.button(label, key=f"search-example-{number}", on_click=set_query, args=(query,), icon=":material/search:")


@st.fragment
def search_panel(corpus_id: str, systems: list[str], task: str | None, k: int) -> None:
    """The search box and its answer: searched while one types, without drawing the rest of the page again."""
    workbench = open_workbench()
    query = st.text_input(
        "Query",
        key="search_q",
        type="search",
        live="350ms",
        bind="query-params",
        placeholder="Search as you type",
        label_visibility="collapsed",
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
        st.session_state["search-upload"] = False  # close the popover it came from
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
        st.caption(
            ":material/link: The address of this page holds query, documents, systems and instruction: copy it to show the same view."
        )


show_page()
