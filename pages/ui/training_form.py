"""The training plan as a form: one widget a field, filled by a preset or by a run that is cloned."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.domain.encoder import Pooling
from core.domain.groups import TaskGroup
from core.domain.plans import TrainingPlan
from core.workbench import Workbench
from pages.ui import training_options as advanced
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.training_options import number

POOLING = {Pooling.LAST_TOKEN.value: "last token (the paper's)", Pooling.MEAN.value: "mean of all tokens"}


def fill(plan: TrainingPlan) -> None:
    """Put a plan into the widgets."""
    values = plan.model_dump(mode="json")
    values["groups"] = list(values["groups"])
    for field, value in advanced.as_widgets(values).items():
        if field != "dataset_version_id" or value:
            st.session_state[f"train-{field}"] = value


def preset_chosen() -> None:
    """The preset chooser was used."""
    with problems_shown():
        fill(open_workbench().training.preset(st.session_state["train-preset"], ""))


def show_fields(workbench: Workbench, versions: dict[str, str]) -> dict[str, Any]:
    """The widgets; returns their values by field of the plan. `versions` maps ids to what people read."""
    if "train-steps" not in st.session_state:
        fill(workbench.training.preset())
    _what_fields(workbench, versions)
    _size_fields()
    with st.expander("Method: vectors, instruction, loss", key="train-method", icon=":material/functions:"):
        _method_fields()
    with st.expander("Adapter and optimizer", key="train-optimizer", icon=":material/tune:"):
        _optimizer_fields()
    with st.expander("Advanced: denominator, batches, base, memory", key="train-advanced", icon=":material/science:"):
        advanced.show_fields()
    return advanced.as_plan({field: st.session_state[f"train-{field}"] for field in TrainingPlan.model_fields})


def _what_fields(workbench: Workbench, versions: dict[str, str]) -> None:
    presets = workbench.training.presets()
    preset, version = st.columns([2, 3])
    chosen = preset.selectbox(
        "Start from", list(presets), index=list(presets).index("three minutes on two cores"), key="train-preset",
        on_change=preset_chosen, persist_state="session",
    )  # fmt: skip
    preset.caption(presets[chosen])
    if st.session_state.get("train-dataset_version_id") not in versions:
        st.session_state["train-dataset_version_id"] = next(iter(versions))
    version.selectbox(
        "Dataset version", list(versions), format_func=versions.__getitem__, key="train-dataset_version_id", persist_state="session"
    )
    version.text_input(
        "Base model", key="train-base_model", persist_state="session", help="embedded:smollm2-135m, a hub id (owner/name) or a folder."
    )
    groups = [group.value for group in TaskGroup]
    st.pills("Groups to train on", groups, selection_mode="multi", key="train-groups", persist_state="session")


def _size_fields() -> None:
    columns = st.columns(4)
    number(columns[0], "steps", "Steps", 1, 100_000, 1)
    number(columns[1], "batch_size", "Triples a batch", 2, 8192, 2)
    number(columns[2], "max_length", "Tokens a text", 8, 8192, 8)
    number(columns[3], "learning_rate", "Learning rate", 1e-7, 1.0, 1e-4, show="%.5f")


def _method_fields() -> None:
    one, two = st.columns(2)
    one.selectbox("Vector of a text", list(POOLING), format_func=POOLING.__getitem__, key="train-pooling", persist_state="session")
    number(two, "temperature", "Temperature (divides cosines)", 0.001, 10.0, 0.01, show="%.3f")
    one.toggle("Instruction before queries", key="train-instruction", persist_state="session")
    two.toggle("Hard negatives in the denominator", key="train-use_hard_negatives", persist_state="session")
    two.toggle("Other documents of the batch in the denominator", key="train-use_in_batch_negatives", persist_state="session")
    number(one, "encode_length", "Tokens a text in use", 8, 8192, 8)


def _optimizer_fields() -> None:
    columns = st.columns(3)
    number(columns[0], "lora_rank", "LoRA rank", 1, 512, 1)
    number(columns[1], "lora_alpha", "LoRA alpha", 1, 1024, 1)
    number(columns[2], "lora_dropout", "LoRA dropout", 0.0, 0.9, 0.05, show="%.2f")
    number(columns[0], "warmup_steps", "Warm-up steps", 0, 10_000, 1)
    number(columns[1], "weight_decay", "Weight decay", 0.0, 1.0, 0.05, show="%.2f")
    number(columns[2], "max_gradient_norm", "Largest gradient norm", 0.01, 100.0, 0.1, show="%.2f")
    number(columns[0], "checkpoint_every", "Steps between checkpoints", 1, 10_000, 1)
    number(columns[1], "seed", "Seed", 0, 2**31 - 1, 1)
