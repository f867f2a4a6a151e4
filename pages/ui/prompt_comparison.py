"""A/B of two versions of a prompt: what it takes, its start, and both results side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from core.domain.comparison import ComparedRequest, PromptComparison, tally
from core.domain.groups import TaskGroup
from core.domain.plans import GenerationPlan
from core.domain.prompt import PromptVersion
from core.domain.triple import Verdict
from core.errors import WorkbenchError
from pages.ui.generation_charts import UNKNOWN_PRICE, attempt, duration, show_attempts
from pages.ui.language_choice import choose_languages
from pages.ui.problems import problems_shown
from pages.ui.prompt_editor import money
from pages.ui.session import open_workbench
from pages.ui.widgets import job_badge, plain, show_empty_state, show_text
from pages.ui.yield_table import RULE, show_yield_table

FEW = 30  # pairs below which the reader is warned
REPLY_SHOWN = 6000  # characters
GENERATE_PAGE = str(Path(__file__).parents[1] / "generate.py")


def show_comparisons(group: TaskGroup, versions: Sequence[PromptVersion]) -> None:
    """The form, and the comparisons there are."""
    if len(versions) < 2:
        show_empty_state("Two versions can be compared on the same tasks. Change the template above and save it as a new version first.")
        return
    with st.container(border=True, key="comparison-form"):
        _form(group, versions)
    known = dict(open_workbench().comparisons.of_group(group))
    if not known:
        st.caption("No comparison of this group yet.")
        return
    chosen = st.selectbox("Comparison", list(known), format_func=known.__getitem__, key=f"comparison-{group.value}")
    _show_results(chosen)


def _form(group: TaskGroup, versions: Sequence[PromptVersion]) -> None:
    workbench = open_workbench()
    by_name = {f"v{v.number}{' · ' + v.note if v.note else ''}": v for v in versions}
    endpoints = {e.name: e for e in workbench.endpoints.list()}
    columns = st.columns([2, 2, 2.4, 1.2])
    first = by_name[columns[0].selectbox("One version", list(by_name), index=1, key=f"compare-first-{group.value}")]
    second = by_name[columns[1].selectbox("The other", list(by_name), index=0, key=f"compare-second-{group.value}")]
    default = list(endpoints).index(workbench.endpoints.default().name)
    endpoint = endpoints[columns[2].selectbox("Written by", list(endpoints), index=default, key="compare-endpoint")]
    count = int(columns[3].number_input("Examples each", 1, 5000, 20, key="compare-count") or 1)
    with st.expander("Languages", icon=":material/translate:"):
        languages = choose_languages("compare-")
    try:
        plans = workbench.comparisons.plan(first.id, second.id, endpoint, count=count, languages=languages)
        estimate = workbench.comparisons.estimate(plans)
    except WorkbenchError as error:
        st.info(f"{plain(error.message)} {plain(error.hint)}", icon=":material/info:")
        return
    cost = money(estimate.cost) if estimate.cost is not None else UNKNOWN_PRICE
    tokens = f"{estimate.prompt_tokens:,} + {estimate.completion_tokens:,} tokens"
    st.markdown(plain(f"{estimate.to_send:,} requests ({count:,} each), {tokens}, about {duration(estimate.seconds)}. Cost: {cost}"))
    st.caption(plain(f"Both get the same tasks, slots, languages and sampling seeds; only the wording differs. {estimate.basis}"))
    st.button("Compare", key="start-comparison", type="primary", icon=":material/compare_arrows:", on_click=attempt, args=(_start, plans))


def _start(plans: tuple[GenerationPlan, GenerationPlan]) -> None:
    open_workbench().comparisons.start(plans)
    group = next(iter(plans[0].counts))
    st.session_state[f"comparison-{group.value}"] = plans[0].comparison


@st.fragment(run_every=2)
def _show_results(identifier: str) -> None:
    with problems_shown():
        show_attempts()
        found = open_workbench().comparisons.get(identifier)
        for column, job, version in zip(st.columns(2), found.jobs, found.versions, strict=True):
            with column.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{plain(version.name)}**", width="content")
                job_badge(job)
        ended = len(found.ended_pairs)
        st.progress(ended / len(found.pairs) if found.pairs else 0.0, text=f"{ended:,} of {len(found.pairs):,} pairs ended")
        names = {version.id: f"v{version.number}" for version in found.versions}
        show_yield_table(found.yields, lambda one: {"version": names[one.name]}, key="comparison-yields")
        st.caption(f"{RULE} Pause, resume and failures: on the Generate page, where the two jobs are.")
        st.page_link(GENERATE_PAGE, label="Open Generate", icon=":material/arrow_forward:")
        if found.ended_pairs:
            _show_pairs(found)


def _show_pairs(found: PromptComparison) -> None:
    st.markdown("###### Pair by pair")
    first, second = (f"only v{version.number}" for version in found.versions)
    questions: list[tuple[str, list[tuple[ComparedRequest, ComparedRequest]], Callable[[ComparedRequest], bool]]] = [
        ("parsed", found.ended_pairs, lambda one: one.parsed),
        ("brought a triple no check flags", found.ended_pairs, lambda one: one.triple_id is not None and not one.flagged),
        ("accepted by a reviewer", found.judged_pairs, lambda one: one.verdict is Verdict.ACCEPTED),
    ]
    rows = []
    for question, pairs, holds in questions:
        counted = tally(pairs, holds)
        p_value = f"{counted.p_value:.2g}" if counted.pairs else "–"
        counts = {"both": counted.both, first: counted.first_only, second: counted.second_only, "neither": counted.neither}
        rows.append({"": question, "pairs": counted.pairs, **counts, "p (exact sign test)": p_value})
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="comparison-tallies")
    few = f" {len(found.ended_pairs)} pairs are few: only a large difference can show." if len(found.ended_pairs) < FEW else ""
    st.caption(f"p is the chance of a difference this large if the versions were equally good.{few} Accept and reject on the Review page.")
    pairs = found.ended_pairs
    index = st.selectbox("Pair", range(len(pairs)), format_func=lambda i: _pair_name(i, pairs[i]), key=f"pair-of-{found.id}")
    for column, version, one in zip(st.columns(2), found.versions, pairs[min(index or 0, len(pairs) - 1)], strict=True):
        with column.container(border=True, key=f"compared-{version.number}"):
            _show_request(version, one)


def _pair_name(index: int, pair: tuple[ComparedRequest, ComparedRequest]) -> str:
    return f"{index + 1} · {pair[0].language} · {_outcome(pair[0])} | {_outcome(pair[1])}"


def _outcome(one: ComparedRequest) -> str:
    if not one.parsed:
        return f"failed: {one.reason}"
    if one.verdict is None:
        return "a duplicate"
    return f"{one.verdict.value}{', flagged' if one.flagged else ''}"


def _show_request(version: PromptVersion, one: ComparedRequest) -> None:
    st.markdown(f"**v{version.number}** · {plain(_outcome(one))}")
    if one.triple_id is None:
        record = open_workbench().generation.request(one.key)
        show_text((record.raw or record.error_body or "No reply was received.")[:REPLY_SHOWN])
        return
    triple = open_workbench().review.card(one.triple_id)
    texts = triple.triple.texts
    for name, text in (("Query", texts.query), ("Positive", texts.positive), ("Hard negative", texts.negative)):
        if text is not None:
            st.markdown(f"**{name}**")
            show_text(text)
    for flag in triple.flags:
        st.caption(f":material/flag: {plain(flag.message)}")
