"""Which languages texts are drawn from: one, own weights, or the paper's."""

from __future__ import annotations

import streamlit as st

from core.domain.languages import LANGUAGES, paper_weights

ONE, OWN, PAPER = "One language", "Own weights", "The paper's weights"


def choose_languages(prefix: str = "") -> dict[str, float]:
    """Weights by language; `prefix` keeps the choices of two pages apart."""
    mode = st.segmented_control(
        "Languages", [ONE, OWN, PAPER], default=ONE, required=True, key=f"{prefix}language-mode", persist_state="session"
    )
    if mode == PAPER:
        return paper_weights()
    if mode == ONE:
        return {st.selectbox("Language", list(LANGUAGES), index=list(LANGUAGES).index("English"), key=f"{prefix}one-language"): 1.0}
    start = ["English", "Chinese (Simplified)"]
    chosen = st.multiselect("Languages", list(LANGUAGES), start, key=f"{prefix}own-languages", label_visibility="collapsed")
    columns = st.columns(3)
    weights = {name: columns[i % 3].number_input(name, 0.0, 1000.0, 1.0, key=f"{prefix}weight-{name}") for i, name in enumerate(chosen)}
    return {name: float(weight or 0.0) for name, weight in weights.items()}
