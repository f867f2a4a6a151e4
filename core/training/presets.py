"""Plans to start from. Where the numbers of the CPU presets come from is told in docs/lab-notes.md."""

from __future__ import annotations

from typing import Any

from core.domain.plans import TrainingPlan
from core.errors import NotFound

DEFAULT = "three minutes on two cores"
FULL = "half an hour on two cores"
PRESETS: dict[str, dict[str, Any]] = {
    "two-minute CPU": {"steps": 25, "batch_size": 16, "max_length": 48, "learning_rate": 1e-3, "warmup_steps": 5, "temperature": 0.02},
    DEFAULT: {"steps": 45, "batch_size": 16, "max_length": 64, "learning_rate": 1e-3, "warmup_steps": 5, "temperature": 0.02},
    FULL: {"steps": 86, "batch_size": 32, "max_length": 128, "learning_rate": 1e-3, "warmup_steps": 8, "temperature": 0.02},
    "one GPU": {
        "steps": 400,
        "batch_size": 256,
        "max_length": 512,
        "encode_length": 512,
        "learning_rate": 3e-4,
        "warmup_steps": 40,
        "temperature": 0.02,
        "lora_dropout": 0.05,
        "checkpoint_every": 50,
    },
    "the paper": {
        "base_model": "mistralai/Mistral-7B-v0.1",
        "steps": 879,
        "batch_size": 2048,
        "max_length": 512,
        "encode_length": 512,
        "learning_rate": 1e-4,
        "warmup_steps": 100,
        "temperature": 0.02,
        "lora_dropout": 0.1,
        "checkpoint_every": 50,
    },
}
EXPLAINED = {
    "two-minute CPU": "To see it work: short texts, few steps.",
    DEFAULT: "What `make demo` runs: from chance to useful on the embedded decoder.",
    FULL: "The starter set three times, longer texts and larger batches: as far as it goes on this data without a GPU.",
    "one GPU": "Whole texts and large batches for a GPU with 24 GB or more.",
    "the paper": "Wang et al. 2024: Mistral-7B, batch 2048, one epoch of 1.8 million triples. Needs a large GPU and the network.",
}


def preset_plan(name: str, dataset_version_id: str) -> TrainingPlan:
    """A preset for a dataset version.

    Raises:
        NotFound: no such preset.
    """
    if name not in PRESETS:
        raise NotFound(f"There is no preset “{name}”.", hint="Presets: " + ", ".join(PRESETS))
    return TrainingPlan(dataset_version_id=dataset_version_id, **PRESETS[name])
