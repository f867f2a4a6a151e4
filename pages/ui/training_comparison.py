"""Runs side by side: what they came to, their curves in one picture each, and what their plans do differently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.jobs import Job
from core.workbench import Workbench
from pages.ui import training_curves as curves
from pages.ui.widgets import plain, show_empty_state

LETTERS = "ABCD"  # what a run is called in pictures and tables; its whole name stands in the first table
DECIDES_LOSS = ("temperature", "learn_temperature", "batch_size", "directions", "use_in_batch_negatives", "use_hard_negatives",
                "negatives_per_query", "hardness_weight", "margin_mask", "matryoshka")  # fmt: skip


def show_comparison(workbench: Workbench, runs: list[Job], name_of: Callable[[Job], str]) -> None:
    """Up to four runs; `name_of` gives what the lists of the page call one."""
    if len(runs) < 2:
        show_empty_state("Two runs are needed to compare. Clone one with a change.")
        return
    names = {job.id: name_of(job) for job in runs}
    begun = [job.id for job in runs if job.started_at]  # those that wait have nothing to show
    chosen = st.multiselect(
        "Runs to compare", list(names), default=begun[:2], format_func=names.__getitem__, key="train-compared", max_selections=len(LETTERS)
    )
    found = {letter: next(job for job in runs if job.id == i) for letter, i in zip(LETTERS, chosen, strict=False)}
    events = {letter: workbench.jobs.events(job.id)[0] for letter, job in found.items()}
    steps = {letter: table for letter, some in events.items() if not (table := curves.step_table(some)).empty}
    if not steps:
        st.caption("None of these runs has done a step yet." if chosen else "Choose two runs or more.")
        return
    probes = {letter: table for letter, some in events.items() if not (table := curves.probe_curve(some)).empty}
    rows = [_outcome(letter, job, name_of(job), steps.get(letter), probes.get(letter)) for letter, job in found.items()]
    st.dataframe(
        pd.DataFrame(rows),
        key="train-outcomes",
        hide_index=True,
        width="stretch",
        column_config={"Run": st.column_config.TextColumn(width="small")},
    )
    for letter, job in found.items():
        if job.failure:
            st.caption(f":material/error: {letter} ended: {plain(job.failure.message)}")
    pictures = [("loss", steps), ("accuracy", steps), *([("mrr", probes)] if probes else [])]
    for column, (field, tables) in zip(st.columns(len(pictures)), pictures, strict=True):
        title = {**curves.CURVES, **curves.PROBE_CURVE}[field][0]
        column.altair_chart(curves.overlay(tables, field), key=f"train-overlay-{field}", width="stretch", alt=title)
    plans = {letter: job.plan for letter, job in found.items()}
    if other := _loss_differs(plans):
        st.caption(
            f"Losses and in-batch accuracies of these runs do not compare, because their denominators differ ({', '.join(other)}). "
            "The probes do: they rank the same documents where the dataset version and the groups are the same."
        )
    st.markdown("##### What their plans do differently")
    differences = curves.plan_differences(plans)
    if differences.empty:
        st.caption("Nothing: the plans are the same.")
    else:
        st.dataframe(differences, key="train-differences", hide_index=True, width="stretch")


def _outcome(letter: str, job: Job, name: str, steps: pd.DataFrame | None, probes: pd.DataFrame | None) -> dict[str, Any]:
    last: dict[str, Any] = {} if steps is None else steps.iloc[-1].to_dict()
    return {
        "Run": letter,
        "Name": name,
        "Steps done": f"{int(last['step'])} of {int(last['steps'])}" if last else "0",
        "Loss (nats)": f"{last['loss']:.3f}" if last else "–",
        "In-batch accuracy": f"{last['accuracy']:.0%}" if last else "–",
        "Probes' MRR": "–" if probes is None else f"{probes['mrr'].iloc[-1]:.3f} (n = {probes['queries'].iloc[-1]})",
        "Triples/s": f"{last['triples_per_second']:.1f}" if last else "–",
    }


def _loss_differs(plans: dict[str, dict[str, Any]]) -> list[str]:
    return [field for field in DECIDES_LOSS if len({str(plan.get(field)) for plan in plans.values()}) > 1]
