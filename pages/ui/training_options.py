"""The rarer choices of a training plan. A limit that may be absent is 0 in its widget, a margin below 0; a list of numbers is text."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.domain.contrast import BatchScope, Direction, Hardness
from core.domain.groups import TaskGroup

ABSENT = {"margin_mask": -0.05, "base_layers": 0, "micro_batch_tokens": 0}  # a margin of 0 is one: it leaves out whatever scores above
SOURCES = ("starter", "generated", "import", "by hand")
DIRECTIONS = {
    Direction.QUERY_DOCUMENT.value: "query – documents",
    Direction.QUERY_QUERY.value: "query – other queries",
    Direction.DOCUMENT_QUERY.value: "its positive – other queries",
    Direction.DOCUMENT_DOCUMENT.value: "its positive – other documents",
}
SCOPES = {BatchScope.MIXED.value: "all groups mixed", BatchScope.GROUP.value: "one group", BatchScope.TASK.value: "one task"}
HARDNESS = {Hardness.HARD.value: "hard negatives", Hardness.IN_BATCH.value: "documents of others", Hardness.ALL.value: "all negatives"}


def as_widgets(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values of a plan as the widgets hold them."""
    shown = dict(values)
    for field, nothing in ABSENT.items():
        shown[field] = nothing if values[field] is None else values[field]
    weights = shown.pop("source_weights")
    shown |= {f"weight-{source}": float(weights.get(source, 1.0)) for source in SOURCES}
    shown["source_weights"] = dict(weights)
    shown["matryoshka"] = ", ".join(map(str, values["matryoshka"]))
    return shown


def as_plan(values: dict[str, Any]) -> dict[str, Any]:
    """Inverse of `as_widgets`. What is no number stays as it was written, so that the plan's own check names it."""
    plan = dict(values)
    for field, nothing in ABSENT.items():
        plan[field] = None if values[field] < 0 or values[field] == nothing else values[field]
    weights = {source: st.session_state.get(f"train-weight-{source}", 1.0) for source in SOURCES}
    others = {source: weight for source, weight in values["source_weights"].items() if source not in SOURCES}
    plan["source_weights"] = others | {source: weight for source, weight in weights.items() if weight != 1.0}
    parts = [part.strip() for part in str(values["matryoshka"]).split(",") if part.strip()]
    plan["matryoshka"] = [int(part) if part.isdecimal() else part for part in parts]
    return plan


def show_fields() -> None:
    """The widgets."""
    loss, batches, base = st.tabs(["Denominator and loss", "Batches", "Base and memory"])
    with loss:
        _loss_fields()
    with batches:
        _batch_fields()
    with base:
        _base_fields()


def _loss_fields() -> None:
    st.multiselect(
        "Compared in the denominator", list(DIRECTIONS), format_func=DIRECTIONS.__getitem__, key="train-directions",
        persist_state="session", help="Query – documents is a must: the positive is there. All four are GTE's improved contrastive loss.",
    )  # fmt: skip
    st.multiselect(
        "Groups that see only their own documents", [group.value for group in TaskGroup], key="train-no_in_batch_groups",
        persist_state="session", help="For groups whose labels repeat, such as classification (long-short).",
    )  # fmt: skip
    one, two = st.columns(2)
    number(one, "margin_mask", "Leave out what scores above the positive by (cosine, below 0 = off)", -0.05, 2.0, 0.05,
            help_text="Such documents are likely false negatives. 0.1 is the usual value.")  # fmt: skip
    _toggle(two, "spare_confirmed", "Spare confirmed hard negatives",
            "A query's own hard negative is never left out by that margin: a person accepted it with its triple.")  # fmt: skip
    number(one, "hardness_weight", "Hardness weight (0 = off)", 0.0, 50.0, 1.0,
            help_text="This times its cosine is added to a negative's logit. In papers 5 for hard, 9 for in-batch negatives.")  # fmt: skip
    two.selectbox("Hardness weight on", list(HARDNESS), format_func=HARDNESS.__getitem__, key="train-hardness_on", persist_state="session")
    one.text_input(
        "Matryoshka lengths", key="train-matryoshka", persist_state="session", placeholder="64, 128, 256",
        help="Beginnings of the vector that are trained to work alone; each shorter than the vector (576 for the embedded decoder).",
    )  # fmt: skip
    _toggle(two, "learn_temperature", "Learn the temperature", "It starts at the temperature above and stays between 0.005 and 0.5.")


def _batch_fields() -> None:
    one, two = st.columns(2)
    one.selectbox(
        "Triples of a batch come from", list(SCOPES), format_func=SCOPES.__getitem__, key="train-batch_scope", persist_state="session",
        help="Batches of one group or task have harder in-batch negatives.",
    )  # fmt: skip
    number(two, "negatives_per_query", "Hard negatives a query", 1, 32, 1,
            help_text="Above 1, triples that differ only in the negative are trained on as one.")  # fmt: skip
    st.caption("Share of a source's triples drawn each pass: 0.5 = another half each time, 2 = each twice, 0 = none.")
    for place, source in zip(st.columns(len(SOURCES)), SOURCES, strict=True):
        number(place, f"weight-{source}", source.capitalize(), 0.0, 100.0, 0.25)


def _base_fields() -> None:
    one, two = st.columns(2)
    number(one, "base_layers", "Layers of the base to keep (0 = all)", 0, 1000, 1,
            help_text="The first ones; the embedded decoder has 30. For small machines.")  # fmt: skip
    number(two, "micro_batch_tokens", "Tokens at once (0 = found)", 0, 10_000_000, 256,
            help_text="Tokens that go through the model together, at least 64; halved by itself when memory runs out.")  # fmt: skip
    number(one, "processes", "Processes", 1, 1024, 1, help_text="They share each batch, one a GPU; the result is the same as with one.")
    _toggle(
        two, "bidirectional", "Attention both ways", "Tokens see later ones as well, in training and in use. Slower: texts are not packed."
    )
    _toggle(two, "four_bit", "Base in 4 bits", "QLoRA: less memory while training. Needs a GPU and the package bitsandbytes.")


def number(  # noqa: PLR0913 - a widget's own words
    place: Any, field: str, label: str, low: float, high: float, step: float, *, show: str | None = None, help_text: str | None = None
) -> None:
    """A number of the plan."""
    place.number_input(label, low, high, step=step, format=show, key=f"train-{field}", persist_state="session", help=help_text)


def _toggle(place: Any, field: str, label: str, help_text: str) -> None:
    place.toggle(label, key=f"train-{field}", persist_state="session", help=help_text)
