"""What requests brought and what an accepted triple cost: one table for the Generate and the Prompts page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep
from core.domain.yields import Yield, YieldAxis, total
from pages.ui.prompt_editor import money
from pages.ui.session import open_workbench
from pages.ui.widgets import show_empty_state

ALL_JOBS, THIS_JOB = "all jobs", "the job above"
SHARE_WIDTH = 92  # pixels: "100% of 1,000"
RULE = "Cost counts every reply, those that failed too. An unknown price is said to be unknown, never taken as 0."


@st.fragment
def show_yields(job_id: str | None) -> None:
    """The table with its selector: by prompt version, group, language or model, of all jobs or of the one chosen above."""
    left, right = st.columns([5, 2], vertical_alignment="bottom")
    axis = YieldAxis(
        left.segmented_control("By", [a.value for a in YieldAxis], default=YieldAxis.PROMPT.value, required=True, key="yield-axis")
    )
    scope = right.segmented_control("Of", [ALL_JOBS, THIS_JOB], default=ALL_JOBS, required=True, key="yield-scope", disabled=job_id is None)
    found = open_workbench().yields.by(axis, job_ids=[job_id] if job_id and scope == THIS_JOB else [])
    if not found:
        show_empty_state("No example has been asked for yet. Start a plan above; what it brings and costs is counted here.")
        return
    names = _version_names() if axis is YieldAxis.PROMPT else {}
    rows = [*found, total(found)] if len(found) > 1 else found
    show_yield_table(rows, lambda one: {axis.value: names.get(one.name, one.name or "none")}, key="yields-table")
    st.caption(f"{total(found).sent:,} requests sent, {total(found).made:,} triples. {RULE}")


def show_yield_table(yields: Sequence[Yield], leading: Callable[[Yield], Mapping[str, Any]], *, key: str) -> None:
    """One row a yield, after the columns that name it; shares with the number they are of."""
    shares = {name: st.column_config.TextColumn(width=SHARE_WIDTH) for name in ("parsed", "flagged", "acceptance")}
    st.dataframe(pd.DataFrame([{**leading(one), **_row(one)} for one in yields]), hide_index=True, key=key, column_config=shares)


def _row(one: Yield) -> dict[str, Any]:
    return {
        "sent": one.sent,
        "parsed": share(one.parsed, one.sent),
        "failed": one.failed,
        "flagged": share(one.flagged, one.made),
        "accepted": one.accepted,
        "rejected": one.rejected,
        "to review": one.waiting,
        "acceptance": share(one.accepted, one.judged),
        "$ per accepted": money(one.cost_per_accepted, unknown="unknown price" if one.cost is None else "–"),
        "cost": _cost(one),
        "tokens in": one.prompt_tokens,
        "tokens out": one.completion_tokens,
    }


def share(part: int, of: int) -> str:
    """A percentage with its n."""
    return f"{part / of:.0%} of {of:,}" if of else "–"


def _cost(one: Yield) -> str:
    if not one.unpriced:
        return money(one.cost)
    if one.unpriced == one.replies:
        return "unknown price"
    return f"{money(one.known_cost)} + {one.unpriced:,} of {one.replies:,} unknown"


def _version_names() -> dict[str, str]:
    library = open_workbench().prompts
    versions = [version for group in TaskGroup for version in library.versions(group, PromptStep.EXAMPLE)]
    return {v.id: f"{v.group.value} v{v.number}{' · ' + v.note if v.note else ''}" for v in versions}
