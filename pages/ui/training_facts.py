"""What is known of a run beside its curves: probes, checks, plan, result, log."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.domain.jobs import Job
from core.workbench import Workbench
from pages.ui import training_curves as curves
from pages.ui.training_export import show_export
from pages.ui.widgets import plain

CHECKS = {
    "eos_last_on_both_sides": "the end token stands last, once, on queries and documents",
    "no_chat_template": "no chat template around the text",
    "within_length": "no text is longer than the limit",
}


def show_probes(events: list[dict[str, Any]]) -> None:
    """Ranks of the probe queries' positives as training goes on."""
    table = curves.probe_table(events)
    if table.empty:
        return
    last = next(e for e in reversed(events) if e["kind"] == "probe")
    chart, ranks = st.columns([1, 3], gap="medium")
    picture = curves.probe_chart(events)
    chart.altair_chart(picture, key="train-probe-chart", width="stretch", alt="Mean reciprocal rank of the probe queries")
    ranks.dataframe(
        table, key="train-probes", hide_index=True, width="stretch", height=215,
        column_config={"Query": st.column_config.TextColumn(width="large")},
    )  # fmt: skip
    kind = "held-out tasks, never trained on" if last["held_out"] else "training triples (nothing is held out)"
    ranks.caption(f"Rank of the positive among {last['documents']} documents, 1 = first. Queries of {kind}.")


def show_facts(workbench: Workbench, job: Job) -> None:
    """Checks, texts, result, plan and log of a run."""
    events, _ = workbench.jobs.events(job.id)
    facts = {e["kind"]: e for e in events if e["kind"] in ("parity", "data", "adapter")}
    checks, denominator, export, plan, log = st.tabs(["Checks", "Denominator", "Export", "Plan and result", "Log"], key="train-facts")
    with checks:
        show_checks(facts)
        show_norms(events)
    with denominator:
        show_denominator(events)
    with export:
        show_export(workbench, job)
    with plan:
        one, two = st.columns(2)
        one.json(job.plan, expanded=1)
        two.json(job.result or {"result": "not yet"}, expanded=2)
    with log:
        st.code(workbench.jobs.log_tail(job.id, characters=8000) or "The log is empty.", language=None, height=260)


def show_denominator(events: list[dict[str, Any]]) -> None:
    """What queries of a batch were compared with, as a picture."""
    looks = {e["step"]: e for e in events if e["kind"] == "similarities"}
    if not looks:
        st.caption("The first step brings the picture: which documents each query is compared with, and how near they are.")
        return
    step = st.select_slider("After step", sorted(looks), value=max(looks), key="train-picture-step") if len(looks) > 1 else max(looks)
    look = looks[step]
    st.caption(
        f"Step {step}: {look['batch_queries']} queries, {look['batch_documents']} different documents; a query's denominator holds "
        f"{look['counted']:.1f} of them on average. Shown: {len(look['queries'])} queries with their positives (+) and hard negatives (−); "
        "× is left out of the query's denominator because its text answers the query too, or because the plan keeps others out. "
        + _margin_told(look)
    )
    picture = curves.similarity_chart(look)
    st.altair_chart(picture, key="train-similarities", width="stretch", alt="Cosines between queries and documents of one batch")


def _margin_told(look: dict[str, Any]) -> str:
    if "margin" not in look:
        return "This run is from before the picture showed a margin."
    if look["margin"] is None:
        return "The plan has no margin."
    return (
        f"m is left out by the margin: it scores more than {look['margin']:g} above the positive and is likely a false negative; "
        f"so are {look['masked']:,} pairs of a query and a document in the whole batch."
    )


def show_norms(events: list[dict[str, Any]]) -> None:
    """That the adapter moves."""
    norms = [e["adapter_norm"] for e in events if e["kind"] == "step" and "adapter_norm" in e]
    if norms:
        icon = ":material/check_circle:" if norms[-1] > 0 else ":material/cancel:"
        st.markdown(f"{icon} {curves.ADAPTER_NORM}: {norms[0]:.3f} after the first step seen, {norms[-1]:.3f} now")


def show_checks(facts: dict[str, dict[str, Any]]) -> None:
    """What was checked so that training and use see the same input, and that the adapter is real."""
    if "parity" not in facts:
        st.caption("The checks run when the model is loaded.")
        return
    parity = facts["parity"]
    for name, meaning in CHECKS.items():
        st.markdown(f"{':material/check_circle:' if parity[name] else ':material/cancel:'} {meaning} ({parity['texts_checked']} texts)")
    share = parity["trainable_parameters"] / parity["all_parameters"]
    st.markdown(
        f":material/check_circle: the adapter sits on {parity['adapted_modules']} linear layers: {parity['trainable_parameters']:,} "
        f"trainable parameters, {share:.1%} of all; base in {plain(parity['precision'])} on {plain(parity['device'])}"
    )
    if data := facts.get("data"):
        st.markdown(
            f":material/check_circle: {data['texts']:,} texts, {data['tokens_median']:.0f} tokens in the middle, at most "
            f"{data['tokens_longest']:,}; {data['cut_share']:.0%} are cut, {data['tokens_kept_share']:.0%} of all tokens are kept"
        )
        if "padding_share" in data:
            st.markdown(
                f":material/check_circle: padding: {data['padding_share']:.0%} of a batch's slots, cut by length; padded to one rectangle "
                f"it would be {data['padding_share_one_rectangle']:.0%}"
            )
    if adapter := facts.get("adapter"):
        icon = ":material/check_circle:" if adapter["differs_from_base"] else ":material/cancel:"
        change = f"a cosine between two documents changed by up to {adapter['largest_cosine_change']:.2f}"
        st.markdown(f"{icon} opened again from file, the tuned model differs from the base: {change}; SHA-256 {adapter['sha256'][:12]}…")
