"""The table of all triples: filters in the address, paged on the server, decisions in bulk, and the story of the selected one."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.filters import TripleFilter, TripleOrder
from core.domain.groups import TaskGroup
from core.domain.review import Action, RejectReason, TripleRecord
from core.domain.triple import Verdict
from core.errors import WorkbenchError
from core.workbench import Workbench
from pages.ui.dataset_similar import CHOSEN, show_similar
from pages.ui.filter_options import filter_options
from pages.ui.lineage import show_lineage
from pages.ui.session import open_workbench, reviewer
from pages.ui.triple_card import VERDICT_SIGNS, show_card
from pages.ui.widgets import plain, show_empty_state, visible

PAGE_ROWS = 50
MOST_SUSPICION = 3.0  # end of the slider; more passes too
CELL_CHARACTERS = 240
ORDERS = (TripleOrder.OLDEST, TripleOrder.NEWEST, TripleOrder.SUSPICIOUS, TripleOrder.GROUP, TripleOrder.TASK, TripleOrder.LANGUAGE)
CLEAR: dict[str, Any] = {  # filters that do not narrow, by widget
    "text": "",
    "verdict": None,
    "groups": [],
    "languages": [],
    "in_task": None,
    "reason": None,
    "check": None,
    "from": None,
    "by": None,
    "suspicious": False,
    "suspicion": (0.0, MOST_SUSPICION),
    "bare": False,
    "since": None,
    "until": None,
}


def chosen_filter() -> TripleFilter:
    """The filter of the widgets."""
    state = st.session_state
    low, high = state.get("suspicion") or (0.0, MOST_SUSPICION)
    return TripleFilter(
        text=state.get("text", ""),
        groups=tuple(TaskGroup(g) for g in state.get("groups", [])),
        languages=tuple(state.get("languages", [])),
        verdict=Verdict(state["verdict"]) if state.get("verdict") else None,
        task_id=state.get("in_task"),
        reason=state.get("reason"),
        flag_code=state.get("check"),
        source=state.get("from"),
        reviewer=state.get("by"),
        suspicious=True if state.get("suspicious") else None,
        least_suspicion=low if low > 0 else None,
        most_suspicion=high if high < MOST_SUSPICION else None,
        since=_day(state.get("since")),
        until=_day(state.get("until")),
        without_negative=True if state.get("bare") else None,
    )


def _day(value: date | str | None) -> str:
    return "" if value is None else str(value)[:10]


def show_triples(workbench: Workbench) -> None:
    """Filters, bulk actions, table, and the selected triple below."""
    order = _show_filters(workbench)
    wanted = chosen_filter()
    page = int(st.session_state.get("page", 1))
    records = workbench.dataset.search(wanted, order, PAGE_ROWS, (page - 1) * PAGE_ROWS)
    all_here = page == 1 and len(records) < PAGE_ROWS  # then counting them would only read everything once more
    total = len(records) if all_here else workbench.dataset.count(wanted)
    if not total:
        show_empty_state("No triple passes these filters. Clear some of them.")
        return
    pages = -(-total // PAGE_ROWS)
    if not records:  # the filter left fewer pages
        page = pages
        records = workbench.dataset.search(wanted, order, PAGE_ROWS, (page - 1) * PAGE_ROWS)
    bulk = st.container()
    selected = _show_table(records)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        first = (page - 1) * PAGE_ROWS + 1
        words = f"{first:,} to {first + len(records) - 1:,} of {total:,} triples · a selection on the left is kept over pages and filters"
        st.caption(words, width="content")
        if pages > 1:
            st.pagination(pages, key="page")
    with bulk:
        _show_bulk(workbench, wanted, total, list(st.session_state[CHOSEN]))
    _show_selected(workbench, selected)


def _show_table(records: list[TripleRecord]) -> list[TripleRecord]:
    """One page of the table; returns what is selected of it. What is selected on other pages stays in the session."""
    state = st.session_state
    chosen: dict[str, None] = state.setdefault(CHOSEN, {})
    # The browser keeps a selection by position. Other rows, or the same in another order, are another table, which starts with what
    # is selected of them; else what moves into the place of a selected row would be selected in its stead.
    view = [record.id for record in records]
    if state.get("table-view") != view:
        state["table-view"] = view
        state["table-visit"] = state.get("table-visit", 0) + 1
        state["table-start"] = [row for row, record in enumerate(records) if record.id in chosen]
    event: Any = st.dataframe(
        _table(records),
        hide_index=True,
        key=f"triples-{state['table-visit']}",
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": state["table-start"]}},
        height=300,
        column_config={
            "query": st.column_config.TextColumn(width="medium"),
            "positive": st.column_config.TextColumn(width="medium"),
            "hard negative": st.column_config.TextColumn(width="medium"),
            "suspicion": st.column_config.ProgressColumn(min_value=0, max_value=2, format="%.1f", width="small"),
        },
    )
    selected = [records[row] for row in event.selection.rows if row < len(records)]
    here = {record.id for record in records}
    state[CHOSEN] = {**{i: None for i in chosen if i not in here}, **{record.id: None for record in selected}}
    return selected


def clear_selection() -> None:
    """Select nothing, on all pages."""
    st.session_state[CHOSEN] = {}
    st.session_state.pop("table-view", None)


def _show_filters(workbench: Workbench) -> TripleOrder:
    shelf = workbench.dataset
    with st.container(horizontal=True, vertical_alignment="center", key="dataset-filters", gap="xsmall"):
        collapsed: dict[str, Any] = {"label_visibility": "collapsed", "bind": "query-params"}
        st.text_input("Find", key="text", type="search", placeholder="Find in texts and tasks", width=210, **collapsed)
        st.selectbox("Verdict", [v.value for v in Verdict], index=None, key="verdict", placeholder="any verdict", width=130, **collapsed)
        options = filter_options(workbench)
        st.multiselect("Groups", list(options["group"]), key="groups", placeholder="all groups", width=170, **collapsed)
        order = st.selectbox("Order", [o.value for o in ORDERS], key="sort", width=180, **collapsed)
        with st.popover("More filters", icon=":material/filter_list:", key="more-filters"):
            st.multiselect("Languages", list(options["language"]), key="languages", bind="query-params", format_func=visible)
            _choice("Task", "in_task", list(options["task"]), options["task"])
            _choice("Rejected because", "reason", [r for r in shelf.counts_by("reason", TripleFilter(verdict=Verdict.REJECTED)) if r])
            _choice("Found by a check", "check", list(options["flag_code"]))
            _choice("Source", "from", list(options["source"]))
            _choice("Decided by", "by", [r for r in shelf.counts_by("reviewer") if r])
            st.toggle("Only what a check found something in", key="suspicious", bind="query-params")
            st.slider("Suspicion: weights of what was found, added", 0.0, MOST_SUSPICION, (0.0, MOST_SUSPICION), 0.1, key="suspicion")
            st.toggle("Only without a hard negative", key="bare", bind="query-params")
            since, until = st.columns(2)
            since.date_input("Decided or written since", None, key="since", help="Days in UTC.")
            until.date_input("until", None, key="until")
        narrowing = sum((st.session_state.get(key) or None) not in (None, value) for key, value in CLEAR.items())
        if narrowing:  # those behind the menu cannot be seen otherwise
            words = f"Clear {narrowing} filter{'s' if narrowing > 1 else ''}"
            st.button(words, key="clear-filters", type="tertiary", on_click=clear_filters)
    return TripleOrder(order or TripleOrder.OLDEST)


def clear_filters() -> None:
    """Let every triple pass again."""
    for key, value in CLEAR.items():
        st.session_state[key] = value


def _choice(label: str, key: str, options: list[str], names: dict[str, str] | None = None) -> None:
    shown = names or {}
    st.selectbox(
        label, options, index=None, key=key, placeholder="all", bind="query-params", format_func=lambda o: visible(shown.get(o, o) or "")
    )


def _table(records: list[TripleRecord]) -> pd.DataFrame:
    rows = [
        {
            "no.": record.number,
            "verdict": VERDICT_SIGNS[record.standing.verdict],
            "group": record.triple.group.value,
            "language": visible(record.triple.language),
            "query": _cell(record.texts.query),
            "positive": _cell(record.texts.positive),
            "hard negative": _cell(record.texts.negative or ""),
            "suspicion": record.suspicion,
            "checks": ", ".join(sorted({flag.code.replace("_", " ") for flag in record.flags})),
            "reason": visible(record.standing.reason),
            "by": visible(record.standing.reviewer),
            "task": _cell(record.triple.task),
            "source": visible(record.triple.source),
        }
        for record in records
    ]
    return pd.DataFrame(rows)


def _cell(text: str) -> str:
    text = visible(text)
    return text if len(text) <= CELL_CHARACTERS else text[:CELL_CHARACTERS] + " …"


def _show_bulk(workbench: Workbench, wanted: TripleFilter, total: int, selected: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="bulk", gap="xsmall"):
        scopes = {"selected": f"{len(selected)} selected", "all": f"all {total:,} that pass"}
        scope = st.segmented_control(
            "Apply to",
            list(scopes),
            default="selected",
            key="scope",
            format_func=lambda s: scopes[s],
            label_visibility="collapsed",
            required=True,
        )
        count = total if scope == "all" else len(selected)
        args = (tuple(selected), wanted if scope == "all" else None)
        st.button(
            f"Accept {count:,}",
            key="bulk-accept",
            icon=":material/check:",
            disabled=not count,
            on_click=decide,
            args=(Action.ACCEPT, *args),
        )
        st.button(
            f"Reject {count:,}",
            key="bulk-reject",
            icon=":material/close:",
            disabled=not count,
            on_click=decide,
            args=(Action.REJECT, *args),
        )
        reasons = [reason.value for reason in RejectReason]
        st.selectbox("because", reasons, key="bulk-reason", label_visibility="collapsed", width=190, index=len(reasons) - 1)
        if selected:
            st.button("Clear selection", key="clear-selection", type="tertiary", on_click=clear_selection)
        st.space("stretch")
        with st.popover("Undo a step", icon=":material/undo:", key="steps"):
            _show_steps(workbench)


def decide(action: Action, selected: tuple[str, ...], wanted: TripleFilter | None) -> None:
    """Accept or reject the selected ones, or all that pass, as one step."""
    workbench = open_workbench()
    reason = str(st.session_state.get("bulk-reason")) if action is Action.REJECT else ""
    try:
        ids = workbench.dataset.ids(wanted) if wanted is not None else list(selected)
        with st.spinner(f"Deciding on {len(ids):,} triples …", show_time=True):
            report = workbench.review.bulk(ids, action, reviewer(), reason=reason)
        word = "accepted" if action is Action.ACCEPT else "rejected"
        same = f", {report.unchanged:,} were already" if report.unchanged else ""
        undo_words = " Undo takes it back as one." if report.changed else ""  # else it would take back an earlier step
        st.toast(f"{len(report.changed):,} {word}{same}.{undo_words}", icon=":material/done_all:")
        if wanted is None:
            clear_selection()  # they may no longer pass: the next decision would be on what nobody sees
    except WorkbenchError as error:
        st.session_state["dataset-problem"] = error


def _show_steps(workbench: Workbench) -> None:
    steps = workbench.review.steps(reviewer(), mined=True)[:10]
    if not steps:
        st.caption("You have not decided on anything yet.")
    for step in steps:
        words, button = st.columns([3, 1], vertical_alignment="center")
        words.markdown(f"**{step.action.value}** {step.entries:,} :gray[· {step.created_at[:16].replace('T', ' ')} UTC]")
        button.button("Undo", key=f"undo-{step.first_id}", on_click=undo, args=(step.first_id,))


def undo(first_id: int) -> None:
    """Take one of the last steps back."""
    workbench = open_workbench()
    try:
        step = next(s for s in workbench.review.steps(reviewer(), mined=True) if s.first_id == first_id)
        with st.spinner(f"Taking back {step.entries:,} …", show_time=True):
            count = len(workbench.review.undo_step(reviewer(), step))
        st.toast(f"Undone: {count:,} {'triple' if count == 1 else 'triples'}.", icon=":material/undo:")
        if left := workbench.review.in_use(reviewer(), step):
            count = len(left)
            why = plain(f"{'Of the first: ' if count > 1 else ''}{left[0]}")
            st.toast(f"Not undone: {count:,} {'triple' if count == 1 else 'triples'}. {why}", icon=":material/front_hand:")
    except StopIteration:
        st.toast("That step was undone already.")
    except WorkbenchError as error:
        st.session_state["dataset-problem"] = error


def _show_selected(workbench: Workbench, selected: list[TripleRecord]) -> None:
    """The last selected triple, or the one the address names."""
    wanted = selected[-1].id if selected else st.query_params.get("triple")
    if not wanted:
        return
    record = workbench.review.card(wanted)
    st.divider()
    show_card(record, show_changes=True)
    show_lineage(workbench, record)
    show_similar(workbench, record)
