"""All triples at once: find, decide in bulk, follow one back to its prompt, freeze versions, bring data in and out."""

from __future__ import annotations

import streamlit as st

from core.errors import WorkbenchError
from pages.ui.dataset_course import show_course
from pages.ui.dataset_files import show_export, show_import
from pages.ui.dataset_likeness import show_duplicates
from pages.ui.dataset_mining import show_mining
from pages.ui.dataset_shape import show_shape
from pages.ui.dataset_table import show_triples
from pages.ui.dataset_versions import show_versions
from pages.ui.problems import problems_shown, show_problem
from pages.ui.session import open_workbench
from pages.ui.widgets import page_file, show_empty_state

SECTIONS = ("Triples", "Duplicates", "Versions", "Import and export", "Shape")

workbench = open_workbench()
with problems_shown():
    title, menu = st.columns([1, 4], vertical_alignment="center")
    title.subheader("Dataset", anchor=False)
    with menu:
        section = st.segmented_control(
            "Section",
            SECTIONS,
            default="Triples",
            key="section",
            label_visibility="collapsed",
            bind="query-params",
            required=True,
        )
    problem = st.session_state.pop("dataset-problem", None)
    if isinstance(problem, WorkbenchError):
        show_problem(problem)
    if section == "Import and export":
        show_import(workbench)
        show_mining(workbench)
        show_export(workbench)
    elif section == "Versions":
        show_versions(workbench)
    elif not workbench.dataset.count():
        show_empty_state(
            "There are no triples yet. Write some, or go to Import and export above and bring a file.",
            page=page_file("generate"),
            action="Generate triples",
        )
        if st.button("Load the starter set", key="load-starter", type="primary", icon=":material/inbox:"):
            with st.spinner("Reading and checking every triple …"):
                workbench.dataset.load_starter()
            st.rerun()
    elif section == "Shape":
        show_shape(workbench)
        show_course(workbench)
    elif section == "Duplicates":
        show_duplicates(workbench)
    else:
        show_triples(workbench)
