"""Freeze a version, and see what the frozen ones hold and how they differ."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.dataset import DatasetVersion, Example
from core.domain.filters import TripleFilter
from core.domain.groups import TaskGroup
from core.domain.triple import Texts, Verdict
from core.errors import WorkbenchError
from core.review.freezing import Overlap, VersionDiff
from core.workbench import Workbench
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.triple_card import FIELDS, TITLES, changes_html
from pages.ui.widgets import page_file, plain, show_empty_state, visible

SHOWN = 50
CHANGES_SHOWN = 10
TEXT_SHOWN = 400  # characters


def show_versions(workbench: Workbench) -> None:
    """The form on the left, the versions on the right."""
    form, shelf = st.columns([2, 3], gap="large")
    with form:
        show_freeze_form(workbench)
    with shelf:
        versions = workbench.dataset.versions()
        st.markdown("##### Versions")
        if not versions:
            show_empty_state("No version yet. A training run needs one: accept some triples, then freeze them.")
            return
        st.dataframe(_table(versions), hide_index=True, key="versions")
        st.page_link(page_file("train"), label="Train on a version", icon=":material/model_training:")
        show_version(workbench, versions)


def show_freeze_form(workbench: Workbench) -> None:
    """Name, filter and split, with the counts they give now."""
    accepted = workbench.dataset.counts_by("group", TripleFilter(verdict=Verdict.ACCEPTED))
    st.markdown("##### Freeze a version")
    if not accepted:
        message = "Nothing is accepted yet, and only accepted triples are frozen."
        show_empty_state(message, page=page_file("review"), action="Review triples")
        return
    st.text_input("Name", f"v{len(workbench.dataset.versions()) + 1}", key="freeze-name", max_chars=80)
    groups = st.multiselect("Groups", list(accepted), key="freeze-groups", placeholder="all groups")
    share = st.slider("Held-out share of each group's tasks", 0.0, 0.5, 0.2, 0.05, key="freeze-share")
    seed = st.number_input("Seed of the split", 0, 2**31 - 1, 0, key="freeze-seed", help="Chooses which tasks are held out.")
    wanted = TripleFilter(groups=tuple(TaskGroup(g) for g in groups))
    preview = workbench.dataset.preview(wanted, heldout_share=share, seed=seed)
    train, heldout = st.columns(2)
    train.metric("To train on", f"{preview.train:,}", help="triples", border=True)
    heldout.metric("Held out", f"{preview.heldout:,}", help="triples of tasks that training never sees", border=True)
    st.caption(
        f"{len(preview.heldout_tasks)} of {len(preview.tasks)} tasks are held out whole. Similarity and translation have one task each "
        "and stay in training."
    )
    with st.expander("Tasks and their side", icon=":material/call_split:"):
        rows = [
            {
                "side": "held out" if t.task_id in preview.heldout_tasks else "train",
                "group": t.group.value,
                "triples": t.triples,
                "task": visible(t.task),
            }
            for t in preview.tasks
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="freeze-tasks")
    st.button("Freeze", key="freeze", type="primary", icon=":material/inventory_2:", on_click=freeze, args=(wanted, share, int(seed)))


def freeze(wanted: TripleFilter, share: float, seed: int) -> None:
    """Freeze under the name of the form."""
    try:
        version = open_workbench().dataset.freeze(str(st.session_state["freeze-name"]), wanted, heldout_share=share, seed=seed)
        st.toast(f"Frozen: {version.train_count:,} to train on, {version.heldout_count:,} held out.", icon=":material/inventory_2:")
        st.session_state.pop("freeze-name", None)
    except WorkbenchError as error:
        st.session_state["dataset-problem"] = error


def _table(versions: list[DatasetVersion]) -> pd.DataFrame:
    names = {version.id: version.name for version in versions}
    return pd.DataFrame(
        {
            "name": version.name,
            "train": version.train_count,
            "held out": version.heldout_count,
            "content hash": version.content_hash[:16],
            "after": names.get(version.parent_id or "", ""),
            "frozen (UTC)": version.created_at[:16].replace("T", " "),
            "groups": ", ".join(f"{name} {n}" for name, n in version.counts.get("group", {}).items()),
            "id": version.id,
        }
        for version in versions
    )


def show_version(workbench: Workbench, versions: list[DatasetVersion]) -> None:
    """One version against an older one, its sides against each other, and its training side against the tests."""
    names = {version.id: version.name for version in versions}
    left, right = st.columns(2)
    newer = left.selectbox("Version", list(names), key="version", format_func=lambda i: names[i])
    others = [i for i in names if i != newer]
    parent = next((v.parent_id for v in versions if v.id == newer), None)
    start = others.index(parent) if parent in others else None
    older = right.selectbox(
        "Compared with", others, index=start, key="compared", format_func=lambda i: names[i], placeholder="no other version"
    )
    if newer and older:
        _show_diff(workbench, older, newer)
    if newer and st.toggle("Check that no text stands on both sides of the split, or in a test collection", key="check-overlap"):
        _show_overlap(workbench, newer)
        for name, label in workbench.evaluation.collections.names():
            with problems_shown():
                _show_test_overlap(workbench, newer, name, label)


def _show_diff(workbench: Workbench, older: str, newer: str) -> None:
    diff = _diff(str(workbench.settings.workspace), older, newer)
    changes = {"added": diff.added, "removed": diff.removed, "changed": diff.rewritten, "moved side": diff.moved}
    for column, (name, ids) in zip(st.columns(4), changes.items(), strict=True):
        column.metric(name, f"{len(ids):,}", help="triples")
    st.caption(f"{diff.same:,} triples are the same in both.")
    kinds = [name for name, ids in changes.items() if ids]
    if not kinds:
        return
    kind = st.segmented_control("Show", kinds, default=kinds[0], key="diff-kind", label_visibility="collapsed", required=True)
    ids = changes[kind if kind in changes else kinds[0]]
    shown = ids[:SHOWN]
    before, after = ({e.triple_id: e for e in workbench.dataset.examples_of(version, shown)} for version in (older, newer))
    if kind == "changed":
        for i in shown[:CHANGES_SHOWN]:
            _show_change(before[i].texts, after[i].texts)
    else:
        rows = [_row(before.get(i), after.get(i)) for i in shown]
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="diff-rows")
    if len(ids) > len(shown) or (kind == "changed" and len(ids) > CHANGES_SHOWN):
        st.caption(f"The first of {len(ids):,}. `python -m core versions diff` lists all of them.")


@st.cache_data(show_spinner="Comparing …", max_entries=8)
def _diff(workspace: str, older: str, newer: str) -> VersionDiff:
    return open_workbench().dataset.diff(older, newer)  # versions never change


def _row(before: Example | None, after: Example | None) -> dict[str, str]:
    example = after or before
    assert example is not None  # an id of a difference stands in one of the two
    sides = " → ".join(dict.fromkeys(e.split.value for e in (before, after) if e))
    return {
        "side": sides,
        "query": visible(example.texts.query[:TEXT_SHOWN]),
        "positive": visible(example.texts.positive[:TEXT_SHOWN]),
        "hard negative": visible((example.texts.negative or "")[:TEXT_SHOWN]),
        "task": visible(example.task),
        "id": example.triple_id,
    }


def _show_change(before: Texts, after: Texts) -> None:
    names = [name for name in FIELDS if getattr(before, name) != getattr(after, name)]
    with st.container(border=True):
        for column, name in zip(st.columns(len(names)), names, strict=True):
            column.markdown(f"**{TITLES[name]}**")
            with column:
                st.html(changes_html(getattr(before, name) or "", getattr(after, name) or ""))


def _show_overlap(workbench: Workbench, version: str) -> None:
    found = _overlap(str(workbench.settings.workspace), version)
    if not found:
        st.success("No query and no document stands on both sides (compared without case and spacing).", icon=":material/check:")
        return
    message = f"{len(found):,} texts stand on both sides. Short labels may recur rightly; long texts should not."
    st.warning(message, icon=":material/warning:")
    rows = [
        {"kind": o.kind, "in training": len(o.train_triples), "held out": len(o.heldout_triples), "text": visible(o.text[:300])}
        for o in found[:SHOWN]
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="overlap-rows")
    if len(found) > SHOWN:
        st.caption(plain(f"… and {len(found) - SHOWN:,} more"))


@st.cache_data(show_spinner="Comparing …", max_entries=8)
def _overlap(workspace: str, version: str) -> list[Overlap]:
    return open_workbench().dataset.overlap(version)


def _show_test_overlap(workbench: Workbench, version: str, name: str, label: str) -> None:
    found = workbench.evaluation.overlap(name, version)
    texts = {"query": found.queries, "document": found.documents, "task": found.tasks}
    total = sum(len(some) for some in texts.values())
    if not total:
        st.success(plain(f"{label}: no query, document or task of it is in the training side."), icon=":material/check:")
        return
    counts = f"{len(found.queries):,} queries, {len(found.documents):,} documents and {len(found.tasks):,} tasks"
    st.warning(plain(f"{label}: {counts} in the training side. A score on it would flatter the model."), icon=":material/warning:")
    rows = [{"kind": kind, "text": visible(text[:300])} for kind, some in texts.items() for text in some[:SHOWN]]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"test-overlap-{name}")
