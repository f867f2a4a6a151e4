"""The workbench of this server, and typed access to what belongs to one viewer."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.settings import Settings
from core.workbench import Workbench


@st.cache_resource(show_spinner=False)
def _workbench_at(workspace: str) -> Workbench:
    return Workbench(Settings(workspace=Path(workspace)))


def open_workbench() -> Workbench:
    """The workbench all viewers of a workspace share; opened once.

    Raises:
        StorageError: the workspace cannot be opened.
    """
    return _workbench_at(str(st.session_state.get("workspace") or Settings().workspace))


def use_workspace(folder: Path) -> None:
    """Open (or create) another workspace for this viewer.

    Raises:
        StorageError: it cannot be opened; the viewer stays where they were.
    """
    _workbench_at(str(folder))
    st.session_state["workspace"] = str(folder)


def reviewer() -> str:
    """Name decisions of this viewer are signed with."""
    return str(st.session_state.get("reviewer") or Settings().reviewer)
