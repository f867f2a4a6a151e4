"""What the filters of Review and Dataset offer, read once for all viewers until triples are added."""

from __future__ import annotations

import streamlit as st

from core.workbench import Workbench
from pages.ui.session import open_workbench

COLUMNS = ("group", "language", "topic", "flag_code", "source")


def filter_options(workbench: Workbench) -> dict[str, dict[str, str]]:
    """Column -> value -> words to show, most frequent first; "task" too, by task id."""
    return _options_of(str(workbench.settings.workspace), workbench.dataset.count())


@st.cache_data(show_spinner=False, ttl=60, max_entries=8)
def _options_of(workspace: str, triples: int) -> dict[str, dict[str, str]]:
    # Both arguments are there to be hashed: decisions do not change what can be asked for, new triples do.
    shelf = open_workbench().dataset
    found = {column: {value: value for value in shelf.counts_by(column) if value} for column in COLUMNS}
    return {**found, "task": {task.task_id: task.task for task in shelf.tasks()}}
