"""The workbench of this server, and typed access to what belongs to one viewer."""

from __future__ import annotations

import streamlit as st

from core.settings import Settings
from core.workbench import Workbench


@st.cache_resource(show_spinner=False)
def _workbench_at(workspace: str) -> Workbench:
    return Workbench(Settings(workspace=workspace))  # type: ignore[arg-type]


def open_workbench() -> Workbench:
    """The workbench all viewers share; opened once a workspace."""
    settings = Settings()
    return _workbench_at(str(st.session_state.get("workspace", settings.workspace)))


def reviewer() -> str:
    """Name decisions of this viewer are signed with."""
    return str(st.session_state.get("reviewer") or Settings().reviewer)
